"""Writes fact rows into a warehouse table, by either of two loaders that leave the same bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import pandas as pd
from clickhouse_sqlalchemy import Table
from sqlalchemy import Engine

from sentinel_etl.errors import ConfigurationError
from sentinel_etl.type_mapping.unfit import table_of
from sentinel_etl.warehouse.contract import fit_table
from sentinel_etl.warehouse.insert import CHUNK_ROWS, insert_arrow, insert_sql

__all__ = ["Loader", "load_data", "load_stream"]

Loader = Literal["auto", "arrow", "to_sql"]


def load_data(
    frame: pd.DataFrame,
    table: Table,
    warehouse: Engine,
    chunk_rows: int = CHUNK_ROWS,
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
    chunk_rows: int = CHUNK_ROWS,
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
    tables = (fit_table(table_of(frame, "load"), table) for frame in filter(len, frames))
    if loader == "arrow":
        return insert_arrow(tables, table, warehouse)
    return insert_sql(tables, table, warehouse, chunk_rows)
