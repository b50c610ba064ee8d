"""Writes statements as PostgreSQL's SQL. Pure."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects import postgresql

__all__ = ["DIALECT", "compile_sql"]


# Literals as they are: no driver reads %, and backslashes are plain characters since PostgreSQL 9.1.
DIALECT = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
DIALECT._backslash_escapes = False


def compile_sql(statement: Any) -> str:
    """Compile for PostgreSQL with the dialect's own literals: COPY, which ADBC uses, takes no parameters.

    A text is a statement already.
    """
    if isinstance(statement, str):
        return statement
    return str(statement.compile(dialect=DIALECT, compile_kwargs={"literal_binds": True}))
