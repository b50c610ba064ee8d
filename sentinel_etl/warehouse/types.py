"""ClickHouse's column types, and the Arrow types that carry them without loss."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa
from clickhouse_sqlalchemy import Table
from sqlalchemy import Column

from sentinel_etl.errors import ConfigurationError

__all__ = ["arrow_schema", "is_nullable", "server_type"]


ARROW_TYPES: dict[str, pa.DataType] = {
    "Bool": pa.bool_(),
    "Date": pa.date32(),
    "Date32": pa.date32(),
    "Float32": pa.float32(),
    "Float64": pa.float64(),
    "String": pa.string(),
    **{f"Int{bits}": getattr(pa, f"int{bits}")() for bits in (8, 16, 32, 64)},
    **{f"UInt{bits}": getattr(pa, f"uint{bits}")() for bits in (8, 16, 32, 64)},
}


def arrow_type(server_type: str) -> pa.DataType:
    """Map a ClickHouse type's name to the Arrow type that carries it without loss.

    Raises:
        ConfigurationError: a type that this project does not load.
    """
    if wrapped := re.fullmatch(r"(?:Nullable|LowCardinality)\((.+)\)", server_type):
        return arrow_type(wrapped[1])
    if item := re.fullmatch(r"Array\((.+)\)", server_type):
        return pa.list_(arrow_type(item[1]))
    if instant := re.fullmatch(r"DateTime64\((\d)(?:, *'(.+)')?\)", server_type):
        unit = {"0": "s", "3": "ms", "6": "us", "9": "ns"}.get(instant[1])
        if unit:
            return pa.timestamp(unit, tz=instant[2] or "UTC")
    if instant := re.fullmatch(r"DateTime(?:\('(.+)'\))?", server_type):
        return pa.timestamp("s", tz=instant[1] or "UTC")
    if server_type in ARROW_TYPES:
        return ARROW_TYPES[server_type]
    raise ConfigurationError(
        f"fact table: expected a type among {', '.join(ARROW_TYPES)}, DateTime, DateTime64(0|3|6|9), "
        f"Nullable, LowCardinality and Array of these, found {server_type}"
    )


def server_type(column: Column[Any]) -> str:
    """Name the column's type as ClickHouse writes it."""
    return str(column.type.compile())


def is_nullable(column: Column[Any]) -> bool:
    return "Nullable(" in server_type(column) and not server_type(column).startswith("Array(")


def arrow_schema(table: Table) -> pa.Schema:
    """Give the Arrow schema of the table's rows; a field is nullable where the column is."""
    return pa.schema([pa.field(c.name, arrow_type(server_type(c)), nullable=is_nullable(c)) for c in table.columns])
