"""Servers that are given: ``SENTINEL_TEST_SOURCE_URL``, ``SENTINEL_TEST_WAREHOUSE_URL`` or both before ``make test``.

The tests then make their databases and roles there, instead of on the local stack. All names begin with the run's
prefix. The process that began the run removes them at its end, also after failures and after Ctrl-C.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

import pytest
from source_kinds import create_source
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from sentinel_etl.errors import SentinelError
from sentinel_etl.local.stack import LocalStack
from sentinel_etl.source.connection import open_source
from sentinel_etl.warehouse.engine import open_warehouse
from sentinel_etl.warehouse.query import run_statement

__all__ = [
    "GIVEN_SOURCE",
    "GIVEN_WAREHOUSE",
    "NEEDS_LOCAL_SOURCE",
    "NEEDS_LOCAL_STACK",
    "NEEDS_LOCAL_WAREHOUSE",
    "check_servers",
    "drop_source",
    "drop_warehouse",
    "finish",
    "given_or",
    "maintenance",
    "new_name",
    "passwords_of",
]

SOURCE, WAREHOUSE = "SENTINEL_TEST_SOURCE_URL", "SENTINEL_TEST_WAREHOUSE_URL"
GIVEN_SOURCE, GIVEN_WAREHOUSE = os.environ.get(SOURCE) or None, os.environ.get(WAREHOUSE) or None

# How names begin, and how those of this run do. Its other processes, of pytest-xdist, inherit what the first chose.
COMMON = "sentinel_test_"
PREFIX = f"{COMMON}{os.environ.setdefault('SENTINEL_TEST_RUN', uuid4().hex[:8])}_"

NEEDS_LOCAL_SOURCE = pytest.mark.skipif(
    GIVEN_SOURCE is not None, reason="it shows the local stack's PostgreSQL, and another one is given"
)
NEEDS_LOCAL_WAREHOUSE = pytest.mark.skipif(
    GIVEN_WAREHOUSE is not None, reason="it shows the local stack's ClickHouse endpoint, and another server is given"
)
NEEDS_LOCAL_STACK = pytest.mark.skipif(
    GIVEN_SOURCE is not None or GIVEN_WAREHOUSE is not None,
    reason="it starts, stops or kills servers of its own, and others are given",
)


def new_name() -> str:
    """Choose the name of a database or a role, which no other has."""
    return f"{PREFIX}{uuid4().hex[:12]}"


def given_or(stack: LocalStack | None) -> LocalStack:
    """Take the servers that are given, and the local stack's instead of one that is not."""
    source, warehouse = (stack.source_url, stack.warehouse_url) if stack else ("", "")
    return LocalStack(GIVEN_SOURCE or source, GIVEN_WAREHOUSE or warehouse)


def drop_source(engine: Engine) -> None:
    """Drop a test's PostgreSQL database from a given server; the local stack's goes with its folder.

    A session of another role that is just ending may be in the way. The end of the run then drops it.
    """
    engine.dispose()
    if GIVEN_SOURCE is not None:
        with suppress(SQLAlchemyError), maintenance(GIVEN_SOURCE) as run:
            run(f"DROP DATABASE IF EXISTS {engine.url.database} WITH (FORCE)")


def drop_warehouse(engine: Engine) -> None:
    """Drop a test's ClickHouse database from a given server; the local stack's goes with its folder."""
    if GIVEN_WAREHOUSE is not None:
        run_statement(engine, f"DROP DATABASE IF EXISTS {engine.url.database}")
    engine.dispose()


def passwords_of(*engines: Engine) -> tuple[str, ...]:
    """List the passwords that a text can be searched for; a short one that is given may be a word of any text."""
    return tuple(str(engine.url.password) for engine in engines if len(engine.url.password or "") >= 12)


