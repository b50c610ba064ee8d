"""Other ways from the source to the warehouse, to be measured beside ours on the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

import pandas as pd
import psycopg
from clickhouse_sqlalchemy import Table, engines, types
from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    DateTime,
    Engine,
    MetaData,
    Numeric,
    String,
    cast,
    literal,
    null,
    select,
    text,
    union_all,
)
from sqlalchemy import Integer as AnyInteger
from sqlalchemy.types import TypeEngine

from sentinel_etl.extract.statements import select_events
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.source.sql import compile_sql
from sentinel_etl.warehouse.tables import create_table
from sentinel_etl.window import Window

__all__ = ["RUST_MOVERS", "drain_copy", "joined_view", "move_by_pandas", "move_by_rust"]

RUST_MOVERS = ("quickhouse", "etlhouse")
VIEW = "joined_events"

# What the literal path orders its table by.
KEYS = ("event_type", "source_key")


def drain_copy(source: Engine, window: Window) -> int:
    """Read the very statements of the pipeline by binary COPY, one after the other, and keep nothing.

    Returns the bytes. The floor: what PostgreSQL and one connection need to hand the rows over.
    """
    drained = 0
    url = source.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, options="-c timezone=UTC") as connection, connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        for kind in SENTINEL.event_types.values():
            with cursor.copy(f"COPY ({compile_sql(select_events(kind, window))}) TO STDOUT (FORMAT binary)") as rows:
                for block in rows:
                    drained += len(block)
    return drained


def columns_read(window: Window) -> dict[str, TypeEngine[object]]:
    """Name every column that the entries read, with its type, in order."""
    found: dict[str, TypeEngine[object]] = {"source_key": String()}
    for kind in SENTINEL.event_types.values():
        for column in select_events(kind, window).selected_columns:
            found.setdefault(column.name, column.type)
    return found


def move_by_pandas(source: Engine, warehouse: Engine, window: Window, chunk_rows: int = 20_000) -> int:
    """Take the literal path: `read_sql` of each type, one `concat`, `to_sql` in chunks; return the rows.

    The table is made beforehand, as wide as what was read, and nothing is transformed but what the
    loader cannot write: an absent array is an empty one.
    """
    with source.connect() as connection:
        frames = []
        for name, kind in SENTINEL.event_types.items():
            frame = pd.read_sql(text(compile_sql(select_events(kind, window)).replace(":", "\\:")), connection)
            frames.append(frame.assign(event_type=name))
    whole = pd.concat([frame.astype(object) for frame in frames], ignore_index=True)
    wanted = {"event_type": String(), **columns_read(window)}
    table = Table(
        "literal_events",
        MetaData(),
        *(Column(name, types.String if name in KEYS else clickhouse_type(kind)) for name, kind in wanted.items()),
        engines.MergeTree(order_by=KEYS),
    )
    create_table(warehouse, table)
    for name, kind in wanted.items():
        missing = whole[name].isna()
        if isinstance(kind, ARRAY):
            whole[name] = [value if isinstance(value, list) else [] for value in whole[name]]
        elif name == "source_key":
            whole[name] = whole[name].astype(str)
        elif isinstance(kind, DateTime):
            # The HTTP driver's own escaping drops microseconds.
            whole[name] = whole[name].astype(str).str.slice(0, 26).where(~missing, None)
        elif isinstance(kind, AnyInteger):
            whole[name] = [None if gone else int(value) for gone, value in zip(missing, whole[name], strict=True)]
        else:
            whole[name] = whole[name].where(~missing, None)
    kinds = {column.name: column.type for column in table.columns}
    with warehouse.connect() as connection:
        whole[list(wanted)].to_sql(
            table.name, connection, if_exists="append", index=False, chunksize=chunk_rows, dtype=kinds
        )
    return len(whole)


def clickhouse_type(kind: TypeEngine[object]) -> object:
    if isinstance(kind, ARRAY):
        return types.Array(types.Int64)
    if isinstance(kind, DateTime):
        return types.Nullable(types.DateTime64(6, "UTC"))
    if isinstance(kind, Boolean):
        return types.Nullable(types.Boolean)
    if isinstance(kind, AnyInteger):
        return types.Nullable(types.Int64)
    return types.Nullable(types.Float64 if isinstance(kind, Numeric) else types.String)


@contextmanager
def joined_view(source: Engine, window: Window) -> Iterator[None]:
    """Have the joined rows of all entries stand in the source as one view, for movers that move tables.

    They do not know arrays, so those are text; columns that an entry does not read are NULL.
    """
    parts = {name: select_events(kind, window).subquery() for name, kind in SENTINEL.event_types.items()}
    branches = []
    for event_type, part in parts.items():
        columns = [literal(event_type).label("event_type")]
        for name, kind in columns_read(window).items():
            as_text = isinstance(kind, ARRAY | String)
            value = part.c[name] if name in part.c else null()
            columns.append((cast(value, String if as_text else kind)).label(name))
        branches.append(select(*columns).select_from(part))
    with source.begin() as connection:
        connection.execute(text(f"DROP VIEW IF EXISTS {VIEW}"))
        view = compile_sql(union_all(*branches)).replace(":", "\\:")
        connection.execute(text(f"CREATE VIEW {VIEW} AS {view}"))
    try:
        yield
    finally:
        with source.begin() as connection:
            connection.execute(text(f"DROP VIEW {VIEW}"))


def move_by_rust(name: str, source: Engine, warehouse: Engine) -> int:
    """Let a Rust mover copy `joined_view` into a table that it makes itself; return the rows."""
    mover = import_module(name)
    target = warehouse.url
    done = mover.sync(
        mover.Postgres(source.url.set(drivername="postgresql").render_as_string(hide_password=False)),
        mover.ClickHouse(
            f"http://{target.host}:{target.port}",
            database=target.database,
            user=target.username,
            password=target.password,
        ),
        dest_table="joined_events",
        source_table=VIEW,
        mode="full",
        key=["source_key"],
    )
    return int(done.rows_written)
