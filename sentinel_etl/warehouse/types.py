"""The types of a table's columns, as the server names them and as Arrow carries them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from clickhouse_sqlalchemy import Table
from clickhouse_sqlalchemy.types.common import ClickHouseTypeEngine
from sqlalchemy import Column
from sqlalchemy.types import UserDefinedType

from sentinel_etl.type_mapping.fact_types import FactType, fact_type

__all__ = ["JSON", "FixedString", "arrow_schema", "fact_types", "is_nullable", "server_type"]


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


def server_type(column: Column[Any]) -> str:
    """Name the column's type as ClickHouse writes it."""
    return str(column.type.compile())


def is_nullable(column: Column[Any]) -> bool:
    return fact_type(server_type(column)).nullable


def fact_types(table: Table) -> dict[str, FactType]:
    """Read the types of the table's columns: name → type.

    Raises:
        ConfigurationError: a type that this project does not load, with its column.
    """
    return {column.name: fact_type(server_type(column)) for column in table.columns}


def arrow_schema(table: Table) -> pa.Schema:
    """Give the Arrow schema of the table's rows; a field is nullable where the column is."""
    return pa.schema([pa.field(name, each.arrow, nullable=each.nullable) for name, each in fact_types(table).items()])
