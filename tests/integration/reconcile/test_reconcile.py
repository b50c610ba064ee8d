"""Source and warehouse compared by key and content, each summed by its own engine."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from click.testing import CliRunner

from sentinel_etl.cli.main import cli
from sentinel_etl.databases import Databases
from sentinel_etl.errors import AuditFailed
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.reconcile.compare import compare_fingerprints
from sentinel_etl.reconcile.counts import find_late_rows
from sentinel_etl.reconcile.covered import covered_columns
from sentinel_etl.run.result import RunResult
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

NIGHTS = [date(2026, 11, 19), date(2026, 11, 20), date(2026, 11, 21)]
EARLIER = "created_at >= '2026-11-20 00:30+00' AND created_at < '2026-11-21 00:30+00'"


def move(databases: Databases, *nights: date, **options: Any) -> RunResult:
    window = Window(Window.night(nights[0]).start, Window.night(nights[-1]).end)
    return run_window(window, source=databases.source, warehouse=databases.warehouse, settings=Settings(), **options)


def change(databases: Databases, statements: str) -> None:
    with databases.source.begin() as connection:
        connection.exec_driver_sql(statements)


def differences(databases: Databases) -> list[tuple[Any, ...]]:
    """List what differs: night, event type, rows that the source has more, keys equal, content equal."""
    table = compare_fingerprints(NIGHTS, SENTINEL, databases.source, databases.warehouse)
    assert len(table) == len(NIGHTS) * len(SENTINEL.event_types)
    assert table["source"].min() > 0
    rows = table[~(table["keys"] & table["content"])].itertuples(index=False)
    return [(row.shift_date, row.event_type, row.source - row.warehouse, row.keys, row.content) for row in rows]


@pytest.fixture
def loaded(databases: Databases) -> Databases:
    move(databases, *NIGHTS)
    return databases


def test_what_was_loaded_has_the_same_keys_and_content_on_both_sides(loaded: Databases) -> None:
    assert differences(loaded) == []


def test_each_kind_of_change_in_the_source_shows_in_its_night_and_type_alone(loaded: Databases) -> None:
    pick = f"(SELECT min(feedback_id) FROM feedback WHERE {EARLIER})"
    change(loaded, f"UPDATE feedback SET feedback_text = feedback_text || ' ' WHERE feedback_id = {pick}")
    change(loaded, "DELETE FROM geofence_logs WHERE geofence_log_id = (SELECT max(geofence_log_id) FROM geofence_logs)")
    change(
        loaded,
        f"UPDATE stranger_encounters SET latitude = latitude + 1e-9 WHERE {EARLIER}",
    )
    # An event leaves and another comes: the count is the same.
    change(
        loaded,
        "UPDATE emergency_incidents SET emergency_incident_id = -1 WHERE emergency_incident_id = "
        f"(SELECT min(emergency_incident_id) FROM emergency_incidents WHERE {EARLIER})",
    )
    assert differences(loaded) == [
        (NIGHTS[1], "STRANGER_ENCOUNTER", 0, True, False),
        (NIGHTS[1], "EMERGENCY_INCIDENT", 0, False, False),
        (NIGHTS[1], "FEEDBACK", 0, True, False),
        (NIGHTS[2], "GEOFENCE", -1, False, False),
    ]


def test_rows_that_an_insert_lost_silently_are_found(loaded: Databases) -> None:
    """As a server does that drops a block because it equals an earlier one: no error, and fewer rows."""
    run_statement(
        loaded.warehouse,
        "ALTER TABLE patrol_events DELETE WHERE event_type = 'REMARK' AND shift_date = '2026-11-20' "
        "AND cityHash64(event_id) % 4 = 0 SETTINGS mutations_sync = 2",
    )
    [(night, kind, lost, keys, content)] = differences(loaded)
    assert (night, kind, keys, content) == (NIGHTS[1], "REMARK", False, False)
    assert lost > 0
    move(loaded, NIGHTS[1])
    assert differences(loaded) == []


def test_a_row_that_stands_twice_does_not_hide_one_that_is_gone(loaded: Databases) -> None:
    run_statement(
        loaded.warehouse,
        "INSERT INTO patrol_events SELECT * FROM patrol_events WHERE event_type = 'FEEDBACK' "
        "AND shift_date = '2026-11-20' ORDER BY event_id LIMIT 1",
    )
    change(
        loaded,
        "INSERT INTO feedback SELECT (jsonb_populate_record(f, '{\"feedback_id\": -1}')).* FROM feedback f "
        f"WHERE {EARLIER} LIMIT 1",
    )
    assert differences(loaded) == [(NIGHTS[1], "FEEDBACK", 0, False, False)]


def test_rejected_rows_count_as_arrived(databases: Databases) -> None:
    change(databases, f"UPDATE remarks SET latitude = 99 WHERE {EARLIER} AND mod(remark_id, 3) = 0")
    change(databases, "ALTER TABLE feedback DROP CONSTRAINT feedback_patrol_id_fkey")
    change(databases, f"UPDATE feedback SET patrol_id = -1 WHERE {EARLIER} AND mod(feedback_id, 2) = 0")
    assert move(databases, *NIGHTS).rejected["rows"].sum() > 10
    assert differences(databases) == []
    assert find_late_rows(NIGHTS, SENTINEL, databases.source, databases.warehouse).empty


def test_the_next_run_tells_of_rows_that_came_late(loaded: Databases) -> None:
    assert move(loaded, NIGHTS[2]).late.empty
    change(
        loaded,
        "INSERT INTO feedback (feedback_id, patrol_id, assigned_to_officer_id, created_at) "
        "SELECT -n, (SELECT min(patrol_id) FROM patrols), 3001, '2026-11-20 20:00+00' FROM generate_series(1, 60) n",
    )
    change(loaded, f"DELETE FROM geofence_logs WHERE {EARLIER} AND mod(geofence_log_id, 2) = 0")
    result = move(loaded, NIGHTS[2])
    late = {row["event_type"]: row["source"] - row["warehouse"] for row in result.late.to_dict("records")}
    assert set(result.late["shift_date"]) == {NIGHTS[1]}
    assert late["FEEDBACK"] == 60
    assert late["GEOFENCE"] < 0
    assert result.verdict == "PUBLISHED WITH WARNINGS"
    assert "sentinel-etl reconcile --days 8 --heal" in result.cause
    assert result.late.dtypes.astype(str).to_dict() == {
        "shift_date": "object",
        "event_type": "str",
        "source": "int64",
        "warehouse": "int64",
    }


def test_a_night_that_was_never_loaded_is_missing_and_not_late(databases: Databases) -> None:
    assert move(databases, NIGHTS[2]).late.empty


def test_the_command_finds_changed_nights_and_heals_just_those(
    loaded: Databases, environment: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(loaded, f"UPDATE remarks SET remark_text = 'corrected' WHERE {EARLIER}")
    before = run_statement(
        loaded.warehouse, "SELECT DISTINCT run_id FROM patrol_events WHERE shift_date != '2026-11-20'"
    )
    found = CliRunner().invoke(cli, ["reconcile", "--days", "3"])
    assert isinstance(found.exception, AuditFailed)
    assert found.exception.exit_code == 5
    assert "`sentinel-etl reconcile --days 3 --heal`" in str(found.exception)
    assert "2026-11-20" in found.output
    healed = CliRunner().invoke(cli, ["reconcile", "--days", "3", "--heal", "--json"])
    assert healed.exception is None
    answer = json.loads(healed.output)
    assert {row["shift_date"] for row in answer["found"]} == {"2026-11-20"}
    assert answer["left"] == []
    assert len(answer["healed"]) == 1
    assert differences(loaded) == []
    after = run_statement(
        loaded.warehouse, "SELECT DISTINCT run_id FROM patrol_events WHERE shift_date != '2026-11-20'"
    )
    assert after == before


@pytest.mark.parametrize("name", SENTINEL.event_types)
def test_the_content_covers_what_comes_straight_from_the_source(name: str) -> None:
    kind = SENTINEL.event_types[name]
    covered = [each.name for each in covered_columns(kind, SENTINEL)]
    members = {"remark_id", "start_time"}
    coalesced = {"created_by_officer_id": "officer_id", "assigned_to_officer_id": "officer_id"}
    assert set(covered) == {coalesced.get(label, label) for label in kind.labels} - members | {
        "event_timestamp",
        "details_json",
    }
