from __future__ import annotations

import re
import shlex
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pandas as pd
import pytest
from change_samples import CHANGED, UNCHANGED
from report_reading import cells_of, flagged_rows_of
from report_samples import HOSTILE, KOLKATA, RESULT, WINDOW, measures

from sentinel_etl import report
from sentinel_etl.errors import NothingThere, SentinelError, SourceUnreachable, WarehouseUnreachable
from sentinel_etl.ledger.states import RunState
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.report.figure_style import FAILED
from sentinel_etl.window import Window

REDO = "sentinel-etl run --window-end 2026-11-22T06:00:00+05:30"


def lines_of(page: report.Page) -> list[str]:
    return repr(page).splitlines()


def test_the_verdict_is_one_line_with_its_first_cause_then_the_window_in_both_times_and_the_counts() -> None:
    assert lines_of(report.verdict_page(RESULT, KOLKATA)) == [
        "PUBLISHED: failed “rows lie in the window” and 1 more",
        "2026-11-21 06:00 → 2026-11-22 06:00 IST  ·  2026-11-21T00:30:00Z..2026-11-22T00:30:00Z",
        "1,205 events in the source, 1,204 in the warehouse · 202611: attached",
    ]


def test_a_verdict_without_publishing_says_so() -> None:
    page = report.verdict_page(replace(RESULT, verdict=RunState.NOT_PUBLISHED, how=""), KOLKATA)
    assert lines_of(page)[0] == "NOT PUBLISHED: failed “rows lie in the window” and 1 more"
    assert lines_of(page)[-1].endswith("in the warehouse · nothing published")


def test_a_verdict_that_is_no_success_is_red() -> None:
    colours = {
        verdict: re.findall(
            r"border-left:8px solid (#\w{6})",
            report.verdict_page(replace(RESULT, verdict=verdict), KOLKATA).html,
        )
        for verdict in map(RunState, ("PUBLISHED", "PUBLISHED WITH WARNINGS", "DRY RUN", "NOT PUBLISHED"))
    }
    assert colours["NOT PUBLISHED"] == [FAILED]
    assert len({colour for (colour,) in colours.values()}) == 4


def test_the_first_screen_tells_failures_first_then_counts_changes_and_the_command() -> None:
    told = lines_of(report.first_screen(RESULT, KOLKATA))
    places = [
        next(place for place, line in enumerate(told) if line.startswith(start))
        for start in (
            "PUBLISHED: failed “rows lie",
            "block · failed: rows lie in the window",
            "  expected 0 rows outside",
            f"  observed {HOSTILE}",
            "sentinel-etl query \"SELECT event_id FROM patrol_events WHERE event_type = 'REMARK'\"",
            "warn · failed: distribution is usual",
            "REMARK ",
            "Rejected rows",
            "Late rows",
            "Most changed NULLs",
            "Most shifted risk",
            "seconds: extract 1.23 s · total 2.00 s",
            "run 20261122t003000_abc123 · configuration 0123456789ab · sentinel-etl 0.1.0 · Python 3.11.7",
            f"again: {REDO}",
        )
    ]
    assert places == sorted(places)


def test_a_failed_check_shows_its_rows() -> None:
    assert cells_of(report.first_screen(RESULT, KOLKATA), "REMARK:7") == ["3"]


def test_a_query_that_a_shell_would_change_is_quoted_against_it() -> None:
    query = 'SELECT "a" FROM t WHERE b = $1'
    (_, _, _, failed) = RESULT.checks
    page = report.first_screen(replace(RESULT, checks=(replace(failed, query=query),)), KOLKATA)
    (line,) = [line for line in lines_of(page) if line.startswith("sentinel-etl query")]
    assert shlex.split(line) == ["sentinel-etl", "query", query]


def test_checks_that_passed_are_not_on_the_first_screen() -> None:
    assert "keys are unique" not in report.first_screen(RESULT, KOLKATA).html


def test_hostile_text_is_escaped_in_html_and_left_alone_in_text() -> None:
    page = report.first_screen(RESULT, KOLKATA)
    assert "<script" not in page.html
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &lt;b&gt;" in page.html
    assert HOSTILE in repr(page)


def test_event_types_that_a_failed_check_names_are_flagged() -> None:
    agreed = RESULT.counts.assign(published=RESULT.counts["source"])
    assert flagged_rows_of(report.counts_table(replace(RESULT, counts=agreed))) == ["GEOFENCE"]


def test_rejected_rows_are_counted_by_type_and_reason_the_most_first() -> None:
    rejected = pd.DataFrame(
        [("REMARK", "no patrol", 3), ("GEOFENCE", "no time", 40), ("REMARK", "a", 1), ("REMARK", "b", 1)],
        columns=["event_type", "reason", "rows"],
    )
    told = lines_of(report.first_screen(replace(RESULT, rejected=rejected), KOLKATA))
    place = told.index("Rejected rows: 45")
    assert [line.split() for line in told[place + 2 : place + 6]] == [
        ["GEOFENCE", "no", "time", "40"],
        ["REMARK", "no", "patrol", "3"],
        ["REMARK", "a", "1"],
        ["and", "1", "more"],
    ]


def test_late_rows_are_named_by_night_and_type_with_the_command_that_mends_them() -> None:
    late = pd.DataFrame(
        [(date(2026, 11, 20), "REMARK", 108, 100), (date(2026, 11, 20), "GEOFENCE", 9, 9)],
        columns=["shift_date", "event_type", "source", "warehouse"],
    )
    told = lines_of(report.first_screen(replace(RESULT, late=late), KOLKATA))
    place = told.index("Late rows")
    assert told[place + 1 : place + 3] == [
        "2026-11-20: REMARK +8 → sentinel-etl run --window-end 2026-11-21T06:00:00+05:30",
        "during the run: REMARK +2",
    ]


