"""What the drivers say of a connection that failed, asked of a real server, and what is tried again because of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import psycopg
import pytest
from sqlalchemy import Engine, text

from sentinel_etl.source.connection import source_may_recover
from sentinel_etl.source.snapshot import libpq_string


@contextmanager
def made(engine: Engine, *statements: str, undo: str) -> Iterator[None]:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in statements:
            connection.execute(text(statement))
        try:
            yield
        finally:
            connection.execute(text(undo))


def failures(engine: Engine, **change: Any) -> list[Exception]:
    """Fail to connect with each driver, and give the two errors."""
    conninfo = psycopg.conninfo.make_conninfo(libpq_string(engine), **change)
    errors: list[Exception] = []
    for connect in (psycopg.connect, adbc.connect):
        with pytest.raises((psycopg.Error, adbc.Error)) as caught, closing(connect(conninfo)):
            pass
        errors.append(caught.value)
    return errors


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"password": "wrong"}, id="wrong password"),
        pytest.param({"user": "nobody"}, id="unknown user"),
        pytest.param({"dbname": "nowhere"}, id="unknown database"),
        pytest.param({"password": ""}, id="no password"),
    ],
)
def test_a_refusal_of_who_asks_does_not_pass(source_engine: Engine, change: dict[str, Any]) -> None:
    assert [source_may_recover(error) for error in failures(source_engine, **change)] == [False, False]


def test_a_missing_privilege_does_not_pass_and_too_many_connections_do(
    source_engine: Engine, new_role: Callable[[], str]
) -> None:
    role = new_role()
    login = {"user": role, "password": "word"}
    database = str(source_engine.url.database)
    with made(source_engine, f"CREATE ROLE {role} LOGIN PASSWORD 'word' CONNECTION LIMIT 0", undo=f"DROP ROLE {role}"):
        assert [source_may_recover(error) for error in failures(source_engine, **login)] == [True, True]
        with made(
            source_engine,
            f"ALTER ROLE {role} CONNECTION LIMIT 5",
            f"REVOKE CONNECT ON DATABASE {database} FROM PUBLIC",
            undo=f"GRANT CONNECT ON DATABASE {database} TO PUBLIC",
        ):
            assert [source_may_recover(error) for error in failures(source_engine, **login)] == [False, False]


def test_a_session_that_an_administrator_ended_has_its_sqlstate(source_engine: Engine) -> None:
    with closing(psycopg.connect(libpq_string(source_engine))) as session, source_engine.connect() as other:
        other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": session.info.backend_pid})
        with pytest.raises(psycopg.OperationalError) as caught:
            session.execute("SELECT 1")
    assert caught.value.sqlstate == "57P01"
    assert source_may_recover(caught.value)


def test_drivers_keep_no_sqlstate_of_a_connection_that_failed(source_engine: Engine) -> None:
    # Once one does, the words in source.connection may go.
    assert [error.sqlstate for error in failures(source_engine, password="wrong")] == [None, None]  # type: ignore[attr-defined]
