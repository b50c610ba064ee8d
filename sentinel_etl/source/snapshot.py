"""One consistent snapshot of PostgreSQL, read over ADBC."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
from adbc_driver_manager import Error as AdbcError
from psycopg.conninfo import make_conninfo
from sqlalchemy import Engine, Select, union_all
from sqlalchemy.sql.selectable import GenerativeSelect

from sentinel_etl.errors import (
    ConfigurationError,
    SchemaMismatch,
    SentinelError,
    SourceUnreachable,
)
from sentinel_etl.loopback import without_libpq_variables
from sentinel_etl.retry import limits_of, try_again
from sentinel_etl.source.connection import KEEPALIVE, host_of, source_may_recover, unreachable
from sentinel_etl.source.parameters import LIBPQ_NAMES
from sentinel_etl.source.session import (
    INSUFFICIENT_PRIVILEGE,
    describe_denial,
    describe_end,
    own_options,
    pin_statement,
)
from sentinel_etl.source.sql import compile_sql
from sentinel_etl.threads import Waiter
from sentinel_etl.wording import without_statement

__all__ = ["Snapshot", "open_snapshot"]


# https://www.postgresql.org/docs/current/errcodes-appendix.html
UNDEFINED = {"42703": "column", "42P01": "table", "42883": "function or operator", "3F000": "schema"}
QUERY_CANCELED = "57014"

# Seconds that a statement's answer may take beyond the time after which the server cancels it.
ANSWER_MARGIN_SECONDS = 5.0

# What one Arrow batch holds, bytes: an eighth of the driver's default, as fast and in less memory.
BATCH_BYTES = 2 << 20


@dataclass(frozen=True)
class Snapshot:
    """One ``REPEATABLE READ READ ONLY`` transaction: every statement sees the same instant.

    ``rows_per_second``: what its reader holds itself back to; 0: to nothing.

    An answer is waited for ``answer_seconds``. After that the connection is ``lost``: libpq still
    waits on it in a thread that nobody can stop, so it is not even closed.
    """

    connection: adbc.Connection
    waiter: Waiter
    batch_bytes: int = BATCH_BYTES
    answer_seconds: float = 900 + ANSWER_MARGIN_SECONDS
    rows_per_second: int = 0
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

    def read(self, statement: GenerativeSelect | str, event_type: str) -> Iterator[pa.RecordBatch]:
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
            raise reading_failed(error, event_type, self.rows_per_second) from error

    def count(self, statements: Iterable[Select[Any]]) -> dict[str, int]:
        """Run counts made by `extract.statements.count_events`, in one round trip: {event type: rows}."""
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
    """Write the engine's connection parameters as libpq reads them, whatever characters they hold; psycopg's not."""
    _, parameters = engine.dialect.create_connect_args(engine.url)
    connect_timeout = int(limits_of(engine).connect_seconds)
    defaults = {"connect_timeout": connect_timeout, "application_name": "sentinel-etl", **KEEPALIVE}
    parameters["options"] = own_options(engine.url)
    return make_conninfo(**{**defaults, **{name: v for name, v in parameters.items() if name in LIBPQ_NAMES}})


def reading_failed(error: Exception, event_type: str | None, rows_per_second: int = 0) -> SentinelError:
    reason = without_statement(str(error)).replace("\n", " ").strip()
    # An error in the middle of a stream comes through Arrow, which keeps its words only: ADBC 1.13 gives
    # pyarrow's own reader. https://github.com/apache/arrow-adbc/issues/1523
    state = getattr(error, "sqlstate", None)
    place: dict[str, str | None] = {"stage": "extract", "event_type": event_type}
    if state in UNDEFINED:
        return SchemaMismatch(
            f"expected the source to have every {UNDEFINED[state]} that EVENT_CONFIG names; found: {reason}. "
            "Run `sentinel-etl check` for the full list, then correct the entry",
            **place,
        )
    if state == INSUFFICIENT_PRIVILEGE:
        return ConfigurationError(describe_denial(reason), **place)
    if "statement timeout" in reason or (state == QUERY_CANCELED and not describe_end(reason)):
        throttled = f"SENTINEL_SOURCE_MAX_ROWS_PER_SECOND ({rows_per_second}) holds the reading back: raise that, or"
        remedy = f"{throttled} raise the limit" if rows_per_second else "Raise the limit"
        return SourceUnreachable(
            "expected the statement to end within SENTINEL_STATEMENT_TIMEOUT_SECONDS; the source cancelled "
            f"it. {remedy}, or load a shorter window",
            **place,
        )
    if (end := describe_end(reason)) is not None:
        return SourceUnreachable(f"the source broke off while rows were read; {end}. Nothing was published", **place)
    return SourceUnreachable(
        f"the source broke off while rows were read: {reason}. Nothing was published; run it again", **place
    )


@contextmanager
def open_snapshot(
    engine: Engine, statement_timeout_seconds: int = 900, batch_bytes: int = BATCH_BYTES, rows_per_second: int = 0
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
            with without_libpq_variables(host_of(engine.url)):
                connection = waiter.call(answer_seconds, partial(adbc.connect, autocommit=True), libpq_string(engine))
        except BaseException:
            waiter.close()
            raise
        return Snapshot(connection, waiter, batch_bytes, answer_seconds, rows_per_second)

    try:
        snapshot = try_again(engine, source_may_recover)(connect)
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
                # A reader that was stopped must not hold back vacuum for ever.
                f"SET LOCAL idle_in_transaction_session_timeout = {milliseconds}",
                f"SET LOCAL statement_timeout = {milliseconds}",
                pin_statement(),
                # In SQL_ASCII nothing can be converted, and one text that is no UTF-8 would end the reading.
                "SELECT set_config('client_encoding', "
                "CASE current_setting('server_encoding') WHEN 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END, true)",
                # Not BEGIN takes the snapshot, but the first statement that reads.
                "SELECT pg_current_snapshot()::text",
            ):
                snapshot.wait_for(cursor.execute, statement)
            snapshot.wait_for(cursor.fetchall)
    except (AdbcError, TimeoutError) as error:
        raise reading_failed(error, None) from error
