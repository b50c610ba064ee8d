"""Connections to PostgreSQL that do not wait for ever."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from adbc_driver_manager import Error as AdbcError
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import NullPool

from sentinel_etl.errors import ConfigurationError, SourceUnreachable
from sentinel_etl.loopback import is_loopback, libpq_variables, without_libpq_variables
from sentinel_etl.origin import SETTING_OPTION, advice_for
from sentinel_etl.retry import LIMITS_OPTION, TimeLimits, try_again
from sentinel_etl.source.parameters import find_unusable, take_driver_parameters
from sentinel_etl.source.session import describe_end, session_options

__all__ = [
    "KEEPALIVE",
    "SERVER_KEEPALIVE",
    "PatientConnection",
    "connect_source",
    "describe_source",
    "host_of",
    "open_source",
    "source_may_recover",
    "unreachable",
]


# libpq's: a peer whose machine or network is gone is given up within a minute, also by a session
# that only holds a lock. https://www.postgresql.org/docs/current/libpq-connect.html
KEEPALIVE = {
    "keepalives_idle": 20,  # seconds
    "keepalives_interval": 10,  # seconds
    "keepalives_count": 3,
    "tcp_user_timeout": 50_000,  # milliseconds
}

# What is said of each connection here, so that the environment's says nothing.
OWN_PARAMETERS = {"client_encoding", "application_name", "options", "connect_timeout", "password", "passfile"}

# The server's, as options of a session: it frees the locks of a client whose machine is gone as soon.
SERVER_KEEPALIVE = (
    "-c tcp_keepalives_idle=20 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3 -c tcp_user_timeout=50s"
)

# A serializable statement may wait for others', and a standby takes none. The snapshot says its own.
# https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-DEFAULT-TRANSACTION-DEFERRABLE
PLAIN_STATEMENTS = r"-c default_transaction_isolation=read\ committed"


class PatientConnection(psycopg.Connection[Any]):
    """A psycopg connection whose statements are waited for so many seconds, and that is then shut."""

    answer_seconds: float | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        limit = timeout if timeout is not None else self.answer_seconds
        started = time.monotonic()
        try:
            return super().wait(gen, interval, limit)
        except psycopg.OperationalError:
            if timeout is not None or limit is None or time.monotonic() - started < limit:
                raise
            self.shut()
            raise psycopg.OperationalError(f"no answer within {limit:g} s") from None

    def shut(self) -> None:
        """Shut the socket, so that nothing on this connection waits again."""
        with suppress(OSError), socket.socket(fileno=socket.dup(self.pgconn.socket)) as peer:
            peer.shutdown(socket.SHUT_RDWR)


# SQLSTATEs of what passes, beside class 08, the connection's own: an administrator's shutdown, a crash,
# a start or a stop under way, and too many connections.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
PASSING_STATES = ("57P01", "57P02", "57P03", "53300")

# What a pooler says of a session's options. https://www.pgbouncer.org/config.html#ignore_startup_parameters
POOLER = "unsupported startup parameter"

# What the server says to those it will never let in. Words must do here: libpq 18 does not give out the SQLSTATE
# of a connection that it could not make, so psycopg 3.3 and ADBC 1.13 have none. A server that says it in
# another language is asked again until the retry seconds are over.
REFUSED = re.compile(
    r"authentication failed|does not exist|no pg_hba\.conf entry|permission denied|no password supplied"
    rf"|{POOLER}"
)


def open_source(
    url: str,
    connect_timeout_seconds: int = 10,
    setting: str = "SENTINEL_SOURCE_URL",
    *,
    answer_seconds: float = 900,
    retry_seconds: float = 0,
) -> Engine:
    """Make an engine on the source and see that it answers.

    Sessions have what `PINNED` says, so that no value depends on the server's settings; of the URL's
    ``options`` all else is obeyed. A statement is waited for ``answer_seconds``; a connection that
    fails is tried again over ``retry_seconds``.

    Raises:
        ConfigurationError: not a ``postgresql`` URL, one that names another driver than psycopg, or one with a
            parameter that nobody knows or that libpq cannot use.
        SourceUnreachable: no connection within the timeout, or a refusal.
    """
    try:
        parsed = make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        parsed, driver_parameters = take_driver_parameters(parsed, setting)
        engine = create_engine(
            parsed,
            poolclass=NullPool,  # a guest leaves no idle sessions behind
            connect_args={
                "client_encoding": "utf8",
                "application_name": "sentinel-etl",
                "options": f"{session_options(parsed)} {SERVER_KEEPALIVE} {PLAIN_STATEMENTS}",
                **without_query(parsed, {"connect_timeout": connect_timeout_seconds, **KEEPALIVE}),
                **driver_parameters,
            },
            execution_options={
                LIMITS_OPTION: TimeLimits(connect_timeout_seconds, answer_seconds, retry_seconds),
                SETTING_OPTION: setting,
            },
        )
    except ImportError:  # of another driver, that is not installed
        raise ConfigurationError(f"{setting}: expected postgresql+psycopg://…, found {parsed.drivername}://…") from None
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise ConfigurationError(
            f"{setting}: expected postgresql+psycopg://user:password@host:port/database, "
            f"found a URL that SQLAlchemy cannot read: {type(error).__name__}"
        ) from None
    if engine.dialect.name != "postgresql" or engine.dialect.driver != "psycopg":
        raise ConfigurationError(f"{setting}: expected postgresql+psycopg://…, found {engine.url.drivername}://…")

    @event.listens_for(engine, "do_connect")
    def connect(dialect: object, record: object, arguments: Any, parameters: Any) -> PatientConnection:
        with without_libpq_variables(host_of(engine.url)):
            connection = PatientConnection.connect(*arguments, **parameters)
        connection.answer_seconds = answer_seconds
        return connection

    try:
        with connect_source(engine):
            return engine
    except SourceUnreachable as error:
        unusable = find_unusable(str(getattr(error.__cause__, "orig", "")))
        if unusable is None:
            raise
        raise ConfigurationError(
            f"{setting}: expected parameters that libpq can use, found: {unusable}{blame(engine.url, unusable)}"
        ) from None


def without_query(url: URL, parameters: dict[str, int]) -> dict[str, int]:
    """Leave out what the URL says itself."""
    return {name: value for name, value in parameters.items() if name not in url.query}


@contextmanager
def connect_source(engine: Engine) -> Iterator[Connection]:
    """Open an autocommit psycopg connection, for checks and locks.

    Raises:
        SourceUnreachable: no connection, or it breaks within the block.
    """
    try:
        connection = try_again(engine, source_may_recover)(engine.connect)
    except DBAPIError as error:
        raise unreachable(engine, error.orig) from error
    with connection.execution_options(isolation_level="AUTOCOMMIT"):
        try:
            yield connection
        except OperationalError as error:
            if not isinstance(error.orig, psycopg.Error):
                raise  # of another database
            raise unreachable(engine, error.orig) from error


def source_may_recover(error: BaseException) -> bool:
    """Tell whether a failure to connect may pass: all may, but for a refusal of who asks."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, psycopg.Error | AdbcError) and (state := cause.sqlstate):
        return state.startswith("08") or state in PASSING_STATES
    passing = isinstance(cause, psycopg.OperationalError | AdbcError | TimeoutError)
    return passing and not (REFUSED.search(str(cause)) or find_unusable(str(cause)))


