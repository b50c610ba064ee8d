"""Compares the nights of source and warehouse: counts, keys and content, each summed by its own engine."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import product
from typing import Any

import pandas as pd
from sqlalchemy import Engine, func, select

from sentinel_etl.config.event_type import EventType
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.reconcile.counts import LATE_COLUMNS
from sentinel_etl.reconcile.covered import Covered, covered_columns, uncovered_columns
from sentinel_etl.reconcile.fingerprint import rejected_statement, source_statement, warehouse_statement
from sentinel_etl.reconcile.replayed import replayed_columns, sum_replayed
from sentinel_etl.source.snapshot import Snapshot, open_snapshot
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.rows import rows_of_window
from sentinel_etl.warehouse.tables import build_rejected
from sentinel_etl.window import Window

__all__ = ["compare_fingerprints", "find_settling_nights"]


Sums = dict[tuple[str, str], tuple[int, int, int]]
NOTHING = (0, 0, 0)


def add_sums(sums: Sums, rows: Iterable[Any]) -> None:
    for kind, night, *values in rows:
        before = sums.get((str(night), str(kind)), NOTHING)
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
    and rejected ones), keys and content (bool: equal), expected (bool: only what `Settling` names has changed),
    not_compared (str: the columns that content cannot tell of, and why). Nights are compared as they are, loaded or
    not. Content covers the columns of `covered_columns` and, of those that no SQL of the source can write,
    `replayed_columns`; of the rows that are not rejected.
    """
    databases = (pipeline, source, warehouse, statement_timeout_seconds)
    columns = {name: ComparedColumns.of(kind, pipeline) for name, kind in pipeline.event_types.items()}
    sides = sum_nights(nights, columns, *databases)
    rows = []
    for night in nights:
        for name, compared in columns.items():
            read, stored = (side.get((str(night), name), NOTHING) for side in sides)
            same = read[:2] == stored[:2], read[2] == stored[2]
            rows.append((night, name, read[0], stored[0], *same, False, write_uncovered(compared.untold)))
    for night, name, stored_rows in count_strangers(nights, pipeline, warehouse):
        rows.append((night, name, 0, stored_rows, False, False, False, ""))
    types = {**LATE_COLUMNS, "keys": "bool", "content": "bool", "expected": "bool", "not_compared": "str"}
    table = pd.DataFrame(rows, columns=list(types)).astype(types)
    settling = pipeline.settling.columns
    some = table[table["keys"] & ~table["content"] & table["event_type"].isin(list(settling))]
    for place, night, name in zip(some.index, some["shift_date"], some["event_type"], strict=True):
        left, right = sum_nights([night], {name: columns[name].but(settling[name])}, *databases)
        table.loc[place, "expected"] = left == right
    return table


def count_strangers(nights: Sequence[date], pipeline: Pipeline, warehouse: Engine) -> list[tuple[date, str, int]]:
    """Count the fact rows of event types that the configuration has no more: night, event type, rows."""
    facts = pipeline.fact_table.c
    night, unknown = func.toString(facts.shift_date), facts.event_type.not_in(list(pipeline.event_types))
    counted = select(night, facts.event_type, func.count()).where(facts.shift_date.in_(list(nights)), unknown)
    rows = run_statement(warehouse, counted.group_by(night, facts.event_type), repeatable=True) if nights else []
    return sorted((date.fromisoformat(str(day)), str(kind), int(number)) for day, kind, number in rows)


def find_settling_nights(
    nights: Sequence[date],
    pipeline: Pipeline,
    source: Engine,
    warehouse: Engine,
    statement_timeout_seconds: int = 900,
) -> pd.DataFrame:
    """Find the nights in which what changes later has changed: shift_date (date), event_type.

    Only the columns that `Settling` names are compared, of their event types alone.
    """
    columns = {
        name: ComparedColumns.of(pipeline.event_types[name], pipeline).only(changing)
        for name, changing in pipeline.settling.columns.items()
    }
    sides = sum_nights(nights if columns else [], columns, pipeline, source, warehouse, statement_timeout_seconds)
    rows = []
    for night, name in product(nights, columns):
        read, stored = (side.get((str(night), name), NOTHING) for side in sides)
        # Rows that came or went are told of as late.
        if read[1] == stored[1] and read[2] != stored[2]:
            rows.append((night, name))
    return pd.DataFrame(rows, columns=["shift_date", "event_type"]).astype({"event_type": "str"})


