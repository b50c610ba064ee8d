"""Opens the ClickHouse warehouse: one SQLAlchemy engine, its time limits, its version, its settings."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import requests
from sqlalchemy import URL, Dialect, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from sentinel_etl.errors import ConfigurationError, SentinelError, WarehouseUnreachable
from sentinel_etl.loopback import DirectSession
from sentinel_etl.origin import SETTING_OPTION
from sentinel_etl.retry import LIMITS_OPTION, TimeLimits, limits_of
from sentinel_etl.warehouse.address import authority, check_certificates, complete_port, tls_verify
from sentinel_etl.warehouse.failures import SETTING_CODES, server_code
from sentinel_etl.warehouse.names import take_any_name
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.session import (
    FIRST_SETTINGS,
    LIMITS,
    SETTABLE_OPTION,
    SETTABLE_STATEMENT,
    pinned_settings,
)

__all__ = ["OLDEST_SERVER", "PatientSession", "open_warehouse", "server_version"]


class PatientSession(DirectSession):
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
    url: str,
    connect_timeout_seconds: int = 10,
    *,
    answer_seconds: float = 900,
    retry_seconds: float = 0,
    setting: str = "SENTINEL_WAREHOUSE_URL",
) -> Engine:
    """Make an engine on the warehouse and see that it answers and is new enough.

    Each piece of an answer is waited for ``answer_seconds``. Connections and statements that may be
    repeated are tried again over ``retry_seconds``. Every session has what `session.PINNED` names.

    Raises:
        ConfigurationError: not a ``clickhouse+http`` or ``clickhouse+native`` URL, or a file of certificates that
            cannot be read.
        WarehouseUnreachable: no connection, a refusal, or a server older than `OLDEST_SERVER`.
    """
    form = "clickhouse+http://user:password@host:8123/database or clickhouse+native://…:9000/…"
    limits = TimeLimits(connect_timeout_seconds, answer_seconds, retry_seconds)
    try:
        engine = create_engine(url, execution_options={LIMITS_OPTION: limits, SETTING_OPTION: setting})
    except ImportError:  # of another driver, that is not installed
        raise ConfigurationError(
            f"SENTINEL_WAREHOUSE_URL: expected {form}, found {make_url(url).drivername}://…"
        ) from None
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise ConfigurationError(
            f"SENTINEL_WAREHOUSE_URL: expected {form}, found a URL that SQLAlchemy cannot read: {type(error).__name__}"
        ) from None
    if engine.dialect.name != "clickhouse" or engine.dialect.driver not in ("http", "native"):
        raise ConfigurationError(f"SENTINEL_WAREHOUSE_URL: expected {form}, found {engine.url.drivername}://…")
    check_certificates(engine.url)
    first = first_engine(engine)
    with without_words_on_settings():
        check_version(first)
    return with_server_settings(first, read_settable(first))


def first_engine(engine: Engine) -> Engine:
    """Make the engine that asks what the server is, and knows nothing of it yet.

    A profile may cut answers off after so many rows, also those that the drivers ask for by themselves. A server
    may know no such settings, or not let this user set them.
    """
    for settings in (FIRST_SETTINGS, LIMITS):
        first = with_server_settings(engine, settings)
        try:
            with without_words_on_settings():
                ask_version(first)
            return first
        except SentinelError as error:
            first.dispose()
            if error.__cause__ is None or server_code(error.__cause__) not in SETTING_CODES:
                raise
    return with_server_settings(engine)


def read_settable(engine: Engine) -> frozenset[str]:
    """Ask which settings this user may set."""
    rows = run_statement(engine, SETTABLE_STATEMENT, repeatable=True)
    return frozenset(str(rows[0][0]).split(",")) if rows else frozenset()


def with_server_settings(engine: Engine, settable: Collection[str] = ()) -> Engine:
    """Make the engine again with its time limits, with what is pinned, and so that all its drivers find the server."""
    options = {**engine.get_execution_options(), SETTABLE_OPTION: frozenset(settable)}
    limits = limits_of(engine)
    settings = pinned_settings(settable)
    url = complete_port(engine.url)
    if engine.dialect.driver == "http":
        session = partial(PatientSession, limits.connect_seconds, limits.answer_seconds)
        arguments = {"http_session": session, "ch_settings": settings, "verify": tls_verify(url)}
        made = create_engine(url, connect_args=arguments, execution_options=options)
        event.listen(made, "do_connect", partial(bracket_host, url))
        return take_any_name(made)
    timeouts = {"connect_timeout": str(limits.connect_seconds), "send_receive_timeout": str(limits.answer_seconds)}
    made = create_engine(url.update_query_dict({**timeouts, **url.query}), execution_options=options)
    # First of all, so that it comes before what the dialect asks on its first connection.
    event.listen(made, "connect", partial(pin_settings, settings), insert=True)
    return take_any_name(made)


def bracket_host(url: URL, dialect: Dialect, record: object, arguments: list[Any], named: dict[str, Any]) -> None:
    """Write an IPv6 host as a URL does: clickhouse-sqlalchemy 0.3.2 writes it bare."""
    scheme, _, rest = arguments[0].partition("://")
    _, _, path = rest.partition("/")
    arguments[0] = f"{scheme}://{authority(url)}/{path}"


def pin_settings(settings: Mapping[str, str], connection: Any, record: object) -> None:
    """Pin a native connection's settings: they have the last word over those in the URL."""
    connection.transport.settings.update(settings)


@contextmanager
def without_words_on_settings() -> Iterator[None]:
    """Let the native driver leave settings out in silence: it cannot send those of today to a server before 20.1."""
    log = logging.getLogger("clickhouse_driver.settings.writer")
    before = log.disabled
    log.disabled = True
    try:
        yield
    finally:
        log.disabled = before


def server_version(engine: Engine) -> tuple[int, int]:
    """Ask the server for its release, such as (26, 9)."""
    return release_of(ask_version(engine))


def ask_version(engine: Engine) -> str:
    return str(run_statement(engine, "SELECT version()", repeatable=True)[0][0])


def release_of(version: str) -> tuple[int, int]:
    major, minor = re.findall(r"\d+", version)[:2]
    return int(major), int(minor)


def check_version(engine: Engine) -> None:
    version = ask_version(engine)
    if release_of(version) < OLDEST_SERVER:
        raise WarehouseUnreachable(
            f"expected ClickHouse {'.'.join(map(str, OLDEST_SERVER))} or newer at {engine.url.host}; found "
            f"{version}. Upgrade the server, or point SENTINEL_WAREHOUSE_URL at a newer one"
        )
