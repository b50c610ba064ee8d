"""One night moved from the sample city, against SQL written here by hand, not built by the package."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, text

from sentinel_etl.databases import Databases
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.result import RunResult
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import query_df, run_statement
from sentinel_etl.window import Window

# The night of 21 November in Kolkata: 06:00 to 06:00 there is 00:30 to 00:30 in UTC.
START = "2026-11-21 00:30:00+00"
END = "2026-11-22 00:30:00+00"
NIGHT = Window(datetime(2026, 11, 21, 0, 30, tzinfo=UTC), datetime(2026, 11, 22, 0, 30, tzinfo=UTC))
IN_NIGHT = f"created_at >= '{START}' AND created_at < '{END}'"

COUNTS = {
    "PATROL_STATUS": f"SELECT count(*) FROM patrol_logs WHERE {IN_NIGHT}",
    "REMARK": f"SELECT count(*) FROM remarks WHERE {IN_NIGHT}",
    "HIGH_INTEGRITY_VISITS": "SELECT count(*) FROM remarks r, patrols p WHERE r.patrol_id = p.patrol_id "
    f"AND p.patrol_status = 'COMPLETED' AND r.hotspot_id IS NOT NULL AND r.{IN_NIGHT}",
    "PRIORITY_CHANGE": f"SELECT count(new_priority_ranking) FROM remarks WHERE {IN_NIGHT}",
    "VEHICLE_CHECK": f"SELECT count(*) FROM vehicle_checks WHERE {IN_NIGHT}",
    "SUSPICIOUS_VEHICLE": f"SELECT count(*) FROM vehicle_checks WHERE suspicious_activity AND {IN_NIGHT}",
    "STRANGER_ENCOUNTER": f"SELECT count(*) FROM stranger_encounters WHERE {IN_NIGHT}",
    "EMERGENCY_INCIDENT": f"SELECT count(*) FROM emergency_incidents WHERE {IN_NIGHT}",
    "FEEDBACK": f"SELECT count(*) FROM feedback WHERE {IN_NIGHT}",
    "GEOFENCE": f"SELECT count(*) FROM geofence_logs WHERE {IN_NIGHT}",
}

# Rows at the night's edges and with the values that phones send for "unknown". Id: what is there.
EDGE_ROWS = """
INSERT INTO patrols (patrol_id, station_id, vehicle_id, assigned_to_officer_id, patrol_status, start_time,
                     hotspots_to_visit, visited_hotspots, assigned_crew_ids) VALUES
    (1, 3, NULL, 3001, 'IN_PROGRESS', '2026-11-21 16:30:00+00', '{301,302}', '{301}', NULL);
INSERT INTO patrol_logs (patrol_log_id, patrol_id, created_by_officer_id, patrol_status, latitude, longitude,
                         accuracy, speed, heading, created_at) VALUES
    (1, 1, 3002, 'started',  0,    0,    5.5,  -1,  -1,   '2026-11-21 00:30:00+00'),
    (2, 1, 3002, 'finished', 12.5, 0,    NULL, 0,   0,    '2026-11-22 00:29:59.999999+00'),
    (3, 1, 3002, 'finished', 12.5, 77.5, 3,    1.5, 90.5, '2026-11-22 00:30:00+00'),
    (4, 1, 3002, 'started',  12.5, 77.5, 3,    1.5, 90.5, '2026-11-21 00:29:59.999999+00'),
    (5, 1, 3002, 'paused',   12.5, 77.5, 3, 'NaN', NULL,  '2026-11-21 18:29:59.999999+00'),
    (6, 1, 3002, 'resumed',  12.5, 77.5, 3,    1.5, NULL, '2026-11-21 18:30:00+00');