def sum_nights(
    nights: Sequence[date],
    columns: Mapping[str, ComparedColumns],
    pipeline: Pipeline,
    source: Engine,
    warehouse: Engine,
    statement_timeout_seconds: int,
) -> tuple[Sums, Sums]:
    """Sum both sides of each night, of the event types and the columns that are named."""
    sides: tuple[Sums, Sums] = ({}, {})
    for night in nights:
        window = Window.night(night, pipeline.zone)
        refused = read_refused(window, pipeline, warehouse)
        with open_snapshot(source, statement_timeout_seconds) as snapshot:
            sum_source(sides[0], window, columns, refused, pipeline, snapshot)
        sum_warehouse(sides[1], window, columns, pipeline, warehouse)
    return sides


@dataclass(frozen=True)
class ComparedColumns:
    """An event type's fact columns by how they are compared: in SQL, by transforming the rows again, or not at all."""

    covered: list[Covered]
    replayed: list[Covered]
    untold: Mapping[str, str]

    @classmethod
    def of(cls, kind: EventType, pipeline: Pipeline) -> ComparedColumns:
        replayed = replayed_columns(kind, pipeline)
        seen = {each.name for each in replayed}
        untold = {name: why for name, why in uncovered_columns(kind, pipeline).items() if name not in seen}
        return cls(covered_columns(kind, pipeline), replayed, untold)

    def only(self, names: Collection[str]) -> ComparedColumns:
        """Leave all columns out but these."""
        covered, replayed = (
            [each for each in columns if each.name in names] for columns in (self.covered, self.replayed)
        )
        return ComparedColumns(covered, replayed, self.untold)

    def but(self, names: Collection[str]) -> ComparedColumns:
        """Leave these columns out."""
        return self.only({each.name for each in (*self.covered, *self.replayed)} - {*names})


def read_refused(window: Window, pipeline: Pipeline, warehouse: Engine) -> list[str]:
    """Read the ids of the window's rejected rows."""
    rejected = build_rejected(pipeline.fact_table)
    owned = rows_of_window(rejected, window, list(pipeline.event_types))
    statement = select(rejected.c.event_id).where(owned).distinct()
    return [str(row[0]) for row in run_statement(warehouse, statement, repeatable=True)]


def sum_source(
    sums: Sums,
    window: Window,
    columns: Mapping[str, ComparedColumns],
    refused: Sequence[str],
    pipeline: Pipeline,
    snapshot: Snapshot,
) -> None:
    kinds = {name: pipeline.event_types[name] for name in columns}
    encoding = snapshot.read_whole("SELECT current_setting('server_encoding') AS name")["name"][0].as_py()
    statements = [
        source_statement(kind, window, pipeline.zone, columns[name].covered, refused, encoding)
        for name, kind in kinds.items()
    ]
    found = snapshot.read_whole("\nUNION ALL\n".join(statements)).to_pylist()
    add_sums(sums, [tuple(row.values()) for row in found])
    night = str(window.shift_dates(pipeline.zone)[0])
    for name, kind in kinds.items():
        if replayed := columns[name].replayed:
            content = sum_replayed(kind, pipeline, window, replayed, refused, snapshot)
            add_sums(sums, [(name, night, 0, 0, content)])


def sum_warehouse(
    sums: Sums, window: Window, columns: Mapping[str, ComparedColumns], pipeline: Pipeline, warehouse: Engine
) -> None:
    facts, rejected = pipeline.fact_table, build_rejected(pipeline.fact_table)
    for name in columns:
        kind = pipeline.event_types[name]
        statement = warehouse_statement(facts, kind, window, columns[name].covered)
        add_sums(sums, run_statement(warehouse, statement, repeatable=True))
        if replayed := columns[name].replayed:
            statement = warehouse_statement(facts, kind, window, replayed)
            rows = run_statement(warehouse, statement, repeatable=True)
            add_sums(sums, [(kind, night, 0, 0, content) for kind, night, _, _, content in rows])
    statement = rejected_statement(rejected, window, list(columns))
    add_sums(sums, run_statement(warehouse, statement, repeatable=True))


def write_uncovered(columns: Mapping[str, str]) -> str:
    """Write the columns that cannot be compared by their reasons: ``name, plate (hashed)``."""
    reasons: dict[str, list[str]] = {}
    for name, why in columns.items():
        reasons.setdefault(why, []).append(name)
    return "; ".join(f"{', '.join(names)} ({why})" for why, names in reasons.items())
