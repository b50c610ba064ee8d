"""Builds the statements that compare two sets of fact rows where they lie, by key and by content. Pure.

Content is compared by its hash: two NULLs are equal, NULL is no value, and 0.0 is not -0.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from clickhouse_sqlalchemy import Table
from sqlalchemy import (
    Column,
    ColumnElement,
    Float,
    Integer,
    Select,
    String,
    Subquery,
    and_,
    column,
    func,
    literal_column,
    select,
    union_all,
)
from sqlalchemy.sql import quoted_name

from sentinel_etl.config.fact_table import content_columns
from sentinel_etl.warehouse.ddl import cluster_of, has_id
from sentinel_etl.warehouse.rows import hash_of
from sentinel_etl.warehouse.types import server_type

__all__ = [
    "KINDS_OF_CHANGE",
    "FactRows",
    "Sides",
    "count_columns",
    "count_events",
    "select_events",
    "split_keys",
]

# The most telling first.
KINDS_OF_CHANGE = ("changed", "removed", "added")

ALL: ColumnElement[bool] = literal_column("1") == 1


@dataclass(frozen=True)
class FactRows:
    """The rows of a fact table, or of one like it, that meet a condition."""

    table: Table
    condition: ColumnElement[bool] = ALL


@dataclass(frozen=True)
class Sides:
    """Two sets of fact rows that are compared."""

    before: FactRows
    after: FactRows

    @property
    def columns(self) -> list[str]:
        """The columns of content that both tables have."""
        return [name for name in content_columns(self.after.table) if name in self.before.table.columns]

    @property
    def scored(self) -> bool:
        return "base_risk_score" in self.columns

    def union(self, values: Mapping[str, ColumnElement[Any]], *conditions: ColumnElement[bool]) -> Columns:
        """Put both below each other: event_id, kind (its event type), is_after (0 or 1) and the ``values``."""
        # Where a column is called as a label is, the server would read the label.
        names = [str(each.name) for rows in (self.before, self.after) for each in rows.table.columns]
        mark = "_" * (1 + max(len(name) - len(name.lstrip("_")) for name in names))
        sides = []
        for place, rows in enumerate((self.before, self.after)):
            told = {"kind": func.toString(rows.table.c.event_type), "is_after": literal_column(str(place), Integer)}
            labelled = [value.label(mark + name) for name, value in {**told, **values}.items()]
            rows_of_side = select(rows.table.c.event_id, *labelled).select_from(rows.table)
            sides.append(rows_of_side.where(rows.condition, *conditions))
        found = union_all(*sides).subquery("sides").c
        return {"event_id": found.event_id} | {name: found[mark + name] for name in ("kind", "is_after", *values)}


Columns = dict[str, ColumnElement[Any]]


def split_keys(rows: int, most: int) -> Iterator[ColumnElement[bool]]:
    """Split the keys so that about ``most`` of so many rows are compared at a time: the condition of each share."""
    shares = ceil(rows / most)
    if shares <= 1:
        yield ALL
        return
    rest: ColumnElement[int] = func.modulo(func.cityHash64(column("event_id")), literal_column(str(shares)))
    for share in range(shares):
        yield rest == literal_column(str(share))


def group_events(sides: Sides, *conditions: ColumnElement[bool]) -> Subquery:
    """Group both sides by event: event_id, named (its event type), rows and points of each side, and difference.

    ``difference`` combines the hashes of the rows so that equal ones cancel out; 0: there is none.
    """
    score: ColumnElement[float] = literal_column("toFloat64(0)", Float)
    if sides.scored:
        score = func.toFloat64(func.ifNull(column("base_risk_score"), 0), type_=Float)
    rows = sides.union({"content": hash_of(sides.columns), "score": score}, *conditions)
    was, is_now = rows["is_after"] == 0, rows["is_after"] == 1
    return (
        select(
            rows["event_id"],
            func.any(rows["kind"]).label("named"),
            func.toInt64(func.countIf(was), type_=Integer).label("rows_before"),
            func.toInt64(func.countIf(is_now), type_=Integer).label("rows_after"),
            func.sumIf(rows["score"], was).label("score_before"),
            func.sumIf(rows["score"], is_now).label("score_after"),
            func.groupBitXor(rows["content"], type_=Integer).label("difference"),
        )
        .group_by(rows["event_id"])
        .subquery("events")
    )


def has_changed(events: Subquery) -> ColumnElement[bool]:
    return and_(events.c.rows_before == events.c.rows_after, events.c.difference != 0)


def count_events(sides: Sides, share: ColumnElement[bool], examples: int) -> Select[Any]:
    """Count each event type's rows and points of both sides, and its changes, with the first ids of each kind."""
    events = group_events(sides, share)
    found = events.c
    more = found.rows_after - found.rows_before
    which = {"added": more > 0, "removed": more < 0, "changed": has_changed(events)}
    ids = {kind: func.arraySort(func.groupArrayIf(found.event_id, which[kind])) for kind in KINDS_OF_CHANGE}
    return select(
        found.named.label("event_type"),
        func.sum(found.rows_before).label("before"),
        func.sum(found.rows_after).label("after"),
        func.sumIf(more, which["added"]).label("added"),
        func.sumIf(-more, which["removed"]).label("removed"),
        func.toInt64(func.countIf(which["changed"])).label("changed"),
        func.sum(found.score_before).label("points_before"),
        func.sum(found.score_after).label("points_after"),
        *(func.arraySlice(each, 1, examples).label(f"{kind}_ids") for kind, each in ids.items()),
    ).group_by(found.named)


