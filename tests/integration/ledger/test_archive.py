"""The archive of runs over a real ledger, a real source for the locks, and report files in a folder."""

from __future__ import annotations

import json
import webbrowser
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from sentinel_etl.cli.main import Options, cli
from sentinel_etl.config.event_config import EVENT_CONFIG
from sentinel_etl.databases import Databases
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.ledger.archive import Archive, ArchivedRun, find_page, list_runs, opened_archive, show_run
from sentinel_etl.ledger.ledger import RunRecord, record_run
from sentinel_etl.ledger.report_files import prune_reports
from sentinel_etl.notebook.index import measure_nights, refresh_index, write_index
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.report.index_page import Measure
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.source.locks import hold_locks, run_lock
from sentinel_etl.warehouse.query import query_df, run_statement
from sentinel_etl.warehouse.tables import ETL_RUNS, create_table
from sentinel_etl.window import Window

CHECKS = (
    {"name": "rows lie in the window", "severity": "block", "passed": True, "expected": "0", "observed": "0"},
    {"name": "keys are unique", "severity": "block", "passed": False, "expected": "9 keys", "observed": "8 keys"},
)

# Report files of four nights and things that are none, by what a pruning may do with them.
OLD_REPORTS = [
    "2026-10-01/etl_nightly_20261001T0030Z-20261002T0030Z_20261002t003000_aaaaaa.html",
    "2026-10-01/etl_nightly_20261001T0030Z-20261002T0030Z_20261002t003000_aaaaaa.ipynb",
    "2026-10-02/.etl_nightly_20261002T0030Z-20261003T0030Z_20261003t003000_bbbbbb.part.ipynb",
    "2026-10-02/risk_explorer_20261002T0030Z-20261003T0030Z_my-own-id.ipynb",
]
KEPT = [
    "2026-10-02/notes.txt",
    "2026-10-02/etl_nightly.ipynb",
    "2026-10-02/etl_nightly_20261399T9930Z-20261002T0030Z_x.ipynb",
    "2026-10-22/etl_nightly_20261022T0030Z-20261023T0030Z_20261023t003000_cccccc.ipynb",
    "2026-13-45/etl_nightly_20261001T0030Z-20261002T0030Z_20261002t003000_eeeeee.ipynb",
    "README.md",
    "index.html",
    "old/etl_nightly_20261001T0030Z-20261002T0030Z_20261002t003000_ffffff.ipynb",
    "sample/etl_nightly_20261001T0030Z-20261002T0030Z_20261002t003000_dddddd.html",
]


def record(warehouse: Engine, run_id: str, night: date, state: str, **facts: object) -> None:
    create_table(warehouse, ETL_RUNS)
    window = Window.night(night)
    started = window.end + timedelta(seconds=1)
    given = {"state": state, "started_at": started, "event_types": tuple(EVENT_CONFIG), **facts}
    record_run(RunRecord(run_id=run_id, fact_table="patrol_events", window=window, **given), warehouse)  # type: ignore[arg-type]


def write_report(settings: Settings, run_id: str, night: date, *, page: bool = True) -> Path:
    window = Window.night(night)
    folder = settings.runs_dir / str(night)
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / f"etl_nightly_{window.start:%Y%m%dT%H%MZ}-{window.end:%Y%m%dT%H%MZ}_{run_id}.ipynb"
    report.write_text("{}")
    if page:
        report.with_suffix(".html").write_text("<p>report</p>")
    return report


