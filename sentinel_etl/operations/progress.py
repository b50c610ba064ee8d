"""Measures how far the groups of a backfill are, wherever they run: by the ledger, and by what is staged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from sentinel_etl.context import Context
from sentinel_etl.errors import SentinelError
from sentinel_etl.ledger.ledger import read_runs, runs_of
from sentinel_etl.ledger.states import RunState
from sentinel_etl.operations.groups import Group, GroupResult
from sentinel_etl.warehouse.catalog import has_table
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.rows import instant
from sentinel_etl.warehouse.tables import ETL_RUNS, STAGING_MARK, table_beside
from sentinel_etl.wording import plural

__all__ = ["Progress", "describe_progress", "describe_result", "measure_progress"]

# Of a group's way to its report. Reading is most of it; what comes after is not measured, so the bar waits there.
READING = 0.9


@dataclass(frozen=True)
class Progress:
    """How far a group is: its phase, the rows that are read, and the nights that they are about as much as."""

    group: Group
    phase: str
    rows: int = 0
    nights: float = 0.0


def measure_progress(groups: Sequence[Group], context: Context, since: datetime) -> list[Progress]:
    """Measure the groups that are under way; ``since`` the backfill began. A warehouse that does not answer tells none.

    Each costs a count of its staging table: what is read stands there, whichever machine reads it.
    """
    try:
        begun = ETL_RUNS.c.started_at >= instant(since)
        runs = read_runs(context.warehouse, runs_of(context.pipeline.fact_table), begun)
        return [measure_group(group, runs, context) for group in groups]
    except SentinelError:
        return []


def measure_group(group: Group, runs: Sequence[Mapping[str, Any]], context: Context) -> Progress:
    bounds = (group.window.start, group.window.end)
    run = next((run for run in runs if (run["window_start"], run["window_end"]) == bounds), None)
    if run is None:
        return Progress(group, "starting")
    nights = READING * group.nights
    if run["state"] is not RunState.RUNNING:
        return Progress(group, "writing the report", int(run["source_rows"]), nights)
    staging = table_beside(context.pipeline.fact_table, STAGING_MARK, run["run_id"])
    if run["switched_at"] is not None or not has_table(context.warehouse, staging.name):
        phase = "starting" if run["switched_at"] is None else "publishing"
        return Progress(group, phase, nights=nights if phase == "publishing" else 0)
    columns = staging.c
    counted = select(func.count(), func.uniqExact(columns.event_type, columns.shift_date)).select_from(staging)
    [[rows, pairs]] = run_statement(context.warehouse, counted, repeatable=True)
    # A night has as many parts as there are event types, in whichever order they are read.
    read = int(pairs) / len(context.pipeline.event_types)
    return Progress(group, "reading", int(rows), READING * min(read, group.nights))


def describe_progress(groups: Sequence[Progress]) -> str:
    """Write the phases of the groups under way in a few words: ``202611 reading, 12,000 rows``."""
    told = (
        f"{one.group.partition} {one.phase}" + (f", {one.rows:,} {plural(one.rows, 'row')}" if one.rows else "")
        for one in groups
    )
    return "; ".join(told)


def describe_result(result: GroupResult, done: int, total: int) -> str:
    """Write how a group ended, in one line, and how many nights of all are done."""
    group = result.group
    rows = f", {result.rows:,} {plural(result.rows, 'row')}" if result.rows else ""
    cause = f": {' '.join(result.cause.split())}" if result.error else ""
    return (
        f"{group.partition}  {group.window}  {result.verdict}{rows}  {done} of {total} {plural(total, 'night')}{cause}"
    )
