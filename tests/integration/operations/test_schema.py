"""Schema drift: told before anything is extracted; the warehouse's tables grow, and are never bent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import ARRAY, Column, Engine, Enum, Integer, MetaData, Numeric, Text, text
from sqlalchemy import Table as SourceTable
from sqlalchemy.dialects.postgresql import DOMAIN
from sqlalchemy.types import DateTime

from sentinel_etl.cli.main import cli
from sentinel_etl.config.fact_table import build_patrol_events
from sentinel_etl.config.parse_config import parse_event_config
from sentinel_etl.context import Context
from sentinel_etl.databases import Databases
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.extract.check_source import check_source
from sentinel_etl.operations.schema import apply_schema, diff_schema
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.ddl import add_column_statements
from sentinel_etl.warehouse.projections import PROJECTIONS
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.tables import create_table
from sentinel_etl.window import CITY_ZONE, Window

NIGHT = Window.latest(Settings(now="2026-11-22T06:10:00+05:30").now, CITY_ZONE)
DRIFTS = {
    "renamed": (
        "ALTER TABLE remarks RENAME COLUMN remark_text TO remark_words",
        ["REMARK, PRIORITY_CHANGE: expected a column remarks.remark_text; ", "was it renamed to remark_words?"],
    ),
    "dropped": (
        "ALTER TABLE remarks DROP COLUMN remark_text",
        ["REMARK, PRIORITY_CHANGE: expected a column remarks.remark_text; ", "was it dropped?"],
    ),
    "retyped": (
        "ALTER TABLE remarks ALTER COLUMN remark_text TYPE bytea USING convert_to(remark_text, 'UTF8')",
        ["REMARK, PRIORITY_CHANGE: expected remarks.remark_text to be text; the source has bytea"],
    ),
    "a table gone": ("DROP TABLE feedback", ["FEEDBACK: expected a table feedback; the source has none"]),
}


@pytest.fixture
def commands(databases: Databases, environment: Settings, monkeypatch: pytest.MonkeyPatch) -> Databases:
    """The databases of the environment, opened once for all commands of a test."""
    monkeypatch.setattr("sentinel_etl.context.open_databases", lambda settings: databases)
    return databases


@pytest.mark.parametrize("drift", DRIFTS)
def test_a_drift_of_the_source_is_one_clear_message_and_nothing_is_extracted(databases: Databases, drift: str) -> None:
    statement, parts = DRIFTS[drift]
    with databases.source.begin() as connection:
        connection.exec_driver_sql(statement)
    [difference] = check_source(SENTINEL.event_types.values(), databases.source)
    assert difference.blocking
    assert [part for part in parts if part not in str(difference)] == []
    with pytest.raises(SchemaMismatch) as caught:
        run_window(NIGHT, source=databases.source, warehouse=databases.warehouse, settings=Settings())
    assert str(difference) in str(caught.value)
    assert run_statement(
        databases.warehouse, "SELECT count() FROM system.tables WHERE database = currentDatabase()"
    ) == [(0,)]


def test_a_new_value_of_an_enum_is_told_and_stops_nothing(source_engine: Engine) -> None:
    metadata = MetaData()
    mood = Enum("calm", "tense", "gone", name="mood")
    calls = SourceTable(
        "calls",
        metadata,
        Column("call_id", Integer, primary_key=True),
        Column("at", DateTime(timezone=True), index=True),
        Column("mood", mood),
    )
    with source_engine.begin() as connection:
        metadata.create_all(connection)
    with source_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ALTER TYPE mood ADD VALUE 'riotous'"))
    mood.enums.remove("gone")
    mood.enums.append("asleep")
    entry = {"model": calls, "timestamp": calls.c.at, "key": calls.c.call_id, "columns": [calls.c.mood]}
    [difference] = check_source(parse_event_config({"CALL": entry}).values(), source_engine)
    assert not difference.blocking
    assert str(difference) == (
        "CALL: expected calls.mood to have the model's values; "
        "the source has also gone, riotous; the source has no longer asleep"
    )


def test_domains_and_arrays_are_compared_by_what_their_values_are(source_engine: Engine) -> None:
    with source_engine.begin() as connection:
        for statement in (
            "CREATE TYPE \"Mood\" AS ENUM ('calm', 'tense')",
            "CREATE DOMAIN score AS numeric(5, 2)",
            "CREATE DOMAIN fine_score AS score",
            "CREATE DOMAIN scores AS integer[]",
            'CREATE TABLE calls (call_id integer PRIMARY KEY, at timestamptz, moods "Mood"[], fine fine_score, '
            "fines fine_score[], listed scores, other fine_score[])",
            "CREATE INDEX ON calls (at)",
        ):
            connection.exec_driver_sql(statement)
    mood = Enum("calm", "loud", name="Mood")
    calls = SourceTable(
        "calls",
        MetaData(),
        Column("call_id", Integer, primary_key=True),
        Column("at", DateTime(timezone=True)),
        Column("moods", ARRAY(mood)),
        Column("fine", Numeric),
        Column("fines", ARRAY(DOMAIN("fine_score", DOMAIN("score", Numeric(5, 2))))),
        Column("listed", DOMAIN("scores", ARRAY(Integer))),
        Column("other", ARRAY(Text)),
    )
    columns = [column for column in calls.c if column.name not in ("call_id", "at")]
    entry = {"model": calls, "timestamp": calls.c.at, "key": calls.c.call_id, "columns": columns}
    found = check_source(parse_event_config({"CALL": entry}).values(), source_engine)
    assert [(each.blocking, str(each)) for each in found] == [
        (
            False,
            "CALL: expected calls.moods to have the model's values; the source has also tense; "
            "the source has no longer loud",
        ),
        (True, "CALL: expected calls.other to be text[]; the source has numeric[]"),
    ]


def columns_of(warehouse: Engine) -> list[Any]:
    query = (
        "SELECT name, type, default_expression FROM system.columns "
        "WHERE database = currentDatabase() AND table = 'patrol_events' ORDER BY position"
    )
    return run_statement(warehouse, query)


def test_a_fact_table_that_lags_is_told_grows_and_keeps_its_rows_and_projections(commands: Databases) -> None:
    databases, warehouse = commands, commands.warehouse
    run_window(NIGHT, source=databases.source, warehouse=warehouse, settings=Settings())
    as_it_should_be = columns_of(warehouse)
    before = run_statement(warehouse, "SELECT count(), sum(base_risk_score) FROM patrol_events")
    for name in ("media_ref", "visited_hotspots", "received_at"):
        run_statement(warehouse, f"ALTER TABLE patrol_events DROP COLUMN {name} SETTINGS mutations_sync = 2")
    with pytest.raises(SchemaMismatch, match=r"media_ref Nullable.* is missing.*Run `sentinel-etl schema diff`"):
        run_window(NIGHT, source=databases.source, warehouse=warehouse, settings=Settings())
    told = CliRunner().invoke(cli, ["check"])
    assert (
        "error: patrol_events: media_ref Nullable(String) is missing; `sentinel-etl schema apply` adds it"
        in told.output
    )
    told = CliRunner().invoke(cli, ["schema", "diff"])
    assert isinstance(told.exception, SchemaMismatch)
    arrival = "received_at Nullable(DateTime64(6, 'UTC'))"
    assert told.output.splitlines() == [
        f"to add: patrol_events: {arrival} is missing",
        '  ALTER TABLE "patrol_events" ADD COLUMN IF NOT EXISTS "received_at" Nullable(DateTime64(6, \'UTC\')) '
        'AFTER "event_timestamp"',
        "to add: patrol_events: visited_hotspots Array(Int64) is missing",
        '  ALTER TABLE "patrol_events" ADD COLUMN IF NOT EXISTS "visited_hotspots" Array(Int64) '
        'AFTER "new_priority_ranking"',
        "to add: patrol_events: media_ref Nullable(String) is missing",
        '  ALTER TABLE "patrol_events" ADD COLUMN IF NOT EXISTS "media_ref" Nullable(String) AFTER "details_json"',
    ]
    applied = CliRunner().invoke(cli, ["schema", "apply"])
    assert applied.exception is None
    assert [line for line in applied.output.splitlines() if not line.startswith(" ")] == [
        f"added: patrol_events: {arrival}",
        "added: patrol_events: visited_hotspots Array(Int64)",
        "added: patrol_events: media_ref Nullable(String)",
    ]
    assert CliRunner().invoke(cli, ["schema", "diff", "--json"]).output == "[]\n"
    assert columns_of(warehouse) == as_it_should_be
    assert run_statement(warehouse, "SELECT count(), sum(base_risk_score) FROM patrol_events") == before
    again = run_window(NIGHT, source=databases.source, warehouse=warehouse, settings=Settings())
    assert (again.verdict, again.how) == ("PUBLISHED", "exchange 202611")
    assert run_statement(warehouse, "SELECT count(), sum(base_risk_score) FROM patrol_events") == before
    assert run_statement(warehouse, "SELECT count() > 0 FROM patrol_events WHERE notEmpty(visited_hotspots)") == [(1,)]
    late = "SELECT countIf(received_at IS NULL), countIf(received_at >= event_timestamp) > 0 FROM patrol_events"
    assert run_statement(warehouse, late) == [(0, 1)]
    names = "SELECT name FROM system.projections WHERE database = currentDatabase() AND table = 'patrol_events'"
    assert {row[0] for row in run_statement(warehouse, names)} == {projection.name for projection in PROJECTIONS}


def test_what_would_lose_or_bend_rows_is_refused_and_said(source_engine: Engine, warehouse: Engine) -> None:
    context = Context(Settings(), SENTINEL, Databases(source_engine, warehouse))
    create_table(warehouse, SENTINEL.fact_table)
    for change in (
        "DROP COLUMN patrol_id",
        "MODIFY COLUMN accuracy Nullable(Float32)",
        "ADD COLUMN mood Nullable(String)",
        "DROP COLUMN run_id",
    ):
        run_statement(warehouse, f"ALTER TABLE patrol_events {change}")
    changes = diff_schema(SENTINEL, warehouse)
    assert [str(change) for change in changes] == [
        "refused: patrol_events: patrol_id Int64 is missing, and the rows that are there would read as if it were "
        "zero. Make it Nullable, or give it a default",
        "refused: patrol_events: accuracy is Nullable(Float32), the code has Nullable(Float64); a type is not changed. "
        "Load into a new table, or put the code right",
        "to add: patrol_events: run_id String is missing",
        "refused: patrol_events: mood Nullable(String) is not in the code; a column is not dropped. "
        "Add it to the code, or drop it by hand",
    ]
    assert [change.message for change in apply_schema(changes, context)] == ["run_id String is missing"]
    assert [change.refused for change in diff_schema(SENTINEL, warehouse)] == [True, True, True]


def test_another_sorting_key_is_refused(warehouse: Engine) -> None:
    today = build_patrol_events()
    columns = ", ".join(f"`{c.name}` {c.type.compile()}" for c in today.columns)
    run_statement(
        warehouse,
        f"CREATE TABLE patrol_events ({columns}) ENGINE = MergeTree "
        "PARTITION BY toYYYYMM(shift_date) ORDER BY event_id",
    )
    [change] = diff_schema(SENTINEL, warehouse)
    assert str(change) == (
        "refused: patrol_events: is sorted by event_id, the code has "
        "shift_date, station_id, event_type, event_timestamp, event_id; rows are not sorted anew"
    )


def test_tables_that_are_not_there_yet_are_no_difference(warehouse: Engine) -> None:
    assert diff_schema(SENTINEL, warehouse) == []


def test_on_a_cluster_the_column_is_added_where_the_rows_are_and_where_they_are_read() -> None:
    facts = build_patrol_events("month", "city")
    assert add_column_statements(facts, facts.c.loaded_at, "run_id") == [
        f'ALTER TABLE "{name}" ON CLUSTER "city" ADD COLUMN IF NOT EXISTS "loaded_at" DateTime64(6, \'UTC\') '
        'DEFAULT now64(6) AFTER "run_id"'
        for name in ("patrol_events_local", "patrol_events")
    ]


def test_the_json_of_a_difference_has_its_statements(commands: Databases) -> None:
    warehouse = commands.warehouse
    create_table(warehouse, SENTINEL.fact_table)
    run_statement(warehouse, "ALTER TABLE patrol_events DROP COLUMN media_ref")
    [change] = json.loads(CliRunner().invoke(cli, ["schema", "diff", "--json"]).output)
    assert change["table"] == "patrol_events"
    assert len(change["statements"]) == 1
