"""What a table can hold: one definition, by which rows are rejected, frames refused, and odd values counted. Pure.

Three answers to a value that a column's definition does not foresee: what its *type* or the pipeline's *bounds*
exclude costs the row its place (`find_flaws`); a frame that the table cannot hold at all is refused
(`fit_table`); a value outside the *range* that the column states is loaded, counted and told of
(`count_outside`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from clickhouse_sqlalchemy import Table
from sqlalchemy import Column

from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.warehouse.types import arrow_schema, server_type

__all__ = ["TYPE_BOUNDS", "Bounds", "count_outside", "find_flaws", "find_uncastable", "fit_table", "ranges_of"]

Bounds = Mapping[str, tuple[Any, Any]]

# What ClickHouse's types of time can hold; a value beyond would be wrapped, or cut to another.
# https://clickhouse.com/docs/sql-reference/data-types/date and …/date32, …/datetime, …/datetime64
TYPE_BOUNDS: Mapping[str, tuple[date, date]] = {
    "Date": (date(1970, 1, 1), date(2149, 6, 6)),
    "Date32": (date(1900, 1, 1), date(2299, 12, 31)),
    "DateTime": (datetime(1970, 1, 1, tzinfo=UTC), datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC)),
    "DateTime64": (datetime(1900, 1, 1, tzinfo=UTC), datetime(2299, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
}


def ranges_of(table: Table) -> dict[str, tuple[float | None, float | None]]:
    """Collect the ranges that the table's columns state: column → least and most, ends included; None: no end."""
    return {column.name: column.info["range"] for column in table.columns if "range" in column.info}


def fit_table(rows: pa.Table, table: Table) -> pa.Table:
    """Cast rows to the table's Arrow types, columns in the rows' own order.

    Raises:
        SchemaMismatch: a column that the table does not have, a NULL where none may be, or a value that
            does not fit.
    """
    schema = arrow_schema(table)
    unknown = [name for name in rows.column_names if name not in schema.names]
    if unknown:
        raise SchemaMismatch(f"{table.name} has no column {', '.join(unknown)}", stage="load")
    for name in rows.column_names:
        # Text inserts would write the type's zero for it.
        if missing := count_missing(rows[name], schema.field(name)):
            raise SchemaMismatch(f"{table.name}.{name} must have a value; {missing} rows have none", stage="load")
    wanted = [schema.field(name).with_nullable(True) for name in rows.column_names]
    try:
        return rows.cast(pa.schema(wanted))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise SchemaMismatch(f"a value does not fit {table.name}: {error}", stage="load") from error


def count_missing(values: pa.ChunkedArray, field: pa.Field) -> int:
    """Count the NULLs that the column cannot hold; an absent array is an empty one."""
    return 0 if field.nullable or pa.types.is_list(field.type) else int(values.null_count)


def find_flaws(rows: pa.Table, table: Table, bounds: Bounds) -> np.ndarray:
    """Find the rows that the table cannot hold, or that lie beyond the pipeline's bounds.

    In: rows that have the table's types already. Out: for each row the first reason, or None.
    """
    reasons = np.full(rows.num_rows, None, dtype=object)
    schema = arrow_schema(table)
    for column in table.columns:
        name = column.name
        if name not in rows.column_names:
            continue
        values, field = rows[name], schema.field(name)
        if count_missing(values, field):
            note(reasons, pc.is_null(values), f"{name}: no value, and the fact table needs one")
        if pa.types.is_string(field.type):
            note_encoding(values, name, reasons)
        if pa.types.is_list(field.type):
            note_null_elements(values, name, reasons)
        for low, high in filter(None, (TYPE_BOUNDS.get(plain_type(column)), bounds.get(name))):
            note_outside(values, name, low, high, reasons)
    return reasons


def count_outside(rows: pa.Table, table: Table) -> Counter[str]:
    """Count the values outside the ranges that the table's columns state, by column; none is 0 and not named."""
    counts: Counter[str] = Counter()
    for name, (least, most) in ranges_of(table).items():
        if name in rows.column_names and exceeds(rows[name], least, most):
            counts[name] = int(pc.sum(is_outside(rows[name], least, most)).as_py())
    return counts


def plain_type(column: Column[Any]) -> str:
    """Name the column's type without what wraps it, and without its parameters: ``DateTime64``."""
    return re.sub(r"Nullable\(|LowCardinality\(", "", server_type(column)).partition("(")[0].rstrip(")")


def exceeds(values: pa.ChunkedArray, low: Any, high: Any) -> bool:
    """Tell whether any value lies outside, from the least and the greatest: most columns have none that does."""
    found = pc.min_max(values)
    if not found["min"].is_valid:
        return False
    below = low is not None and pc.less(found["min"], bound(low, values)).as_py()
    above = high is not None and pc.greater(found["max"], bound(high, values)).as_py()
    return bool(below or above)


def is_outside(values: pa.ChunkedArray, low: Any, high: Any) -> pa.ChunkedArray:
    """Tell of each value whether it lies outside; NULL does not."""
    sides = [pc.less(values, bound(low, values))] if low is not None else []
    sides += [pc.greater(values, bound(high, values))] if high is not None else []
    outside = sides[0] if len(sides) == 1 else pc.or_(*sides)
    return pc.fill_null(outside, False)


def bound(value: Any, values: pa.ChunkedArray) -> pa.Scalar:
    return pa.scalar(value).cast(values.type)


def note(reasons: np.ndarray, wrong: pa.ChunkedArray, reason: str) -> None:
    rows = pc.fill_null(wrong, False).to_numpy() & pd.isna(reasons)
    reasons[rows] = reason


def note_outside(values: pa.ChunkedArray, name: str, low: Any, high: Any, reasons: np.ndarray) -> None:
    if exceeds(values, low, high):
        shown = [f"{end:%Y-%m-%d}" if isinstance(end, date) else f"{end:g}" for end in (low, high)]
        note(reasons, is_outside(values, low, high), f"{name}: outside {shown[0]} to {shown[1]}")


def note_encoding(texts: pa.ChunkedArray, name: str, reasons: np.ndarray) -> None:
    """A source in SQL_ASCII checks no encoding, and hands over whatever bytes it was given."""
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        wrong = np.zeros(len(texts), dtype=bool)
        wrong[find_uncastable(texts.cast(pa.binary()), pa.string())] = True
        note(reasons, pa.chunked_array([pa.array(wrong)]), f"{name}: bytes that are no UTF-8")


def note_null_elements(lists: pa.ChunkedArray, name: str, reasons: np.ndarray) -> None:
    """ClickHouse has no Array(Nullable) here: an element that is unknown cannot be told from 0."""
    if pc.list_flatten(lists).null_count == 0:
        return
    whole = lists.combine_chunks()
    whole = whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)
    rows = pc.list_parent_indices(whole).filter(pc.is_null(pc.list_flatten(whole)))
    wrong = np.zeros(len(whole), dtype=bool)
    wrong[rows.to_numpy()] = True
    note(reasons, pa.chunked_array([pa.array(wrong)]), f"{name}: an array with a NULL in it")


def find_uncastable(column: pa.ChunkedArray, wanted: pa.DataType, first: int = 0) -> list[int]:
    """Find the rows whose value cannot be cast, by halving: a stretch that can be cast is done with at once."""
    with suppress(pa.ArrowInvalid):
        column.cast(wanted)
        return []
    if len(column) == 1:
        return [first]
    half = len(column) // 2
    before = find_uncastable(column.slice(0, half), wanted, first)
    return before + find_uncastable(column.slice(half), wanted, first + half)
