"""An empty table that differs from the code in what no ALTER mends is made anew; one with rows is left."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from sentinel_etl.cli.main import cli
from sentinel_etl.config.fact_table import build_patrol_events
from sentinel_etl.context import Context
from sentinel_etl.databases import Databases
from sentinel_etl.errors import SchemaMismatch, WindowLocked
from sentinel_etl.ledger.ledger import RunRecord, record_run
from sentinel_etl.operations.recreate import recreate_tables
from sentinel_etl.operations.schema import diff_schema
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.source.locks import hold_locks, run_lock, table_lock
from sentinel_etl.warehouse.provision import prepare_tables
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import CITY_ZONE, Window

NIGHT = Window.latest(Settings(now="2026-11-22T06:10:00+05:30").now, CITY_ZONE)
FACTS = SENTINEL.fact_table
REMEDY = "The table is empty: `sentinel-etl schema recreate` drops it and makes it as the code has it"
RETYPED = "ALTER TABLE patrol_events MODIFY COLUMN accuracy Nullable(Float32)"
ROW = "INSERT INTO patrol_events (event_id, shift_date) VALUES ('REMARK:1', '2026-11-21')"
KEPT = "CREATE TABLE patrol_events__before_r1 AS patrol_events"
FULL = [
    pytest.param(ROW, "expected patrol_events to be empty, to make it anew; found 1 row, which", id="rows"),
    pytest.param(
        f"{KEPT}; {ROW.replace('patrol_events', 'patrol_events__before_r1')}",
        "found 1 row in patrol_events__before_r1, which `sentinel-etl undo` could need",
        id="rows in a kept state",
    ),
]


@pytest.fixture
def context(source_engine: Engine, warehouse: Engine) -> Context:
    prepare_tables(warehouse, FACTS, CITY_ZONE)
    return Context(Settings(lock_wait_seconds=0), SENTINEL, Databases(source_engine, warehouse))


@pytest.fixture
def commands(databases: Databases, environment: Settings, monkeypatch: pytest.MonkeyPatch) -> Databases:
    monkeypatch.setattr("sentinel_etl.context.open_databases", lambda settings: databases)
    prepare_tables(databases.warehouse, FACTS, CITY_ZONE)
    return databases


def change(warehouse: Engine, statements: str) -> None:
    for statement in statements.split("; "):
        run_statement(warehouse, statement)


def rebuild(warehouse: Engine, clauses: str) -> None:
    """Make the fact table with other clauses of its engine."""
    columns = ", ".join(f"`{c.name}` {c.type.compile()}" for c in FACTS.columns)
    change(warehouse, f"DROP TABLE patrol_events; CREATE TABLE patrol_events ({columns}) ENGINE = MergeTree {clauses}")


def command(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["schema", *arguments])


def test_a_retyped_table_is_told_with_its_remedy_made_anew_and_loaded(commands: Databases) -> None:
    warehouse = commands.warehouse
    change(warehouse, RETYPED)
    told = command("diff")
    assert isinstance(told.exception, SchemaMismatch)
    assert told.output.splitlines()[1] == f"  {REMEDY}"
    assert [row["remedy"] for row in json.loads(command("diff", "--json").output)] == [REMEDY]
    assert REMEDY in CliRunner().invoke(cli, ["check"]).output
    done = command("recreate")
    assert (done.exit_code, done.output) == (0, "made anew: patrol_events\nthe tables are as the code has them\n")
    assert command("recreate").output == "the tables are as the code has them\n"
    result = run_window(NIGHT, source=commands.source, warehouse=warehouse, settings=Settings())
    assert result.verdict == "PUBLISHED"


@pytest.mark.parametrize(
    "clauses",
    [
        pytest.param("PARTITION BY toYYYYMM(shift_date) ORDER BY event_id", id="order"),
        pytest.param("PARTITION BY toYear(shift_date) ORDER BY (shift_date, station_id)", id="order and partition"),
    ],
)
def test_another_order_or_partition_is_a_new_start_too(context: Context, clauses: str) -> None:
    rebuild(context.warehouse, clauses)
    assert {change.remedy for change in diff_schema(SENTINEL, context.warehouse)} == {REMEDY}
    assert recreate_tables(context) == ["patrol_events"]
    assert diff_schema(SENTINEL, context.warehouse) == []


def test_another_partition_that_a_run_would_take_is_made_as_the_code_has_it(context: Context) -> None:
    by_day = replace(context, pipeline=replace(SENTINEL, fact_table=build_patrol_events("day")))
    assert diff_schema(by_day.pipeline, context.warehouse) == []
    assert recreate_tables(by_day) == ["patrol_events"]
    key = "SELECT partition_key FROM system.tables WHERE database = currentDatabase() AND name = 'patrol_events'"
    assert run_statement(context.warehouse, key) == [("shift_date",)]
    assert recreate_tables(by_day) == []


def test_a_partition_key_that_stops_a_run_is_told(context: Context) -> None:
    order = ", ".join(["shift_date", "station_id", "event_type", "event_timestamp", "event_id"])
    rebuild(context.warehouse, f"PARTITION BY toYear(shift_date) ORDER BY ({order})")
    [found] = diff_schema(SENTINEL, context.warehouse)
    assert str(found).startswith("refused: patrol_events: is partitioned by toYear(shift_date), expected one of ")


def test_an_empty_rejected_table_is_made_anew_by_itself(context: Context) -> None:
    change(context.warehouse, "ALTER TABLE patrol_events_rejected MODIFY COLUMN raw Nullable(String)")
    change(context.warehouse, ROW)
    assert recreate_tables(context) == ["patrol_events_rejected"]
    assert run_statement(context.warehouse, "SELECT count() FROM patrol_events") == [(1,)]


@pytest.mark.parametrize(("statements", "message"), FULL)
def test_a_table_with_rows_is_left_and_no_remedy_is_told(context: Context, statements: str, message: str) -> None:
    change(context.warehouse, statements)
    change(context.warehouse, RETYPED)
    assert [each.remedy for each in diff_schema(SENTINEL, context.warehouse)] == [""]
    with pytest.raises(SchemaMismatch, match=message) as refused:
        recreate_tables(context)
    assert refused.value.exit_code == 2
    assert [each.refused for each in diff_schema(SENTINEL, context.warehouse)] == [True]


def test_a_kept_state_without_rows_goes_with_its_table(context: Context) -> None:
    change(context.warehouse, f"{KEPT}; {RETYPED}")
    recreate_tables(context)
    assert run_statement(context.warehouse, "EXISTS TABLE patrol_events__before_r1") == [(0,)]


def test_what_can_be_added_is_left_to_apply(commands: Databases) -> None:
    change(commands.warehouse, f"{ROW}; ALTER TABLE patrol_events DROP COLUMN media_ref")
    told = command("recreate")
    assert isinstance(told.exception, SchemaMismatch)
    assert "1 to add: run `sentinel-etl schema apply`" in str(told.exception)
    assert run_statement(commands.warehouse, "SELECT count() FROM patrol_events") == [(1,)]


def test_a_table_that_is_in_use_is_left(context: Context) -> None:
    change(context.warehouse, RETYPED)
    with hold_locks(context.source, [table_lock("patrol_events")], "other", 0), pytest.raises(WindowLocked):
        recreate_tables(context)
    record_run(RunRecord("r1", "patrol_events", NIGHT, ("REMARK",)), context.warehouse)
    with (
        hold_locks(context.source, [run_lock("r1")], "run r1", 0),
        pytest.raises(WindowLocked, match="expected no run of patrol_events to be at work"),
    ):
        recreate_tables(context)
    assert recreate_tables(context) == ["patrol_events"]
