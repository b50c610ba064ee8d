from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest

from sentinel_etl.ledger.archive import ArchivedRun
from sentinel_etl.ledger.commands import redo_command
from sentinel_etl.ledger.nights import NightCoverage, NightState, judge_nights
from sentinel_etl.ledger.states import RunState
from sentinel_etl.report.index_page import Measure, csp_hash, draw_trend, render_index
from sentinel_etl.window import Window

ZONE = ZoneInfo("Asia/Kolkata")
BERLIN = ZoneInfo("Europe/Berlin")
MORNING = datetime(2026, 11, 22, 0, 31, tzinfo=UTC)
NIGHTS = [date(2026, 11, 19), date(2026, 11, 20), date(2026, 11, 21)]
HOSTILE = """<script>alert(1)</script> "><img src=x onerror='alert(2)'> {{ 7 * 7 }} & </style>"""


def run_of(night: date, state: str = "PUBLISHED", run_id: str = "", **facts: object) -> ArchivedRun:
    run = ArchivedRun(
        run_id=run_id or f"run_{night:%d}",
        state=RunState(state),
        window=Window.night(night, ZONE),
        first_night=night,
        last_night=night,
        started_at=Window.night(night, ZONE).end,
        redo="sentinel-etl run",
        event_types=("REMARK", "GEOFENCE"),
    )
    return replace(run, **facts)  # type: ignore[arg-type]


def render(runs: list[ArchivedRun], measures: dict[date, Measure] | None = None) -> str:
    return render_index(runs, judge_nights(NIGHTS, runs, ["REMARK"], ZONE), measures or {}, MORNING, ZONE)


class Elements(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def attributes(self, tag: str, name: str) -> list[str]:
        return [str(attrs[name]) for found, attrs in self.found if found == tag and name in attrs]


LAST = NIGHTS[-1]


@pytest.mark.parametrize(
    ("runs", "state"),
    [
        pytest.param([], "missing", id="no run"),
        pytest.param([run_of(LAST)], "published", id="published"),
        pytest.param([run_of(LAST, "PUBLISHED WITH WARNINGS")], "warned", id="with warnings"),
        pytest.param([run_of(LAST, "NOT PUBLISHED")], "failed", id="audit failed"),
        pytest.param([run_of(LAST, "FAILED")], "failed", id="failed"),
        pytest.param([run_of(LAST, "NO END RECORDED")], "failed", id="killed"),
        pytest.param([run_of(LAST, "REPORT ONLY")], "failed", id="failed before the ledger"),
        pytest.param([run_of(LAST, "REPORT ONLY", notebook="risk_explorer")], "missing", id="another notebook"),
        pytest.param([run_of(LAST, "RUNNING")], "missing", id="still running"),
        pytest.param([run_of(LAST, "DRY RUN")], "missing", id="dry run"),
        pytest.param([run_of(LAST, event_types=("GEOFENCE",))], "missing", id="only other event types"),
        pytest.param([run_of(LAST, "FAILED", "b"), run_of(LAST)], "published", id="failed after it was published"),
        pytest.param([run_of(LAST), run_of(LAST, "FAILED", "a")], "published", id="published after it failed"),
        pytest.param(
            [run_of(LAST), run_of(LAST, "PUBLISHED WITH WARNINGS", "a")],
            "published",
            id="the newest publication counts",
        ),
    ],
)
def test_a_night_is_judged_by_what_is_in_the_warehouse(runs: list[ArchivedRun], state: str) -> None:
    assert [night.state for night in judge_nights([LAST], runs, ["REMARK"], ZONE)] == [state]


def test_a_run_of_many_nights_stands_for_each_of_them() -> None:
    window = Window(Window.night(NIGHTS[0], ZONE).start, Window.night(NIGHTS[1], ZONE).end)
    both = run_of(NIGHTS[1], window=window, first_night=NIGHTS[0])
    assert judge_nights(NIGHTS, [both], ["REMARK"], ZONE) == [
        NightCoverage(NIGHTS[0], NightState.PUBLISHED, both),
        NightCoverage(NIGHTS[1], NightState.PUBLISHED, both),
        NightCoverage(NIGHTS[2], NightState.MISSING, None),
    ]


def test_every_text_of_the_ledger_is_escaped() -> None:
    hostile = run_of(LAST, HOSTILE, f"run{HOSTILE}", cause=HOSTILE, redo=HOSTILE, report=f"{HOSTILE}.ipynb")
    elements = Elements(render([run_of(LAST, "FAILED", "a", cause=HOSTILE, redo=HOSTILE), hostile]))
    tags = [tag for tag, _ in elements.found]
    assert tags.count("script") == 1
    assert tags.count("style") == 1
    assert "img" not in tags
    assert not [name for _, attrs in elements.found for name in attrs if name.startswith("on")]


def test_only_the_pages_own_script_and_style_may_run() -> None:
    page = render([run_of(LAST)])
    policy = Elements(page).attributes("meta", "content")
    inline = {tag: re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL) for tag in ("script", "style")}
    assert {tag: len(texts) for tag, texts in inline.items()} == {"script": 1, "style": 1}
    assert policy[0] == (
        f"default-src 'none'; style-src '{csp_hash(inline['style'][0])}'; "
        f"script-src '{csp_hash(inline['script'][0])}'; base-uri 'none'; form-action 'none'"
    )
    assert 'style="' not in page  # the policy would drop it


def test_csp_hash_is_the_one_of_the_specification() -> None:
    # The example of https://www.w3.org/TR/CSP2/#script-src-hash-usage
    assert csp_hash("alert('Hello, world.');") == "sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng="


