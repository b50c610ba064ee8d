"""The ClickHouse warehouse: one SQLAlchemy engine, and an Arrow client made from its URL."""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import clickhouse_connect
import pandas as pd
import requests
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_driver.errors import Error as NativeError
from clickhouse_sqlalchemy import Table
from clickhouse_sqlalchemy.exceptions import DatabaseException
from sqlalchemy import Engine, Select, create_engine, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from sentinel_etl.concatenate import as_frame
from sentinel_etl.ddl import create_statements
from sentinel_etl.errors import ConfigurationError, SchemaMismatch, SentinelError, WarehouseUnreachable
from sentinel_etl.patience import RETRY_OPTION, PatientSession, try_again

__all__ = [
    "OLDEST_SERVER",
    "create_table",
    "normal",
    "open_arrow_client",
    "open_warehouse",
    "query_df",
    "quote",
    "run_statement",
    "server_version",
    "warehouse_failed",
]

# DateTime64, LowCardinality, projections, and Bool as a type of its own are all there, and settled.
OLDEST_SERVER = (22, 8)

# An engine's execution options: how long it waits, for the clients that are made from its URL.
CONNECT_OPTION = "sentinel_connect_seconds"
ANSWER_OPTION = "sentinel_answer_seconds"

# A server that is away or starting, and a connection that broke, may be back: others' words and ours.
PASSING = re.compile(
    r"Connection refused|Connection reset|Connection aborted|Broken pipe|timed out|Remote end closed|"
    r"Max retries exceeded|Unexpected EOF|Temporary failure in name resolution|Code: (209|210|279)"
)

# What may be sent twice: it changes nothing, or leaves the same when done again.
REPEATABLE = re.compile(
    r"\s*(SELECT|WITH|EXISTS|DESCRIBE|SHOW|CREATE \w+ IF NOT EXISTS|DROP \w+ IF EXISTS)\b", re.IGNORECASE
)


def open_warehouse(
    url: str, connect_timeout_seconds: int = 10, *, answer_seconds: float = 900, retry_seconds: float = 0
) -> Engine:
    """Make an engine on the warehouse and see that it answers and is new enough.

    Each piece of an answer is waited for ``answer_seconds``. Connections and statements that may be
    repeated are tried again over ``retry_seconds``.

    Raises:
        ConfigurationError: not a ``clickhouse+http`` or ``clickhouse+native`` URL.
        WarehouseUnreachable: no connection, a refusal, or a server older than `OLDEST_SERVER`.
    """
    form = "clickhouse+http://user:password@host:8123/database or clickhouse+native://…:9000/…"
    options = {
        RETRY_OPTION: retry_seconds,
        CONNECT_OPTION: connect_timeout_seconds,
        ANSWER_OPTION: answer_seconds,
    }
    try:
        engine = create_engine(url, execution_options=options)
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise ConfigurationError(
            f"SENTINEL_WAREHOUSE_URL: expected {form}, found a URL that SQLAlchemy cannot read: {type(error).__name__}"
        ) from None
    if engine.dialect.name != "clickhouse" or engine.dialect.driver not in ("http", "native"):
        raise ConfigurationError(f"SENTINEL_WAREHOUSE_URL: expected {form}, found {engine.url.drivername}://…")
    return with_server_settings(engine, check_version(with_server_settings(engine)))


def with_server_settings(engine: Engine, version: tuple[int, ...] | None = None) -> Engine:
    """Make the engine again with its time limits and, once the version is known, so that two equal blocks are two.

    A replicated table, and newer servers more widely, would drop the second block silently. Since
    26.2 one setting supersedes the older one, which older servers know alone.
    """
    options = engine.get_execution_options()
    connect_seconds, answer_seconds = time_limits(engine)
    settings: dict[str, str] = {}
    if version is not None:
        settings = {"deduplicate_insert": "disable"} if version >= (26, 2) else {"insert_deduplicate": "0"}
    if engine.dialect.driver == "http":
        session = partial(PatientSession, connect_seconds, answer_seconds)
        arguments = {"http_session": session, "ch_settings": settings}
        return create_engine(engine.url, connect_args=arguments, execution_options=options)
    limits = {"connect_timeout": str(connect_seconds), "send_receive_timeout": str(answer_seconds)}
    url = engine.url.update_query_dict({**limits, **settings, **engine.url.query})
    return create_engine(url, execution_options=options)


def time_limits(engine: Engine) -> tuple[float, float]:
    """Give the seconds that a connection and each piece of an answer may take."""
    options = engine.get_execution_options()
    return options.get(CONNECT_OPTION, 10), options.get(ANSWER_OPTION, 900)


def server_version(engine: Engine) -> tuple[int, int]:
    """Ask the server for its release, such as (26, 9)."""
    return release_of(ask_version(engine))


def ask_version(engine: Engine) -> str:
    return str(run_statement(engine, "SELECT version()")[0][0])


def release_of(version: str) -> tuple[int, int]:
    major, minor = re.findall(r"\d+", version)[:2]
    return int(major), int(minor)


def check_version(engine: Engine) -> tuple[int, int]:
    version = ask_version(engine)
    if release_of(version) < OLDEST_SERVER:
        raise WarehouseUnreachable(
            f"expected ClickHouse {'.'.join(map(str, OLDEST_SERVER))} or newer at {engine.url.host}; found "
            f"{version}. Upgrade the server, or point SENTINEL_WAREHOUSE_URL at a newer one"
        )
    return release_of(version)


