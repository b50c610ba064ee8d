"""Going back: after each kind of publish the fact table and its rejected rows are again what they were before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from clickhouse_sqlalchemy import types
from content_hash import content_hash
from sqlalchemy import Column, Engine, func, select

from sentinel_etl.config.fact_table import build_patrol_events
from sentinel_etl.context import Context
from sentinel_etl.databases import Databases
from sentinel_etl.errors import ConfigurationError, WindowLocked
from sentinel_etl.ledger.ledger import read_runs
from sentinel_etl.ledger.nights import loaded_nights
from sentinel_etl.ledger.versions import kept_before
from sentinel_etl.operations.schema import apply_schema, diff_schema
from sentinel_etl.operations.undo import undo_run
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.result import RunResult
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.source.locks import hold_locks
from sentinel_etl.warehouse.provision import prepare_tables
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.tables import build_rejected
from sentinel_etl.window import Window

FACTS = SENTINEL.fact_table
REJECTED = build_rejected(FACTS)
FIRST, SECOND, LAST = (Window.night(date(2026, 11, day)) for day in (19, 20, 21))
ALL = Window(FIRST.start, LAST.end)

LATE_ROW = (
    "INSERT INTO remarks (remark_id, patrol_id, created_by_officer_id, remark_text, created_at) "
    "SELECT 900000000 + {n}, patrol_id, created_by_officer_id, 'late {n}', created_at FROM remarks "
    "WHERE created_at >= '{start}' AND created_at < '{end}' LIMIT 1"
)


@pytest.fixture
def context(databases: Databases) -> Context:
    return Context(Settings(lock_wait_seconds=1), SENTINEL, databases)


def move(context: Context, window: Window, **options: Any) -> RunResult:
    result = run_window(window, context=context, **options)
    assert result.published
    return result


def change(context: Context, *statements: str) -> None:
    with context.source.begin() as connection:
        for statement in statements:
            assert connection.exec_driver_sql(statement).rowcount > 0, statement


def add_row(context: Context, window: Window, number: int) -> None:
    change(context, LATE_ROW.format(n=number, start=window.start.isoformat(), end=window.end.isoformat()))


def state(warehouse: Engine) -> tuple[Any, ...]:
    """Count and hash the facts, run ids included, and the rejected rows."""
    [facts] = run_statement(warehouse, select(func.count(), content_hash(FACTS)).select_from(FACTS))
    [runs] = run_statement(warehouse, "SELECT arraySort(groupUniqArray(run_id)) FROM patrol_events")
    [rejected] = run_statement(warehouse, f"SELECT count(), sum(cityHash64(tuple(*))) FROM {REJECTED.name}")
    return (*facts, str(runs[0]), *rejected)


def reject_one(context: Context, window: Window, number: int) -> None:
    """Let a row of the window have a latitude that nobody can stand at, and so be rejected."""
    change(
        context,
        "UPDATE remarks SET latitude = 91 WHERE remark_id = (SELECT remark_id FROM remarks WHERE latitude < 90 "
        f"AND created_at >= '{window.start.isoformat()}' AND created_at < '{window.end.isoformat()}' "
        f"ORDER BY md5(remark_id::text || '{number}') LIMIT 1)",
    )


def again(context: Context) -> RunResult:
    add_row(context, LAST, 1)
    reject_one(context, LAST, 1)
    return move(context, LAST)


def across_all_nights(context: Context) -> RunResult:
    add_row(context, FIRST, 2)
    add_row(context, LAST, 3)
    reject_one(context, SECOND, 2)
    return move(context, ALL)


def of_nothing(context: Context) -> RunResult:
    change(context, f"DELETE FROM remarks WHERE created_at >= '{LAST.start.isoformat()}'")
    return move(context, LAST, event_types=["REMARK"], allow_shrink=True)


# What was loaded before, the publish to go back over, and the word of how it was done.
PUBLISHES: dict[str, tuple[list[Window], Callable[[Context], RunResult], str]] = {
    "the first night": ([], lambda context: move(context, LAST), "attach"),
    "a fresh night beside others": ([FIRST, SECOND], lambda context: move(context, LAST), "attach"),
    "a night again": ([FIRST, SECOND, LAST], again, "exchange"),
    "several nights again": ([FIRST, SECOND, LAST], across_all_nights, "exchange"),
    "rows that are gone": ([FIRST, LAST], of_nothing, "exchange"),
}


@pytest.mark.parametrize("case", PUBLISHES)
def test_undo_goes_back_to_what_was_there_before_whatever_the_publish_was(context: Context, case: str) -> None:
    loaded, publish, way = PUBLISHES[case]
    for window in loaded:
        reject_one(context, window, 0)
        move(context, window)
    if not loaded:
        prepare_tables(context.warehouse, FACTS, SENTINEL.zone)
    before = state(context.warehouse)
    result = publish(context)
    after = state(context.warehouse)
    assert result.how.split()[0] == way
    assert after != before
    undone = undo_run(context)
    assert [switch.run_id for switch in undone.undone] == [result.run_id]
    assert state(context.warehouse) == before
    move(context, result.window, event_types=result.counts["event_type"].tolist(), allow_shrink=True)
    assert content(after) == content(state(context.warehouse))
    assert left_over(context) == []


def content(found: tuple[Any, ...]) -> tuple[Any, ...]:
    """Of a state what does not depend on the run that wrote it."""
    return found[0], found[1], found[3]


def left_over(context: Context) -> list[str]:
    rows = run_statement(
        context.warehouse,
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND position(name, '__') > 0 "
        "AND position(name, '__before_') = 0",
    )
    return [str(name) for (name,) in rows]


def test_an_undo_is_a_run_in_the_ledger_and_its_night_counts_as_what_it_was_before(context: Context) -> None:
    first = move(context, LAST)
    add_row(context, LAST, 1)
    second = move(context, LAST)
    undone = undo_run(context)
    states = {run["run_id"]: (run["state"], run["cause"]) for run in read_runs(context.warehouse)}
    assert states == {
        first.run_id: ("PUBLISHED", ""),
        second.run_id: ("UNDONE", f"undone by {undone.run_id}"),
        undone.run_id: ("UNDO", f"took back {second.run_id}"),
    }
    night = [date(2026, 11, 21)]
    assert loaded_nights(night, SENTINEL, context.warehouse) == night
    undo_run(context)  # the first one
    assert loaded_nights(night, SENTINEL, context.warehouse) == []
    [[rows]] = run_statement(context.warehouse, "SELECT count() FROM patrol_events")
    assert rows == 0


def test_a_later_run_is_lost_only_where_that_is_allowed(context: Context) -> None:
    move(context, FIRST)
    before = state(context.warehouse)
    second = move(context, SECOND)
    add_row(context, SECOND, 1)
    third = move(context, SECOND)
    last = move(context, LAST)
    whole = state(context.warehouse)
    with pytest.raises(ConfigurationError, match=f"{third.run_id}, {last.run_id} came after it and would be lost"):
        undo_run(context, second.run_id)
    assert state(context.warehouse) == whole
    undone = undo_run(context, second.run_id, discard_later=True)
    assert [switch.run_id for switch in undone.undone] == [last.run_id, third.run_id, second.run_id]
    assert state(context.warehouse) == before


def test_what_cannot_be_undone_is_told_and_nothing_changes(context: Context) -> None:
    with pytest.raises(ConfigurationError, match="nothing is to undo"):
        undo_run(context)
    result = move(context, LAST)
    with pytest.raises(ConfigurationError, match=rf"found 'nobody'; the last ones are: {result.run_id}"):
        undo_run(context, "nobody")
    undone = undo_run(context)
    for run_id, found in ((result.run_id, "UNDONE"), (undone.run_id, "UNDO")):
        with pytest.raises(ConfigurationError, match=f"state {found}"):
            undo_run(context, run_id)
    move(context, LAST)
    whole = state(context.warehouse)
    held = hold_locks(context.source, ["patrol_events partition 202611"], "sentinel-etl run other", 0)
    with held, pytest.raises(WindowLocked, match="sentinel-etl run other"):
        undo_run(context)
    assert state(context.warehouse) == whole


def test_a_state_that_is_not_kept_any_more_is_told(databases: Databases) -> None:
    context = Context(Settings(keep_versions=1), SENTINEL, databases)
    runs = [move(context, LAST).run_id]
    for number in range(2):
        add_row(context, LAST, number)
        runs.append(move(context, LAST).run_id)
    assert kept_before(FACTS, context.warehouse) == runs[2:]
    with pytest.raises(ConfigurationError, match=f"before run {runs[1]} to be kept"):
        undo_run(context, runs[1], discard_later=True)


def test_columns_that_have_come_since_are_named(context: Context) -> None:
    move(context, LAST)
    add_row(context, LAST, 1)
    move(context, LAST)
    wider = build_patrol_events()
    wider.append_column(Column("weather", types.Nullable(types.String)))
    pipeline = replace(SENTINEL, fact_table=wider)
    apply_schema(diff_schema(pipeline, context.warehouse), context)
    with pytest.raises(ConfigurationError, match=r"some have changed since: weather\. Run the windows again"):
        undo_run(replace(context, pipeline=pipeline))
