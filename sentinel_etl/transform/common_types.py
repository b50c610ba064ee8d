"""Gives columns of several Arrow types one that holds the values of all without a change. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from sentinel_etl.arrow import list_elements, rebuild_lists
from sentinel_etl.type_mapping.number_texts import number_text

__all__ = ["with_common_type"]


def with_common_type(columns: Sequence[pa.ChunkedArray]) -> list[pa.ChunkedArray]:
    """Widen numbers among themselves; where a value is in the way, or one column is text, all become text.

    A numeric of the source is carried as text, so one event type's numbers may be texts beside another's integers.

    Raises:
        ArrowInvalid: types that have nothing in common, such as an instant and a text.
    """
    types = {column.type for column in columns if not pa.types.is_null(column.type)}
    if len(types) <= 1:
        return list(columns)
    if all(map(pa.types.is_list, types)):
        elements = with_common_type([list_elements(column) for column in columns if pa.types.is_list(column.type)])
        rebuilt = iter(elements)
        return [rebuild_lists(column, next(rebuilt)) if pa.types.is_list(column.type) else column for column in columns]
    if all(is_number(each) or is_text(each) for each in types):
        try:
            if not any(map(is_text, types)):
                return widened(columns)
        except pa.ArrowInvalid:  # an integer that no double holds
            pass
        return [number_text(column) if is_number(column.type) else column for column in columns]
    if len({arrow_kind(each) for each in types}) > 1:
        raise pa.ArrowInvalid(f"no type for {', '.join(sorted(map(str, types)))}")
    return widened(columns)


def widened(columns: Sequence[pa.ChunkedArray]) -> list[pa.ChunkedArray]:
    tables = [pa.table({"value": column}) for column in columns]
    whole = pa.concat_tables(tables, promote_options="permissive")["value"]
    ends = [sum(len(column) for column in columns[: place + 1]) for place in range(len(columns))]
    return [whole.slice(end - len(column), len(column)) for end, column in zip(ends, columns, strict=True)]


def is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def arrow_kind(kind: pa.DataType) -> str:
    """Name what a type's values are, whatever its unit, zone or width."""
    tests = (pa.types.is_timestamp, pa.types.is_date, pa.types.is_decimal, pa.types.is_boolean)
    return next((test.__name__ for test in tests if test(kind)), str(kind))
