"""Conditions on a warehouse table's rows: which are a window's, which are staged; and their hash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from clickhouse_sqlalchemy import Table
from sqlalchemy import (
    ColumnElement,
    Engine,
    Integer,
    and_,
    column,
    func,
    literal_column,
    select,
)
from sqlalchemy.sql import quoted_name

from sentinel_etl.config.fact_table import content_columns
from sentinel_etl.warehouse.ddl import cluster_of
from sentinel_etl.warehouse.query import read_number, run_statement
from sentinel_etl.warehouse.types import arrow_schema
from sentinel_etl.window import Window

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "PARTITION_ID",
    "count_all",
    "count_rows",
    "hash_content",
    "hash_of",
    "in_partition",
    "in_time_window",
    "instant",
    "is_staged",
    "now_for",
    "row_hash",
    "rows_of_window",
]

# The virtual column that names a row's partition.
# https://clickhouse.com/docs/engines/table-engines/mergetree-family/mergetree#virtual-columns
PARTITION_ID: ColumnElement[str] = literal_column("_partition_id")


def row_hash(table: Table) -> ColumnElement[int]:
    """Build the hash of one row's content."""
    return hash_of(content_columns(table))


def hash_of(names: Sequence[str]) -> ColumnElement[int]:
    """Build the hash of these columns of one row; NULL has one, too, in a tuple."""
    columns: list[ColumnElement[Any]] = [column(quoted_name(name, quote=True)) for name in names]
    return func.cityHash64(func.tuple(*columns), type_=Integer)


def hash_content(table: Table, warehouse: Engine) -> str:
    """Hash the content of a table's rows, in any order: 16 hexadecimal digits."""
    total = select(func.lower(func.hex(func.sum(row_hash(table))))).select_from(table)
    [[digits]] = run_statement(warehouse, total, repeatable=True) or [[""]]
    return str(digits).zfill(16)


def rows_of_window(table: Table, window: Window, event_types: Sequence[str] | None) -> ColumnElement[bool]:
    """Build the condition that a run of the window and these event types owns a row.

    None: a run of all the types, which owns every row of its window, also of types that the configuration has no more.
    """
    in_time = in_time_window(table, window)
    return in_time if event_types is None else and_(in_time, table.c.event_type.in_(list(event_types)))


def in_time_window(table: Table, window: Window) -> ColumnElement[bool]:
    """Build the condition that a row's event happened in the window."""
    return and_(table.c.event_timestamp >= instant(window.start), table.c.event_timestamp < instant(window.end))


def instant(moment: object) -> ColumnElement[object]:
    """Write an instant as a literal with microseconds, which the HTTP driver's own escaping drops."""
    return func.toDateTime64(f"{moment:%Y-%m-%d %H:%M:%S.%f}", literal_column("6"), "UTC")


def is_staged(fact_table: Table, staging: Table) -> ColumnElement[bool]:
    """Build the condition that a row's event is in staging, wherever its timestamp was before.

    Between two Distributed tables only GLOBAL IN asks all shards.
    https://clickhouse.com/docs/sql-reference/operators/in#distributed-subqueries
    """
    operator = "GLOBAL IN" if cluster_of(fact_table) else "IN"
    column: ColumnElement[str] = fact_table.c.event_id
    return column.op(operator, is_comparison=True)(select(staging.c.event_id).scalar_subquery())


def now_for(table: Table) -> pd.Timestamp:
    """Give the time of day as the table's loaded_at can hold it: to the second, or to a fraction of one."""
    import pandas as pd

    unit = arrow_schema(table).field("loaded_at").type.unit
    return pd.Timestamp.now("UTC").floor(unit).as_unit(unit)


def count_rows(table: Table, condition: ColumnElement[bool], warehouse: Engine) -> int:
    counted = select(func.count()).select_from(table).where(condition)
    return read_number(warehouse, counted)


def count_all(table: Table, warehouse: Engine) -> int:
    return read_number(warehouse, select(func.count()).select_from(table))


def in_partition(partition: str) -> ColumnElement[bool]:
    return PARTITION_ID.op("=", is_comparison=True)(partition)
