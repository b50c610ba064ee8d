"""Another event type, another team's database: each is configuration and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from clickhouse_sqlalchemy import Table as FactTable
from clickhouse_sqlalchemy import engines, types
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    and_,
    case,
    func,
    text,
)

from sentinel_etl.config.source_models import Patrol, SourceBase
from sentinel_etl.databases import Databases
from sentinel_etl.extract.check_source import check_source
from sentinel_etl.pipeline import SENTINEL, Pipeline
from sentinel_etl.run.result import RunResult
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window


def move(databases: Databases, window: Window, pipeline: Pipeline, **options: Any) -> RunResult:
    pipeline.check()
    return run_window(
        window,
        source=databases.source,
        warehouse=databases.warehouse,
        pipeline=pipeline,
        settings=Settings(),
        **options,
    )


def read(warehouse: Engine, statement: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in run_statement(warehouse, statement)]


# An eleventh event type: one table more in the source, one entry more in the config.

DRONES = MetaData()
SIGHTINGS = Table(
    "drone_sightings",
    DRONES,
    Column("sighting_id", BigInteger, primary_key=True),
    Column("patrol_id", BigInteger),
    Column("created_by_officer_id", BigInteger),
    Column("seen_at", DateTime(timezone=True), index=True),
    Column("latitude", Numeric(9, 6)),
    Column("longitude", Numeric(9, 6)),
    Column("height_m", Integer),
    Column("what", Text),
)
NIGHT = Window(datetime(2026, 11, 21, 0, 30, tzinfo=UTC), datetime(2026, 11, 22, 0, 30, tzinfo=UTC))

WITH_DRONES = replace(
    SENTINEL,
    event_config={
        **SENTINEL.event_config,
        "DRONE_SIGHTING": {
            "model": SIGHTINGS,
            "timestamp": SIGHTINGS.c.seen_at,
            "key": SIGHTINGS.c.sighting_id,
            "joins": [(Patrol, SIGHTINGS.c.patrol_id == Patrol.patrol_id)],
            "filters": [SIGHTINGS.c.height_m > 0],
            "columns": [
                SIGHTINGS.c.what.label("remark_text"),
                SIGHTINGS.c.latitude,
                SIGHTINGS.c.longitude,
                SIGHTINGS.c.height_m,
            ],
        },
    },
    risk_weights={**SENTINEL.risk_weights, "event_type": {"DRONE_SIGHTING": 7.5}},
)


@pytest.fixture
def drones(databases: Databases) -> Databases:
    """The sample city with a table that the sample config does not know."""
    DRONES.create_all(databases.source)
    with databases.source.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO drone_sightings VALUES "
            "(1, (SELECT min(patrol_id) FROM patrols), 1001, '2026-11-21 00:30:00+00', 12.5, 77.5, 90, 'ಡ್ರೋನ್'), "
            "(2, (SELECT min(patrol_id) FROM patrols), NULL, '2026-11-21 20:00:00.5+00', 0, 0, 40, NULL), "
            "(3, (SELECT min(patrol_id) FROM patrols), 1001, '2026-11-21 20:00:00+00', 12.5, 77.5, 0, 'landed'), "
            "(4, (SELECT min(patrol_id) FROM patrols), 1001, '2026-11-22 00:30:00+00', 12.5, 77.5, 9, 'after'), "
            "(5, 404, 1001, '2026-11-21 20:00:00+00', 12.5, 77.5, 9, 'of no patrol')"
        )
    return databases


def test_an_eleventh_event_type_is_one_entry(drones: Databases) -> None:
    result = move(drones, NIGHT, WITH_DRONES)
    assert result.verdict == "PUBLISHED WITH WARNINGS"
    assert result.rejected.to_dict("records") == [
        {"event_type": "DRONE_SIGHTING", "reason": "no row of patrols has its patrol_id", "rows": 1}
    ]
    counted = "SELECT count(*) FROM drone_sightings s JOIN patrols p USING (patrol_id) WHERE height_m > 0 AND seen_at "
    with drones.source.connect() as connection:
        expected = connection.scalar(text(counted + ">= '2026-11-21 00:30Z' AND seen_at < '2026-11-22 00:30Z'"))
        commander = connection.scalar(text("SELECT assigned_to_officer_id FROM patrols ORDER BY patrol_id LIMIT 1"))
    rows = read(
        drones.warehouse,
        "SELECT event_id, officer_id, latitude, remark_text, remark_length, base_risk_score, risk_reasons[1], "
        "details_json, toString(event_timestamp), toString(shift_date) FROM patrol_events "
        "WHERE event_type = 'DRONE_SIGHTING' ORDER BY event_id",
    )
    reason = "event_type=DRONE_SIGHTING +7.5"
    assert [row[:8] for row in rows] == [
        ("DRONE_SIGHTING:1", 1001, 12.5, "ಡ್ರೋನ್", 6, 7.5, reason, '{"height_m":90}'),
        ("DRONE_SIGHTING:2", commander, None, None, None, 7.5, reason, '{"height_m":40}'),
    ]
    assert [row[8:] for row in rows] == [
        ("2026-11-21 00:30:00.000000", "2026-11-21"),
        ("2026-11-21 20:00:00.500000", "2026-11-21"),
    ]
    assert len(rows) == expected == 2


def test_an_event_type_added_later_joins_a_loaded_night(drones: Databases) -> None:
    before = move(drones, NIGHT, SENTINEL)
    added = move(drones, NIGHT, WITH_DRONES, event_types=["DRONE_SIGHTING"])
    assert (added.verdict, added.how) == ("PUBLISHED WITH WARNINGS", "attach 202611")
    counts = dict(read(drones.warehouse, "SELECT event_type, count() FROM patrol_events GROUP BY event_type"))
    assert counts == {**before.counts.set_index("event_type")["published"].to_dict(), "DRONE_SIGHTING": 2}


# A hospital's database: its own schema, tables, fact table, weights, coalescing, zone and partition.

CLINIC = MetaData(schema="clinic")
WARDS = Table(
    "wards",
    CLINIC,
    Column("ward_code", String(8), primary_key=True),
    Column("ward_name", Text),
    Column("floor", Integer),
)
ADMISSIONS = Table(
    "admissions",
    CLINIC,
    Column("hospital", String(4), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("ward_code", ForeignKey(WARDS.c.ward_code)),
    Column("admitted_at", DateTime(timezone=True), index=True),
    Column("nurse", Text),
    Column("doctor", Text),
    Column("urgency", Text),
    Column("temperature_c", Numeric(4, 1)),
    Column("is_isolated", Boolean),
    Column("discharge_note", Text),
    Column("state", Text),
)
DOSES = Table(
    "order",  # a word that must be quoted
    CLINIC,
    Column("Dose Id", BigInteger, primary_key=True, key="dose_id"),
    Column("hospital", String(4)),
    Column("number", Integer),
    Column("given at", DateTime, index=True, key="given_at"),
    Column("doctor", Text),
    Column("drug", Text),
)
LONDON = ZoneInfo("Europe/London")

WARD_EVENTS = FactTable(
    "ward_events",
    MetaData(),
    Column("event_id", types.String),
    Column("event_timestamp", types.DateTime64(6, "UTC")),
    Column("event_type", types.String),
    Column("shift_date", types.Date),
    Column("clinician", types.Nullable(types.String)),
    Column("ward_name", types.Nullable(types.String)),
    Column("floor", types.Nullable(types.Int8)),
    Column("urgency", types.Nullable(types.String)),
    Column("temperature_c", types.Nullable(types.Float32)),
    Column("is_isolated", types.Nullable(types.Boolean)),
    Column("note", types.Nullable(types.String)),
    Column("note_length", types.Nullable(types.Int32)),
    Column("drug", types.Nullable(types.String)),
    Column("run_id", types.String),
    Column("loaded_at", types.DateTime64(6, "UTC")),
    Column("base_risk_score", types.Float64),
    Column("risk_reasons", types.Array(types.String)),
    engines.MergeTree(partition_by=text("shift_date"), order_by=("shift_date", "event_type", "event_id")),
)

HOSPITAL = Pipeline(
    event_config={
        "ADMISSION": {
            "model": ADMISSIONS,
            "timestamp": ADMISSIONS.c.admitted_at,
            "key": [ADMISSIONS.c.hospital, ADMISSIONS.c.number],
            "joins": [(WARDS, ADMISSIONS.c.ward_code == WARDS.c.ward_code, {"outer": True})],
            "columns": [
                ADMISSIONS.c.urgency,
                ADMISSIONS.c.temperature_c,
                ADMISSIONS.c.is_isolated,
                WARDS.c.ward_name,
                WARDS.c.floor,
                case((ADMISSIONS.c.state == "gone", ADMISSIONS.c.discharge_note), else_=None).label("note"),
            ],
        },
        "DOSE": {
            "model": DOSES,
            "timestamp": func.timezone("Europe/London", DOSES.c.given_at, type_=DateTime(timezone=True)),
            "key": [DOSES.c.hospital, DOSES.c.dose_id],
            "joins": [
                (
                    ADMISSIONS,
                    and_(DOSES.c.hospital == ADMISSIONS.c.hospital, DOSES.c.number == ADMISSIONS.c.number),
                )
            ],
            "columns": [DOSES.c.drug, ADMISSIONS.c.urgency],
        },
    },
    fact_table=WARD_EVENTS,
    risk_weights={"event_type": {"DOSE": 0.5}, "urgency": {"RED": 10.0}, "is_isolated": {True: 2.0}},
    common_columns=("nurse", "doctor"),
    coalesce={"clinician": ("nurse", "doctor")},
    unknown_values={("temperature_c",): (-100.0,)},
    text_lengths={"note_length": "note"},
    zone=LONDON,
)
DAY = Window.night(date(2026, 6, 1), LONDON)  # 05:00 to 05:00 in UTC


@pytest.fixture
def hospital(source_engine: Engine, warehouse: Engine) -> Databases:
    """A hospital's PostgreSQL database, which has nothing of a city's."""
    with source_engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA clinic")
        CLINIC.create_all(connection)
        connection.exec_driver_sql("INSERT INTO clinic.wards VALUES ('A1', 'Ågren', 3)")
        connection.exec_driver_sql(
            "INSERT INTO clinic.admissions VALUES "
            "('GUY', 1, 'A1', '2026-06-01 05:00Z', 'Ann', 'Dr B', 'RED', 38.5, true, 'kept back', 'in'), "
            "('GUY', 2, NULL, '2026-06-02 04:59:59.999999Z', NULL, 'Dr B', 'GREEN', -100, false, 'all well', 'gone'), "
            "('BRT', 1, 'A1', '2026-06-02 05:00Z', NULL, NULL, NULL, NULL, NULL, NULL, NULL)"
        )
        connection.exec_driver_sql(
            "INSERT INTO clinic.\"order\" VALUES (1, 'GUY', 1, '2026-06-01 06:00', 'Dr C', 'aspirin'), "
            "(2, 'GUY', 1, '2026-06-01 05:59:59', 'Dr C', 'the night before'), "
            "(3, 'GUY', 9, '2026-06-01 12:00', 'Dr C', 'to nobody')"
        )
    return Databases(source_engine, warehouse)


def test_another_database_with_its_own_fact_table_needs_only_a_pipeline(hospital: Databases) -> None:
    assert [str(found) for found in check_source(HOSPITAL.event_types.values(), hospital.source)] == []
    result = move(hospital, DAY, HOSPITAL)
    assert (result.verdict, result.how) == ("PUBLISHED WITH WARNINGS", "attach 20260601")
    assert result.rejected.to_dict("records") == [
        {"event_type": "DOSE", "reason": "no row of admissions has its hospital, number", "rows": 1}
    ]
    assert result.counts.set_index("event_type")["published"].to_dict() == {"ADMISSION": 2, "DOSE": 1}
    rows = read(
        hospital.warehouse,
        "SELECT event_id, toString(event_timestamp), toString(shift_date), clinician, ward_name, floor, urgency, "
        "temperature_c, toString(is_isolated), note, note_length, drug, base_risk_score, toString(risk_reasons) "
        "FROM ward_events ORDER BY event_id",
    )
    assert [row[:3] for row in rows] == [
        ("ADMISSION:GUY:1", "2026-06-01 05:00:00.000000", "2026-06-01"),
        ("ADMISSION:GUY:2", "2026-06-02 04:59:59.999999", "2026-06-01"),
        ("DOSE:GUY:1", "2026-06-01 05:00:00.000000", "2026-06-01"),
    ]
    assert [row[3:12] for row in rows] == [
        ("Ann", "Ågren", 3, "RED", 38.5, "true", None, None, None),
        ("Dr B", None, None, "GREEN", None, "false", "all well", 8, None),
        ("Ann", None, None, "RED", None, None, None, None, "aspirin"),
    ]
    assert [row[12:] for row in rows] == [
        (12.0, "['urgency=RED +10','is_isolated=True +2']"),
        (0.0, "[]"),
        (10.5, "['event_type=DOSE +0.5','urgency=RED +10']"),
    ]


def test_another_database_is_re_run_like_the_first(hospital: Databases) -> None:
    move(hospital, DAY, HOSPITAL)
    with hospital.source.begin() as connection:
        connection.exec_driver_sql("DELETE FROM clinic.admissions WHERE number = 2")
        connection.exec_driver_sql("UPDATE clinic.admissions SET urgency = 'GREEN' WHERE hospital = 'GUY'")
    result = move(hospital, DAY, HOSPITAL)
    assert (result.verdict, result.how) == ("PUBLISHED WITH WARNINGS", "exchange 20260601")
    found = read(hospital.warehouse, "SELECT event_id, urgency, base_risk_score FROM ward_events ORDER BY event_id")
    assert found == [("ADMISSION:GUY:1", "GREEN", 2.0), ("DOSE:GUY:1", "GREEN", 0.5)]


def test_one_entry_s_key_may_be_a_number_and_another_s_a_text(hospital: Databases) -> None:
    dose = {**HOSPITAL.event_config["DOSE"], "key": DOSES.c.dose_id}
    move(hospital, DAY, replace(HOSPITAL, event_config={**HOSPITAL.event_config, "DOSE": dose}))
    found = read(hospital.warehouse, "SELECT event_id FROM ward_events ORDER BY event_id")
    assert found == [("ADMISSION:GUY:1",), ("ADMISSION:GUY:2",), ("DOSE:1",)]


def test_an_unknown_value_without_an_exact_float32_is_null_too(hospital: Databases) -> None:
    with hospital.source.begin() as connection:
        connection.exec_driver_sql("UPDATE clinic.admissions SET temperature_c = -99.9 WHERE number = 2")
    move(hospital, DAY, replace(HOSPITAL, unknown_values={("temperature_c",): (-99.9,)}))
    found = read(hospital.warehouse, "SELECT temperature_c FROM ward_events WHERE event_id = 'ADMISSION:GUY:2'")
    assert found == [(None,)]


def test_two_pipelines_share_a_warehouse_and_leave_each_other_alone(hospital: Databases, city: Engine) -> None:
    move(hospital, DAY, HOSPITAL)
    both = Databases(city, hospital.warehouse)
    moved = move(both, NIGHT, SENTINEL)
    assert moved.verdict == "PUBLISHED"
    assert read(hospital.warehouse, "SELECT count() FROM ward_events") == [(3,)]
    assert read(hospital.warehouse, "SELECT fact_table, state FROM etl_runs FINAL ORDER BY 1") == [
        ("patrol_events", "PUBLISHED"),
        ("ward_events", "PUBLISHED WITH WARNINGS"),  # of the dose whose admission is gone
    ]


# The sample's own tables, kept in a schema of another name.


def test_tables_in_a_schema_outside_the_search_path_are_found(
    make_source: Callable[[str | None], Engine], city_template: str, warehouse: Engine
) -> None:
    source = make_source(city_template)
    elsewhere = MetaData(schema="clinic")
    for table in SourceBase.metadata.tables.values():
        table.to_metadata(elsewhere, schema="clinic")
    with source.begin() as connection:
        connection.exec_driver_sql("ALTER SCHEMA public RENAME TO clinic")
    remarks, patrols = elsewhere.tables["clinic.remarks"], elsewhere.tables["clinic.patrols"]
    entry = {
        "model": remarks,
        "timestamp": remarks.c.created_at,
        "key": remarks.c.remark_id,
        "joins": [(patrols, remarks.c.patrol_id == patrols.c.patrol_id)],
        "columns": [remarks.c.remark_text, remarks.c.hotspot_id],
    }
    result = move(Databases(source, warehouse), NIGHT, replace(SENTINEL, event_config={"REMARK": entry}))
    with source.connect() as connection:
        expected = connection.scalar(
            text(
                "SELECT count(*) FROM clinic.remarks "
                "WHERE created_at >= '2026-11-21 00:30Z' AND created_at < '2026-11-22 00:30Z'"
            )
        )
    source.dispose()
    assert result.verdict == "PUBLISHED"
    assert read(warehouse, "SELECT count() FROM patrol_events") == [(expected,)]
    assert expected > 0