def host_of(url: URL) -> str | Sequence[str] | None:
    """Name the host, or hosts, that libpq goes to."""
    return url.query.get("hostaddr") or url.host or url.query.get("host")


def blame(url: URL, reason: str) -> str:
    """Name the variables of libpq that count beside a URL, where one may be why it was refused; empty: none does."""
    parts = {"user": url.username, "host": url.host, "port": url.port, "dbname": url.database}
    given = {name for name, part in parts.items() if part} | set(url.query) | OWN_PARAMETERS
    names = [] if is_loopback(host_of(url)) else libpq_variables(reason, given)
    return f". The environment has {' and '.join(names)}, too: unset it, or say it in the URL" if names else ""


def place_of(url: URL) -> str:
    """Say where a URL leads to; without a host libpq takes a local socket."""
    host = url.host or url.query.get("host")
    return f"{host}:{url.port or 5432}" if host else f"a local socket, port {url.port or 5432}"


def describe_source(url: URL) -> str:
    """Name a source by what a person knows it by; no user, no password."""
    return f"PostgreSQL at {place_of(url)}, database {url.database}"


def unreachable(engine: Engine, cause: object) -> SourceUnreachable:
    reason = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    place = describe_source(engine.url)
    if POOLER in reason:
        return SourceUnreachable(
            f"expected {place} itself; found a pooler ({reason}). Name the server's own address: locks and snapshots "
            "need sessions of their own"
        )
    if (end := describe_end(reason)) is not None:
        return SourceUnreachable(f"expected {place} to answer; {end}")
    return SourceUnreachable(
        f"expected {place}; found: {reason}. {advice_for(engine, 'SENTINEL_SOURCE_URL')}{blame(engine.url, reason)}"
    )
