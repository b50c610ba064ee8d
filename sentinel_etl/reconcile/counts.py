"""Counts rows on both sides, and finds the nights whose source has changed since they were loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
from clickhouse_sqlalchemy import Table
from sqlalchemy import Engine, Select, Text, cast, func, literal, select, union_all

from sentinel_etl.config.event_type import EventType
from sentinel_etl.extract.lost_rows import loosen_joins
from sentinel_etl.extract.statements import count_events, happened_in, night_of
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.source.snapshot import open_snapshot
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.rows import rows_of_window
from sentinel_etl.warehouse.tables import build_rejected
from sentinel_etl.window import Window

__all__ = ["count_source", "count_warehouse", "find_late_rows"]


LATE_COLUMNS = {"shift_date": "object", "event_type": "str", "source": "int64", "warehouse": "int64"}


def count_source(
    event_types: Iterable[EventType], window: Window, source: Engine, statement_timeout_seconds: int
) -> dict[str, int]:
    """Count each event type's rows in the source, in a snapshot of now."""
    with open_snapshot(source, statement_timeout_seconds) as snapshot:
        return snapshot.count(count_events(kind, window) for kind in event_types)


def count_events_by_night(kind: EventType, window: Window, zone: ZoneInfo) -> Select[Any]:
    """Build the statement that counts what `count_events` counts: ``event_type, shift_date, rows``."""
    events = loosen_joins(kind)
    night = cast(night_of(kind, zone), Text).label("shift_date")
    return (
        select(literal(kind.name, Text).label("event_type"), night, func.count().label("rows"))
        .select_from(events.source)
        .where(happened_in(kind, window), events.counted)
        .group_by(night)
    )


def count_warehouse(table: Table, window: Window, event_types: Sequence[str], warehouse: Engine) -> Mapping[str, int]:
    """Count each event type's rows of the window in a warehouse table; 0 where it has none."""
    counted = run_statement(
        warehouse,
        select(table.c.event_type, func.count())
        .where(rows_of_window(table, window, event_types))
        .group_by(table.c.event_type),
        repeatable=True,
    )
    return {**dict.fromkeys(event_types, 0), **{str(name): int(rows) for name, rows in counted}}


def find_late_rows(
    nights: Sequence[date],
    pipeline: Pipeline,
    source: Engine,
    warehouse: Engine,
    statement_timeout_seconds: int = 900,
) -> pd.DataFrame:
    """Count loaded nights on both sides: `RunResult.late`, the event types that differ.

    A count is enough for rows that came late or were deleted, and costs a fifth of a fingerprint;
    `compare.compare_fingerprints` finds edits too. The warehouse's rows are the fact table's and the rejected.
    """
    if not nights:
        return as_late([])
    window = Window.nights(nights[0], nights[-1], pipeline.zone)
    statements = [count_events_by_night(kind, window, pipeline.zone) for kind in pipeline.event_types.values()]
    with open_snapshot(source, statement_timeout_seconds) as snapshot:
        counted = snapshot.read_whole(union_all(*statements)).to_pylist()
    source_rows = {(row["shift_date"], row["event_type"]): int(row["rows"]) for row in counted}
    warehouse_rows: dict[tuple[str, str], int] = {}
    for table in (pipeline.fact_table, build_rejected(pipeline.fact_table)):
        night, kind = func.toString(table.c.shift_date), func.toString(table.c.event_type)
        owned = rows_of_window(table, window, None)  # with types that the configuration has no more
        for day, name, rows in run_statement(
            warehouse, select(night, kind, func.count()).where(owned).group_by(night, kind), repeatable=True
        ):
            warehouse_rows[str(day), str(name)] = warehouse_rows.get((str(day), str(name)), 0) + int(rows)
    loaded = {str(night) for night in nights}
    differing = sorted(
        key
        for key in {*source_rows, *warehouse_rows}
        if source_rows.get(key, 0) != warehouse_rows.get(key, 0) and key[0] in loaded
    )
    return as_late(
        [(date.fromisoformat(k[0]), k[1], source_rows.get(k, 0), warehouse_rows.get(k, 0)) for k in differing]
    )


def as_late(rows: list[tuple[date, str, int, int]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(LATE_COLUMNS)).astype(LATE_COLUMNS)
