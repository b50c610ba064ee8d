"""The PostgreSQL source: connections, one consistent snapshot, and the run's lock."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
from adbc_driver_manager import Error as AdbcError
from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection, Engine, Select, create_engine, func, select, text, union_all
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from sentinel_etl.errors import (
    ConfigurationError,
    SchemaMismatch,
    SentinelError,
    SourceUnreachable,
    WindowLocked,
)

__all__ = ["Snapshot", "compile_sql", "hold_locks", "open_snapshot", "open_source"]

# https://www.postgresql.org/docs/current/errcodes-appendix.html
UNDEFINED = {"42703": "column", "42P01": "table", "42883": "function or operator", "3F000": "schema"}
QUERY_CANCELED = "57014"

# What one Arrow batch holds, bytes: the driver's own default.
BATCH_BYTES = 16 << 20

# Literals as they are: no driver reads %, and backslashes are plain characters since PostgreSQL 9.1.
DIALECT = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
DIALECT._backslash_escapes = False


def open_source(url: str, connect_timeout_seconds: int = 10, setting: str = "SENTINEL_SOURCE_URL") -> Engine:
    """Make an engine on the source and see that it answers.

    Sessions run in UTC, so that no literal or cast depends on the server's zone.

    Raises:
        ConfigurationError: not a ``postgresql+psycopg`` URL.
        SourceUnreachable: no connection within the timeout, or a refusal.
    """
    try:
        engine = create_engine(
            url,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": connect_timeout_seconds,
                "application_name": "sentinel-etl",
                "options": "-c timezone=UTC",
            },
        )
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise ConfigurationError(
            f"{setting}: expected postgresql+psycopg://user:password@host:port/database, "
            f"found a URL that SQLAlchemy cannot read: {type(error).__name__}"
        ) from None
    if engine.dialect.name != "postgresql" or engine.dialect.driver != "psycopg":
        raise ConfigurationError(f"{setting}: expected postgresql+psycopg://…, found {engine.url.drivername}://…")
    with connect_source(engine):
        return engine


@contextmanager
def connect_source(engine: Engine) -> Iterator[Connection]:
    """Open an autocommit psycopg connection, for checks and locks."""
    try:
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    except DBAPIError as error:
        raise unreachable(engine, error.orig) from error
    with connection:
        yield connection


def unreachable(engine: Engine, cause: object) -> SourceUnreachable:
    reason = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    return SourceUnreachable(
        f"expected PostgreSQL at {engine.url.host}:{engine.url.port or 5432}, database "
        f"{engine.url.database}; found: {reason}. Check that it runs and that SENTINEL_SOURCE_URL is right"
    )


def compile_sql(statement: Any) -> str:
    """Compile for PostgreSQL with the dialect's own literals: COPY, which ADBC uses, takes no parameters."""
    return str(statement.compile(dialect=DIALECT, compile_kwargs={"literal_binds": True}))


@dataclass(frozen=True)
class Snapshot:
    """One ``REPEATABLE READ READ ONLY`` transaction: every statement sees the same instant."""

    connection: adbc.Connection
    batch_bytes: int = BATCH_BYTES

    def read(self, statement: Select[Any], event_type: str) -> Iterator[pa.RecordBatch]:
        """Stream a statement's rows as Arrow batches of about ``batch_bytes``, at least one.

        Raises:
            SchemaMismatch: the statement names what the source does not have.
            SourceUnreachable: the connection broke, or the statement timeout struck.
        """
        try:
            with self.connection.cursor() as cursor:
                cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(self.batch_bytes)})
                cursor.execute(compile_sql(statement))
                reader = cursor.fetch_record_batch()
                batch = None
                for batch in reader:
                    yield batch
                if batch is None:
                    yield pa.RecordBatch.from_pylist([], schema=reader.schema)
        except (AdbcError, pa.ArrowException, OSError) as error:
            raise reading_failed(error, event_type) from error

    def count(self, statements: Iterable[Select[Any]]) -> dict[str, int]:
        """Run counts made by `EventType.count`, in one round trip: {event type: rows}."""
        table = self.read_whole(union_all(*statements))
        return dict(zip(table["event_type"].to_pylist(), table["rows"].to_pylist(), strict=True))

    def read_whole(self, statement: Any) -> pa.Table:
        """Read a small result whole; raises as `read` does."""
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(compile_sql(statement))
                return cursor.fetch_arrow_table()
        except (AdbcError, pa.ArrowException, OSError) as error:
            raise reading_failed(error, None) from error


