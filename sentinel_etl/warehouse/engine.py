"""Opens the ClickHouse warehouse: one SQLAlchemy engine, its time limits, its version."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import requests
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from sentinel_etl.errors import ConfigurationError, WarehouseUnreachable
from sentinel_etl.retry import LIMITS_OPTION, TimeLimits, limits_of
from sentinel_etl.warehouse.query import run_statement

__all__ = ["OLDEST_SERVER", "PatientSession", "open_warehouse", "server_version"]


class PatientSession(requests.Session):  # type: ignore[misc]
    """An HTTP session that knows how long to wait for a connection and for each piece of an answer.

    Name and password are sent in UTF-8.
    """

    def __init__(self, connect_seconds: float, answer_seconds: float) -> None:
        super().__init__()
        self.patience = (connect_seconds, answer_seconds)

    def request(self, *arguments: Any, **named: Any) -> requests.Response:
        if isinstance(auth := named.get("auth"), tuple):
            # As clickhouse-connect does; requests by itself would write Latin-1.
            named["auth"] = tuple(str(part).encode() for part in auth)
        own = named.get("timeout")  # where the URL names one, it is the answer's
        patience = self.patience if own is None else (self.patience[0], own)
        return super().request(*arguments, **{**named, "timeout": patience})


# DateTime64, LowCardinality, projections, and Bool as a type of its own are all there, and settled.
OLDEST_SERVER = (22, 8)


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
    limits = TimeLimits(connect_timeout_seconds, answer_seconds, retry_seconds)
    try:
        engine = create_engine(url, execution_options={LIMITS_OPTION: limits})
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
    limits = limits_of(engine)
    settings: dict[str, str] = {}
    if version is not None:
        settings = {"deduplicate_insert": "disable"} if version >= (26, 2) else {"insert_deduplicate": "0"}
    if engine.dialect.driver == "http":
        session = partial(PatientSession, limits.connect_seconds, limits.answer_seconds)
        # So that a text of an instant may say its zone.
        settings |= {"date_time_input_format": "best_effort"} if version else {}
        arguments = {"http_session": session, "ch_settings": settings}
        return create_engine(engine.url, connect_args=arguments, execution_options=options)
    timeouts = {"connect_timeout": str(limits.connect_seconds), "send_receive_timeout": str(limits.answer_seconds)}
    url = engine.url.update_query_dict({**timeouts, **settings, **engine.url.query})
    return create_engine(url, execution_options=options)


def server_version(engine: Engine) -> tuple[int, int]:
    """Ask the server for its release, such as (26, 9)."""
    return release_of(ask_version(engine))


def ask_version(engine: Engine) -> str:
    return str(run_statement(engine, "SELECT version()", repeatable=True)[0][0])


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
