"""What is done on one connection of the engine: a statement, an insert, what surrounds them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from sentinel_etl.local.clickhouse.errors import Code, StatementFailed

__all__ = [
    "ExternalTable",
    "InsertStream",
    "Outcome",
    "SessionKey",
    "StatementJob",
    "assignments",
    "checked_format",
    "open_insert",
    "query",
    "quote_name",
    "quote_string",
    "settings_of",
    "with_tables",
]


_SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_FORMAT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*")


@dataclass(frozen=True, slots=True)
class SessionKey:
    """A client's ``session_id`` with its lifetime; ``must_exist`` is ``session_check=1``."""

    name: str
    timeout_s: int
    must_exist: bool


@dataclass(frozen=True, slots=True)
class ExternalTable:
    """Data sent along with a query, as a temporary table of that query's own."""

    name: str
    structure: str
    format: str
    content: bytes

    @classmethod
    def described(cls, name: str, content: bytes, words: Mapping[str, str]) -> Self:
        """Put a table together from the URL's ``name_structure`` or ``name_types`` and ``name_format``.

        Raises:
            StatementFailed: BAD_ARGUMENTS where neither structure nor types are given; UNKNOWN_FORMAT.
        """
        structure = words.get(f"{name}_structure", "")
        if types := words.get(f"{name}_types"):
            columns = (f"_{index} {kind}" for index, kind in enumerate(types.split(","), start=1))
            structure = ", ".join(columns)
        if not structure:
            raise StatementFailed(
                Code.BAD_ARGUMENTS, f"Neither structure nor types are given for external table {name}."
            )
        return cls(name, structure, checked_format(words.get(f"{name}_format", "TabSeparated")), content)

    @property
    def definition(self) -> str:
        return f"CREATE TEMPORARY TABLE {quote_name(self.name)} ({self.structure}) ENGINE = Memory"


