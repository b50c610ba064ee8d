"""Runs statements in ClickHouse, and reads frames from it."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import clickhouse_connect
import pandas as pd
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from sqlalchemy import Engine, Select, text

from sentinel_etl.arrow import as_frame
from sentinel_etl.retry import limits_of, try_again
from sentinel_etl.warehouse.failures import CONNECTION_ERRORS, warehouse_failed, warehouse_may_recover

__all__ = ["open_arrow_client", "query_df", "run_statement"]


# Nothing may be written, settings may be set: what only reads may be sent again.
# https://clickhouse.com/docs/operations/settings/permissions-for-queries#readonly
READ_ONLY = {"readonly": "2"}


def run_statement(
    engine: Engine, statement: Any, parameters: Mapping[str, Any] | None = None, *, repeatable: bool = False
) -> list[Any]:
    """Run one statement, SQLAlchemy's or text with ``:name`` parameters, and return its rows.

    Where the connection fails, nobody knows whether the server has done it. So only what is ``repeatable``
    is tried again: it reads, or leaves the same when done twice.

    Raises:
        WarehouseUnreachable: the server does not answer, or refuses the login.
        SentinelError: the server refuses the statement.
    """
    statement = text(statement) if isinstance(statement, str) else statement

    def run() -> list[Any]:
        with engine.connect() as connection:
            result = connection.execute(statement, dict(parameters or {}))
            return list(result) if result.returns_rows else []

    try:
        return try_again(engine, warehouse_may_recover)(run) if repeatable else run()
    except CONNECTION_ERRORS as error:
        raise warehouse_failed(engine, error) from error


def query_df(
    engine: Engine,
    statement: str | Select[Any],
    parameters: Mapping[str, Any] | None = None,
    hints: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Run a SELECT and return its rows as a frame: Arrow-backed over HTTP, plain over native.

    ``%(name)s`` in a text is replaced by the parameter of that name, escaped by the driver. ``hints`` are
    settings that change no answer: left out over native, and where the server does not let this user set them.
    Where the connection fails, the SELECT is tried again; over HTTP the server refuses here whatever would write.

    Raises:
        WarehouseUnreachable: the server does not answer.
        SentinelError: the server refuses the statement.
    """
    if not isinstance(statement, str):
        statement = str(statement.compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True}))

    def read() -> pd.DataFrame:
        if engine.dialect.driver == "http":
            with open_arrow_client(engine) as client:
                settings = {
                    name: value for name, value in (READ_ONLY | dict(hints or {})).items() if may_set(client, name)
                }
                return as_frame(
                    client.query_arrow(statement, dict(parameters or {}), settings=settings, use_strings=True)
                )
        with engine.connect() as connection:
            return pd.read_sql(statement, connection, params=parameters)

    try:
        return try_again(engine, warehouse_may_recover)(read)
    except CONNECTION_ERRORS as error:
        raise warehouse_failed(engine, error) from error


# A new client first reads all of the server's settings, 30 ms that every question would wait for.
ARROW_CLIENTS: weakref.WeakKeyDictionary[Engine, Client] = weakref.WeakKeyDictionary()


@contextmanager
def open_arrow_client(engine: Engine) -> Iterator[Client]:
    """Lend the engine's clickhouse-connect client, which lives as long as the engine; HTTP only.

    Raises:
        WarehouseUnreachable: the server does not answer, or refuses the login.
        SentinelError: the server refuses what the block does.
    """
    try:
        if (client := ARROW_CLIENTS.get(engine)) is None:
            client = ARROW_CLIENTS[engine] = try_again(engine, warehouse_may_recover)(make_arrow_client, engine)
            weakref.finalize(engine, client.close)
        yield client
    except (ClickHouseError, OSError) as error:
        raise warehouse_failed(engine, error) from error


def make_arrow_client(engine: Engine) -> Client:
    url = engine.url
    limits = limits_of(engine)
    return clickhouse_connect.get_client(
        host=url.host,
        port=url.port or 8123,
        username=url.username or "default",
        password=url.password or "",
        database=url.database or "default",
        interface=str(url.query.get("protocol", "http")),
        connect_timeout=limits.connect_seconds,
        send_receive_timeout=limits.answer_seconds,
        autogenerate_session_id=False,  # sessions serialize; the run's queries are independent
        compress=False,  # inserts carry Arrow's own LZ4, and answers are small
    )


def may_set(client: Client, name: str) -> bool:
    known = client.server_settings.get(name)
    return known is not None and not known.readonly