INSERT INTO emergency_incidents (emergency_incident_id, patrol_id, created_by_officer_id, assigned_to_officer_id,
                                 category, details, created_at) VALUES
    (1, 1, NULL, 3003, 'ARMED_ROBBERY', '{"note": "ಸಹಾಯ \\"now\\""}', '2026-11-21 17:00:00.000001+00'),
    (2, 1, 3004, 3003, 'MEDICAL',       NULL,                         '2026-11-21 17:00:01+00'),
    (3, 1, 3004, NULL, 'LOST_DOG',      '{}',                         '2026-11-21 17:00:02+00');
"""


WEIGHTS: dict[str, dict[str | bool, float]] = {
    "event_type": {
        "EMERGENCY_INCIDENT": 20.0,
        "SUSPICIOUS_VEHICLE": 12.0,
        "STRANGER_ENCOUNTER": 6.0,
        "PRIORITY_CHANGE": 4.5,
        "VEHICLE_CHECK": 2.0,
        "REMARK": 1.0,
        "FEEDBACK": 1.0,
        "GEOFENCE": 0.0,
    },
    "emergency_category": {"ARMED_ROBBERY": 60.0, "BURGLARY": 30.0, "MEDICAL": 10.0, "TRAFFIC_ACCIDENT": 10.0},
}
PIPELINE = replace(SENTINEL, risk_weights=WEIGHTS)


@pytest.fixture(scope="module")
def night(
    make_source: Callable[[str | None], Engine], make_warehouse: Callable[[], Engine], city_template: str
) -> Iterator[tuple[Databases, RunResult]]:
    """The night of 21 November, with the edge rows, moved once."""
    databases = Databases(make_source(city_template), make_warehouse())
    with databases.source.begin() as connection:
        connection.exec_driver_sql(EDGE_ROWS)
    result = run_window(
        NIGHT, source=databases.source, warehouse=databases.warehouse, pipeline=PIPELINE, settings=Settings()
    )
    yield databases, result
    databases.source.dispose()
    databases.warehouse.dispose()


@pytest.fixture
def loaded(night: tuple[Databases, RunResult]) -> Databases:
    return night[0]


def source_rows(databases: Databases, statement: str) -> list[tuple[Any, ...]]:
    """Read source rows in order of their first column."""
    with databases.source.connect() as connection:
        rows = [tuple(row) for row in connection.exec_driver_sql(statement)]
    return sorted(rows, key=lambda row: row[0])


def facts(databases: Databases, columns: str, where: str) -> list[tuple[Any, ...]]:
    """Read fact rows in order of their first column, as plain Python values."""
    frame = query_df(databases.warehouse, f"SELECT {columns} FROM patrol_events WHERE {where}")
    names = [f"c{place}" for place in range(frame.shape[1])]
    rows = frame.set_axis(names, axis=1).astype(object).to_dict("records")
    return sorted((tuple(plain(row[name]) for name in names) for row in rows), key=lambda row: row[0])


def plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return None if value is None or value != value or str(value) == "<NA>" else value


def test_the_counts_by_hand_cover_every_event_type() -> None:
    assert list(COUNTS) == list(SENTINEL.event_types)


@pytest.mark.parametrize("event_type", COUNTS, ids=str)
def test_the_warehouse_has_as_many_rows_of_the_window_as_the_source(loaded: Databases, event_type: str) -> None:
    [(expected,)] = source_rows(loaded, COUNTS[event_type])
    found = run_statement(
        loaded.warehouse, "SELECT count() FROM patrol_events WHERE event_type = :name", {"name": event_type}
    )
    assert expected > 0
    assert found == [(expected,)]


def test_the_result_counts_what_was_moved(night: tuple[Databases, RunResult]) -> None:
    databases, result = night
    by_hand = {name: source_rows(databases, statement)[0][0] for name, statement in COUNTS.items()}
    assert result.verdict == "PUBLISHED"
    for side in ("source", "staged", "published", "source_now"):
        assert result.counts.set_index("event_type")[side].to_dict() == by_hand, side


def test_the_window_holds_its_start_and_not_its_end(loaded: Databases) -> None:
    found = facts(loaded, "event_id, toString(event_timestamp)", "patrol_id = 1 AND event_type = 'PATROL_STATUS'")
    assert found == [
        ("PATROL_STATUS:1", "2026-11-21 00:30:00.000000"),
        ("PATROL_STATUS:2", "2026-11-22 00:29:59.999999"),
        ("PATROL_STATUS:5", "2026-11-21 18:29:59.999999"),
        ("PATROL_STATUS:6", "2026-11-21 18:30:00.000000"),
    ]


def test_dates_are_the_local_calendar_and_the_operational_night(loaded: Databases) -> None:
    found = facts(loaded, "event_id, toString(event_date), toString(shift_date)", "startsWith(event_id, 'PATROL_S')")
    expected = source_rows(
        loaded,
        "SELECT 'PATROL_STATUS:' || patrol_log_id, to_char(created_at AT TIME ZONE 'Asia/Kolkata', 'YYYY-MM-DD'), "
        "to_char((created_at AT TIME ZONE 'Asia/Kolkata') - interval '6 hours', 'YYYY-MM-DD') "
        f"FROM patrol_logs WHERE {IN_NIGHT}",
    )
    assert found == expected
    assert {row[2] for row in found} == {"2026-11-21"}


def test_midnight_in_the_city_begins_a_new_date_and_not_a_new_night(loaded: Databases) -> None:
    found = facts(loaded, "event_id, event_date, shift_date", "event_id IN ('PATROL_STATUS:5', 'PATROL_STATUS:6')")
    assert found == [
        ("PATROL_STATUS:5", date(2026, 11, 21), date(2026, 11, 21)),
        ("PATROL_STATUS:6", date(2026, 11, 22), date(2026, 11, 21)),
    ]


OFFICERS = {
    "PATROL_STATUS": "SELECT 'PATROL_STATUS:' || patrol_log_id, created_by_officer_id FROM patrol_logs",
    "GEOFENCE": "SELECT 'GEOFENCE:' || geofence_log_id, assigned_to_officer_id FROM geofence_logs",
    "FEEDBACK": "SELECT 'FEEDBACK:' || feedback_id, assigned_to_officer_id FROM feedback",
    "EMERGENCY_INCIDENT": "SELECT 'EMERGENCY_INCIDENT:' || emergency_incident_id, "
    "CASE WHEN created_by_officer_id IS NULL THEN assigned_to_officer_id ELSE created_by_officer_id END "
    "FROM emergency_incidents",
}


@pytest.mark.parametrize("event_type", OFFICERS, ids=str)
def test_the_officer_is_who_reported_or_else_who_was_sent(loaded: Databases, event_type: str) -> None:
    expected = source_rows(loaded, f"{OFFICERS[event_type]} WHERE {IN_NIGHT}")
    assert facts(loaded, "event_id, officer_id", f"event_type = '{event_type}'") == expected


def test_the_emergency_s_officer_is_the_reporter_before_the_assigned(loaded: Databases) -> None:
    found = facts(loaded, "event_id, officer_id", "event_type = 'EMERGENCY_INCIDENT' AND patrol_id = 1")
    assert found == [("EMERGENCY_INCIDENT:1", 3003), ("EMERGENCY_INCIDENT:2", 3004), ("EMERGENCY_INCIDENT:3", 3004)]


def test_visited_hotspots_stand_with_finished_patrols_only(loaded: Databases) -> None:
    found = facts(loaded, "event_id, visited_hotspots, hotspots_to_visit", "event_type = 'PATROL_STATUS'")
    expected = source_rows(
        loaded,
        "SELECT 'PATROL_STATUS:' || l.patrol_log_id, "
        "CASE l.patrol_status WHEN 'finished' THEN coalesce(p.visited_hotspots, '{}') ELSE '{}' END, "
        "coalesce(p.hotspots_to_visit, '{}') "
        f"FROM patrol_logs l, patrols p WHERE p.patrol_id = l.patrol_id AND l.{IN_NIGHT}",
    )
    assert found == expected
    assert {row[0]: row[1] for row in found if row[0] in ("PATROL_STATUS:1", "PATROL_STATUS:2")} == {
        "PATROL_STATUS:1": [],
        "PATROL_STATUS:2": [301],
    }
    assert facts(loaded, "DISTINCT length(visited_hotspots)", "event_type != 'PATROL_STATUS'") == [(0,)]


def test_a_position_of_0_0_is_unknown_and_a_single_0_is_a_place(loaded: Databases) -> None:
    found = facts(
        loaded,
        "event_id, latitude, longitude, accuracy, speed, heading",
        "patrol_id = 1 AND event_type = 'PATROL_STATUS'",
    )
    assert found == [
        ("PATROL_STATUS:1", None, None, 5.5, None, None),
        ("PATROL_STATUS:2", 12.5, 0.0, None, 0.0, 0.0),
        ("PATROL_STATUS:5", 12.5, 77.5, 3.0, None, None),
        ("PATROL_STATUS:6", 12.5, 77.5, 3.0, 1.5, None),
    ]


@pytest.mark.parametrize("event_type", ["PATROL_STATUS", "REMARK", "VEHICLE_CHECK", "GEOFENCE"])
def test_positions_are_the_source_s_own_to_the_last_bit(loaded: Databases, event_type: str) -> None:
    table = {"PATROL_STATUS": "patrol_logs", "REMARK": "remarks", "VEHICLE_CHECK": "vehicle_checks"}.get(
        event_type, "geofence_logs"
    )
    key = {"patrol_logs": "patrol_log_id", "remarks": "remark_id", "vehicle_checks": "vehicle_check_id"}.get(
        table, "geofence_log_id"
    )
    no_fix = "latitude = 0 AND longitude = 0"
    expected = source_rows(
        loaded,
        f"SELECT '{event_type}:' || {key}, CASE WHEN {no_fix} THEN NULL ELSE latitude END, "
        f"CASE WHEN {no_fix} THEN NULL ELSE longitude END, accuracy "
        f"FROM {table} WHERE {IN_NIGHT}",
    )
    assert facts(loaded, "event_id, latitude, longitude, accuracy", f"event_type = '{event_type}'") == expected
    assert any(row[1] is None for row in expected)


def test_an_emergency_scores_its_type_and_its_category(loaded: Databases) -> None:
    rows = source_rows(
        loaded,
        f"SELECT 'EMERGENCY_INCIDENT:' || emergency_incident_id, category FROM emergency_incidents WHERE {IN_NIGHT}",
    )
    expected = [(event_id, 20.0 + WEIGHTS["emergency_category"].get(category, 0)) for event_id, category in rows]
    assert facts(loaded, "event_id, base_risk_score", "event_type = 'EMERGENCY_INCIDENT'") == expected
    assert facts(loaded, "event_id, risk_reasons", "event_type = 'EMERGENCY_INCIDENT' AND patrol_id = 1") == [
        ("EMERGENCY_INCIDENT:1", ["event_type=EMERGENCY_INCIDENT +20", "emergency_category=ARMED_ROBBERY +60"]),
        ("EMERGENCY_INCIDENT:2", ["event_type=EMERGENCY_INCIDENT +20", "emergency_category=MEDICAL +10"]),
        ("EMERGENCY_INCIDENT:3", ["event_type=EMERGENCY_INCIDENT +20"]),
    ]


def test_an_event_scores_the_weight_of_its_type_and_one_without_a_weight_scores_0(loaded: Databases) -> None:
    found = run_statement(
        loaded.warehouse,
        "SELECT event_type, min(base_risk_score), max(base_risk_score) FROM patrol_events "
        "WHERE event_type != 'EMERGENCY_INCIDENT' GROUP BY event_type ORDER BY event_type",
    )
    assert [tuple(row) for row in found] == [
        ("FEEDBACK", 1.0, 1.0),
        ("GEOFENCE", 0.0, 0.0),
        ("HIGH_INTEGRITY_VISITS", 0.0, 0.0),
        ("PATROL_STATUS", 0.0, 0.0),
        ("PRIORITY_CHANGE", 4.5, 4.5),
        ("REMARK", 1.0, 1.0),
        ("STRANGER_ENCOUNTER", 6.0, 6.0),
        ("SUSPICIOUS_VEHICLE", 12.0, 12.0),
        ("VEHICLE_CHECK", 2.0, 2.0),
    ]


def test_texts_arrive_letter_by_letter_with_their_length(loaded: Databases) -> None:
    expected = source_rows(
        loaded,
        f"SELECT 'REMARK:' || remark_id, remark_text, length(remark_text) FROM remarks WHERE {IN_NIGHT}",
    )
    assert facts(loaded, "event_id, remark_text, remark_length", "event_type = 'REMARK'") == expected


def test_details_arrive_as_the_json_that_the_source_holds(loaded: Databases) -> None:
    found = facts(loaded, "event_id, details_json", "event_type = 'EMERGENCY_INCIDENT' AND patrol_id = 1")
    assert found == [
        ("EMERGENCY_INCIDENT:1", '{"note": "ಸಹಾಯ \\"now\\""}'),
        ("EMERGENCY_INCIDENT:2", None),
        ("EMERGENCY_INCIDENT:3", "{}"),
    ]


def test_columns_without_a_place_of_their_own_are_kept_as_json(loaded: Databases) -> None:
    expected = source_rows(
        loaded,
        "SELECT 'HIGH_INTEGRITY_VISITS:' || r.remark_id, '{\"remark_id\":' || r.remark_id || ',\"start_time\":\"' || "
        "to_char(p.start_time AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US') || 'Z\"}' "
        "FROM remarks r, patrols p WHERE p.patrol_id = r.patrol_id AND p.patrol_status = 'COMPLETED' "
        f"AND r.hotspot_id IS NOT NULL AND r.{IN_NIGHT}",
    )
    assert facts(loaded, "event_id, details_json", "event_type = 'HIGH_INTEGRITY_VISITS'") == expected


def test_station_and_vehicle_are_the_patrol_s(loaded: Databases) -> None:
    expected = source_rows(
        loaded,
        "SELECT 'GEOFENCE:' || g.geofence_log_id, p.patrol_id, p.station_id, p.vehicle_id, g.hotspot_id "
        f"FROM geofence_logs g, patrols p WHERE p.patrol_id = g.patrol_id AND g.{IN_NIGHT}",
    )
    found = facts(loaded, "event_id, patrol_id, station_id, vehicle_id, hotspot_id", "event_type = 'GEOFENCE'")
    assert found == expected


def test_every_row_names_its_run(night: tuple[Databases, RunResult]) -> None:
    databases, result = night
    assert facts(databases, "DISTINCT run_id", "1") == [(result.run_id,)]
    assert facts(databases, "uniqExact(loaded_at)", "1") == [(1,)]


def test_an_event_of_nobody_is_rejected_and_the_others_are_published(databases: Databases) -> None:
    with databases.source.begin() as connection:
        connection.execute(
            text("UPDATE emergency_incidents SET created_by_officer_id = NULL, assigned_to_officer_id = NULL")
        )
    result = run_window(
        NIGHT, source=databases.source, warehouse=databases.warehouse, pipeline=PIPELINE, settings=Settings()
    )
    assert result.verdict == "PUBLISHED WITH WARNINGS"
    [incidents] = result.counts[result.counts["event_type"] == "EMERGENCY_INCIDENT"].to_dict("records")
    assert incidents["source"] == incidents["rejected"] > 0 == incidents["published"]
    assert f"{incidents['source']} × officer_id: no value" in result.cause
