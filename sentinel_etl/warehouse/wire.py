"""Writes columns as each way into ClickHouse reads them without a change: Arrow's stream, and SQL's literals. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sentinel_etl.arrow import list_elements, rebuild_lists
from sentinel_etl.type_mapping.fact_types import FactType
from sentinel_etl.warehouse.ddl import quote_identifier

__all__ = ["literal_values", "read_back", "stream_column"]


def stream_column(column: pa.ChunkedArray, fact: FactType) -> pa.ChunkedArray:
    """Write a column for an ArrowStream.

    The server reads most types from text. Where the column is IPv6 or of 128 or 256 bits it takes a text of just so
    many bytes for the value itself, so those go as the bytes that they are.
    https://clickhouse.com/docs/interfaces/formats/Arrow#data-types-matching
    """
    if fact.item:
        if fact.item.kind not in PACKERS:
            return column
        return rebuild_lists(column, stream_column(list_elements(column), fact.item))
    if (pack := PACKERS.get(fact.kind)) is None or not pa.types.is_string(column.type):
        return column
    width = 16 if fact.kind == "ipv6" else fact.bits // 8
    packed = [None if text is None else pack(text, fact) for text in column.to_pylist()]
    return pa.chunked_array([pa.array(packed, pa.binary(width))])


def pack_integer(text: str, fact: FactType) -> bytes:
    return int(text).to_bytes(fact.bits // 8, "little", signed=fact.name.startswith("I"))


def pack_address(text: str, fact: FactType) -> bytes:
    return ipaddress.IPv6Address(text).packed


PACKERS: dict[str, Callable[[str, FactType], bytes]] = {"big integer": pack_integer, "ipv6": pack_address}


# By kind: how a column is read, so that Arrow carries it as `FactType.arrow` does.
READ: dict[str, str] = {
    **dict.fromkeys(("big integer", "enum", "fixed string", "ipv4", "ipv6", "json", "uuid"), "toString({})"),
    "date": "toDate32({})",
}


def read_back(name: str, fact: FactType) -> str:
    """Write in ClickHouse's SQL a column as an answer in Arrow has it in `FactType.arrow`: what was loaded, again."""
    each = fact.item or fact
    written = READ.get(each.kind, "{}")
    if each.kind == "instant" and not each.name.startswith("DateTime64"):
        written = "toDateTime64({}, 0, 'UTC')"
    column = quote_identifier(name)
    if written == "{}":
        return column
    return f"arrayMap(x -> {written.format('x')}, {column})" if fact.item else written.format(column)


def literal_values(column: pa.ChunkedArray, fact: FactType, driver: str) -> list[Any]:
    """Write a column as the Python objects that the SQL driver renders without loss.

    Over HTTP clickhouse-sqlalchemy's escaper rounds a Decimal to a float, and writes an instant without microseconds
    and without its zone. So both go as text; the session reads a text with a zone (``date_time_input_format``).
    """
    if driver == "http":
        column = http_column(column, fact)
    values: list[Any] = column.to_pylist()
    if pa.types.is_map(column.type):
        return [dict(each or []) for each in values]
    if fact.item and fact.item.kind == "map":
        return [[dict(each) for each in listed or []] for listed in values]
    if fact.item:
        return [listed or [] for listed in values]
    if fact.kind == "big integer" and driver == "native":
        return [None if each is None else int(each) for each in values]
    return values


def http_column(column: pa.ChunkedArray, fact: FactType) -> pa.ChunkedArray:
    if fact.item and pa.types.is_list(column.type):
        return rebuild_lists(column, http_column(list_elements(column), fact.item))
    if pa.types.is_timestamp(column.type) and fact.kind == "instant":
        return instant_text(column, fact)
    if pa.types.is_decimal(column.type):
        return pa.chunked_array([pa.array([plain_digits(each) for each in column.to_pylist()], pa.string())])
    return column


def instant_text(column: pa.ChunkedArray, fact: FactType) -> pa.ChunkedArray:
    """Write instants in UTC, and say so where the server would read them in another zone."""
    # Arrow's %S writes the seconds with the unit's fraction.
    clock = pc.strftime(column.cast(pa.timestamp(fact.arrow.unit, tz="UTC")), "%Y-%m-%d %H:%M:%S")
    return clock if "'UTC'" in fact.parameters else pc.binary_join_element_wise(clock, "Z", "")


def plain_digits(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"
