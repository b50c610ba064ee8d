"""The engine's clickhouse-connect client, which speaks Arrow; HTTP only."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from sqlalchemy import Engine

from sentinel_etl.retry import try_again
from sentinel_etl.warehouse.failures import may_pass, warehouse_failed

__all__ = ["open_arrow_client"]


# An engine's execution options: how long it waits, for the clients that are made from its URL.
CONNECT_OPTION = "sentinel_connect_seconds"
ANSWER_OPTION = "sentinel_answer_seconds"


def time_limits(engine: Engine) -> tuple[float, float]:
    """Give the seconds that a connection and each piece of an answer may take."""
    options = engine.get_execution_options()
    return options.get(CONNECT_OPTION, 10), options.get(ANSWER_OPTION, 900)


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


def may_set(client: Client, name: str) -> bool:
    known = client.server_settings.get(name)
    return known is not None and not known.readonly
