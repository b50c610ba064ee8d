from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from sentinel_etl.config.event_config import COALESCE, COMMON_COLUMNS, EVENT_CONFIG, UNKNOWN_VALUES
from sentinel_etl.config.event_type import EventType
from sentinel_etl.config.fact_table import build_patrol_events
from sentinel_etl.config.parse_config import parse_event_config
from sentinel_etl.config.risk_weights import RISK_WEIGHTS
from sentinel_etl.extract.statements import select_events
from sentinel_etl.source.sql import compile_sql
from sentinel_etl.window import Window

WINDOW = Window(datetime(2026, 11, 21, 0, 30, tzinfo=UTC), datetime(2026, 11, 22, 0, 30, tzinfo=UTC))
FACT_COLUMNS = [column.name for column in build_patrol_events().columns]
EVENT_TYPES = parse_event_config(EVENT_CONFIG)

# Read on purpose without a column of their own: they are kept in details_json.
EXTRAS = {"HIGH_INTEGRITY_VISITS": {"remark_id", "start_time"}}

# Event type → table, key, what the joined patrol must be, and the entry's own filter.
MANIFEST = {
    "PATROL_STATUS": ("patrol_logs", "patrol_log_id", "", ""),
    "REMARK": ("remarks", "remark_id", "", ""),
    "HIGH_INTEGRITY_VISITS": (
        "remarks",
        "remark_id",
        " AND patrols.patrol_status = 'COMPLETED'",
        " AND remarks.hotspot_id IS NOT NULL",
    ),
    "PRIORITY_CHANGE": ("remarks", "remark_id", "", " AND remarks.new_priority_ranking IS NOT NULL"),
    "VEHICLE_CHECK": ("vehicle_checks", "vehicle_check_id", "", ""),
    "SUSPICIOUS_VEHICLE": (
        "vehicle_checks",
        "vehicle_check_id",
        "",
        " AND vehicle_checks.suspicious_activity IS true",
    ),
    "STRANGER_ENCOUNTER": ("stranger_encounters", "stranger_encounter_id", "", ""),
    "EMERGENCY_INCIDENT": ("emergency_incidents", "emergency_incident_id", "", ""),
    "FEEDBACK": ("feedback", "feedback_id", "", ""),
    "GEOFENCE": ("geofence_logs", "geofence_log_id", "", ""),
}

every_type = pytest.mark.parametrize("kind", EVENT_TYPES.values(), ids=EVENT_TYPES.keys())


def sql(kind: EventType) -> str:
    return re.sub(r"\s+", " ", compile_sql(select_events(kind, WINDOW)))


def test_the_event_types_of_the_design_are_there_in_order() -> None:
    assert list(EVENT_TYPES) == list(MANIFEST)


@every_type
def test_rows_come_from_the_right_table_join_and_filter_within_the_half_open_window(kind: EventType) -> None:
    table, key, on_patrol, filters = MANIFEST[kind.name]
    text = sql(kind)
    assert text.startswith(f"SELECT {table}.{key} AS source_key, {table}.created_at AS event_timestamp, ")
    assert (
        f" FROM {table} JOIN patrols ON {table}.patrol_id = patrols.patrol_id{on_patrol}"
        f" WHERE {table}.created_at >= '2026-11-21 00:30:00+00:00'"
        f" AND {table}.created_at < '2026-11-22 00:30:00+00:00'{filters}"
    ) in text


@every_type
def test_no_statement_selects_a_star(kind: EventType) -> None:
    assert "*" not in sql(kind)


@every_type
def test_every_label_is_a_fact_column_a_coalesce_source_or_a_known_extra(kind: EventType) -> None:
    sources = {name for names in COALESCE.values() for name in names}
    assert set(kind.labels) - set(FACT_COLUMNS) - sources == EXTRAS.get(kind.name, set())


@every_type
def test_every_event_type_brings_what_a_fact_row_must_have(kind: EventType) -> None:
    assert {"patrol_id", "station_id"} <= set(kind.labels)
    assert set(COALESCE["officer_id"]) & set(kind.labels)


def test_only_a_finished_patrol_has_visited_its_hotspots() -> None:
    assert (
        "CASE WHEN (patrol_logs.patrol_status = 'finished') THEN patrols.visited_hotspots END AS visited_hotspots"
        in sql(EVENT_TYPES["PATROL_STATUS"])
    )


def test_details_of_an_emergency_are_read_as_text() -> None:
    assert "CAST(emergency_incidents.details AS TEXT) AS details_json" in sql(EVENT_TYPES["EMERGENCY_INCIDENT"])


def test_the_officer_who_did_it_comes_before_the_one_who_was_sent() -> None:
    assert COALESCE == {"officer_id": ("officer_id", "created_by_officer_id", "assigned_to_officer_id")}


def test_unknown_values_stand_for_fact_columns_one_each() -> None:
    for columns, values in UNKNOWN_VALUES.items():
        assert set(columns) <= set(FACT_COLUMNS)
        assert len(columns) == len(values)


def test_common_columns_lead_to_fact_columns() -> None:
    sources = {name for names in COALESCE.values() for name in names}
    assert set(COMMON_COLUMNS) <= set(FACT_COLUMNS) | sources


def test_every_event_type_has_a_weight() -> None:
    assert set(RISK_WEIGHTS["event_type"]) == set(EVENT_CONFIG)