def write_files(runs_dir: Path, names: list[str]) -> None:
    for name in names:
        (runs_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (runs_dir / name).write_text("12345")


def files_below(runs_dir: Path) -> list[str]:
    return sorted(path.relative_to(runs_dir).as_posix() for path in runs_dir.rglob("*") if path.is_file())


def call(*arguments: str) -> Result:
    # As a user types it: a command that is invoked without its group keeps a help option of its own for good.
    return CliRunner().invoke(cli, ["runs", *arguments], obj=Options(), catch_exceptions=False)


@pytest.fixture
def three_runs(environment: Settings, warehouse: Engine) -> Settings:
    """A night published, one not published, and the first one's report; of the other's only the notebook."""
    record(
        warehouse,
        "good",
        date(2026, 11, 20),
        "PUBLISHED",
        source_rows=1234,
        published_rows=1234,
        counts={"REMARK": {"source": 1234, "staged": 1234, "published": 1234}},
        timings={"extract": 1.25, "total": 9.5},
        config_hash="abc123",
        code_version="0.1.0",
    )
    record(warehouse, "bad", date(2026, 11, 21), "NOT PUBLISHED", cause="keys are unique", checks=CHECKS)
    record(warehouse, "older", date(2026, 11, 19), "PUBLISHED", source_rows=7, published_rows=7)
    write_report(environment, "good", date(2026, 11, 20))
    write_report(environment, "bad", date(2026, 11, 21), page=False)
    return environment


def with_archive(look_up: Callable[..., Any], *arguments: Any) -> Any:
    """Look something up in the archive that the environment names."""
    with opened_archive() as archive:
        return look_up(*arguments, archive)


def listed(limit: int | None = None) -> list[ArchivedRun]:
    with opened_archive() as archive:
        return list_runs(archive, limit)


def test_runs_are_listed_newest_first_with_the_report_that_is_there(three_runs: Settings) -> None:
    shown = [(run.run_id, run.night, run.state, run.published_rows, run.page, run.report) for run in listed()]
    good = "2026-11-20/etl_nightly_20261120T0030Z-20261121T0030Z_good"
    bad = "2026-11-21/etl_nightly_20261121T0030Z-20261122T0030Z_bad"
    assert shown == [
        ("bad", "2026-11-21", "NOT PUBLISHED", 0, "", f"{bad}.ipynb"),
        ("good", "2026-11-20", "PUBLISHED", 1234, f"{good}.html", f"{good}.ipynb"),
        ("older", "2026-11-19", "PUBLISHED", 7, "", ""),
    ]
    assert [run.run_id for run in listed(limit=1)] == ["bad"]


def test_a_report_without_a_row_in_the_ledger_is_listed(environment: Settings) -> None:
    write_report(environment, "20261122t003001_abcdef", date(2026, 11, 21))
    (run,) = listed()
    assert (run.run_id, run.state, run.night) == ("20261122t003001_abcdef", "REPORT ONLY", "2026-11-21")
    assert run.redo == "sentinel-etl run --window-end 2026-11-22T06:00:00+05:30"


def test_a_run_that_says_running_is_believed_while_it_holds_its_lock(
    environment: Settings, databases: Databases, warehouse: Engine
) -> None:
    record(warehouse, "killed", date(2026, 11, 20), "RUNNING")
    record(warehouse, "alive", date(2026, 11, 21), "RUNNING")
    with hold_locks(databases.source, [run_lock("alive")], "a test", 1):
        held = {run.run_id: run.state for run in listed()}
    with hold_locks(databases.source, ["a partition"], "sentinel-etl run alive", 1):
        waiting = {run.run_id: run.state for run in listed()}
    after = {run.run_id: run.state for run in listed()}
    assert held == {"alive": "RUNNING", "killed": "NO END RECORDED"}
    assert waiting == held
    assert after == {"alive": "NO END RECORDED", "killed": "NO END RECORDED"}


def test_list_prints_a_line_for_each_run(three_runs: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(three_runs.runs_dir.parent)
    lines = [" ".join(line.split()) for line in call("list").output.splitlines()]
    assert lines == [
        "run_id night verdict events seconds report",
        "bad 2026-11-21 NOT PUBLISHED 0 – runs/2026-11-21/etl_nightly_20261121T0030Z-20261122T0030Z_bad.ipynb",
        "good 2026-11-20 PUBLISHED 1,234 9.5 runs/2026-11-20/etl_nightly_20261120T0030Z-20261121T0030Z_good.html",
        "older 2026-11-19 PUBLISHED 7 – no file",
    ]
    assert [run["run_id"] for run in json.loads(call("list", "--limit", "2", "--json").output)] == ["bad", "good"]


def test_show_prints_the_checks_failures_first_and_the_command_that_does_it_again(three_runs: Settings) -> None:
    output = call("show", "bad").output
    assert "verdict  NOT PUBLISHED\ncause    keys are unique\nnight    2026-11-21\n" in output
    assert "again    sentinel-etl run --window-end 2026-11-22T06:00:00+05:30\n" in output
    assert output.endswith(
        "FAILED  block  keys are unique\n        expected  9 keys\n        observed  8 keys\n"
        "ok      1 check: rows lie in the window\n"
    )
    shown = json.loads(call("show", "good", "--json").output)
    assert shown["counts"] == {"REMARK": {"source": 1234, "staged": 1234, "published": 1234}}
    assert shown["timings"] == {"extract": 1.25, "total": 9.5}


def test_a_run_that_nobody_knows_is_an_error_with_the_nearest_name(three_runs: Settings) -> None:
    with pytest.raises(ConfigurationError, match="found 'goood'; did you mean good\\?"):
        with_archive(show_run, "goood")


@pytest.mark.parametrize(("run_id", "ending"), [("", "_bad.ipynb"), ("good", "_good.html")], ids=["newest", "named"])
def test_open_opens_the_page_and_prints_its_path(
    three_runs: Settings, monkeypatch: pytest.MonkeyPatch, run_id: str, ending: str
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    output = call("open", *filter(None, [run_id])).output.strip()
    assert output.endswith(ending)
    assert opened == [with_archive(find_page, run_id or None).as_uri()]


def test_a_report_that_is_gone_cannot_be_opened(three_runs: Settings) -> None:
    with pytest.raises(ConfigurationError, match=r"expected a report of older .* --window-end 2026-11-20T06:00:00"):
        with_archive(find_page, "older")


@pytest.mark.parametrize("dry_run", [False, True], ids=["for good", "dry run"])
def test_prune_deletes_old_reports_and_nothing_else(environment: Settings, dry_run: bool) -> None:
    runs_dir = environment.runs_dir
    write_files(runs_dir, OLD_REPORTS + KEPT)
    (runs_dir / "2026-10-03").mkdir()
    (runs_dir / "2026-10-04").symlink_to(runs_dir / "sample")
    (runs_dir / "2026-10-02" / Path(OLD_REPORTS[0]).name).symlink_to(runs_dir / "README.md")

    # Now is the morning of 22 November: 31 days before it is 22 October.
    pruned = prune_reports(31, environment, dry_run=dry_run)

    assert pruned.files == tuple(OLD_REPORTS)
    assert pruned.folders == ("2026-10-01", "2026-10-03")
    assert pruned.size == 5 * len(OLD_REPORTS)
    left = sorted([*KEPT, *OLD_REPORTS] if dry_run else KEPT)
    assert [name for name in files_below(runs_dir) if not (runs_dir / name).is_symlink()] == left
    assert (runs_dir / "2026-10-01").exists() is dry_run
    assert (runs_dir / "2026-10-04").is_symlink()
    assert prune_reports(31, environment).files == (tuple(OLD_REPORTS) if dry_run else ())


def test_prune_says_what_went_and_mends_the_links_of_the_index(three_runs: Settings) -> None:
    index = three_runs.runs_dir / "index.html"
    call("index")
    assert "_good.html" in index.read_text(encoding="utf-8")
    good = "2026-11-20/etl_nightly_20261120T0030Z-20261121T0030Z_good"
    output = call("prune", "--keep-days", "1").output
    assert output == f"{good}.html\n{good}.ipynb\n2026-11-20/\n2 files deleted, 0.0 MB\n"
    assert "_good.html" not in index.read_text(encoding="utf-8")
    assert [run.run_id for run in listed()] == ["bad", "good", "older"]


def test_prune_of_a_folder_that_is_not_there_deletes_nothing(environment: Settings) -> None:
    assert prune_reports(1, environment).files == ()


def test_the_index_shows_each_run_and_each_missing_night(three_runs: Settings, warehouse: Engine) -> None:
    record(warehouse, "first", date(2026, 11, 16), "PUBLISHED")
    path = write_index(Archive(three_runs, SENTINEL, warehouse))
    page = path.read_text(encoding="utf-8")
    assert path == three_runs.runs_dir / "index.html"
    for run_id in ("good", "bad", "older", "first"):
        assert f'id="run-{run_id}"' in page
    assert "sentinel-etl backfill --from 2026-11-17 --to 2026-11-18 --missing-only" in page
    assert 'href="2026-11-20/etl_nightly_20261120T0030Z-20261121T0030Z_good.html"' in page
    assert list(path.parent.glob(".*")) == []


def test_the_index_leaves_out_what_is_older_than_its_nights(three_runs: Settings, warehouse: Engine) -> None:
    page = write_index(Archive(three_runs, SENTINEL, warehouse), nights=2).read_text(encoding="utf-8")
    assert ('id="run-good"' in page, 'id="run-older"' in page) == (True, False)


def test_an_empty_ledger_makes_an_index_that_says_so(environment: Settings, warehouse: Engine) -> None:
    assert "<strong>MISSING</strong>" in write_index(Archive(environment, SENTINEL, warehouse)).read_text(
        encoding="utf-8"
    )


def test_an_index_that_cannot_be_written_is_a_warning(
    environment: Settings, warehouse: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    environment.runs_dir.write_text("a file where the folder should be")
    assert refresh_index(Archive(environment, SENTINEL, warehouse)) is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.messages[0].startswith("runs/index.html was not written: ")


def test_measures_are_the_events_of_a_night_and_the_mean_of_the_scores_above_zero(
    environment: Settings, databases: Databases
) -> None:
    night = date(2026, 11, 21)
    run_window(Window.night(night), source=databases.source, warehouse=databases.warehouse, settings=environment)
    scores = query_df(databases.warehouse, "SELECT base_risk_score AS score FROM patrol_events")["score"]
    measured = measure_nights(SENTINEL.fact_table, date(2026, 11, 20), databases.warehouse)
    assert measured == {night: Measure(len(scores), pytest.approx(scores[scores > 0].mean()))}
    assert measure_nights(SENTINEL.fact_table, date(2026, 11, 22), databases.warehouse) == {}


def test_runs_that_end_at_the_same_time_each_write_a_whole_index(three_runs: Settings, warehouse: Engine) -> None:
    with ThreadPoolExecutor(4) as threads:
        paths = list(threads.map(lambda _: write_index(Archive(three_runs, SENTINEL, warehouse)), range(40)))
    assert paths[0].read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert [path.name for path in three_runs.runs_dir.glob(".*")] == []


def test_a_years_index_takes_little_of_a_runs_time(environment: Settings, warehouse: Engine) -> None:
    record(warehouse, "of a night", date(2026, 11, 21), "PUBLISHED")
    run_statement(
        warehouse,
        "INSERT INTO etl_runs SELECT * EXCEPT day REPLACE(concat('run_', toString(day)) AS run_id, "
        "window_start - toIntervalDay(day) AS window_start, window_end - toIntervalDay(day) AS window_end) "
        "FROM (SELECT *, arrayJoin(range(1, 365)) AS day FROM etl_runs)",
    )
    page = write_index(Archive(environment, SENTINEL, warehouse)).read_text(encoding="utf-8")
    assert page.count('<tr role="row" id="run-') == 365
    started = datetime.now(UTC)
    write_index(Archive(environment, SENTINEL, warehouse))
    # Some 0.1 s on an idle machine; the bound leaves room for a busy one.
    assert (datetime.now(UTC) - started).total_seconds() < 10
