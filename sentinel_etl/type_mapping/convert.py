"""Turns carried values into a fact type's, value by value without loss. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sentinel_etl.arrow import list_elements, list_rows, local_date, rebuild_lists
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.type_mapping.fact_types import UNIT_DIGITS, FactType
from sentinel_etl.type_mapping.read_texts import LEAST, READERS
from sentinel_etl.type_mapping.unfit import Unfit, apply_where_it_fits, cast_values, refuse

__all__ = ["convert", "find_misfits"]


def convert(values: pa.ChunkedArray, fact: FactType, zone: ZoneInfo) -> pa.ChunkedArray:
    """Convert a column to the fact type's Arrow type.

    Text is read as what PostgreSQL writes. A number's NaN becomes NULL; an instant becomes the date in ``zone``.

    Raises:
        SchemaMismatch: no value of the column's type can be one of the fact type.
        Unfit: some value cannot, such as a number beyond the type, or digits that it has no place for; it tells
            which rows these are.
    """
    if values.type == fact.arrow and (fact.item or fact).kind in AS_IT_IS:
        return values
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_null(values.type):
        return pa.chunked_array([pa.nulls(len(values), fact.arrow)])
    if fact.item and pa.types.is_list(values.type):
        return convert_lists(values, fact.item, zone)
    found = arrow_family(values.type)
    if fact.kind not in TAKEN.get(found, ()):
        raise SchemaMismatch(f"no value of a column of {values.type} is one of {fact.name}")
    if found == "text" and (read := READERS.get(fact.kind)):
        return read(values, fact)
    if fact.kind == "date" and found == "instant":
        return local_date(values, zone, timedelta(0))
    if fact.kind == "big integer" or (fact.kind == "decimal" and found == "integer"):
        return READERS[fact.kind](values.cast(pa.string()), fact)
    if fact.kind == "single" and found == "float":
        return to_single(values)
    converted = cast_values(values, fact.arrow)
    if fact.kind == "instant":
        refuse_finer(converted, fact)
    return converted


def convert_lists(lists: pa.ChunkedArray, item: FactType, zone: ZoneInfo) -> pa.ChunkedArray:
    try:
        return rebuild_lists(lists, convert(list_elements(lists), item, zone))
    except Unfit as error:
        rows = np.zeros(len(lists), dtype=bool)
        rows[list_rows(lists)[error.rows]] = True
        raise Unfit(str(error), rows) from error


def find_misfits(values: pa.ChunkedArray, fact: FactType, zone: ZoneInfo) -> list[int]:
    """Find the rows whose value does not fit."""
    _, wrong = apply_where_it_fits(partial(convert, fact=fact, zone=zone), values)
    return np.flatnonzero(wrong).tolist()


def arrow_family(kind: pa.DataType) -> str:
    tests: tuple[tuple[str, Callable[[pa.DataType], bool]], ...] = (
        ("boolean", pa.types.is_boolean),
        ("integer", pa.types.is_integer),
        ("float", pa.types.is_floating),
        ("decimal", pa.types.is_decimal),
        ("text", pa.types.is_string),
        ("text", pa.types.is_large_string),
        ("bytes", pa.types.is_binary),
        ("date", pa.types.is_date),
        ("map", pa.types.is_map),
    )
    if pa.types.is_timestamp(kind):
        return "clock" if kind.tz is None else "instant"
    return next((name for name, fits in tests if fits(kind)), "other")


# By family of the Arrow type: the kinds of `fact_types.FactType` that `pairs.PAIRS` has for what is carried so, and
# those that a frame made by hand may hold besides, where Arrow's own cast raises rather than change a value.
NUMBER_KINDS = ("integer", "big integer", "decimal", "double", "single", "string")
TAKEN: Mapping[str, tuple[str, ...]] = {
    "boolean": ("boolean", "integer", "string"),
    "integer": NUMBER_KINDS,
    "float": ("double", "single", "integer"),
    "decimal": NUMBER_KINDS,
    "text": (*NUMBER_KINDS, "boolean", "fixed string", "enum", "uuid", "ipv4", "ipv6", "json", "map"),
    "bytes": ("string",),
    "date": ("date", "string"),
    "instant": ("instant", "date"),
    "map": ("map",),
}


# Kinds whose Arrow type holds no value that the fact type does not; what it does not hold of dates is the contract's.
AS_IT_IS = frozenset({"boolean", "integer", "double", "single", "decimal", "date", "string", "map"})


def to_single(values: pa.ChunkedArray) -> pa.ChunkedArray:
    singles = values.cast(pa.float32())
    size = pc.abs(values)
    beyond = pc.and_(pc.is_inf(singles), pc.is_finite(values))
    refuse(pc.or_(beyond, pc.and_(pc.greater(size, 0.0), pc.less(size, LEAST[pa.float32()]))), "beyond Float32")
    return singles


def refuse_finer(instants: pa.ChunkedArray, fact: FactType) -> None:
    """Refuse what the type's last digit rounds away, where Arrow's unit has more digits."""
    more = UNIT_DIGITS[fact.arrow.unit] - fact.digits
    if more > 0 and fact.name.startswith("DateTime64"):
        ticks = instants.cast(pa.int64())
        step = pa.scalar(10**more, pa.int64())
        refuse(pc.not_equal(pc.multiply(pc.divide(ticks, step), step), ticks), "an instant with more digits")
