"""The types of a table's columns, as the server names them and as Arrow carries them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from clickhouse_sqlalchemy import Table
from clickhouse_sqlalchemy.types.common import ClickHouseTypeEngine
from sqlalchemy import Column
from sqlalchemy.types import UserDefinedType

from sentinel_etl.errors import ConfigurationError
from sentinel_etl.type_mapping.fact_types import FactType, fact_type

__all__ = [
    "JSON",
    "FixedString",
    "NamedType",
    "arrow_schema",
    "column_type",
    "fact_types",
    "is_nullable",
    "server_type",
]


class FixedString(UserDefinedType[str], ClickHouseTypeEngine):  # type: ignore[misc]
    """ClickHouse's FixedString(N), which clickhouse-sqlalchemy has no type for."""

    cache_ok = True

    def __init__(self, length: int) -> None:
        self.length = length

    def get_col_spec(self, **_: Any) -> str:
        return f"FixedString({self.length})"


class JSON(UserDefinedType[Any], ClickHouseTypeEngine):  # type: ignore[misc]
    """ClickHouse's JSON, which clickhouse-sqlalchemy has no type for."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "JSON"


class NamedType(UserDefinedType[Any], ClickHouseTypeEngine):  # type: ignore[misc]
    """A type by the server's name for it, as it is kept of a table that the code may define otherwise now."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        return self.name


def server_type(column: Column[Any]) -> str:
    """Name the column's type as ClickHouse writes it.

    Raises:
        ConfigurationError: it cannot be written, as an Enum8 of words instead of a Python enum.
    """
    try:
        return str(column.type.compile())
    except Exception as error:
        raise ConfigurationError(
            f"{column}: expected a type of clickhouse-sqlalchemy that can be written, such as String() or "
            f"Enum8(a Python enum of names and numbers); found {column.type!r}, which fails with "
            f"{type(error).__name__}: {error}"
        ) from error


def column_type(column: Column[Any]) -> FactType:
    """Read the column's type.

    Raises:
        ConfigurationError: a type that this project does not load, with its column.
    """
    name = server_type(column)
    try:
        return fact_type(name)
    except ConfigurationError as error:
        raise ConfigurationError(f"{column}: {error}") from error


def is_nullable(column: Column[Any]) -> bool:
    return column_type(column).nullable


def fact_types(table: Table) -> dict[str, FactType]:
    """Read the types of the table's columns: name → type.

    Raises:
        ConfigurationError: a type that this project does not load, with its column.
    """
    return {column.name: column_type(column) for column in table.columns}


def arrow_schema(table: Table) -> pa.Schema:
    """Give the Arrow schema of the table's rows; a field is nullable where the column is."""
    return pa.schema([pa.field(name, each.arrow, nullable=each.nullable) for name, each in fact_types(table).items()])