def count_columns(sides: Sides, event_types: Sequence[str], share: ColumnElement[bool]) -> Select[Any]:
    """Count, for each event type and column of content, the changed events in which the column differs."""
    some = and_(func.toString(column("event_type"), type_=String).in_(event_types), share)
    events = group_events(sides, some)
    changed = select(events.c.event_id).where(has_changed(events)).scalar_subquery()
    # Between Distributed tables only GLOBAL IN asks all shards.
    # https://clickhouse.com/docs/sql-reference/operators/in#distributed-subqueries
    operator = "GLOBAL IN" if cluster_of(sides.after.table) else "IN"
    of_changed = column("event_id").op(operator, is_comparison=True)(changed)
    hashes = {f"content{place}": hash_of([name]) for place, name in enumerate(sides.columns)}
    rows = sides.union(hashes, some, of_changed)
    differences = [func.groupBitXor(rows[name], type_=Integer).label(f"differs_{name}") for name in hashes]
    by_event = select(func.any(rows["kind"]).label("named"), *differences).group_by(rows["event_id"])
    compared = by_event.subquery("compared").c
    counts = [func.toInt64(func.countIf(compared[f"differs_{name}"] != 0)).label(f"rows_{name}") for name in hashes]
    return select(compared.named.label("event_type"), *counts).group_by(compared.named)


def text_of(shown: Column[Any]) -> ColumnElement[str]:
    """Write a column's value for people; NULL stays NULL."""
    value: ColumnElement[Any] = column(quoted_name(shown.name, quote=True))
    return func.arrayStringConcat(value, ", ") if server_type(shown) == "Array(String)" else func.toString(value)


def select_events(sides: Sides, ids: Sequence[str], shown: Sequence[str]) -> Select[Any]:
    """Select these events on both sides: event_id, kind, hashes (of each column), and ``shown`` columns as text0, …"""
    hashes = func.array(*(hash_of([name]) for name in sides.columns))
    texts = {f"text{place}": text_of(sides.after.table.columns[name]) for place, name in enumerate(shown)}
    rows = sides.union({"hashes": hashes, **texts}, literal_column(has_id(ids)))
    columns = [rows[name].label(name) for name in ("event_id", "kind", "hashes", *texts)]
    return select(*columns).order_by(rows["event_id"], rows["is_after"])
