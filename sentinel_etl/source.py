"""The PostgreSQL source: connections, one consistent snapshot, and the run's lock."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import psycopg
import pyarrow as pa
from adbc_driver_manager import Error as AdbcError
from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection, Engine, Select, create_engine, event, func, select, text, union_all
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.selectable import GenerativeSelect

from sentinel_etl.errors import (
    ConfigurationError,
    SchemaMismatch,
    SentinelError,
    SourceUnreachable,
    WindowLocked,
)
from sentinel_etl.patience import KEEPALIVE, RETRY_OPTION, SERVER_KEEPALIVE, PatientConnection, Waiter, try_again

__all__ = ["Snapshot", "compile_sql", "hold_locks", "open_snapshot", "open_source"]

# https://www.postgresql.org/docs/current/errcodes-appendix.html
UNDEFINED = {"42703": "column", "42P01": "table", "42883": "function or operator", "3F000": "schema"}
QUERY_CANCELED = "57014"

# What the server says to who will never be let in; any other failure to connect may pass.
REFUSED = re.compile(
    r"authentication failed|does not exist|no pg_hba\.conf entry|permission denied|no password supplied"
)

# Seconds that a statement's answer may take beyond the time after which the server cancels it.
ANSWER_MARGIN_SECONDS = 5.0

# What one Arrow batch holds, bytes: an eighth of the driver's default, as fast and in less memory.
BATCH_BYTES = 2 << 20

# Literals as they are: no driver reads %, and backslashes are plain characters since PostgreSQL 9.1.
DIALECT = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
DIALECT._backslash_escapes = False


def open_source(
    url: str,
    connect_timeout_seconds: int = 10,
    setting: str = "SENTINEL_SOURCE_URL",
    *,
    answer_seconds: float = 900,
    retry_seconds: float = 0,
) -> Engine:
    """Make an engine on the source and see that it answers.

    Sessions run in UTC, so that no literal or cast depends on the server's zone. A statement is
    waited for ``answer_seconds``; a connection that fails is tried again over ``retry_seconds``.

    Raises:
        ConfigurationError: not a ``postgresql+psycopg`` URL.
        SourceUnreachable: no connection within the timeout, or a refusal.
    """
    try:
        engine = create_engine(
            url,
            poolclass=NullPool,  # a guest leaves no idle sessions behind
            connect_args={
                "client_encoding": "utf8",
                "connect_timeout": connect_timeout_seconds,
                "application_name": "sentinel-etl",
                "options": f"-c timezone=UTC {SERVER_KEEPALIVE}",
                **KEEPALIVE,
            },
            execution_options={RETRY_OPTION: retry_seconds},
        )
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise ConfigurationError(
            f"{setting}: expected postgresql+psycopg://user:password@host:port/database, "
            f"found a URL that SQLAlchemy cannot read: {type(error).__name__}"
        ) from None
    if engine.dialect.name != "postgresql" or engine.dialect.driver != "psycopg":
        raise ConfigurationError(f"{setting}: expected postgresql+psycopg://…, found {engine.url.drivername}://…")

    @event.listens_for(engine, "do_connect")
    def connect(dialect: object, record: object, arguments: Any, parameters: Any) -> PatientConnection:
        connection = PatientConnection.connect(*arguments, **parameters)
        connection.answer_seconds = answer_seconds
        return connection

    with connect_source(engine):
        return engine


@contextmanager
def connect_source(engine: Engine) -> Iterator[Connection]:
    """Open an autocommit psycopg connection, for checks and locks.

    Raises:
        SourceUnreachable: no connection, or it breaks within the block.
    """
    try:
        connection = try_again(engine, may_pass)(engine.connect)
    except DBAPIError as error:
        raise unreachable(engine, error.orig) from error
    with connection.execution_options(isolation_level="AUTOCOMMIT"):
        try:
            yield connection
        except OperationalError as error:
            if not isinstance(error.orig, psycopg.Error):
                raise  # of another database
            raise unreachable(engine, error.orig) from error


def may_pass(error: BaseException) -> bool:
    """Tell whether a failure to connect may pass: all may, but for a refusal of who asks."""
    return isinstance(error, OperationalError | AdbcError | TimeoutError) and not REFUSED.search(str(error))


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
    """One ``REPEATABLE READ READ ONLY`` transaction: every statement sees the same instant.

    An answer is waited for ``answer_seconds``. After that the connection is ``lost``: libpq still
    waits on it in a thread that nobody can stop, so it is not even closed.
    """

    connection: adbc.Connection
    waiter: Waiter
    batch_bytes: int = BATCH_BYTES
    answer_seconds: float = 900 + ANSWER_MARGIN_SECONDS
    lost: list[object] = field(default_factory=list, repr=False)

    def wait_for(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return self.waiter.call(self.answer_seconds, function, *arguments)
        except TimeoutError:
            self.lost.append(self.connection)
            LOST_CONNECTIONS.append(self.connection)
            raise

    @contextmanager
    def open_cursor(self) -> Iterator[adbc.Cursor]:
        cursor = self.connection.cursor()
        try:
            yield cursor
        finally:
            if self.lost:
                LOST_CONNECTIONS.append(cursor)
            else:
                cursor.close()

    def read(self, statement: GenerativeSelect, event_type: str) -> Iterator[pa.RecordBatch]:
        """Stream a statement's rows as Arrow batches of about ``batch_bytes``, at least one.

        Raises:
            SchemaMismatch: the statement names what the source does not have.
            SourceUnreachable: the connection broke, or the statement timeout struck.
        """
        try:
            with self.open_cursor() as cursor:
                cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(self.batch_bytes)})
                self.wait_for(cursor.execute, compile_sql(statement))
                reader = cursor.fetch_record_batch()
                batch = None
                while (read := self.wait_for(next, reader, None)) is not None:
                    yield (batch := read)
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
            with self.open_cursor() as cursor:
                self.wait_for(cursor.execute, compile_sql(statement))
                return self.wait_for(cursor.fetch_arrow_table)
        except (AdbcError, pa.ArrowException, OSError) as error:
            raise reading_failed(error, None) from error


# Kept from being collected, which would close them under the thread that waits.
LOST_CONNECTIONS: list[object] = []


def libpq_string(engine: Engine) -> str:
    """Write the engine's connection parameters as libpq reads them, whatever characters they hold."""
    _, parameters = engine.dialect.create_connect_args(engine.url)
    defaults = {"connect_timeout": 10, "application_name": "sentinel-etl", **KEEPALIVE}
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
    answer_seconds = statement_timeout_seconds + ANSWER_MARGIN_SECONDS

    def connect() -> Snapshot:
        waiter = Waiter()  # another one for each try: one that has waited in vain is of no more use
        try:
            connection = waiter.call(answer_seconds, partial(adbc.connect, autocommit=True), libpq_string(engine))
        except BaseException:
            waiter.close()
            raise
        return Snapshot(connection, waiter, batch_bytes, answer_seconds)

    try:
        snapshot = try_again(engine, may_pass)(connect)
    except (AdbcError, TimeoutError) as error:
        raise unreachable(engine, str(error).partition("Failed to connect: ")[2] or error) from None
    try:
        begin(snapshot, statement_timeout_seconds)
        yield snapshot
    finally:
        if not snapshot.lost:
            snapshot.connection.close()
        snapshot.waiter.close()


