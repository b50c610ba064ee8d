"""Compares the nights of source and warehouse: counts, keys and content, each summed by its own engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import pandas as pd
from sqlalchemy import Engine, select

from sentinel_etl.pipeline import Pipeline
from sentinel_etl.reconcile.counts import LATE_COLUMNS
from sentinel_etl.reconcile.covered import covered_columns, uncovered_columns
from sentinel_etl.reconcile.fingerprint import rejected_statement, source_statement, warehouse_statement
from sentinel_etl.source.snapshot import open_snapshot
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.rows import rows_of_window
from sentinel_etl.warehouse.tables import build_rejected
from sentinel_etl.window import Window

__all__ = ["compare_fingerprints"]


Sums = dict[tuple[str, str], tuple[int, int, int]]


def add_sums(sums: Sums, rows: Iterable[Any]) -> None:
    for kind, night, *values in rows:
        before = sums.get((str(night), str(kind)), (0, 0, 0))
        count, keys, content = (old + int(new or 0) for old, new in zip(before, values, strict=True))
        sums[str(night), str(kind)] = (count, keys, content)


def compare_fingerprints(
    nights: Sequence[date],
    pipeline: Pipeline,
    source: Engine,
    warehouse: Engine,
    statement_timeout_seconds: int = 900,
) -> pd.DataFrame:
    """Compare counts, keys and content of each night and event type, each summed by its own engine.

    Out: shift_date (date), event_type, source and warehouse (int64 rows; the warehouse's are fact rows
    and rejected ones), keys and content (bool: equal), not_compared (str: the columns that content cannot tell of,
    and why). Nights are compared as they are, loaded or not. Content covers the columns of `covered_columns`, of
    the rows that are not rejected.
    """
    sides: tuple[Sums, Sums] = ({}, {})
    rejected = build_rejected(pipeline.fact_table)
    kinds = pipeline.event_types
    covered = {name: covered_columns(kind, pipeline) for name, kind in kinds.items()}
    untold = {name: write_uncovered(uncovered_columns(kind, pipeline)) for name, kind in kinds.items()}
    for night in nights:
        window = Window.night(night, pipeline.zone)
        owned = rows_of_window(rejected, window, list(kinds))
        refused = [
            str(row[0])
            for row in run_statement(warehouse, select(rejected.c.event_id).where(owned).distinct(), repeatable=True)
        ]
        with open_snapshot(source, statement_timeout_seconds) as snapshot:
            encoding = snapshot.read_whole("SELECT current_setting('server_encoding') AS name")["name"][0].as_py()
            statements = [
                source_statement(kind, window, pipeline.zone, covered[name], refused, encoding)
                for name, kind in kinds.items()
            ]
            found = snapshot.read_whole("\nUNION ALL\n".join(statements)).to_pylist()
        add_sums(sides[0], [tuple(row.values()) for row in found])
        for name, kind in kinds.items():
            add_sums(
                sides[1],
                run_statement(
                    warehouse, warehouse_statement(pipeline.fact_table, kind, window, covered[name]), repeatable=True
                ),
            )
        add_sums(sides[1], run_statement(warehouse, rejected_statement(rejected, window, kinds), repeatable=True))
    rows = []
    for night in nights:
        for name in kinds:
            read, stored = (side.get((str(night), name), (0, 0, 0)) for side in sides)
            same = read[:2] == stored[:2], read[2] == stored[2]
            rows.append((night, name, read[0], stored[0], *same, untold[name]))
    columns = {**LATE_COLUMNS, "keys": "bool", "content": "bool", "not_compared": "str"}
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)


def write_uncovered(columns: Mapping[str, str]) -> str:
    """Write the columns that cannot be compared by their reasons: ``name, plate (hashed)``."""
    reasons: dict[str, list[str]] = {}
    for name, why in columns.items():
        reasons.setdefault(why, []).append(name)
    return "; ".join(f"{', '.join(names)} ({why})" for why, names in reasons.items())
