"""Compares source and warehouse, each measured by its own engine, and finds the nights to do again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import pandas as pd
from clickhouse_sqlalchemy import Table
from sqlalchemy import Engine, func, select, union_all

from sentinel_etl.event_types import EventType
from sentinel_etl.fingerprint import covered_columns, rejected_statement, source_statement, warehouse_statement
from sentinel_etl.ledger import missing_nights, read_runs
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.publish import rows_of_window
from sentinel_etl.rejected import build_rejected
from sentinel_etl.source import open_snapshot
from sentinel_etl.warehouse import run_statement
from sentinel_etl.window import Window

__all__ = [
    "compare_nights",
    "count_source",
    "count_warehouse",
    "find_late_rows",
    "loaded_nights",
    "nights_before",
]

LATE_COLUMNS = {"shift_date": "object", "event_type": "str", "source": "int64", "warehouse": "int64"}


def count_source(
    event_types: Iterable[EventType], window: Window, source: Engine, statement_timeout_seconds: int
) -> dict[str, int]:
    """Count each event type's rows in the source, in a snapshot of now."""
    with open_snapshot(source, statement_timeout_seconds) as snapshot:
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


def loaded_nights(nights: Sequence[date], pipeline: Pipeline, warehouse: Engine) -> list[date]:
    """Pick the nights that the ledger says were published for all event types."""
    runs = read_runs(warehouse, "fact_table = %(name)s", {"name": pipeline.fact_table.name})
    missing = set(missing_nights(nights, pipeline.event_types, runs, pipeline.zone))
    return [night for night in nights if night not in missing]


def nights_before(night: date, count: int) -> list[date]:
    return [night - timedelta(days=back) for back in range(count, 0, -1)]


def find_late_rows(
    nights: Sequence[date],
    pipeline: Pipeline,
    source: Engine,
    warehouse: Engine,
    statement_timeout_seconds: int = 900,
) -> pd.DataFrame:
    """Count the loaded ones of the nights on both sides: `RunResult.late`, the event types that differ.

    A count is enough for rows that came late or were deleted, and costs a fifth of a fingerprint;
    `compare_nights` finds edits too. The warehouse's rows are the fact table's and the rejected.
    """
    nights = loaded_nights(nights, pipeline, warehouse)
    if not nights:
        return as_late([])
    window = Window(Window.night(nights[0], pipeline.zone).start, Window.night(nights[-1], pipeline.zone).end)
    statements = [source_statement(kind, window, pipeline.zone, None) for kind in pipeline.event_types.values()]
    with open_snapshot(source, statement_timeout_seconds) as snapshot:
        counted = snapshot.read_whole(union_all(*statements)).to_pylist()
    there = {(row["shift_date"], row["event_type"]): int(row["rows"]) for row in counted}
    stored: dict[tuple[str, str], int] = {}
    for table in (pipeline.fact_table, build_rejected(pipeline.fact_table)):
        night, kind = func.toString(table.c.shift_date), func.toString(table.c.event_type)
        owned = rows_of_window(table, window, list(pipeline.event_types))
        for day, name, rows in run_statement(
            warehouse, select(night, kind, func.count()).where(owned).group_by(night, kind)
        ):
            stored[str(day), str(name)] = stored.get((str(day), str(name)), 0) + int(rows)
    loaded = {str(night) for night in nights}
    differing = sorted(key for key in {*there, *stored} if there.get(key, 0) != stored.get(key, 0) and key[0] in loaded)
    return as_late([(date.fromisoformat(k[0]), k[1], there.get(k, 0), stored.get(k, 0)) for k in differing])


def as_late(rows: list[tuple[date, str, int, int]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(LATE_COLUMNS)).astype(LATE_COLUMNS)


Sums = dict[tuple[str, str], tuple[int, int, int]]


def add_sums(sums: Sums, rows: Iterable[Any]) -> None:
    for kind, night, *values in rows:
        before = sums.get((str(night), str(kind)), (0, 0, 0))
        count, keys, content = (old + int(new or 0) for old, new in zip(before, values, strict=True))
        sums[str(night), str(kind)] = (count, keys, content)


def compare_nights(
    nights: Sequence[date],
    pipeline: Pipeline,
    source: Engine,
    warehouse: Engine,
    statement_timeout_seconds: int = 900,
) -> pd.DataFrame:
    """Compare counts, keys and content of each night and event type, each summed by its own engine.

    Out: shift_date (date), event_type, source and warehouse (int64 rows; the warehouse's are fact rows
    and rejected ones), keys and content (bool: equal). Nights are compared as they are, loaded or not.
    Content covers the columns of `covered_columns`, of the rows that are not rejected.
    """
    sides: tuple[Sums, Sums] = ({}, {})
    rejected = build_rejected(pipeline.fact_table)
    personal = pipeline.altered_columns
    kinds = pipeline.event_types
    for night in nights:
        window = Window.night(night, pipeline.zone)
        owned = rows_of_window(rejected, window, list(kinds))
        refused = [str(row[0]) for row in run_statement(warehouse, select(rejected.c.event_id).where(owned).distinct())]
        covered = {name: covered_columns(kind, pipeline, personal) for name, kind in kinds.items()}
        statements = [
            source_statement(kind, window, pipeline.zone, covered[name], refused) for name, kind in kinds.items()
        ]
        with open_snapshot(source, statement_timeout_seconds) as snapshot:
            found = snapshot.read_whole(union_all(*statements)).to_pylist()
        add_sums(sides[0], [tuple(row.values()) for row in found])
        for name, kind in kinds.items():
            add_sums(
                sides[1],
                run_statement(warehouse, warehouse_statement(pipeline.fact_table, kind, window, covered[name])),
            )
        add_sums(sides[1], run_statement(warehouse, rejected_statement(rejected, window, kinds)))
    rows = []
    for night in nights:
        for name in kinds:
            here, there = (side.get((str(night), name), (0, 0, 0)) for side in sides)
            rows.append((night, name, here[0], there[0], here[:2] == there[:2], here[2] == there[2]))
    columns = {**LATE_COLUMNS, "keys": "bool", "content": "bool"}
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)
