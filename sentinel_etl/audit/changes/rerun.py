"""Finds what a run of a window changes against what readers see."""

from __future__ import annotations

from collections.abc import Mapping

from clickhouse_sqlalchemy import Table
from sqlalchemy import ColumnElement, Engine, and_, not_, or_, select

from sentinel_etl.audit.changes.changes import Changes
from sentinel_etl.audit.changes.find_changes import find_changes
from sentinel_etl.audit.changes.statements import FactRows
from sentinel_etl.audit.other_nights import OtherNights
from sentinel_etl.config.event_type import EventType
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.rows import PARTITION_ID, count_rows, in_time_window, is_staged, rows_of_window
from sentinel_etl.window import Window

__all__ = ["find_rerun_changes"]


def find_rerun_changes(
    staging: Table,
    window: Window,
    kinds: Mapping[str, EventType],
    others: OtherNights,
    pipeline: Pipeline,
    warehouse: Engine,
) -> Changes | None:
    """Compare what is staged with the window's rows in the fact table; None: the window had none.

    An event that has moved here from another night is changed, and neither removed there nor added here. Reads only.
    """
    facts = pipeline.fact_table
    owned = rows_of_window(facts, window, None if set(pipeline.event_types) <= set(kinds) else list(kinds))
    if not count_rows(facts, owned, warehouse):
        return None
    loaded = or_(owned, moved_here(staging, facts, window, others)) if others.partitions else owned
    return find_changes(
        FactRows(facts, loaded),
        FactRows(staging),
        warehouse,
        hidden=pipeline.personal_columns,
        hidden_keys=sorted({*pipeline.personal_keys, *find_strangers(facts, owned, pipeline, warehouse)}),
        dimensions=pipeline.breakdown,
    )


def find_strangers(facts: Table, owned: ColumnElement[bool], pipeline: Pipeline, warehouse: Engine) -> list[str]:
    """Name the event types of rows that the configuration has no more: whether their keys are personal is forgotten."""
    unknown = facts.c.event_type.not_in(list(pipeline.event_types))
    rows = run_statement(warehouse, select(facts.c.event_type).where(owned, unknown).distinct(), repeatable=True)
    return [str(row[0]) for row in rows]


def moved_here(staging: Table, facts: Table, window: Window, others: OtherNights) -> ColumnElement[bool]:
    """Build the condition that a row stands outside of the window, and its event is staged; of few partitions only."""
    return and_(PARTITION_ID.in_(others.partitions), not_(in_time_window(facts, window)), is_staged(facts, staging))