@dataclass(frozen=True, slots=True)
class StatementJob:
    """What surrounds a statement: database, settings, parameters, session.

    ``changes_session`` marks SET and USE: settings of their own request would undo them.
    """

    query_id: str
    database: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    read_only: bool = False
    session: SessionKey | None = None
    changes_session: bool = False
    tables: tuple[ExternalTable, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished statement: its ``output`` and what ClickHouse's summary counts."""

    output: bytes = b""
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    result_bytes: int = 0
    elapsed_s: float = 0.0


def quote_string(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def quote_name(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def _as_sql(text: str) -> bytes:
    # What came in as bytes that are not UTF-8 goes on to the engine as the same bytes.
    return text.encode("utf-8", "surrogateescape")


# ClickHouse's src/Common/ErrorCodes.cpp.
DISK_ERRORS = (
    "NOT_ENOUGH_SPACE",
    "CANNOT_WRITE_TO_FILE_DESCRIPTOR",
    "CANNOT_OPEN_FILE",
    "CANNOT_CLOSE_FILE",
    "CANNOT_FSYNC",
    "CANNOT_CREATE_DIRECTORY",
)


class InsertStream:
    """An open INSERT. It holds its connection until :meth:`finish` or :meth:`cancel`.

    The engine writes a block whenever it has ``max_insert_block_size`` rows. An insert that is
    cancelled, fails, or dies with the process keeps the blocks already written, as in ClickHouse;
    the rest leaves nothing. An insert of one block is therefore all or nothing.
    """

    def __init__(self, inserter: Any, stack: ExitStack, connection: Any, failures: Mapping[int, int]) -> None:
        self._inserter = inserter
        self._stack = stack
        self._connection = connection
        self._failures = failures

    def append(self, data: bytes) -> None:
        try:
            self._inserter.append(data)
        except RuntimeError as error:
            raise StatementFailed.raised_by_engine(error) from None

    def finish(self) -> Outcome:
        """Commit. When this returns, the rows are in the table and outlive the process."""
        with self._stack:
            try:
                result = self._inserter.finish()
            except RuntimeError as error:
                raise StatementFailed.raised_by_engine(error) from None
            for code, times in disk_failures(self._connection).items():
                if times > self._failures.get(code, 0):
                    raise StatementFailed(code, "No space left on the disk, or no writing to it: the rows are lost.")
            return Outcome(
                written_rows=result.rows_written,
                written_bytes=result.bytes_written,
                read_rows=result.rows_written,
                read_bytes=result.bytes_written,
                elapsed_s=result.elapsed,
            )

    def cancel(self) -> None:
        with self._stack:
            try:
                self._inserter.cancel()
            except RuntimeError as error:
                raise StatementFailed.raised_by_engine(error) from None


def open_insert(connection: Any, sql: str, format_name: str, stack: ExitStack) -> InsertStream:
    failures = disk_failures(connection)
    try:
        return InsertStream(connection.send_insert(_as_sql(sql), format_name), stack, connection, failures)
    except RuntimeError as error:
        raise StatementFailed.raised_by_engine(error) from None


def disk_failures(connection: Any) -> dict[int, int]:
    """Count the engine's failures to write, by code.

    chdb 4.4 ends a streamed insert as done, rows counted, where its last block found no space: the
    engine's own count of errors tells. Another insert's failure meanwhile would be taken for this
    one's, which is then said to have failed and may have been done.
    """
    names = ", ".join(quote_string(name) for name in DISK_ERRORS)
    rows = query(connection, f"SELECT code, value FROM system.errors WHERE name IN ({names})").output
    return {int(code): int(times) for code, times in (line.split(b"\t") for line in rows.splitlines())}


def checked(name: str) -> str:
    if not _SETTING_NAME.fullmatch(name):
        raise StatementFailed(Code.UNKNOWN_SETTING, f"Unknown setting '{name}'.")
    return name


def checked_format(name: str) -> str:
    """Check that a format is a name, as each of system.formats is: it is written into statements.

    Raises:
        StatementFailed: UNKNOWN_FORMAT.
    """
    if not _FORMAT_NAME.fullmatch(name):
        raise StatementFailed(
            Code.UNKNOWN_FORMAT, f"Unknown format {name[:100]}: expected a name, such as JSONEachRow."
        )
    return name


def settings_of(job: StatementJob) -> dict[str, str]:
    """Put a job's settings in the order in which they can be SET."""
    # The client's query id goes where system.processes shows it: the engine makes ids of its own.
    settings = {"log_comment": job.query_id, **job.settings}
    if job.read_only and settings.get("readonly", "0") == "0":
        settings["readonly"] = "2"
    if "readonly" in settings:
        # Under readonly=1 no other setting may change, so it has to be the last.
        settings["readonly"] = settings.pop("readonly")
    return settings


def assignments(settings: Mapping[str, str | None]) -> str:
    pairs = (
        f"{checked(name)} = {'DEFAULT' if value is None else quote_string(value)}" for name, value in settings.items()
    )
    return f"SET {', '.join(pairs)}"


@contextmanager
def with_tables(connection: Any, tables: tuple[ExternalTable, ...]) -> Iterator[None]:
    try:
        for table in tables:
            query(connection, table.definition)
            sql = f"INSERT INTO {quote_name(table.name)}"
            stream = open_insert(connection, sql, table.format, ExitStack())
            stream.append(table.content)
            stream.finish()
        yield
    finally:
        for table in tables:
            # A session's connection outlives the query; its external tables do not.
            query(connection, f"DROP TEMPORARY TABLE IF EXISTS {quote_name(table.name)}")


def query(
    connection: Any, sql: str, format_name: str = "TabSeparated", parameters: Mapping[str, str] | None = None
) -> Outcome:
    try:
        result = connection.query(_as_sql(sql), format_name, params=dict(parameters or {}))
    except RuntimeError as error:
        raise StatementFailed.raised_by_engine(error) from None
    return Outcome(
        output=bytes(result.bytes()),
        read_rows=result.storage_rows_read(),
        read_bytes=result.storage_bytes_read(),
        written_rows=result.rows_written(),
        written_bytes=result.bytes_written(),
        result_rows=result.rows_read(),
        result_bytes=result.bytes_read(),
        elapsed_s=result.elapsed(),
    )
