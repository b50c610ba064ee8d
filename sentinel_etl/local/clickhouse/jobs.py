"""What is done on one connection of the engine: a statement, an insert, what surrounds them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from sentinel_etl.local.clickhouse.errors import Code, StatementFailed

__all__ = [
    "ExternalTable",
    "Outcome",
    "SessionKey",
    "StatementJob",
    "assignments",
    "checked_format",
    "query",
    "quote_name",
    "quote_string",
    "settings_of",
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
