"""How names of any characters pass through the drivers, which format statements with percent signs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clickhouse_sqlalchemy.drivers.base import ClickHouseIdentifierPreparer
from clickhouse_sqlalchemy.drivers.http.base import ClickHouseDialect_http
from sqlalchemy import Dialect, Engine, TextClause, event
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler

__all__ = [
    "DIALECT",
    "PlainText",
    "as_formatted",
    "as_sent",
    "take_any_name",
    "write_short_statement",
    "write_statement",
]


class NamePreparer(ClickHouseIdentifierPreparer):  # type: ignore[misc]
    """Quotes names as the server reads them: a backslash within a quoted name is an escape there, as in a text.

    https://clickhouse.com/docs/sql-reference/syntax#identifiers
    """

    def _escape_identifier(self, value: str) -> str:
        return str(super()._escape_identifier(value.replace("\\", "\\\\")))


def with_name_preparer(dialect: Dialect) -> Dialect:
    dialect.identifier_preparer = NamePreparer(dialect)
    return dialect


DIALECT: Any = with_name_preparer(ClickHouseDialect_http())


def as_sent(compiled: str) -> str:
    """Turn what SQLAlchemy has compiled into what the server is to read: each percent sign once."""
    return compiled % ()


def as_formatted(statement: str) -> str:
    """Turn what the server is to read into what a driver formats: each percent sign twice."""
    return statement.replace("%", "%%")


class PlainText(TextClause):
    """A whole statement in which nothing is a parameter, whatever colons and percent signs its names have."""

    inherit_cache = True

    def __init__(self, statement: str) -> None:
        super().__init__("")
        self.text = statement


@compiles(PlainText)
def write_plain_text(statement: PlainText, compiler: SQLCompiler, **options: Any) -> str:
    return as_formatted(statement.text) if compiler.dialect.paramstyle == "pyformat" else statement.text


def write_statement(statement: ClauseElement, dialect: Dialect = DIALECT) -> str:
    """Write a statement with its values in it, as the server is to read it."""
    return as_sent(str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})))


def write_short_statement(statement: ClauseElement) -> str:
    """Write a statement that reads one table as a person types it: in one line, and no column with its table's name."""
    compiler = type("ShortCompiler", (ShortNames, DIALECT.statement_compiler), {})
    compiled = compiler(DIALECT, statement, compile_kwargs={"literal_binds": True})
    return " ".join(as_sent(str(compiled)).split())


class ShortNames:
    """Leaves the table out of a column's name."""

    def visit_column(self, *arguments: Any, **options: Any) -> str:
        return str(super().visit_column(*arguments, **options | {"include_table": False}))  # type: ignore[misc]


def take_any_name(engine: Engine) -> Engine:
    """Let an engine write columns of any name, in chunks of rows, too."""
    with_name_preparer(engine.dialect)
    event.listen(engine, "do_executemany", send_http_rows if engine.dialect.driver == "http" else send_native_rows)
    return engine


def send_http_rows(cursor: Any, statement: str, rows: Sequence[dict[str, Any]], context: object) -> bool:
    """Send rows in the place of clickhouse-sqlalchemy 0.3.2, which formats the values alone and not the names.

    It also takes the first VALUES for the keyword, be it part of a name.
    """
    head, values, template = statement.rpartition(" VALUES ")
    escaper = cursor._params_escaper
    cursor.execute(as_sent(head) + values + ", ".join(template % escaper.escape(row) for row in rows))
    return True


def send_native_rows(cursor: Any, statement: str, rows: Sequence[dict[str, Any]], context: object) -> bool:
    """Send rows in the order of their columns, because a parameter's name need not be its column's."""
    cursor.executemany(as_sent(statement), [tuple(row.values()) for row in rows], context=context)
    return True
