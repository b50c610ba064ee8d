"""Writes statements as PostgreSQL's SQL. Pure."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from psycopg.sql import Literal
from sqlalchemy.dialects.postgresql.base import PGCompiler
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.types import TypeEngine

from sentinel_etl.errors import ConfigurationError

__all__ = ["DIALECT", "compile_sql"]


# The server's own short names, which psycopg writes.
# https://www.postgresql.org/docs/current/datatype.html
SHORT_NAMES = {
    "TIMESTAMP WITH TIME ZONE": "timestamptz",
    "TIMESTAMP WITHOUT TIME ZONE": "timestamp",
    "TIME WITH TIME ZONE": "timetz",
    "TIME WITHOUT TIME ZONE": "time",
}

# How much of a literal a message shows.
SHOWN_CHARACTERS = 200


class LiteralCompiler(PGCompiler):
    """Writes each bound value as a literal that means what psycopg would have bound."""

    def render_literal_bindparam(self, bindparam: Any, *arguments: Any, **options: Any) -> str:
        if "render_literal_value" not in options and bindparam.value is None and bindparam.callable is None:
            if bindparam.required:
                raise ConfigurationError(
                    f"expected a value for the parameter :{bindparam.key}, found none. Give it one with "
                    f".bindparams({bindparam.key}=…); where only a colon is meant, write \\:{bindparam.key}"
                )
            if bindparam.type.should_evaluate_none:
                return self.render_literal_value(None, bindparam.type)
        return str(super().render_literal_bindparam(bindparam, *arguments, **options))  # type: ignore[no-untyped-call]

    def render_literal_value(self, value: Any, type_: TypeEngine[Any]) -> str:
        if value is None and not type_.should_evaluate_none:
            return "NULL"
        try:
            bind = type_._cached_bind_processor(self.dialect)
            return write_literal(bind(value) if bind is not None else value, type_)
        except Exception as error:  # a type of the config's own raises what it likes
            found = f"{repr(value)[:SHOWN_CHARACTERS]} of type {type(value).__name__}"
            raise ConfigurationError(
                f"expected a literal that PostgreSQL can be sent as {type_!r}, found {found}: {error}. Write it as a "
                "value of that type, or as text in a cast()"
            ) from error


# https://docs.sqlalchemy.org/en/20/dialects/postgresql.html#module-sqlalchemy.dialects.postgresql.psycopg
DIALECT = PGDialect_psycopg(  # type: ignore[no-untyped-call]
    paramstyle="named",  # no driver reads %
    use_native_hstore=False,  # which asks a server how
)
DIALECT.statement_compiler = LiteralCompiler  # type: ignore[assignment]


def write_literal(bound: Any, type_: TypeEngine[Any]) -> str:
    """Write a value that psycopg would be given, with the cast that SQLAlchemy would put on it."""
    if isinstance(bound, str):
        bound.encode()
        if "\0" in bound:
            raise ValueError("PostgreSQL's texts hold no NUL character")
        # Backslashes are plain characters: every session has standard_conforming_strings on.
        return "'" + bound.replace("'", "''") + "'"
    text = Literal(with_hex(bound) if isinstance(bound, list) else bound).as_string(None).strip()
    if isinstance(bound, int | float | Decimal) and math.isfinite(bound):
        return text
    impl = type_.dialect_impl(DIALECT)
    if impl._isnull or not impl.render_bind_cast:
        return text
    name = DIALECT.type_compiler_instance.process(impl)
    return text if text.endswith(f"::{SHORT_NAMES.get(name, name.lower())}") else f"{text}::{name}"


def with_hex(bound: Any) -> Any:
    """Write an array's bytes in PostgreSQL's hex form: without a connection psycopg 3.3 escapes them once too few."""
    if isinstance(bound, list):
        return [with_hex(each) for each in bound]
    return f"\\x{bound.hex()}" if isinstance(bound, bytes) else bound


def compile_sql(statement: Any) -> str:
    """Compile for PostgreSQL with literals: COPY, which ADBC uses, takes no parameters.

    A text is a statement already.

    Raises:
        ConfigurationError: a literal that cannot be written, or a parameter without a value.
    """
    if isinstance(statement, str):
        return statement
    return str(statement.compile(dialect=DIALECT, compile_kwargs={"literal_binds": True}))
