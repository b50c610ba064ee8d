"""Compares source and warehouse for a window, each counted by its own engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from clickhouse_sqlalchemy import Table
from sqlalchemy import Engine, func, select

from sentinel_etl.event_types import EventType
from sentinel_etl.publish import rows_of_window
from sentinel_etl.source import open_snapshot
from sentinel_etl.warehouse import run_statement
from sentinel_etl.window import Window

__all__ = ["count_source", "count_warehouse"]


def count_source(event_types: Iterable[EventType], window: Window, source: Engine) -> dict[str, int]:
    """Count each event type's rows in the source, in a snapshot of now."""
    with open_snapshot(source) as snapshot:
        return snapshot.count(event_type.count(window) for event_type in event_types)


def count_warehouse(table: Table, window: Window, event_types: Sequence[str], warehouse: Engine) -> Mapping[str, int]:
    """Count each event type's rows of the window in a warehouse table; 0 where it has none."""
    counted = run_statement(
        warehouse,
        select(table.c.event_type, func.count())
        .where(rows_of_window(table, window, event_types))
        .group_by(table.c.event_type),
    )
    return {**dict.fromkeys(event_types, 0), **{str(name): int(rows) for name, rows in counted}}