def test_a_fresh_night_tells_of_no_changes() -> None:
    assert "What this run" not in repr(report.first_screen(RESULT, KOLKATA))


@pytest.mark.parametrize(
    ("verdict", "title"),
    [
        ("PUBLISHED", "What this run changed"),
        ("PUBLISHED WITH WARNINGS", "What this run changed"),
        ("DRY RUN", "What this run would change"),
        ("NOT PUBLISHED", "What this run would change"),
    ],
)
def test_a_window_that_was_loaded_tells_before_its_counts_what_changes(verdict: str, title: str) -> None:
    changed = replace(RESULT, verdict=RunState(verdict), changes=CHANGED)
    told = lines_of(report.first_screen(changed, KOLKATA))
    place = told.index(title)
    assert place < next(number for number, line in enumerate(told) if line.split()[:2] == ["source", "staged"])
    assert told[place + 1] == CHANGED.describe()
    rows = [line.split() for line in told[place + 2 :]]
    first = next(row for row in rows if row[:1] == ["REMARK"])
    assert " ".join(first) == (
        "REMARK 2 1 1203 1,200 → 1,302.5 (+102.5) "
        "base_risk_score 1,203, risk_reasons 1,203, remark_text 4, station_id 2 and 2 more"
    )
    assert "REMARK:1: changed station_id 3 → 4; remark_text" in told
    assert "REMARK, key not shown: removed" in told


def test_a_run_again_without_any_change_says_so_in_one_line() -> None:
    told = lines_of(report.first_screen(replace(RESULT, changes=UNCHANGED), KOLKATA))
    place = told.index("What this run changed")
    assert told[place + 1 : place + 3] == ["nothing changes: all 9 rows are as they were", ""]


def test_changes_of_a_table_without_a_score_tell_of_no_risk_points() -> None:
    counts = CHANGED.counts.assign(points_before=float("nan"), points_after=float("nan"))
    told = repr(report.first_screen(replace(RESULT, changes=replace(CHANGED, counts=counts)), KOLKATA))
    assert "risk points" not in told


@pytest.mark.parametrize(
    ("change", "command"),
    [
        pytest.param({}, REDO, id="a night"),
        pytest.param(
            {"window": Window(WINDOW.end - timedelta(hours=6), WINDOW.end)}, f"{REDO} --window-hours 6", id="six hours"
        ),
        pytest.param({"limited": True}, f"{REDO} --event-type REMARK --event-type GEOFENCE", id="some event types"),
        pytest.param({"verdict": RunState.DRY_RUN}, f"{REDO} --dry-run", id="a dry run"),
    ],
)
def test_the_command_does_the_same_run_again(change: dict[str, Any], command: str) -> None:
    assert lines_of(report.first_screen(replace(RESULT, **change), KOLKATA))[-1] == f"again: {command}"


def test_the_first_screen_of_the_very_first_night_compares_nothing() -> None:
    first = replace(RESULT, before=replace(measures(), scores=RESULT.before.scores.iloc[:0]))
    assert "Most shifted risk" in repr(report.first_screen(first, KOLKATA))


@pytest.mark.parametrize(
    ("error", "record", "verdict"),
    [
        pytest.param(
            SourceUnreachable("no"), {}, "NOT PUBLISHED: the source does not answer", id="before its ledger row"
        ),
        pytest.param(
            SourceUnreachable("no"),
            {"state": RunState.FAILED, "timings": {"extract": 1.0}},
            "NOT PUBLISHED: the source does not answer",
            id="while reading",
        ),
        pytest.param(
            SourceUnreachable("no"),
            {"state": RunState.FAILED, "timings": {"extract": 1.0, "publish": 0.1}},
            "FAILED: the source does not answer",
            id="while reconciling",
        ),
        pytest.param(
            WarehouseUnreachable("no"), {}, "FAILED: the warehouse does not answer", id="the warehouse is gone"
        ),
        pytest.param(
            SentinelError("no"), {"state": RunState.RUNNING}, "FAILED: the run broke off", id="the kernel died"
        ),
        pytest.param(
            SentinelError("no"),
            {"state": RunState.PUBLISHED, "timings": {"publish": 0.1}},
            "PUBLISHED, but its report broke off: the run broke off",
            id="after publishing",
        ),
        pytest.param(SentinelError("no"), None, "FAILED: the run broke off", id="a notebook that publishes nothing"),
    ],
)
def test_a_run_that_broke_off_says_only_what_is_known(error: SentinelError, record: Any, verdict: str) -> None:
    page = report.failure_page(error, record, WINDOW, REDO, KOLKATA)
    assert lines_of(page)[0] == verdict
    assert lines_of(page)[1] == "no"
    assert lines_of(page)[-1] == f"again: {REDO}"


def test_how_the_ranking_did_stands_below_the_counts_and_nowhere_where_nothing_is_to_tell() -> None:
    line = "last week the top 10 of 120 <hotspots> held 34%"
    page = report.first_screen(RESULT, KOLKATA, line)
    told = lines_of(page)
    place = told.index(f"The ranking: {line}")
    assert next(filter(None, told[place + 1 :])).startswith("seconds")
    assert "120 &lt;hotspots&gt; held" in page.html
    assert "ranking" not in repr(report.first_screen(RESULT, KOLKATA))


def test_the_first_screen_is_whole_where_the_line_about_the_ranking_is_left_out() -> None:
    section = report.Sections(SENTINEL)
    left_out = section.read(break_off)
    assert repr(section(report.first_screen, RESULT, KOLKATA, left_out)) == repr(report.first_screen(RESULT, KOLKATA))


def break_off() -> str:
    raise NothingThere("How the ranking did last week: left out, it needs 21 nights")