def test_links_are_relative_and_only_to_what_is_there() -> None:
    there = run_of(NIGHTS[1], page="2026-11-20/etl nightly%1.html", report="2026-11-20/etl nightly%1.ipynb")
    page = render([run_of(LAST), there])
    outward = [link for link in Elements(page).attributes("a", "href") if not link.startswith("#")]
    assert outward == ["2026-11-20/etl%20nightly%251.html"]
    assert "http" not in re.sub(r"http-equiv", "", page)
    assert "no file" in page


def test_each_cell_of_the_calendar_leads_to_a_row() -> None:
    elements = Elements(render([run_of(NIGHTS[0])]))
    cells = [link.removeprefix("#") for link in elements.attributes("a", "href") if link not in ("#nights", "#runs")]
    ids = [attrs["id"] for _, attrs in elements.found if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert set(cells) == {"run-run_19", "missing-2026-11-20", "missing-2026-11-21"}
    assert set(cells) <= set(ids)


@pytest.mark.parametrize(
    ("there", "command"),
    [
        pytest.param(NIGHTS[:2], "sentinel-etl run", id="last night"),
        pytest.param(
            [NIGHTS[0], LAST],
            "sentinel-etl backfill --from 2026-11-20 --to 2026-11-20 --missing-only",
            id="an older night",
        ),
        pytest.param(
            NIGHTS[:1],
            "sentinel-etl backfill --from 2026-11-20 --to 2026-11-21 --missing-only",
            id="two nights in a row",
        ),
    ],
)
def test_a_missing_night_shows_the_command_that_mends_it(there: list[date], command: str) -> None:
    page = render([run_of(night) for night in reversed(there)])
    assert f"<code>{command}</code></div>" in page


def test_the_first_lines_say_how_last_night_stands() -> None:
    failed = run_of(LAST, "NOT PUBLISHED", cause="keys are unique: expected 9, observed 8", redo="sentinel-etl run -x")
    page = render([failed], {LAST: Measure(1234, 4.256)})
    words = " ".join(re.sub(r"<[^>]+>", " ", page[page.index("<main>") : page.index('id="nights"')]).split())
    assert "NOT PUBLISHED last night, Saturday 21 November 2026 · 1,234 events · mean risk 4.26 · see its row" in words
    assert "keys are unique: expected 9, observed 8 To mend it: sentinel-etl run -x" in words
    assert "Written 2026-11-22 06:01 IST" in words


def test_a_page_without_any_run_says_that_the_night_is_missing() -> None:
    page = render_index([], judge_nights([LAST], [], ["REMARK"], ZONE), {}, MORNING, ZONE)
    assert "<strong>MISSING</strong>" in page
    assert "<code>sentinel-etl run</code>" in page


@pytest.mark.parametrize(
    ("values", "lines", "dot"),
    [
        pytest.param([], (), None, id="nothing"),
        pytest.param([None, None], (), None, id="only gaps"),
        pytest.param([0.0, 10.0, 5.0], ("3,17 10,3 17,10",), (17.0, 10.0), id="a line"),
        pytest.param([0.0, 10.0, None, 10.0], ("3,17 7.7,3", "17,3 18,3"), (17.0, 3.0), id="a gap, then one night"),
        pytest.param([0.0, 10.0, None], ("3,17 10,3",), None, id="the last night is missing"),
        pytest.param([7.0, 7.0], ("3,10 17,10",), (17.0, 10.0), id="all the same"),
    ],
)
def test_a_line_is_drawn_over_the_nights_with_gaps_where_one_is_missing(
    values: list[float | None], lines: tuple[str, ...], dot: tuple[float, float] | None
) -> None:
    spark = draw_trend(values, 20, 20)
    assert (spark.lines, spark.dot) == (lines, dot)


def test_volume_is_drawn_from_zero() -> None:
    assert draw_trend([5.0, 10.0], 20, 20, from_zero=True).lines == ("3,10 17,3",)


@pytest.mark.parametrize(
    ("start", "end", "zone", "types", "command"),
    [
        pytest.param(
            "2026-11-21T06:00+05:30", "2026-11-22T06:00+05:30", ZONE, (), "2026-11-22T06:00:00+05:30", id="a night"
        ),
        pytest.param(
            "2026-11-01T06:00+05:30",
            "2026-11-22T06:00+05:30",
            ZONE,
            (),
            "2026-11-22T06:00:00+05:30 --window-hours 504",
            id="three weeks",
        ),
        pytest.param(
            "2026-11-21T22:15+05:30",
            "2026-11-22T06:00+05:30",
            ZONE,
            ("REMARK", "GEOFENCE"),
            "2026-11-22T06:00:00+05:30 --window-hours 7.75 --event-type REMARK --event-type GEOFENCE",
            id="hours, some event types",
        ),
        pytest.param(
            "2026-10-24T06:00+02:00",
            "2026-10-25T06:00+01:00",
            BERLIN,
            (),
            "2026-10-25T06:00:00+01:00",
            id="a night of 25 hours",
        ),
        pytest.param(
            "2026-10-24T18:00:00.000001+02:00",
            "2026-10-26T06:00+01:00",
            BERLIN,
            ("A; rm -r",),
            "2026-10-26T06:00:00+01:00 --window-hours 36.9999999997222 --event-type 'A; rm -r'",
            id="over the change of clocks, to the microsecond",
        ),
    ],
)
def test_the_command_of_a_run_makes_its_window_again(
    start: str, end: str, zone: ZoneInfo, types: tuple[str, ...], command: str
) -> None:
    window = Window(datetime.fromisoformat(start), datetime.fromisoformat(end))
    redo = redo_command(window, zone, types)
    assert redo == f"sentinel-etl run --window-end {command}"
    hours = re.search(r"--window-hours (\S+)", redo)
    assert Window.ending(window.end, float(hours[1]) if hours else 24, zone) == window
