"""Asking the warehouse changes nothing in it, unless one says that it may."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from sentinel_etl.errors import ConfigurationError, SentinelError
from sentinel_etl.warehouse.answer import read_answer
from sentinel_etl.warehouse.query import query_df, run_statement

# Statements of every kind that changes something; those of the first list begin as one that reads.
WRITES = [
    "WITH 1 AS x INSERT INTO kept SELECT x",
    "EXPLAIN SELECT 1 SETTINGS readonly = 0",
    "SELECT 1 SETTINGS readonly = 0",
    "DROP TABLE kept",
    "DROP TABLE IF EXISTS nowhere",
    "DROP DATABASE IF EXISTS nowhere",
    "TRUNCATE TABLE kept",
    "CREATE TABLE made (a Int8) ENGINE = MergeTree ORDER BY a",
    "CREATE TEMPORARY TABLE made (a Int8)",
    "CREATE VIEW made AS SELECT 1",
    "CREATE FUNCTION made AS x -> x",
    "RENAME TABLE kept TO made",
    "EXCHANGE TABLES kept AND other",
    "ALTER TABLE kept ADD COLUMN b Int8",
    "ALTER TABLE kept DELETE WHERE 1",
    "DELETE FROM kept WHERE 1",
    "UPDATE kept SET a = 2 WHERE 1",
    "OPTIMIZE TABLE kept FINAL",
    "INSERT INTO kept VALUES (2)",
    "DETACH TABLE kept",
    "SYSTEM STOP MERGES kept",
    "KILL QUERY WHERE 0",
    "SET readonly = 0",
    "USE system",
    "GRANT SELECT ON *.* TO default",
    "SELECT 1; DROP TABLE kept",
]


@pytest.fixture(scope="module")
def warehouse(make_warehouse: Callable[[], Engine]) -> Iterator[Engine]:
    engine = make_warehouse()
    for name in ("kept", "other"):
        run_statement(engine, f"CREATE TABLE {name} (a Int8) ENGINE = MergeTree ORDER BY a")
    run_statement(engine, "INSERT INTO kept SELECT 1")
    yield engine
    engine.dispose()


def state(warehouse: Engine) -> list[tuple[object, ...]]:
    tables = "SELECT name, total_rows, create_table_query FROM system.tables WHERE database = currentDatabase()"
    return [tuple(row) for row in run_statement(warehouse, f"{tables} ORDER BY name")]


@pytest.mark.parametrize("statement", WRITES)
def test_what_would_write_is_refused(warehouse: Engine, statement: str) -> None:
    before = state(warehouse)
    with pytest.raises(ConfigurationError, match=r"^expected one SELECT"):
        query_df(warehouse, statement)
    assert state(warehouse) == before


# What the server allows a reader, because nothing lasts of it.
HARMLESS = ("DROP TABLE IF", "DROP DATABASE IF", "KILL", "CREATE TEMPORARY")


@pytest.mark.parametrize("statement", [each for each in WRITES if not each.startswith(HARMLESS)])
def test_the_server_refuses_it_too(warehouse: Engine, statement: str) -> None:
    before = state(warehouse)
    with pytest.raises(SentinelError):
        read_answer(warehouse, statement)
    assert state(warehouse) == before


def test_one_may_say_that_it_writes(warehouse: Engine) -> None:
    query_df(warehouse, "CREATE TABLE mine (a Int8) ENGINE = MergeTree ORDER BY a", read_only=False)
    query_df(warehouse, "INSERT INTO mine SELECT %(a)s", {"a": 5}, read_only=False)
    assert query_df(warehouse, "SELECT a FROM mine", read_only=False)["a"].to_list() == [5]
    assert query_df(warehouse, "DROP TABLE mine", read_only=False).empty
    assert [name for name, *_ in state(warehouse)] == ["kept", "other"]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0')", "61f0c404-5cb3-11e7-907b-a6006ad3dba0"),
        ("toIPv4('10.0.0.1')", "10.0.0.1"),
        ("toIPv6('2001:db8::1')", "2001:db8::1"),
        ("CAST('b', 'Enum8(''a'' = 1, ''b'' = 2)')", "b"),
        ("toInt256('-57896044618658097711785492504343953926634992332820282019728792003956564819968')", -(2**255)),
        ("toUInt64(18446744073709551615)", 2**64 - 1),
        ("toDecimal64('1.50', 2)", "1.50"),
        ("toDateTime('2026-11-22 00:30:00', 'Asia/Kolkata')", "2026-11-22 00:30:00"),
        ("toDateTime64('2026-11-22 00:30:00.25', 2, 'UTC')", "2026-11-22 00:30:00.25"),
        ("toFloat32(0.1)", 0.1),
        ("nan", "nan"),
        ("true", True),
        ("NULL", None),
        ("[NULL, 'a']", [None, "a"]),
        ("'100%'", "100%"),
    ],
)
def test_an_answer_spells_each_type_as_it_is_written(warehouse: Engine, expression: str, value: object) -> None:
    answer = read_answer(warehouse, f"SELECT {expression} AS x")
    assert (answer.names, answer.rows) == (("x",), [[value]])


def test_an_answer_in_utc_says_so(warehouse: Engine) -> None:
    statement = "SELECT toDateTime('2026-11-22 06:00:00', 'Asia/Kolkata') AS x"
    assert read_answer(warehouse, statement, in_utc=True).rows == [["2026-11-22T00:30:00Z"]]


@pytest.mark.parametrize(("limit", "rows", "more"), [(0, 5, False), (4, 4, True), (5, 5, False), (9, 5, False)])
def test_an_answer_is_cut_at_the_limit_and_says_so(warehouse: Engine, limit: int, rows: int, more: bool) -> None:
    answer = read_answer(warehouse, "SELECT number FROM numbers(5)", limit)
    assert (len(answer.rows), answer.more) == (rows, more)
    assert len(read_answer(warehouse, "EXPLAIN SELECT 1", limit).rows) > 0


def test_an_error_after_the_first_rows_gives_no_half_answer(warehouse: Engine) -> None:
    with pytest.raises(SentinelError, match="FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"):
        read_answer(warehouse, "SELECT throwIf(number = 200000) FROM numbers(300000)")


@pytest.mark.parametrize("argument", [[], ["-"]])
def test_the_command_needs_the_warehouse_alone_and_reads_its_input(
    warehouse: Engine, tmp_path: Path, argument: list[str]
) -> None:
    url = warehouse.url.render_as_string(hide_password=False)
    done = subprocess.run(
        [sys.executable, "-m", "sentinel_etl", "query", *argument, "--format", "csv"],
        input="SELECT a, 'x' AS b\nFROM kept;\n",
        env={"PATH": "/usr/bin:/bin", "SENTINEL_HOME": str(tmp_path), "SENTINEL_WAREHOUSE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "a,b\n1,x\n", "")
