"""A run that died, or failed while it published: its nights are missing until they have been done again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from sentinel_etl.context import Context
from sentinel_etl.databases import Databases
from sentinel_etl.errors import AuditFailed
from sentinel_etl.ledger.archive import Archive
from sentinel_etl.ledger.ledger import RunRecord, read_runs, record_run
from sentinel_etl.ledger.states import RunState
from sentinel_etl.notebook.index import write_index
from sentinel_etl.operations.backfill import plan_backfill
from sentinel_etl.operations.status import read_status
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run import stages
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.source.locks import hold_locks, run_lock, session_name
from sentinel_etl.window import Window

NIGHT, NEXT = date(2026, 11, 20), date(2026, 11, 21)
WINDOW = Window.night(NIGHT)


@pytest.fixture
def context(databases: Databases, settings: Settings) -> Context:
    """Both nights are in; the clock stands at the morning after the first."""
    context = Context(settings.model_copy(update={"now": WINDOW.end + timedelta(minutes=10)}), SENTINEL, databases)
    assert run_window(WINDOW, context=context).published
    return context


def died(context: Context, state: RunState = RunState.RUNNING, **facts: Any) -> str:
    """Leave the ledger's row of a run that holds no lock."""
    record = RunRecord("dead", "patrol_events", WINDOW, tuple(SENTINEL.event_types), state)
    record_run(replace(record, started_at=datetime.now(UTC), **facts), context.warehouse)
    return record.run_id


def is_due(context: Context) -> bool:
    return bool(plan_backfill(context, NIGHT, NIGHT, missing_only=True))


def test_a_night_whose_last_run_died_is_missing_until_it_is_done_again(context: Context) -> None:
    assert read_status(context, 1).is_in
    died(context)
    status = read_status(context, 1)
    assert status.last_run["state"] is RunState.NO_END
    assert str(status).splitlines()[:2] == [
        "night 2026-11-20: MISSING, its run dead ended NO END RECORDED and may have left half of it",
        "last run dead: NO END RECORDED",
    ]
    with pytest.raises(AuditFailed, match="its run dead ended NO END RECORDED"):
        status.raise_if_missing()
    assert is_due(context)
    page = write_index(Archive(context.settings, SENTINEL, context.warehouse, context.source)).read_text("utf-8")
    assert 'aria-label="20 November 2026: failed"' in page
    assert run_window(WINDOW, context=context).published
    assert read_status(context, 1).is_in
    assert not is_due(context)


def test_a_run_that_is_at_work_takes_nothing_from_its_night(context: Context) -> None:
    run_id = died(context)
    with hold_locks(context.source, [run_lock(run_id)], session_name(run_id), 0):
        status = read_status(context, 1)
        assert (status.is_in, status.last_run["state"]) == (True, RunState.RUNNING)


def test_a_run_that_failed_between_its_two_publishes_leaves_a_missing_night(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*arguments: Any, **named: Any) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stages, "publish_window", die)
        with pytest.raises(KeyboardInterrupt):
            run_window(WINDOW, context=context)
    [run, _] = read_runs(context.warehouse)
    assert (run["state"], run["cause"]) == (RunState.FAILED, "stopped by Ctrl-C or SIGTERM")
    assert not read_status(context, 1).is_in
    assert is_due(context)


@pytest.mark.parametrize(
    ("state", "facts"),
    [
        pytest.param(RunState.FAILED, {"timings": {"extract": 1.0, "total": 2.0}}, id="failed before it published"),
        pytest.param(RunState.NOT_PUBLISHED, {}, id="the audit failed"),
        pytest.param(RunState.RUNNING, {"how": "dry run"}, id="a dry run that died"),
        pytest.param(RunState.RUNNING, {"window": Window.night(NIGHT - timedelta(days=3))}, id="another night"),
    ],
)
def test_a_run_that_switched_nothing_of_a_night_takes_nothing_from_it(
    context: Context, state: RunState, facts: dict[str, Any]
) -> None:
    died(context, state, **facts)
    assert read_status(context, 1).is_in
    assert not is_due(context)


def test_a_dry_run_says_so_in_its_first_row(context: Context) -> None:
    run_window(WINDOW, context=context, dry_run=True, run_id="looks")
    assert read_status(context, 1).is_in


def test_a_dead_run_of_some_types_is_done_again_by_a_run_of_those(context: Context) -> None:
    died(context, event_types=("REMARK",))
    assert is_due(context)
    assert run_window(WINDOW, context=context, event_types=["FEEDBACK"]).published
    assert is_due(context)
    assert run_window(WINDOW, context=context, event_types=["REMARK"]).published
    assert not is_due(context)


def test_a_dead_run_of_a_type_that_is_no_more_is_done_again_by_a_run_of_all_types(context: Context) -> None:
    died(context, event_types=("REMARK", "OLD_TYPE"))
    assert run_window(WINDOW, context=context, event_types=["REMARK"]).published
    assert is_due(context)
    assert run_window(WINDOW, context=context).published
    assert not is_due(context)


def test_a_dead_run_of_some_hours_is_done_again_by_runs_of_those(context: Context) -> None:
    middle = WINDOW.start + timedelta(hours=8)
    died(context, window=Window(WINDOW.start, middle + timedelta(hours=1)))
    assert run_window(Window(WINDOW.start, middle), context=context).published
    assert is_due(context)
    assert run_window(Window(middle, WINDOW.end), context=context).published
    assert not is_due(context)


def test_the_next_night_s_run_tells_of_a_night_whose_run_died(context: Context) -> None:
    died(context)
    morning = replace(context, settings=context.settings.model_copy(update={"now": Window.night(NEXT).end}))
    result = run_window(Window.night(NEXT), context=morning)
    assert result.verdict is RunState.PUBLISHED_WITH_WARNINGS
    [check] = [check for check in result.checks if check.gate == "nights_settled"]
    assert not check.passed
    assert check.observed == "2026-11-20: its run dead ended NO END RECORDED and may have left half of it"
    assert "sentinel-etl backfill --from 2026-11-20 --to 2026-11-20 --missing-only" in check.expected
    assert "night 2026-11-20: MISSING, its run dead ended" in str(read_status(morning, 2))
