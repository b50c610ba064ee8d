"""The engine's clickhouse-connect client, which speaks Arrow; HTTP only."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from sqlalchemy import Engine

from sentinel_etl.retry import limits_of, try_again
from sentinel_etl.warehouse.failures import warehouse_failed, warehouse_may_recover

__all__ = ["open_arrow_client"]


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
