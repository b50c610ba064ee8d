"""Measures how far a backfill is, whichever machines do it: by the ledger, and by what is staged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from sentinel_etl.context import Context
from sentinel_etl.errors import SentinelError
from sentinel_etl.ledger.ledger import read_clock, read_runs, runs_of
from sentinel_etl.ledger.living import read_standing_runs
from sentinel_etl.ledger.states import RunState
from sentinel_etl.operations.groups import Group, GroupResult
from sentinel_etl.publish.partitions import partition_ids, partition_scheme
from sentinel_etl.run.run_ids import new_run_id
from sentinel_etl.warehouse.catalog import has_table
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.tables import ETL_RUNS, STAGING_MARK, table_beside
from sentinel_etl.window import Window
from sentinel_etl.wording import plural

__all__ = [
    "BackfillProgress",
    "GroupProgress",
    "describe_result",
    "find_under_way",
    "measure_backfill",
    "name_backfill",
]

# Of a group's way to its report. Reading is most of it; what comes after is not measured, so the bar waits there.
READING = 0.9

# A backfill is under way between two of its groups, too: while the next kernel starts.
BETWEEN_GROUPS = timedelta(minutes=2)


@dataclass(frozen=True)
class GroupProgress:
    """How far a group is: its phase, the rows that are read, and the nights that they are about as much as."""

    group: Group
    phase: str
    rows: int = 0
    nights: float = 0.0

    def describe(self) -> str:
        rows = f", {self.rows:,} {plural(self.rows, 'row')}" if self.rows else ""
        return f"{self.group.partition} {self.phase}{rows}"


@dataclass(frozen=True)
class BackfillProgress:
    """How far a backfill is; a run that is of none is one of its own nights.

    ``total``    its nights; ``done``: of them those that have ended, and the share of those under way
    ``rows``     that were read, of both; ``seconds``: since its first group began
    """

    total: int
    done: float = 0.0
    rows: int = 0
    seconds: float = 0.0
    groups: tuple[GroupProgress, ...] = ()

    @property
    def rows_per_second(self) -> float:
        return self.rows / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """About how long it takes still, at the pace so far; None: nothing is read yet."""
        return self.seconds / self.done * (self.total - self.done) if self.done and self.seconds else None

    def describe(self) -> str:
        """Write it in one line: nights, rows, rows a second, time left, and the phases of the groups under way."""
        parts = [f"{self.done:.1f} of {self.total} {plural(self.total, 'night')}"]
        if self.rows:
            parts.append(f"{self.rows:,} {plural(self.rows, 'row')}, {self.rows_per_second:,.0f} a second")
        if self.seconds_left is not None:
            parts.append(f"about {timedelta(seconds=round(self.seconds_left))} left")
        return "; ".join([", ".join(parts), *(group.describe() for group in self.groups)])


def name_backfill(groups: Sequence[Group]) -> str:
    """Make the id of a backfill, which its runs note in the ledger: it says how many nights it has."""
    return f"{new_run_id()}_{sum(group.nights for group in groups)}"


def nights_of(backfill: str) -> int:
    return int(backfill.rpartition("_")[2])


def measure_backfill(backfill: str, context: Context, starting: Sequence[Group] = ()) -> BackfillProgress:
    """Measure a backfill; ``starting``: groups under way that may not be in the ledger yet.

    Each group under way costs a count of its staging table: what is read stands there, whichever machine reads it.
    A warehouse that does not answer tells none.
    """
    try:
        runs = read_runs(context.warehouse, ETL_RUNS.c.backfill == backfill)
        return measure_runs(runs, nights_of(backfill), context, starting)
    except SentinelError:
        return BackfillProgress(nights_of(backfill), groups=tuple(GroupProgress(each, "starting") for each in starting))


def find_under_way(context: Context) -> list[BackfillProgress]:
    """Find the backfills that are under way, and the runs that are of none, by the ledger."""
    if not has_table(context.warehouse, ETL_RUNS.name):
        return []
    now = read_clock(context.warehouse)
    runs = read_standing_runs(context.warehouse, context.source, runs_of(context.pipeline.fact_table))
    backfills: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        backfills.setdefault(run["backfill"] or run["run_id"], []).append(run)
    found = []
    for of_one in backfills.values():
        backfill = of_one[0]["backfill"]
        total = nights_of(backfill) if backfill else nights_in(of_one[0], context)
        running = any(run["state"] is RunState.RUNNING for run in of_one)
        between = bool(backfill) and now - max(run["updated_at"] for run in of_one) < BETWEEN_GROUPS
        if (running or between) and (measured := measure_runs(of_one, total, context)).done < total:
            found.append(measured)
    return found


def measure_runs(
    runs: Sequence[Mapping[str, Any]], total: int, context: Context, starting: Sequence[Group] = ()
) -> BackfillProgress:
    """Measure a backfill by its runs."""
    scheme = partition_scheme(context.pipeline.fact_table, context.warehouse)
    zone = context.pipeline.zone

    def group_of(run: Mapping[str, Any]) -> Group:
        window = Window(run["window_start"], run["window_end"])
        return Group(partition_ids(window, scheme, zone)[0], window, nights_in(run, context))

    by_window = {group.window: group for group in starting}
    ended, groups = [], []
    for run in runs:
        group = group_of(run)
        if by_window.pop(group.window, None) or run["state"] is RunState.RUNNING:
            groups.append(measure_group(group, run, context))
        else:
            ended.append(run)
    groups += [GroupProgress(group, "starting") for group in by_window.values()]
    began = min((run["started_at"] for run in runs), default=None)
    return BackfillProgress(
        total,
        sum(nights_in(run, context) for run in ended) + sum(group.nights for group in groups),
        sum(int(run["source_rows"]) for run in ended) + sum(group.rows for group in groups),
        (read_clock(context.warehouse) - began).total_seconds() if began else 0.0,
        tuple(groups),
    )


def measure_group(group: Group, run: Mapping[str, Any], context: Context) -> GroupProgress:
    nights = READING * group.nights
    if run["state"] is not RunState.RUNNING:
        return GroupProgress(group, "writing the report", int(run["source_rows"]), nights)
    staging = table_beside(context.pipeline.fact_table, STAGING_MARK, run["run_id"])
    if run["switched_at"] is not None or not has_table(context.warehouse, staging.name):
        phase = "starting" if run["switched_at"] is None else "publishing"
        return GroupProgress(group, phase, nights=nights if phase == "publishing" else 0)
    columns = staging.c
    counted = select(func.count(), func.uniqExact(columns.event_type, columns.shift_date)).select_from(staging)
    [[rows, pairs]] = run_statement(context.warehouse, counted, repeatable=True)
    # A night has as many parts as there are event types, in whichever order they are read.
    read = int(pairs) / len(context.pipeline.event_types)
    return GroupProgress(group, "reading", int(rows), READING * min(read, group.nights))


def nights_in(run: Mapping[str, Any], context: Context) -> int:
    return len(Window(run["window_start"], run["window_end"]).shift_dates(context.pipeline.zone))


def describe_result(result: GroupResult, done: int, total: int) -> str:
    """Write how a group ended, in one line, and how many nights of all are done."""
    group = result.group
    rows = f", {result.rows:,} {plural(result.rows, 'row')}" if result.rows else ""
    cause = f": {' '.join(result.cause.split())}" if result.error else ""
    return (
        f"{group.partition}  {group.window}  {result.verdict}{rows}  {done} of {total} {plural(total, 'night')}{cause}"
    )
