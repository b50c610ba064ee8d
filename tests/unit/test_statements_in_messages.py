"""A message of a database is told without the statement that it repeats."""

from __future__ import annotations

import pytest

from sentinel_etl.wording import without_statement

SQL = "SELECT " + ", ".join(f"remarks.column_{n} AS c{n}" for n in range(60)) + " FROM remarks"


@pytest.mark.parametrize(
    ("message", "told"),
    [
        pytest.param(
            f"could not begin COPY: ERROR:  division by zero\n\nQuery was: COPY ({SQL}) TO STDOUT (FORMAT binary). "
            "SQLSTATE: 22012",
            "could not begin COPY: ERROR:  division by zero. SQLSTATE: 22012",
            id="PostgreSQL over ADBC",
        ),
        pytest.param(
            f"Code: 47. DB::Exception: Unknown expression identifier `nope`. In scope {SQL}. Maybe you meant: ['no']. "
            "(UNKNOWN_IDENTIFIER) (version 26.9.2.1)",
            "Code: 47. DB::Exception: Unknown expression identifier `nope`. Maybe you meant: ['no']. "
            "(UNKNOWN_IDENTIFIER) (version 26.9.2.1)",
            id="ClickHouse's analyzer",
        ),
        pytest.param(
            f"DB::Exception: odd: while executing 'FUNCTION throwIf({SQL})'. (THROWN) (version 26.9)",
            "DB::Exception: odd. (THROWN) (version 26.9)",
            id="ClickHouse's functions",
        ),
        pytest.param(
            f"Syntax error: failed at position 8 (x) (line 1, col 8): {SQL}. Expected one of: token. (SYNTAX_ERROR)",
            "Syntax error: failed at position 8 (x) (line 1, col 8). Expected one of: token. (SYNTAX_ERROR)",
            id="ClickHouse's parser",
        ),
        pytest.param(
            f"(psycopg.errors.DivisionByZero) division by zero\n[SQL: {SQL}]\n(Background on this error at: https://x)",
            "(psycopg.errors.DivisionByZero) division by zero",
            id="SQLAlchemy",
        ),
        pytest.param(
            "expected the source to answer; found: a timeout",
            "expected the source to answer; found: a timeout",
            id="none",
        ),
    ],
)
def test_a_message_is_told_without_the_statement_in_it(message: str, told: str) -> None:
    assert without_statement(message) == told