def libpq_string(engine: Engine) -> str:
    """Write the engine's connection parameters as libpq reads them, whatever characters they hold."""
    _, parameters = engine.dialect.create_connect_args(engine.url)
    defaults = {"connect_timeout": 10, "application_name": "sentinel-etl"}
    own = {"context"}  # psycopg's, not libpq's
    return make_conninfo(**{**defaults, **{name: v for name, v in parameters.items() if name not in own}})


def reading_failed(error: Exception, event_type: str | None) -> SentinelError:
    reason = str(error).replace("\n", " ").strip()
    # An error in the middle of a stream comes through Arrow, which keeps its words only.
    state = getattr(error, "sqlstate", None) or (QUERY_CANCELED if "statement timeout" in reason else None)
    place: dict[str, str | None] = {"stage": "extract", "event_type": event_type}
    if state in UNDEFINED:
        return SchemaMismatch(
            f"expected the source to have every {UNDEFINED[state]} that EVENT_CONFIG names; found: {reason}. "
            "Run `sentinel-etl check` for the full list, then correct the entry",
            **place,
        )
    if state == QUERY_CANCELED:
        return SourceUnreachable(
            "expected the statement to end within SENTINEL_STATEMENT_TIMEOUT_SECONDS; the source cancelled "
            "it. Raise the limit, or load a shorter window",
            **place,
        )
    return SourceUnreachable(
        f"the source broke off while rows were read: {reason}. Nothing was published; run it again", **place
    )


@contextmanager
def open_snapshot(
    engine: Engine, statement_timeout_seconds: int = 900, batch_bytes: int = BATCH_BYTES
) -> Iterator[Snapshot]:
    """Open a read-only snapshot of the source over ADBC; it ends with the block.

    It takes no lock above ACCESS SHARE, and holds back vacuum only while the block lasts.

    Raises:
        SourceUnreachable: no connection.
    """
    try:
        connection = adbc.connect(libpq_string(engine), autocommit=True)
    except AdbcError as error:
        raise unreachable(engine, str(error).partition("Failed to connect: ")[2] or error) from None
    try:
        with connection.cursor() as cursor:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute("SET LOCAL timezone = 'UTC'")
            cursor.execute("SET LOCAL standard_conforming_strings = on")
            milliseconds = int(statement_timeout_seconds * 1000)
            cursor.execute(f"SET LOCAL statement_timeout = {milliseconds}")
            # A reader that was stopped must not hold back vacuum for ever.
            cursor.execute(f"SET LOCAL idle_in_transaction_session_timeout = {milliseconds}")
            # Not BEGIN takes the snapshot, but the first statement that reads.
            cursor.execute("SELECT pg_current_snapshot()::text")
            cursor.fetchall()
        yield Snapshot(connection, batch_bytes)
    finally:
        connection.close()


@contextmanager
def hold_locks(engine: Engine, names: Iterable[str], holder: str, wait_seconds: float) -> Iterator[None]:
    """Hold a session advisory lock for each name while the block lasts.

    Locks are taken in sorted order, so two runs cannot wait for each other. They live in the
    server and die with the connection: a killed run leaves none. They work on a hot standby, and
    not through a pooler in transaction mode.
    https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS

    Raises:
        WindowLocked: another session still holds one after ``wait_seconds``.
    """
    deadline = time.monotonic() + wait_seconds
    with connect_source(engine) as connection:
        connection.execute(select(func.set_config("application_name", holder[:63], False)))
        try:
            for name in sorted(names):
                while not connection.scalar(select(func.pg_try_advisory_lock(lock_key(name)))):
                    if time.monotonic() >= deadline:
                        raise locked(connection, name, wait_seconds)
                    time.sleep(0.2)
            yield
        finally:
            # Back in the pool the session would keep them.
            connection.invalidate()


def lock_key(name: str) -> int:
    """Map a name to the 64-bit key of an advisory lock, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)


def locked(connection: Connection, name: str, waited_seconds: float) -> WindowLocked:
    holder = connection.execute(
        text(
            "SELECT a.application_name, a.pid, a.backend_start FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
            "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
            "AND ((l.classid::bigint << 32) | l.objid::bigint) = :key"
        ),
        {"key": lock_key(name)},
    ).first()
    who = f"{holder[0]} (since {holder[2]:%Y-%m-%d %H:%M:%S} UTC, PostgreSQL pid {holder[1]})" if holder else "a run"
    return WindowLocked(
        f"expected {name} to be free within {waited_seconds:g} s; {who} holds it. Wait for that run, then "
        "run this again; or raise SENTINEL_LOCK_WAIT_SECONDS"
    )