def begin(snapshot: Snapshot, statement_timeout_seconds: int) -> None:
    milliseconds = int(statement_timeout_seconds * 1000)
    try:
        with snapshot.open_cursor() as cursor:
            for statement in (
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                "SET LOCAL timezone = 'UTC'",
                # In SQL_ASCII nothing can be converted, and one text that is no UTF-8 would end the reading.
                "SELECT set_config('client_encoding', "
                "CASE current_setting('server_encoding') WHEN 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END, true)",
                "SET LOCAL standard_conforming_strings = on",
                f"SET LOCAL statement_timeout = {milliseconds}",
                # A reader that was stopped must not hold back vacuum for ever.
                f"SET LOCAL idle_in_transaction_session_timeout = {milliseconds}",
                # Not BEGIN takes the snapshot, but the first statement that reads.
                "SELECT pg_current_snapshot()::text",
            ):
                snapshot.wait_for(cursor.execute, statement)
            snapshot.wait_for(cursor.fetchall)
    except (AdbcError, TimeoutError) as error:
        raise reading_failed(error, None) from error


@contextmanager
def hold_locks(engine: Engine, names: Iterable[str], holder: str, wait_seconds: float) -> Iterator[Callable[[], None]]:
    """Hold a session advisory lock for each name while the block lasts; gives a function that checks so.

    Locks are taken in sorted order, so two runs cannot wait for each other. They live in the
    server and die with the connection: a killed run leaves none. They work on a hot standby, and
    not through a pooler in transaction mode.
    https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS

    Raises:
        WindowLocked: another session still holds one after ``wait_seconds``.
        SourceUnreachable: from the check, where the session is gone, and its locks with it.
    """
    deadline = time.monotonic() + wait_seconds

    def check_held() -> None:
        try:
            connection.scalar(select(1))
        except DBAPIError as error:
            raise SourceUnreachable(
                "expected to hold the window's locks until it is published; found that the session which held "
                "them is gone, so another run may be at work. Nothing more was published; run it again",
                stage="publish",
            ) from error

    with connect_source(engine) as connection:
        connection.execute(select(func.set_config("application_name", holder[:63], False)))
        try:
            for name in sorted(names):
                while not connection.scalar(select(func.pg_try_advisory_lock(lock_key(name)))):
                    if time.monotonic() >= deadline:
                        raise locked(connection, name, wait_seconds)
                    time.sleep(0.2)
            yield check_held
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
