"""What differs between two tables of fact rows that were written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from clickhouse_sqlalchemy import Table, engines, types
from sqlalchemy import Column, Engine, MetaData
from typed_values import Server

from sentinel_etl.audit.changes import find_changes as finding
from sentinel_etl.audit.changes.changes import Changes
from sentinel_etl.audit.changes.find_changes import find_changes
from sentinel_etl.audit.changes.statements import FactRows
from sentinel_etl.warehouse.ddl import create_statements, quote_identifier
from sentinel_etl.warehouse.names import PlainText
from sentinel_etl.warehouse.query import run_statement


def table_of(name: str, columns: Mapping[str, str]) -> Table:
    return Table(
        name,
        MetaData(),
        Column("event_id", types.String),
        Column("event_timestamp", types.DateTime64(6, "UTC")),
        Column("event_type", types.LowCardinality(types.String)),
        Column("shift_date", types.Date),
        *(Column(column, Server(kind)) for column, kind in columns.items()),
        Column("run_id", types.String),
        Column("loaded_at", types.DateTime64(6, "UTC")),
        engines.MergeTree(order_by=("event_id",)),
    )


Rows = Mapping[str, tuple[str, ...]]


def fill(warehouse: Engine, name: str, columns: Mapping[str, str], rows: Rows) -> FactRows:
    """Make a table of events: event_id → the values of its columns, as SQL."""
    table = table_of(name, columns)
    for statement in create_statements(table):
        run_statement(warehouse, statement)
    names = ", ".join(quote_identifier(column) for column in columns)
    for event_id, values in rows.items():
        kind = event_id.partition(":")[0]
        fixed = f"'{event_id}', '2026-11-21 20:00:00', '{kind}', '2026-11-21', '{name}'"
        statement = f"INSERT INTO {name} (event_id, event_timestamp, event_type, shift_date, run_id, {names}) "
        run_statement(warehouse, PlainText(f"{statement} SELECT {fixed}, {', '.join(values)}"))
    return FactRows(table)


def compare(warehouse: Engine, columns: Mapping[str, str], before: Rows, after: Rows, **options: Any) -> Changes:
    sides = (fill(warehouse, name, columns, rows) for name, rows in {"a": before, "b": after}.items())
    return find_changes(*sides, warehouse, **options)


def counts_of(changes: Changes) -> dict[str, tuple[int, ...]]:
    rows = changes.counts[["event_type", "before", "after", "added", "removed", "changed"]]
    return {row[0]: tuple(row[1:]) for row in rows.itertuples(index=False, name=None)}


def columns_of(changes: Changes) -> list[tuple[str, str, int]]:
    return list(changes.columns.itertuples(index=False, name=None))


NOTE = {"number": "Int64", "words": "Nullable(String)", "base_risk_score": "Float64"}


def test_rows_are_added_removed_and_changed_by_event_type_and_column(warehouse: Engine) -> None:
    before = {
        "NOTE:1": ("1", "'a'", "1.5"),
        "NOTE:2": ("2", "NULL", "2"),
        "NOTE:3": ("3", "'c'", "4"),
        "TALK:1": ("1", "''", "10"),
    }
    after = {
        "NOTE:1": ("1", "'a'", "1.5"),
        "NOTE:2": ("7", "''", "2.25"),
        "NOTE:4": ("4", "'d'", "0"),
        "TALK:1": ("1", "NULL", "10"),
    }
    changes = compare(warehouse, NOTE, before, after)
    assert counts_of(changes) == {"NOTE": (3, 3, 1, 1, 1), "TALK": (1, 1, 0, 0, 1)}
    assert columns_of(changes) == [
        ("NOTE", "number", 1),
        ("NOTE", "words", 1),
        ("NOTE", "base_risk_score", 1),
        ("TALK", "words", 1),
    ]
    assert changes.counts[["points_before", "points_after"]].values.tolist() == [[7.5, 3.75], [10, 10]]
    assert changes.examples.values.tolist() == [
        ["NOTE", "NOTE:2", "changed", "number; words; base_risk_score 2 → 2.25"],
        ["NOTE", "NOTE:3", "removed", ""],
        ["NOTE", "NOTE:4", "added", ""],
        ["TALK", "TALK:1", "changed", "words"],
    ]
    assert not changes.is_empty


def test_the_frames_have_the_documented_columns_and_types_with_and_without_rows(warehouse: Engine) -> None:
    rows = {"NOTE:1": ("1", "'a'", "1.5")}
    alike = compare(warehouse, NOTE, rows, rows)
    other = find_changes(*(fill(warehouse, name, NOTE, {}) for name in ("c", "d")), warehouse)
    for name in ("counts", "columns", "examples"):
        assert getattr(alike, name).dtypes.to_list() == getattr(other, name).dtypes.to_list()
    assert [str(kind) for kind in alike.counts.dtypes] == ["str", *["int64"] * 5, *["float64"] * 2]
    assert [str(kind) for kind in alike.columns.dtypes] == ["str", "str", "int64"]
    assert alike.is_empty
    assert other.is_empty
    assert counts_of(alike) == {"NOTE": (1, 1, 0, 0, 0)}


def test_what_a_run_stamps_on_a_row_is_no_change_of_it(warehouse: Engine) -> None:
    rows = {"NOTE:1": ("1", "NULL", "nan"), "NOTE:2": ("2", "'b'", "-0.0")}
    changes = compare(warehouse, NOTE, rows, rows)
    assert run_statement(warehouse, "SELECT DISTINCT run_id FROM a") == [("a",)]
    assert run_statement(warehouse, "SELECT DISTINCT run_id FROM b") == [("b",)]
    assert changes.is_empty


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("Int16", "1", "-1"),
        ("Int256", "1", "pow(2, 60)::Int256 * pow(2, 60)::Int256"),
        ("UInt64", "18446744073709551615", "18446744073709551614"),
        ("Bool", "true", "false"),
        ("Nullable(Bool)", "NULL", "false"),
        ("Float32", "0.0::Float32", "-0.0::Float32"),
        ("Float64", "0.0", "-0.0"),
        ("Float64", "nan", "inf"),
        ("Nullable(Float64)", "nan", "NULL"),
        ("Nullable(Float64)", "0", "NULL"),
        ("Decimal(38, 6)", "'1.000001'", "'1.000002'"),
        ("Nullable(Decimal(10, 2))", "NULL", "0"),
        ("String", "'ಕ'", "'ಖ'"),
        ("Nullable(String)", "''", "NULL"),
        ("LowCardinality(String)", "'a'", "'b'"),
        ("LowCardinality(Nullable(String))", "''", "NULL"),
        ("FixedString(3)", "'ab'", "'abc'"),
        ("UUID", "'61f0c404-5cb3-11e7-907b-a6006ad3dba0'", "'61f0c404-5cb3-11e7-907b-a6006ad3dba1'"),
        ("Nullable(UUID)", "NULL", "toUUID('00000000-0000-0000-0000-000000000000')"),
        ("Enum8('a' = 1, 'b' = 2)", "'a'", "'b'"),
        ("IPv4", "'1.2.3.4'", "'1.2.3.5'"),
        ("IPv6", "'::1'", "'::2'"),
        ("Date", "'2026-11-21'", "'2026-11-22'"),
        ("Date32", "'1900-01-01'", "'1900-01-02'"),
        ("DateTime('Asia/Kolkata')", "'2026-11-21 20:00:00'", "'2026-11-21 20:00:01'"),
        ("Nullable(DateTime64(9, 'UTC'))", "'2026-11-21 20:00:00.000000001'", "'2026-11-21 20:00:00.000000002'"),
        ("Array(Int64)", "[1, 2]", "[2, 1]"),
        ("Array(String)", "['a', 'bc']", "['ab', 'c']"),
        ("Array(Nullable(String))", "['']", "[NULL]"),
        ("Array(Int64)", "[]", "[0]"),
        ("Map(String, String)", "map('a', '1')", "map('a', '2')"),
        ("Map(String, Nullable(String))", "map('a', NULL)", "map('a', '')"),
        ("JSON", '\'{"a": {"b": [1]}}\'', '\'{"a": {"b": [2]}}\''),
    ],
)
def test_a_value_of_each_type_that_changed_is_counted_once_and_one_that_did_not_never(
    warehouse: Engine, kind: str, one: str, other: str
) -> None:
    columns = {"value": kind, "same": kind}
    before = {"NOTE:1": (one, one), "NOTE:2": (other, one), "NOTE:3": (one, other)}
    after = {"NOTE:1": (other, one), "NOTE:2": (other, one), "NOTE:3": (one, other)}
    changes = compare(warehouse, columns, before, after)
    assert counts_of(changes) == {"NOTE": (3, 3, 0, 0, 1)}
    assert columns_of(changes) == [("NOTE", "value", 1)]
    assert changes.examples["values"].to_list() == ["value"]
    assert changes.counts[["points_before", "points_after"]].isna().all(axis=None)


@pytest.mark.parametrize(
    "name",
    [
        "per%cent",
        "%s",
        "back`tick",
        'double"quote',
        "back\\slash",
        ":words",
        "two words",
        "ಮಾತು",
        "select",
        "{words:String}",
        "a.b",
        "kind",
        "_kind",
        "content",
        "_content",
        "__content",
        "score",
        "is_after",
        "hashes",
        "text0",
        "content0",
        "events",
        "sides",
        "named",
        "difference",
        "event_types",
        "before",
        "changed_ids",
    ],
)
def test_a_changed_column_of_any_name_is_named(warehouse: Engine, name: str) -> None:
    columns = {name: "Nullable(String)", "number": "Int64"}
    changes = compare(
        warehouse, columns, {"NOTE:1": ("'100% x'", "1"), "NOTE:2": ("NULL", "2")}, {"NOTE:1": ("NULL", "1")}
    )
    assert counts_of(changes) == {"NOTE": (2, 1, 0, 1, 1)}
    assert columns_of(changes) == [("NOTE", name, 1)]
    assert changes.examples["values"].to_list() == [name, ""]


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [("Decimal(10, 2)", "'1.25'", "'1.5'"), ("Nullable(Float32)", "NULL", "2"), ("Int32", "3", "4")],
)
def test_points_are_summed_of_a_score_of_any_type_of_number(
    warehouse: Engine, kind: str, before: str, after: str
) -> None:
    changes = compare(warehouse, {"base_risk_score": kind}, {"NOTE:1": (before,)}, {"NOTE:1": (after,)})
    points = changes.totals["points_before"], changes.totals["points_after"]
    assert points == {"D": (1.25, 1.5), "N": (0, 2), "I": (3, 4)}[kind[0]]


def test_keys_are_compared_a_share_at_a_time(warehouse: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "ROWS_AT_A_TIME", 7)
    monkeypatch.setattr(finding, "EVENTS_AT_A_TIME", 2)
    before = {f"NOTE:{n}": (str(n), "'a'", "1") for n in range(20)}
    after = {f"NOTE:{n}": (str(n + (n % 3 == 0)), "'a'", "2") for n in range(5, 25)}
    changes = compare(warehouse, NOTE, before, after)
    assert counts_of(changes) == {"NOTE": (20, 20, 5, 5, 15)}
    assert columns_of(changes) == [("NOTE", "base_risk_score", 15), ("NOTE", "number", 5)]
    assert changes.examples[["event_id", "change"]].values.tolist() == [
        ["NOTE:10", "changed"],
        ["NOTE:0", "removed"],
        ["NOTE:20", "added"],
        ["NOTE:11", "changed"],
        ["NOTE:1", "removed"],
    ]


def test_examples_are_of_each_event_type_in_turn_before_more_of_one(warehouse: Engine) -> None:
    before = {f"{kind}:{n}": (str(n), "'a'", "1") for kind in ("NOTE", "TALK", "WALK") for n in range(4)}
    changes = compare(warehouse, NOTE, before, {event_id: (n, "'b'", "1") for event_id, (n, *_) in before.items()})
    assert changes.examples["event_id"].to_list() == ["NOTE:0", "TALK:0", "WALK:0", "NOTE:1", "TALK:1"]


def test_hidden_columns_and_keys_are_not_shown_and_their_names_are(warehouse: Engine) -> None:
    columns = {"station_id": "Nullable(String)", "hotspot_id": "Int64", "words": "String"}
    before = {"NOTE:98": ("'Asha'", "1", "'secret'"), "TALK:7": ("'Asha'", "1", "'secret'")}
    after = {"NOTE:98": ("'Ravi'", "2", "'private'"), "TALK:7": ("'Ravi'", "2", "'private'")}
    changes = compare(warehouse, columns, before, after, hidden=["station_id"], hidden_keys=["NOTE"])
    assert changes.examples.values.tolist() == [
        ["NOTE", "", "changed", "station_id; hotspot_id 1 → 2; words"],
        ["TALK", "TALK:7", "changed", "station_id; hotspot_id 1 → 2; words"],
    ]


def test_an_event_that_stands_twice_on_one_side_is_a_row_more_there(warehouse: Engine) -> None:
    rows = {"NOTE:1": ("1", "'a'", "1"), "NOTE:2": ("2", "'b'", "1")}
    before = fill(warehouse, "a", NOTE, rows)
    run_statement(warehouse, "INSERT INTO a SELECT * FROM a WHERE event_id = 'NOTE:1'")
    changes = find_changes(before, fill(warehouse, "b", NOTE, rows), warehouse)
    assert counts_of(changes) == {"NOTE": (3, 2, 0, 1, 0)}


def test_tables_are_compared_by_the_columns_that_both_have(warehouse: Engine) -> None:
    before = fill(warehouse, "a", {"number": "Int64", "gone": "String"}, {"NOTE:1": ("1", "'x'")})
    after = fill(warehouse, "b", {"number": "Int64", "base_risk_score": "Float64"}, {"NOTE:1": ("2", "5")})
    changes = find_changes(before, after, warehouse)
    assert columns_of(changes) == [("NOTE", "number", 1)]
    assert changes.totals["points_after"] is None


def test_a_condition_limits_each_side(warehouse: Engine) -> None:
    rows = {"NOTE:1": ("1", "'a'", "1"), "TALK:1": ("2", "'b'", "1")}
    before, after = fill(warehouse, "a", NOTE, rows), fill(warehouse, "b", NOTE, rows)
    some = FactRows(after.table, after.table.c.event_type == "NOTE")
    assert counts_of(find_changes(before, some, warehouse)) == {"NOTE": (1, 1, 0, 0, 0), "TALK": (1, 0, 0, 1, 0)}
