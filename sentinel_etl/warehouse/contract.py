"""What a table can hold: one definition, by which rows are rejected, frames refused, and odd values counted. Pure.

Three answers to a value that a column's definition does not foresee: what its *type* or the pipeline's *bounds*
exclude costs the row its place (`find_flaws`); a frame that the table cannot hold at all is refused
(`fit_table`); a value outside the *range* that the column states is loaded, counted and told of
(`count_outside`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from clickhouse_sqlalchemy import Table

from sentinel_etl.arrow import VALUE_ERRORS, list_elements, list_rows
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.type_mapping.fact_types import FactType
from sentinel_etl.warehouse.types import arrow_schema, fact_types
from sentinel_etl.wording import plural

__all__ = ["TYPE_BOUNDS", "Bounds", "count_outside", "find_flaws", "fit_table", "ranges_of", "type_bounds"]

Bounds = Mapping[str, tuple[Any, Any]]

# What ClickHouse's types of time can hold; a value beyond would be wrapped, or cut to another.
# https://clickhouse.com/docs/sql-reference/data-types/date and …/date32, …/datetime, …/datetime64
TYPE_BOUNDS: Mapping[str, tuple[date, date]] = {
    "Date": (date(1970, 1, 1), date(2149, 6, 6)),
    "Date32": (date(1900, 1, 1), date(2299, 12, 31)),
    "DateTime": (datetime(1970, 1, 1, tzinfo=UTC), datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC)),
    "DateTime64": (datetime(1900, 1, 1, tzinfo=UTC), datetime(2299, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    # Nanoseconds since 1970 in 64 bits.
    "DateTime64(9": (datetime(1900, 1, 1, tzinfo=UTC), datetime(2262, 4, 11, 23, 47, 16, tzinfo=UTC)),
}


def type_bounds(fact: FactType) -> tuple[date, date] | None:
    """Give what the type can hold, where its Arrow type holds more."""
    if fact.name.startswith("DateTime64(9"):
        return TYPE_BOUNDS["DateTime64(9"]
    return TYPE_BOUNDS.get(fact.name.partition("(")[0])


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
    facts = fact_types(table)
    for name in rows.column_names:
        # Text inserts would write the type's zero for it.
        if missing := count_missing(rows[name], facts[name]):
            raise SchemaMismatch(
                f"{table.name}.{name} must have a value; {missing} {plural(missing, 'row has', 'rows have')} none",
                stage="load",
            )
    wanted = pa.schema([schema.field(name).with_nullable(True) for name in rows.column_names])
    kinds = rows["event_type"] if "event_type" in rows.column_names else None
    return pa.table([cast_column(rows[field.name], field, table.name, kinds) for field in wanted], schema=wanted)


def cast_column(column: pa.ChunkedArray, field: pa.Field, table: str, kinds: pa.ChunkedArray | None) -> Any:
    try:
        return column.cast(field.type)
    except VALUE_ERRORS as error:
        known = [] if kinds is None else sorted(map(str, kinds.filter(column.is_valid()).unique().to_pylist()))
        raise SchemaMismatch(
            f"a value does not fit {table}: {field.name}: expected {field.type}, found {column.type}: {error}; "
            "cast it before",
            stage="load",
            event_type=", ".join(known) or None,
        ) from error


def count_missing(values: pa.ChunkedArray, fact: FactType) -> int:
    """Count the NULLs that the column cannot hold; an absent array or map is an empty one."""
    return 0 if fact.nullable or fact.kind in ("array", "map") else int(values.null_count)


def find_flaws(rows: pa.Table, table: Table, bounds: Bounds) -> np.ndarray:
    """Find the rows that the table cannot hold, or that lie beyond the pipeline's bounds.

    In: rows that have the table's types already. Out: for each row the first reason, or None. An array's elements
    are looked at as values of their own.
    """
    reasons = np.full(rows.num_rows, None, dtype=object)
    for name, fact in fact_types(table).items():
        if name not in rows.column_names:
            continue
        column = rows[name]
        if count_missing(column, fact):
            note(reasons, pc.is_null(column), f"{name}: no value, and the fact table needs one")
        values = list_elements(column) if fact.item else column
        for wrong, reason in flaws_of(values, fact, bounds.get(name)):
            note(reasons, rows_with(wrong, column) if fact.item else wrong, f"{name}: {reason}")
    return reasons


def rows_with(wrong: pa.ChunkedArray, lists: pa.ChunkedArray) -> pa.ChunkedArray:
    """Tell which lists have an element that is wrong."""
    found = np.zeros(len(lists), dtype=bool)
    found[list_rows(lists)[pc.fill_null(wrong, False).to_numpy()]] = True
    return pa.chunked_array([pa.array(found)])


def flaws_of(
    values: pa.ChunkedArray, fact: FactType, bounds: tuple[Any, Any] | None
) -> Iterator[tuple[pa.ChunkedArray, str]]:
    """Find the values of a column, or the elements of its arrays, that the table cannot hold: which, and why."""
    each = fact.item or fact
    if fact.item and not each.nullable and values.null_count:
        yield pc.is_null(values), "an array with a NULL in it"
    if pa.types.is_string(each.arrow) and (wrong := find_no_text(values)) is not None:
        yield wrong, "bytes that are no UTF-8"
    for low, high in filter(None, (type_bounds(each), bounds)):
        if exceeds(values, low, high):
            shown = [f"{end:%Y-%m-%d}" if isinstance(end, date) else f"{end:g}" for end in (low, high)]
            yield is_outside(values, low, high), f"outside {shown[0]} to {shown[1]}"


def find_no_text(texts: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Tell which texts are no UTF-8; None: all are.

    A source in SQL_ASCII checks no encoding, and hands over whatever bytes it was given.
    """
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return pa.chunked_array([pa.array([not is_text(each) for each in texts.cast(pa.binary()).to_pylist()])])
    return None


def is_text(value: bytes | None) -> bool:
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return True


def count_outside(rows: pa.Table, table: Table) -> Counter[str]:
    """Count the values outside the ranges that the table's columns state, by column; none is 0 and not named."""
    counts: Counter[str] = Counter()
    for name, (least, most) in ranges_of(table).items():
        if name in rows.column_names and exceeds(rows[name], least, most):
            counts[name] = int(pc.sum(is_outside(rows[name], least, most)).as_py())
    return counts


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
    if pa.types.is_decimal(values.type):
        return pa.scalar(Decimal(repr(value)))  # to be cast it would need the column's digits
    if pa.types.is_timestamp(values.type):
        return pa.scalar(value).cast(values.type, safe=False)  # in a coarser unit it is cut, which is no nearer
    try:
        return pa.scalar(value).cast(values.type)
    except pa.ArrowInvalid:  # a half among integers, or more than they hold: Arrow compares it all the same
        return pa.scalar(float(value))


def note(reasons: np.ndarray, wrong: pa.ChunkedArray, reason: str) -> None:
    import pandas as pd

    rows = pc.fill_null(wrong, False).to_numpy() & pd.isna(reasons)
    reasons[rows] = reason