def warehouse_failed(engine: Engine, error: Exception) -> SentinelError:
    """Tell a broken or refused connection from a statement that the server refused."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    message = " ".join(str(cause).split())
    refused = re.search(r"Code: (\d+)", message)
    # 192-194 and 516: unknown user or wrong password; 81: unknown database; 209, 210: the network
    # (ClickHouse's src/Common/ErrorCodes.cpp).
    if refused and int(refused[1]) not in (81, 192, 193, 194, 209, 210, 516):
        if "No space left" in message or refused[1] == "243":
            message = f"its disk is full; free some space there, then run it again ({message})"
        return SentinelError(f"the warehouse refused a statement: {message[:600]}")
    login = refused and int(refused[1]) not in (209, 210)
    reason = "the user, password or database is refused" if login else shorten_connection_error(message)
    return WarehouseUnreachable(
        f"expected ClickHouse at {engine.url.host}:{engine.url.port}, database {engine.url.database}; found: "
        f"{reason}. Check that it runs and that SENTINEL_WAREHOUSE_URL is right"
    )


def shorten_connection_error(message: str) -> str:
    known = re.search(r"Connection refused|timed out|Name or service not known|Connection reset|Broken pipe", message)
    return known[0] if known else message[:200]


CONNECTION_ERRORS = (DBAPIError, DatabaseException, requests.RequestException, NativeError, OSError, EOFError)


def run_statement(engine: Engine, statement: Any, parameters: Mapping[str, Any] | None = None) -> list[Any]:
    """Run one statement, SQLAlchemy's or text with ``:name`` parameters, and return its rows.

    Where the connection fails, only a statement that may be repeated is tried again.

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
        return try_again(engine, may_pass)(run) if REPEATABLE.match(str(statement)) else run()
    except CONNECTION_ERRORS as error:
        raise warehouse_failed(engine, error) from error


def may_pass(error: BaseException) -> bool:
    """Tell whether it was the connection that failed, for a reason that may pass."""
    return isinstance(error, (*CONNECTION_ERRORS, ClickHouseError, WarehouseUnreachable)) and bool(
        PASSING.search(" ".join(str(error).split()))
    )


def quote(engine: Engine, name: str) -> str:
    """Quote an identifier as the dialect does."""
    return engine.dialect.identifier_preparer.quote_identifier(name)


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
            client = ARROW_CLIENTS[engine] = try_again(engine, may_pass)(make_arrow_client, engine)
            weakref.finalize(engine, client.close)
        yield client
    except (ClickHouseError, OSError) as error:
        raise warehouse_failed(engine, error) from error


def make_arrow_client(engine: Engine) -> Client:
    url = engine.url
    connect_seconds, answer_seconds = time_limits(engine)
    return clickhouse_connect.get_client(
        host=url.host,
        port=url.port or 8123,
        username=url.username or "default",
        password=url.password or "",
        database=url.database or "default",
        interface=str(url.query.get("protocol", "http")),
        connect_timeout=connect_seconds,
        send_receive_timeout=answer_seconds,
        autogenerate_session_id=False,  # sessions serialize; the run's queries are independent
        compress=False,  # inserts carry Arrow's own LZ4, and answers are small
    )


def query_df(
    engine: Engine,
    statement: str | Select[Any],
    parameters: Mapping[str, Any] | None = None,
    hints: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Run a SELECT and return its rows as a frame: Arrow-backed over HTTP, plain over native.

    ``%(name)s`` in a text is replaced by the parameter of that name, escaped by the driver. ``hints`` are
    settings that change no answer: left out over native, and where the server does not let this user set them.

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
        return try_again(engine, may_pass)(read) if REPEATABLE.match(statement) else read()
    except CONNECTION_ERRORS as error:
        raise warehouse_failed(engine, error) from error


def may_set(client: Client, name: str) -> bool:
    known = client.server_settings.get(name)
    return known is not None and not known.readonly


def create_table(engine: Engine, table: Table) -> None:
    """Create the table if it is not there, and compare its columns with the definition.

    Raises:
        SchemaMismatch: the table is there with other columns; each difference is named.
    """
    for statement in create_statements(table):
        run_statement(engine, statement)
    check_table(engine, table)


def check_table(engine: Engine, table: Table) -> None:
    rows = run_statement(engine, f"DESCRIBE TABLE {quote(engine, table.name)}")
    there = {row[0]: row[1] for row in rows}
    wanted = {column.name: str(column.type.compile()) for column in table.columns}
    problems = [f"{name} {wanted[name]} is missing" for name in wanted if name not in there]
    problems += [
        f"{name}: expected {wanted[name]}, found {there[name]}"
        for name in wanted
        if name in there and normal(there[name]) != normal(wanted[name])
    ]
    problems += [f"{name} {there[name]} is not in the code" for name in there if name not in wanted]
    if problems:
        raise SchemaMismatch(
            f"table {table.name} in the warehouse differs from its definition: {'; '.join(problems)}. "
            "Run `sentinel-etl schema diff` for what can be mended"
        )


def normal(type_name: str) -> str:
    return type_name.replace(" ", "")
