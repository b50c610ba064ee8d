"""Inserts Arrow tables into ClickHouse: as one ArrowStream over HTTP, or in chunks through pandas' own writer."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Iterable
from functools import partial
from itertools import chain
from typing import Any

import pyarrow as pa
from clickhouse_sqlalchemy import Table
from sqlalchemy import Engine

from sentinel_etl.arrow import VALUE_ERRORS
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.type_mapping.fact_types import FactType
from sentinel_etl.warehouse.catalog import has_table
from sentinel_etl.warehouse.ddl import quote_identifier
from sentinel_etl.warehouse.failures import CONNECTION_ERRORS, warehouse_failed
from sentinel_etl.warehouse.projections import WRITE_SETTINGS
from sentinel_etl.warehouse.query import open_arrow_client
from sentinel_etl.warehouse.session import only_settable
from sentinel_etl.warehouse.types import fact_types
from sentinel_etl.warehouse.wire import literal_values, stream_column

__all__ = ["CHUNK_ROWS", "INSERT_SETTINGS", "check_there", "insert_arrow", "insert_sql"]

CHUNK_ROWS = 20_000

# A fifth of the bytes: what LZ4 costs is less than what copying them through two sockets' ends does.
IPC_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")

# What costs less so, beside what `session.PINNED` has for every statement; left out where it cannot be set.
INSERT_SETTINGS = {
    # One part for what half a gigabyte holds, a million and a half rows: a window of less is switched as it
    # is, with no merge before.
    "min_insert_block_size_rows": "0",
    "min_insert_block_size_bytes": str(1 << 29),
    # A fifth of a second for a million rows, and nothing here is planned by them.
    "materialize_statistics_on_insert": "0",
    **WRITE_SETTINGS,
}


def insert_arrow(tables: Iterable[pa.Table], table: Table, warehouse: Engine) -> int:
    """Send all tables, of the same columns, as the body of one insert, made as the server takes it; return their rows.

    An interruption leaves the blocks that the server had written; a block is there in whole or not at all.

    Raises:
        WarehouseUnreachable: the server does not answer.
        SentinelError: the server refuses the insert.
    """
    waiting = (pa.table(write_columns(each, table, stream_column)) for each in tables)
    first = next(waiting, None)
    if first is None:
        return 0
    schema, batches, rows = first.schema, chain([first], waiting), 0
    del first  # so that it is not in memory to the end

    def body() -> Generator[bytes, None, None]:
        nonlocal rows
        buffer = io.BytesIO()
        with pa.ipc.new_stream(buffer, schema, options=IPC_OPTIONS) as writer:
            for batch in batches:
                writer.write_table(batch)
                rows += batch.num_rows
                del batch
                yield buffer.getvalue()
                buffer.seek(0)
                buffer.truncate()
        yield buffer.getvalue()

    with open_arrow_client(warehouse) as client:
        settings = only_settable(warehouse, INSERT_SETTINGS)
        client.raw_insert(
            quote_identifier(table.name), schema.names, insert_block=body(), settings=settings, fmt="ArrowStream"
        )
    return rows


def insert_sql(tables: Iterable[pa.Table], table: Table, warehouse: Engine, chunk_rows: int = CHUNK_ROWS) -> int:
    """Send each table through pandas' own writer, in chunks; return their rows.

    An interruption leaves whole chunks.

    Raises:
        SchemaMismatch: the table is not there.
        WarehouseUnreachable: the server does not answer.
        SentinelError: the server refuses the insert.
    """
    import pandas as pd

    types = {column.name: column.type for column in table.columns}
    write = partial(literal_values, driver=warehouse.dialect.driver)
    rows = 0
    for batch in tables:
        if not rows:
            check_there(table, warehouse)
        columns = write_columns(batch, table, write)
        frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
        try:
            with warehouse.connect() as connection:
                frame.to_sql(table.name, connection, if_exists="append", index=False, chunksize=chunk_rows, dtype=types)
        except CONNECTION_ERRORS as error:
            raise warehouse_failed(warehouse, error) from error
        rows += batch.num_rows
    return rows


def write_columns(rows: pa.Table, table: Table, write: Callable[[pa.ChunkedArray, FactType], Any]) -> dict[str, Any]:
    facts, written = fact_types(table), {}
    for name in rows.column_names:
        try:
            written[name] = write(rows[name], facts[name])
        except VALUE_ERRORS as error:
            raise SchemaMismatch(
                f"a value does not fit {table.name}: {name}: expected {facts[name].name}, found {error}; "
                "cast it before",
                stage="load",
            ) from error
    return written


def check_there(table: Table, warehouse: Engine) -> None:
    """Refuse a table that is not there: pandas would try to make one of its own idea."""
    if not has_table(warehouse, table.name):
        raise SchemaMismatch(f"expected a table {table.name} in the warehouse, found none", stage="load")
