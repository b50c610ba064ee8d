"""Runs statements in ClickHouse, and reads frames from it."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_connect.driver.httpclient import HttpClient
from clickhouse_connect.driver.httputil import get_pool_manager
from sqlalchemy import Engine, Select, text

from sentinel_etl.arrow import as_frame
from sentinel_etl.errors import ConfigurationError, SentinelError
from sentinel_etl.loopback import is_loopback
from sentinel_etl.retry import limits_of, try_again
from sentinel_etl.warehouse.address import complete_port, is_secure, tls_verify
from sentinel_etl.warehouse.failures import (
    CONNECTION_ERRORS,
    READONLY,
    server_code,
    server_sentence,
    warehouse_failed,
    warehouse_may_recover,
)
from sentinel_etl.warehouse.names import PlainText, as_formatted, write_statement
from sentinel_etl.warehouse.one_select import require_one_select
from sentinel_etl.warehouse.session import only_settable, pinned_settings, settable_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["open_arrow_client", "query_df", "query_rows", "read_number", "run_statement"]


# Nothing may be written, settings may be set: what only reads may be sent again.
# https://clickhouse.com/docs/operations/settings/permissions-for-queries#readonly
READ_ONLY = {"readonly": "2"}


def run_statement(
    engine: Engine, statement: Any, parameters: Mapping[str, Any] | None = None, *, repeatable: bool = False
) -> list[Any]:
    """Run one statement, SQLAlchemy's or a text, and return its rows.

    Where there are parameters, ``:name`` in a text is one of them; without, a text is sent as it is.

    Where the connection fails, nobody knows whether the server has done it. So only what is ``repeatable``
    is tried again: it reads, or leaves the same when done twice.

    Raises:
        WarehouseUnreachable: the server does not answer, or refuses the login.
        SentinelError: the server refuses the statement.
    """

    if isinstance(statement, str):
        statement = text(statement) if parameters else PlainText(statement)

    def run() -> list[Any]:
        with engine.connect() as connection:
            result = connection.execute(statement, dict(parameters or {}))
            return list(result) if result.returns_rows else []

    try:
        return try_again(engine, warehouse_may_recover)(run) if repeatable else run()
    except CONNECTION_ERRORS as error:
        raise warehouse_failed(engine, error) from error


def read_number(engine: Engine, statement: Any, parameters: Mapping[str, Any] | None = None) -> int:
    """Run a statement that counts, and return the count.

    No row is 0: a user whose settings cannot be changed may have it so that an aggregate of no rows is no row.
    https://clickhouse.com/docs/operations/settings/settings#empty_result_for_aggregation_by_empty_set

    Raises: as `run_statement`.
    """
    return sum(int(row[0]) for row in run_statement(engine, statement, parameters, repeatable=True))


def query_df(
    engine: Engine,
    statement: str | Select[Any],
    parameters: Mapping[str, Any] | None = None,
    hints: Mapping[str, str] | None = None,
    *,
    read_only: bool = True,
) -> pd.DataFrame:
    """Run a SELECT and return its rows as a frame: Arrow-backed over HTTP, plain over native.

    ``%(name)s`` in a text is replaced by the parameter of that name, escaped by the driver. ``hints`` are
    settings that change no answer: left out where the server does not let this user set them. What would write is
    refused, unless ``read_only`` is false: then any statement is run, once, and what gives no rows gives
    an empty frame. Where the connection fails, a SELECT is tried again.

    Arrow has no types of ClickHouse's own, so over HTTP a DateTime comes as its seconds, an Enum as its number, an
    IPv4 as one, an IPv6 and an Int128 or wider as bytes: select ``toString(column)`` or ``toDateTime64(column, 0)``.
    https://clickhouse.com/docs/interfaces/formats/Arrow#data-types-matching

    Raises:
        ConfigurationError: the statement does not only read.
        WarehouseUnreachable: the server does not answer.
        SentinelError: the server refuses the statement.
    """
    if not isinstance(statement, str):
        statement = write_statement(statement, engine.dialect)
        statement = as_formatted(statement) if parameters else statement
    elif read_only:
        require_one_select(statement)
    over_http = engine.dialect.driver == "http"
    settings = only_settable(engine, (READ_ONLY if read_only else {}) | dict(hints or {}))

    def read() -> pd.DataFrame:
        if over_http and read_only:
            return as_frame(query_arrow(engine, statement, parameters, settings))
        import pandas as pd

        whole = statement if parameters else as_formatted(statement)
        with engine.connect() as connection:
            options = {} if over_http else {"settings": settings}
            result = connection.exec_driver_sql(whole, dict(parameters or {}), execution_options=options)
            return pd.DataFrame(list(result), columns=list(result.keys())) if result.returns_rows else pd.DataFrame()

    try:
        if not read_only:
            return read()
        with refused_to_write():
            return try_again(engine, warehouse_may_recover)(read)
    except CONNECTION_ERRORS as error:
        raise warehouse_failed(engine, error) from error


def query_rows(engine: Engine, statement: Select[Any]) -> list[tuple[Any, ...]]:
    """Run a SELECT and return its rows, as Python's own values; where few are read, pandas is not worth its import.

    Over HTTP the values are Arrow's, as in `query_df`; NULL is None.

    Raises:
        WarehouseUnreachable: the server does not answer.
        SentinelError: the server refuses the statement.
    """
    text = write_statement(statement, engine.dialect)
    if engine.dialect.driver != "http":
        return [tuple(row) for row in run_statement(engine, text, repeatable=True)]
    settings = only_settable(engine, READ_ONLY)
    answer = try_again(engine, warehouse_may_recover)(query_arrow, engine, text, None, settings)
    return list(zip(*(column.to_pylist() for column in answer.columns), strict=True))


def query_arrow(
    engine: Engine, statement: str, parameters: Mapping[str, Any] | None, settings: Mapping[str, str]
) -> pa.Table:
    with open_arrow_client(engine) as client:
        # Whether texts come as texts is the session's to set, and not this call's.
        return with_texts(client.query_arrow(statement, dict(parameters or {}), settings=dict(settings)))


@contextmanager
def refused_to_write() -> Iterator[None]:
    """Turn the server's refusal to write for a reader into a fault of the statement.

    Raises:
        ConfigurationError: the block was refused so.
    """
    try:
        yield
    except (*CONNECTION_ERRORS, SentinelError) as error:
        if server_code(error) == READONLY or server_code(error.__cause__) == READONLY:
            raise ConfigurationError(
                "expected one SELECT, found a statement that writes, or that sets what it may not: "
                f"{server_sentence(error)}"
            ) from error
        raise


def with_texts(answer: pa.Table) -> pa.Table:
    """Read as text what came as bytes: servers before 24.6 send texts so to a user who may not change that."""

    def texts_for_bytes(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_list(kind):
            return pa.list_(texts_for_bytes(kind.value_type))
        return pa.string() if pa.types.is_binary(kind) else kind

    schema = pa.schema([field.with_type(texts_for_bytes(field.type)) for field in answer.schema])
    return answer if schema == answer.schema else answer.cast(schema)


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


class SessionClient(HttpClient):
    """A client that sends the session's settings with its first requests, too, by which it gets to know the server."""

    def __init__(self, pinned: Mapping[str, str], **named: Any) -> None:
        self.pinned = pinned
        super().__init__(settings=dict(pinned), **named)

    def _init_common_settings(self, tz_source: Any) -> None:
        self.params.update(self.pinned)
        super()._init_common_settings(tz_source)


def make_arrow_client(engine: Engine) -> Client:
    """Make the client that finds the server, and checks its certificate, as the engine's own driver does."""
    url = complete_port(engine.url)
    limits, verify = limits_of(engine), tls_verify(url)
    checked, authorities = verify is not False, verify if isinstance(verify, str) else None
    direct = None  # where the environment names a proxy, it is taken
    if is_loopback(url.host):
        direct = get_pool_manager(verify=checked, ca_cert=authorities)
        weakref.finalize(engine, direct.clear)  # the client leaves open what it was given
    return SessionClient(
        pinned_settings(settable_of(engine)),
        host=str(url.host),
        port=int(url.port or 0),
        username=url.username or "default",
        password=url.password or "",
        database=url.database or "default",
        interface="https" if is_secure(url) else "http",
        verify=checked,
        ca_cert=authorities,
        pool_mgr=direct,
        connect_timeout=limits.connect_seconds,
        send_receive_timeout=limits.answer_seconds,
        autogenerate_session_id=False,  # sessions serialize; the run's queries are independent
        compress=False,  # inserts carry Arrow's own LZ4, and answers are small
    )
