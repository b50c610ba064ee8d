"""Runs statements in ClickHouse, and reads frames from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from sqlalchemy import Engine, Select, text

from sentinel_etl.arrow import as_frame
from sentinel_etl.retry import try_again
from sentinel_etl.warehouse.arrow_client import may_set, open_arrow_client
from sentinel_etl.warehouse.failures import CONNECTION_ERRORS, warehouse_failed, warehouse_may_recover

__all__ = ["query_df", "run_statement"]


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
    Where the connection fails, the SELECT is tried again.

    Raises:
        WarehouseUnreachable: the server does not answer.
        SentinelError: the server refuses the statement.
    """
    if not isinstance(statement, str):
        statement = str(statement.compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True}))

    def read() -> pd.DataFrame:
        if engine.dialect.driver == "http":
            with open_arrow_client(engine) as client:
                settings = {name: value for name, value in (hints or {}).items() if may_set(client, name)}
                return as_frame(
                    client.query_arrow(statement, dict(parameters or {}), settings=settings, use_strings=True)
                )
        with engine.connect() as connection:
            return pd.read_sql(statement, connection, params=parameters)

    try:
        return try_again(engine, warehouse_may_recover)(read)
    except CONNECTION_ERRORS as error:
        raise warehouse_failed(engine, error) from error
