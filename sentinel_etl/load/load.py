"""Writes fact rows into a warehouse table, by either of two loaders that leave the same bytes."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterable, Iterator
from itertools import chain
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from clickhouse_sqlalchemy import Table
from sqlalchemy import Engine

from sentinel_etl.arrow import as_arrow
from sentinel_etl.errors import ConfigurationError, SchemaMismatch
from sentinel_etl.warehouse.arrow_client import open_arrow_client
from sentinel_etl.warehouse.ddl import quote
from sentinel_etl.warehouse.failures import CONNECTION_ERRORS, warehouse_failed
from sentinel_etl.warehouse.projections import WRITE_SETTINGS
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.types import arrow_schema

__all__ = ["Loader", "load_data", "load_stream"]


Loader = Literal["auto", "arrow", "to_sql"]

# A fifth of the bytes: what LZ4 costs is less than what copying them through two sockets' ends does.
IPC_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")

# Those that a server does not know are left out.
INSERT_SETTINGS = {
    # A NULL for a Nullable column is a NULL, not the column's default.
    "input_format_null_as_default": "0",
    # Two equal blocks are two: see `warehouse.with_server_settings`.
    "insert_deduplicate": "0",
    "deduplicate_insert": "disable",
    # Through a Distributed table: acknowledged when the shards have the rows.
    "insert_distributed_sync": "1",
    # One part for what half a gigabyte holds, a million and a half rows: a window of less is switched as it
    # is, with no merge before.
    "min_insert_block_size_rows": "0",
    "min_insert_block_size_bytes": str(1 << 29),
    # A fifth of a second for a million rows, and nothing here is planned by them.
    "materialize_statistics_on_insert": "0",
    **WRITE_SETTINGS,
}


def load_data(
    frame: pd.DataFrame,
    table: Table,
    warehouse: Engine,
    chunk_rows: int = 20_000,
    loader: Loader = "auto",
) -> int:
    """Append the frame's rows to the table and return how many were written.

    In: columns of the table, any order, Arrow-backed or not; columns left out get their default.
    ``loader="arrow"`` sends one ArrowStream insert over HTTP; ``"to_sql"`` sends
    ``DataFrame.to_sql`` chunks of ``chunk_rows`` through clickhouse-sqlalchemy; ``"auto"`` takes
    Arrow over HTTP and to_sql over the native protocol.

    An interruption leaves the blocks that the server had written; a block is there in whole or not
    at all. So load into a staging table, as `run_window` does.

    Raises:
        ConfigurationError: Arrow was asked for over the native protocol.
        SchemaMismatch: a column that the table does not have, or values that do not fit.
        WarehouseUnreachable: the server does not answer.
    """
    return load_stream([frame], table, warehouse, chunk_rows, loader)


def load_stream(
    frames: Iterable[pd.DataFrame],
    table: Table,
    warehouse: Engine,
    chunk_rows: int = 20_000,
    loader: Loader = "auto",
) -> int:
    """Append frames of the same columns, one in memory at a time; otherwise as `load_data`."""
    protocol = warehouse.dialect.driver
    if loader == "auto":
        loader = "arrow" if protocol == "http" else "to_sql"
    if loader == "arrow" and protocol != "http":
        raise ConfigurationError(
            f"loader: expected clickhouse+http:// for the Arrow loader, found clickhouse+{protocol}://; "
            "use to_sql, or the HTTP URL"
        )
    tables = (fit_table(as_arrow(frame), table) for frame in filter(len, frames))
    if loader == "arrow":
        return write_arrow(tables, table, warehouse)
    return write_sql(tables, table, warehouse, chunk_rows)


def write_arrow(tables: Iterator[pa.Table], table: Table, warehouse: Engine) -> int:
    """Send all tables as the body of one insert, made as the server takes it."""
    first = next(tables, None)
    if first is None:
        return 0
    schema, batches, rows = first.schema, chain([first], tables), 0
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
        settings = {name: value for name, value in INSERT_SETTINGS.items() if name in client.server_settings}
        client.raw_insert(table.name, schema.names, insert_block=body(), settings=settings, fmt="ArrowStream")
    return rows


def fit_table(rows: pa.Table, table: Table) -> pa.Table:
    """Cast to the table's Arrow types, columns in the frame's order."""
    schema = arrow_schema(table)
    unknown = [name for name in rows.column_names if name not in schema.names]
    if unknown:
        raise SchemaMismatch(f"load: {table.name} has no column {', '.join(unknown)}", stage="load")
    for name in rows.column_names:
        field, nulls = schema.field(name), rows[name].null_count
        # Text inserts would write the type's zero for it.
        if nulls and not field.nullable and not pa.types.is_list(field.type):
            raise SchemaMismatch(f"load: {table.name}.{name} must have a value; {nulls} rows have none", stage="load")
    wanted = [schema.field(name).with_nullable(True) for name in rows.column_names]
    try:
        return rows.cast(pa.schema(wanted))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise SchemaMismatch(f"load: a value does not fit {table.name}: {error}", stage="load") from error


def write_sql(tables: Iterator[pa.Table], table: Table, warehouse: Engine, chunk_rows: int) -> int:
    """Send each table through pandas' own writer."""
    types = {column.name: column.type for column in table.columns}
    rows = 0
    for batch in tables:
        if not rows:
            check_there(table, warehouse)
        frame = pd.DataFrame({name: sql_values(batch[name], warehouse) for name in batch.column_names})
        try:
            with warehouse.connect() as connection:
                frame.to_sql(table.name, connection, if_exists="append", index=False, chunksize=chunk_rows, dtype=types)
        except CONNECTION_ERRORS as error:
            raise warehouse_failed(warehouse, error) from error
        rows += batch.num_rows
    return rows


def check_there(table: Table, warehouse: Engine) -> None:
    """Refuse a table that is not there: pandas would try to make one of its own idea."""
    there = run_statement(warehouse, f"EXISTS TABLE {quote(table.name)}")
    if not there[0][0]:
        raise SchemaMismatch(f"load: expected a table {table.name} in the warehouse, found none", stage="load")


def sql_values(column: pa.ChunkedArray, warehouse: Engine) -> Any:
    """Give a column's values as the Python objects that the driver renders without loss.

    clickhouse-sqlalchemy's HTTP escaper writes a datetime without its microseconds, so over HTTP an
    instant goes as text.
    """
    if pa.types.is_timestamp(column.type) and warehouse.dialect.driver == "http":
        # Arrow's %S writes the seconds with the unit's fraction.
        column = pc.strftime(column.cast(pa.timestamp("us", tz="UTC")), "%Y-%m-%d %H:%M:%S")
    return pd.Series(column.to_pylist(), dtype=object)
