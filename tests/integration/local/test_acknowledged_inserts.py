"""What the local warehouse says of an INSERT is so: acknowledged are the rows that are in the table, and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from local_warehouse import LocalWarehouse, serving

ROWS = b"1\n2\n3\n-1\n"
MANY = b"".join(b"%d\n" % number for number in range(150))


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWarehouse]:
    with serving(tmp_path_factory.mktemp("warehouse")) as one:
        yield one


def fill_parts(warehouse: LocalWarehouse) -> None:
    for number in range(3):
        warehouse.run(f"INSERT INTO t VALUES ({number})")
    warehouse.run("ALTER TABLE t MODIFY SETTING parts_to_throw_insert = 2, parts_to_delay_insert = 1")


# name → definition of the table, its data, what is done first, the code that refuses it.
FAILURES: dict[str, tuple[str, bytes, Callable[[LocalWarehouse], None] | None, int]] = {
    "a CHECK": ("(a Int32, CONSTRAINT pos CHECK a > 0) ENGINE = MergeTree ORDER BY a", ROWS, None, 469),
    "more than 100 partitions": ("(a Int32) ENGINE = MergeTree PARTITION BY a ORDER BY a", MANY, None, 252),
    "a default that throws": (
        "(a Int32, b Int32 DEFAULT throwIf(a = 3)) ENGINE = MergeTree ORDER BY a",
        ROWS,
        None,
        395,
    ),
    "a materialized column that throws": (
        "(a Int32, b Int32 MATERIALIZED throwIf(a = 3)) ENGINE = MergeTree ORDER BY a",
        ROWS,
        None,
        395,
    ),
    "a key that throws": ("(a Int32) ENGINE = MergeTree ORDER BY intDiv(1, a + 1)", ROWS, None, 153),
    "a partition key that throws": (
        "(a Int32) ENGINE = MergeTree PARTITION BY throwIf(a = 3) ORDER BY a",
        ROWS,
        None,
        395,
    ),
    "too many parts": (
        "(a Int32) ENGINE = MergeTree ORDER BY a SETTINGS merge_selector_algorithm = 'Simple', "
        "min_parts_to_merge_at_once = 100",
        ROWS,
        fill_parts,
        252,
    ),
    "data that do not parse": ("(a Int32) ENGINE = MergeTree ORDER BY a", b"1\nx\n", None, 27),
    "a value that a type does not take": ("(a Enum8('x' = 1)) ENGINE = MergeTree ORDER BY a", b"y\n", None, 691),
}
SHAPES = ("the body", "the URL and the body", "compressed pieces")


def insert(warehouse: LocalWarehouse, data: bytes, shape: str) -> tuple[int, int]:
    """Insert the data in one of the shapes that clients use; gives the status and the code."""
    head = "INSERT INTO t (a) FORMAT TSV"
    if shape == "the body":
        answer = warehouse.http.post("/", content=f"{head}\n".encode() + data)
    elif shape == "the URL and the body":
        answer = warehouse.http.post("/", params={"query": head}, content=data)
    else:
        pieces = (data[start : start + 3] for start in range(0, len(data), 3))
        answer = warehouse.http.post("/", params={"query": head}, content=pieces)
    return answer.status_code, int(answer.headers.get("X-ClickHouse-Exception-Code", "0"))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", FAILURES)
def test_an_insert_that_fails_is_refused_and_stores_nothing(warehouse: LocalWarehouse, name: str, shape: str) -> None:
    definition, data, prepare, code = FAILURES[name]
    warehouse.run("DROP TABLE IF EXISTS t SYNC")
    warehouse.run(f"CREATE TABLE t {definition}")
    if prepare:
        prepare(warehouse)
    before = warehouse.run("SELECT count() FROM t")
    status, found = insert(warehouse, data, shape)
    assert (status >= 400, found) == (True, code)
    assert warehouse.run("SELECT count() FROM t") == before


def test_a_view_that_fails_refuses_the_insert_that_feeds_it(warehouse: LocalWarehouse) -> None:
    for name in ("t", "fed", "feeds"):
        warehouse.run(f"DROP TABLE IF EXISTS {name} SYNC")
    warehouse.run("CREATE TABLE t (a Int32) ENGINE = MergeTree ORDER BY a")
    warehouse.run("CREATE TABLE fed (a Int32) ENGINE = MergeTree ORDER BY a")
    warehouse.run("CREATE MATERIALIZED VIEW feeds TO fed AS SELECT a + throwIf(a = 3) AS a FROM t")
    refused, fed = insert(warehouse, ROWS, "the body"), warehouse.run("SELECT count() FROM fed")
    warehouse.run("DROP VIEW feeds SYNC")
    assert (refused, fed) == ((500, 395), "0\n")


@pytest.mark.parametrize("shape", SHAPES)
def test_an_insert_of_no_rows_is_done(warehouse: LocalWarehouse, shape: str) -> None:
    warehouse.run("CREATE OR REPLACE TABLE t (a Int32) ENGINE = MergeTree ORDER BY a")
    assert insert(warehouse, b"", shape) == (200, 0)
    assert warehouse.run("SELECT count() FROM t") == "0\n"


def test_a_table_that_is_not_there_is_told_whatever_comes_behind(warehouse: LocalWarehouse) -> None:
    warehouse.run("DROP TABLE IF EXISTS t SYNC")
    assert {insert(warehouse, data, shape) for data in (b"", ROWS, MANY * 5000) for shape in SHAPES} == {(404, 60)}


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        ("INSERT INTO t FORMAT CSV\nvalue_1;", ["value_1;"]),
        ("INSERT INTO t FORMAT TSV\na;\nb;\n", ["a;", "b;"]),
        ("INSERT INTO t FORMAT LineAsString\n;;", [";;"]),
        ('INSERT INTO t FORMAT JSONEachRow\n{"s": "x;"}', ["x;"]),
        ("INSERT INTO t VALUES ('a;'), ('b');", ["a;", "b"]),
        ("INSERT INTO t VALUES ('a') ;\n", ["a"]),
        ("INSERT INTO t SETTINGS max_threads = 1 FORMAT CSV\nx -- y;", ["x -- y;"]),
        ("INSERT INTO t (s) SETTINGS max_threads = 1, async_insert = 0 VALUES ('settings')", ["settings"]),
        ("WITH 1 AS y INSERT INTO t (s) FORMAT TSV\nx;\n", ["x;"]),
        ("WITH {SELECT:Int32} AS y INSERT INTO t (s) FORMAT TSV\nx;\n", ["x;"]),
        ("WITH [1, 2] AS y INSERT INTO t (s) FORMAT TSV\nx;\n", ["x;"]),
        ("INSERT INTO TABLE t (s) -- what for; \n/* FORMAT TSV */ FORMAT CSV\nz", ["z"]),
    ],
)
def test_the_data_behind_an_insert_are_the_data(warehouse: LocalWarehouse, statement: str, rows: list[str]) -> None:
    for params, body in (({}, statement), ({"query": statement.partition("\n")[0]}, statement.partition("\n")[2])):
        if params and ("VALUES" in statement or "--" in statement):
            continue
        warehouse.run("CREATE OR REPLACE TABLE t (s String) ENGINE = MergeTree ORDER BY s")
        warehouse.run(body, param_SELECT="13", **params)
        assert warehouse.run("SELECT s FROM t ORDER BY s FORMAT TSVRaw").splitlines() == rows


def test_a_column_may_be_called_settings(warehouse: LocalWarehouse) -> None:
    warehouse.run("CREATE OR REPLACE TABLE settings (settings String) ENGINE = MergeTree ORDER BY settings")
    warehouse.run("INSERT INTO settings (settings) FORMAT TSV\nx\n")
    assert warehouse.run("SELECT settings FROM settings") == "x\n"
    warehouse.run("DROP TABLE settings SYNC")


def test_an_insert_takes_a_table_by_a_parameter(warehouse: LocalWarehouse) -> None:
    warehouse.run("CREATE OR REPLACE TABLE t (s String) ENGINE = MergeTree ORDER BY s")
    warehouse.run("x\n", query="INSERT INTO {name:Identifier} FORMAT TSV", param_name="t")
    assert warehouse.run("SELECT s FROM t") == "x\n"


@pytest.mark.parametrize(
    "statement", ["SELECT 1 +", "SELECT 1 FROM", "INSERT INTO t (", "INSERT INTO t (s FORMAT CSV\nx", "SELECT (1"]
)
def test_an_error_shows_nothing_of_the_warehouse_s_own(
    warehouse: LocalWarehouse, statement: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    warehouse.run("CREATE OR REPLACE TABLE t (s String) ENGINE = MergeTree ORDER BY s")
    answer = warehouse.http.post("/", content=statement)
    assert answer.headers["X-ClickHouse-Exception-Code"] == "62"
    assert not {"pipes", "OUTFILE", "INFILE", str(tmp_path_factory.getbasetemp())}.intersection(answer.text.split("'"))
    assert "/pipes/" not in answer.text
    assert "/fd/" not in answer.text