@contextmanager
def maintenance(url: str) -> Iterator[Callable[[str], Any]]:
    """Lend what runs a statement in the PostgreSQL database that a URL names."""
    engine = open_source(url, setting=SOURCE).execution_options(isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            yield lambda statement: connection.execute(text(statement))
    finally:
        engine.dispose()


def check_servers() -> list[str]:
    """See that databases can be made on the servers given; say what they are and what other runs have left there.

    Raises:
        pytest.exit.Exception: a server does not answer, or its URL's user may not make databases.
    """
    told: list[str] = []
    for setting, url, look in ((SOURCE, GIVEN_SOURCE, look_at_source), (WAREHOUSE, GIVEN_WAREHOUSE, look_at_warehouse)):
        if url is None:
            continue
        try:
            version, names = look(url)
        except SentinelError as error:
            words = str(error)
            for usual in ("SENTINEL_SOURCE_URL", "SENTINEL_WAREHOUSE_URL"):
                words = words.replace(usual, setting)
            pytest.exit(words if setting in words else f"{setting}: {words}", returncode=4)
        told.append(f"{setting}: {version}, at {make_url(url).host}")
        if names:
            told.append(
                f"{setting}: other runs' are there: {', '.join(names)}; drop them, unless such a run is still at work"
            )
    return told


def look_at_source(url: str) -> tuple[str, list[str]]:
    with maintenance(url) as run:
        user = run("SELECT current_user").scalar_one()
        name = new_name()
        try:
            for statement in create_source(name, None):
                run(statement)
        except SQLAlchemyError as error:
            refuse(SOURCE, "a role that may create databases", user, error, f'ALTER ROLE "{user}" CREATEDB')
        run(f"DROP DATABASE {name}")
        version = run("SHOW server_version").scalar_one()
        return f"PostgreSQL {version}", names_in_source(run, COMMON)


def names_in_source(run: Callable[[str], Any], prefix: str) -> list[str]:
    """List databases, then roles, whose names begin so."""
    starts = f"starts_with({{}}, '{prefix}') ORDER BY 1"
    databases = run(f"SELECT datname FROM pg_database WHERE {starts.format('datname')}").scalars()
    roles = run(f"SELECT rolname FROM pg_roles WHERE {starts.format('rolname')}").scalars()
    return [*(f"DATABASE {name}" for name in databases), *(f"ROLE {name}" for name in roles)]


def look_at_warehouse(url: str) -> tuple[str, list[str]]:
    engine = open_warehouse(url)
    try:
        user = engine.url.username or "default"
        version = run_statement(engine, "SELECT version()")[0][0]
        name = new_name()
        try:
            run_statement(engine, f"CREATE DATABASE {name} ENGINE = Atomic")
            run_statement(engine, f"CREATE TABLE {name}.probe (n Int8) ENGINE = MergeTree ORDER BY n")
            run_statement(engine, f"DROP DATABASE {name}")
        except SentinelError as error:
            with suppress(SentinelError):
                run_statement(engine, f"DROP DATABASE IF EXISTS {name}")
            needed = "a user that may create and drop databases, and do everything in them"
            refuse(WAREHOUSE, needed, user, error, f"GRANT ALL ON *.* TO {user} on a server that is for tests")
        return f"ClickHouse {version}", names_in_warehouse(engine, COMMON)
    finally:
        engine.dispose()


def names_in_warehouse(engine: Engine, prefix: str) -> list[str]:
    rows = run_statement(engine, f"SELECT name FROM system.databases WHERE startsWith(name, '{prefix}') ORDER BY name")
    return [f"DATABASE {row[0]}" for row in rows]


def refuse(setting: str, needed: str, user: object, error: Exception, cure: str) -> None:
    said = str(getattr(error, "orig", None) or error.__cause__ or error).removeprefix("Orig exception: ")
    found = said.strip().splitlines()[0][:300]
    pytest.exit(f"{setting}: expected {needed}; found that {user} may not: {found}. {cure}", returncode=4)


def finish() -> list[str]:
    """Drop what this run has made on the servers given; say what could not be dropped."""
    told: list[str] = []
    if GIVEN_SOURCE is not None:
        with telling(told, SOURCE), maintenance(GIVEN_SOURCE) as run:
            for name in names_in_source(run, PREFIX):
                with telling(told, SOURCE):
                    run(f"DROP {name}{' WITH (FORCE)' if name.startswith('DATABASE') else ''}")
    if GIVEN_WAREHOUSE is not None:
        with telling(told, WAREHOUSE):
            engine = open_warehouse(GIVEN_WAREHOUSE)
            for name in names_in_warehouse(engine, PREFIX):
                with telling(told, WAREHOUSE):
                    run_statement(engine, f"DROP {name}")
            engine.dispose()
    return told


@contextmanager
def telling(told: list[str], setting: str) -> Iterator[None]:
    """Tell what goes wrong here, and let what comes after be done all the same."""
    try:
        yield
    except (SentinelError, SQLAlchemyError) as error:
        told.append(f"{setting}: something of {PREFIX}… is left behind: {str(error).splitlines()[0]}")
