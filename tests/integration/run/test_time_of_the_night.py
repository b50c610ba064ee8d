"""The latest night is judged by the clock: in the run's checks, in the ledger and by ``status``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from sentinel_etl import report
from sentinel_etl.cli.main import cli
from sentinel_etl.context import Context, completed_context
from sentinel_etl.databases import Databases
from sentinel_etl.ledger.ledger import RunRecord, record_run
from sentinel_etl.ledger.states import RunState
from sentinel_etl.operations.status import read_status
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.result import RunResult
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.provision import prepare_tables
from sentinel_etl.window import Window

LATEST = Window(datetime(2026, 11, 21, 0, 30, tzinfo=UTC), datetime(2026, 11, 22, 0, 30, tzinfo=UTC))
ON_TIME = "the night is in by its deadline"
AS_FAST = "the run is as fast as usual"


def at(settings: Settings, clock: str, **more: Any) -> Settings:
    return settings.model_copy(update={"now": datetime.fromisoformat(f"2026-11-22T{clock}:00+05:30"), **more})


@contextmanager
def opened(databases: Databases, settings: Settings) -> Iterator[Context]:
    with completed_context(settings, None, databases.source, databases.warehouse, None) as context:
        yield context


def run(databases: Databases, settings: Settings, window: Window = LATEST, **more: Any) -> RunResult:
    with opened(databases, settings) as context:
        return run_window(window, context=context, **more)


def status_of(databases: Databases, settings: Settings) -> list[str]:
    with opened(databases, settings) as context:
        return str(read_status(context)).splitlines()


def failed(result: RunResult) -> list[str]:
    return [check.name for check in result.checks if not check.passed]


def judged(result: RunResult) -> set[str]:
    return {check.name for check in result.checks} & {ON_TIME, AS_FAST}


def test_a_night_that_comes_in_after_the_deadline_warns_in_the_report_and_in_status(
    databases: Databases, settings: Settings
) -> None:
    late = at(settings, "06:31")
    result = run(databases, late)
    assert (result.verdict, failed(result)) == (RunState.PUBLISHED_WITH_WARNINGS, [ON_TIME])
    words = f"{ON_TIME}: expected published by 2026-11-22 06:30 IST, observed published at 2026-11-22 06:31 IST"
    assert result.cause == words
    screen = repr(report.first_screen(result, late.zone)).splitlines()
    assert screen[0] == f"PUBLISHED WITH WARNINGS: failed “{ON_TIME}”"
    assert f"warning: {words}" in status_of(databases, late)


def test_a_night_in_by_the_deadline_is_no_warning_also_where_it_is_done_again_later(
    databases: Databases, settings: Settings
) -> None:
    in_time = at(settings, "06:30")
    assert run(databases, in_time).verdict is RunState.PUBLISHED
    # The ledger's instants are the warehouse's own: it says when the first run switched the table.
    again = at(settings, "11:00", deadline=time(23, 59))
    result = run(databases, again)
    assert (result.verdict, judged(result)) == (RunState.PUBLISHED, {ON_TIME, AS_FAST})
    assert [line for line in status_of(databases, again) if line.startswith("warning")] == []


def test_a_night_done_again_is_judged_by_when_it_first_came_in(databases: Databases, settings: Settings) -> None:
    with opened(databases, settings) as context:
        prepare_tables(context.warehouse, SENTINEL.fact_table, SENTINEL.zone, SENTINEL.breakdown)
        note_run(context, LATEST, 9.0, switched_at=datetime(2026, 11, 22, 0, 41, tzinfo=UTC))
    result = run(databases, at(settings, "11:00"))
    [check] = [check for check in result.checks if check.name == ON_TIME]
    assert (check.passed, check.observed) == (True, "published at 2026-11-22 06:11 IST")


@pytest.mark.parametrize(
    ("window", "more"),
    [
        pytest.param(Window(LATEST.start - timedelta(days=1), LATEST.start), {}, id="the night before"),
        pytest.param(LATEST, {"event_types": ["REMARK"]}, id="some event types"),
        pytest.param(LATEST, {"dry_run": True}, id="a dry run"),
        pytest.param(Window(LATEST.start, LATEST.end - timedelta(hours=6)), {}, id="part of the night"),
    ],
)
def test_only_the_latest_night_is_judged(
    databases: Databases, settings: Settings, window: Window, more: dict[str, Any]
) -> None:
    assert judged(run(databases, at(settings, "20:00"), window, **more)) == set()


def test_a_backfill_up_to_the_latest_night_is_asked_for_its_deadline_alone(
    databases: Databases, settings: Settings
) -> None:
    result = run(databases, at(settings, "20:00"), Window(LATEST.start - timedelta(days=1), LATEST.end))
    assert failed(result) == [ON_TIME]
    assert judged(result) == {ON_TIME}
    assert [check.nights for check in result.checks if not check.passed] == [("2026-11-21",)]


def test_no_deadline_asks_for_none(databases: Databases, settings: Settings) -> None:
    assert judged(run(databases, at(settings, "20:00", deadline=None))) == {AS_FAST}


def note_run(context: Context, window: Window, seconds: float, switched_at: datetime | None = None) -> None:
    record = RunRecord(
        run_id=f"earlier_{window.start:%Y%m%d}",
        fact_table=SENTINEL.fact_table.name,
        window=window,
        event_types=tuple(SENTINEL.event_types),
        state=RunState.PUBLISHED,
        started_at=window.end,
        timings={"total": seconds},
        switched_at=switched_at,
        how="attach 202611" if switched_at else "",
    )
    record_run(record, context.warehouse)


@pytest.mark.parametrize(("nights", "slow"), [(7, True), (6, False)], ids=["seven nights", "too few"])
def test_a_run_slower_than_a_multiple_of_the_median_warns(
    databases: Databases, settings: Settings, nights: int, slow: bool
) -> None:
    with opened(databases, settings) as context:
        prepare_tables(context.warehouse, SENTINEL.fact_table, SENTINEL.zone, SENTINEL.breakdown)
        for back in range(1, nights + 1):
            note_run(context, Window(LATEST.start - timedelta(days=back), LATEST.end - timedelta(days=back)), 0.001)
        for back in range(29, 40):  # longer ago than four weeks
            note_run(context, Window(LATEST.start - timedelta(days=back), LATEST.end - timedelta(days=back)), 900.0)
    result = run(databases, at(settings, "06:10", lookback_nights=0))
    assert (AS_FAST in failed(result)) is slow
    assert any(line.startswith(f"warning: {AS_FAST}: ") for line in status_of(databases, settings)) is slow


def test_status_tells_of_the_time_in_json_and_exits_with_0(environment: Settings, databases: Databases) -> None:
    run(databases, at(environment, "06:45"))
    asked = CliRunner().invoke(cli, ["status", "--json"])
    assert (asked.exit_code, json.loads(asked.stdout)["is_in"]) == (0, True)
    assert json.loads(asked.stdout)["warnings"][0].startswith(ON_TIME)
