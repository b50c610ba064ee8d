"""Personal data: what of it stands in the warehouse under each policy, and that no report shows any."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from sentinel_etl.databases import Databases
from sentinel_etl.pipeline import load_pipeline
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings, choose_window
from sentinel_etl.warehouse.query import run_statement

MARK = "Zerubbabel"
MARKED = f"""
UPDATE remarks SET remark_text = '{MARK}';
UPDATE vehicle_checks SET plate_number = '{MARK}', suspicion_details = '{MARK}';
UPDATE stranger_encounters SET name = '{MARK}', purpose = '{MARK}', id_details = '{MARK}';
UPDATE emergency_incidents SET details = '{{"caller": "{MARK}"}}';
UPDATE feedback SET feedback_text = '{MARK}';
-- Rejected rows: their raw form is personal, too.
UPDATE stranger_encounters SET latitude = 91 WHERE stranger_encounter_id = (SELECT min(stranger_encounter_id)
    FROM stranger_encounters WHERE created_at >= '2026-11-21 00:30+00');
ALTER TABLE feedback DROP CONSTRAINT feedback_patrol_id_fkey;
UPDATE feedback SET patrol_id = -1 WHERE feedback_id = (SELECT min(feedback_id)
    FROM feedback WHERE created_at >= '2026-11-21 00:30+00');
"""


@pytest.fixture
def marked(databases: Databases) -> Databases:
    with databases.source.begin() as connection:
        connection.exec_driver_sql(MARKED)
    return databases


def columns_with(databases: Databases, word: str) -> dict[str, list[str]]:
    """Find the columns of every table that hold the word, whatever their type."""
    columns = run_statement(
        databases.warehouse,
        "SELECT table, name FROM system.columns WHERE database = currentDatabase() AND table IN "
        "('patrol_events', 'patrol_events_rejected', 'etl_runs')",
    )
    found: dict[str, list[str]] = {}
    for table, name in columns:
        query = f"SELECT countIf(position(toString(`{name}`), '{word}') > 0) FROM {table}"
        if run_statement(databases.warehouse, query)[0][0]:
            found.setdefault(str(table), []).append(str(name))
    return found


def move(databases: Databases, settings: Settings) -> None:
    result = run_window(
        choose_window(settings=settings),
        source=databases.source,
        warehouse=databases.warehouse,
        pipeline=load_pipeline(settings),
        settings=settings,
    )
    assert result.published
    assert result.rejected["rows"].sum() == 2
    assert MARK not in result.preview.to_csv() + result.riskiest.to_csv() + str(result.checks)


def test_kept_data_stand_in_the_personal_columns_alone(marked: Databases, settings: Settings) -> None:
    move(marked, settings)
    assert columns_with(marked, MARK) == {
        "patrol_events": [
            "remark_text",
            "vehicle_plate_number",
            "suspicion_details",
            "stranger_name",
            "stranger_purpose",
            "stranger_id_details",
            "feedback_text",
            "details_json",
        ],
        "patrol_events_rejected": ["raw"],
    }


@pytest.mark.parametrize("pii", ["hash", "drop"])
def test_hashed_or_dropped_data_stand_nowhere_in_the_warehouse(marked: Databases, settings: Settings, pii: str) -> None:
    move(marked, settings.model_copy(update={"pii": pii, "pii_key": Settings(pii_key="x" * 32).pii_key}))
    assert columns_with(marked, MARK) == {}
    lengths = run_statement(
        marked.warehouse, "SELECT DISTINCT remark_length FROM patrol_events WHERE event_type = 'REMARK'"
    )
    assert lengths == [(len(MARK),)]
    joined = run_statement(
        marked.warehouse,
        "SELECT uniqExact(vehicle_plate_number), uniqExact(stranger_name), "
        "anyIf(vehicle_plate_number, event_type = 'VEHICLE_CHECK') = any(stranger_name) FROM patrol_events",
    )
    assert [tuple(row) for row in joined] == ([(1, 1, 1)] if pii == "hash" else [(0, 0, None)])


def test_no_report_and_no_output_shows_any_of_it(marked: Databases, environment: Settings) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sentinel_etl", "--verbose", "run", "--json"],
        env={**os.environ, "SENTINEL_HOME": str(environment.runs_dir.parent)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert json.loads(done.stdout)["state"] == "PUBLISHED WITH WARNINGS", done.stderr
    assert MARK not in done.stdout + done.stderr
    pages = sorted(path for path in environment.runs_dir.rglob("*.*") if path.is_file())
    assert {path.suffix for path in pages} >= {".html", ".ipynb"}
    assert [path.name for path in pages if MARK in path.read_text(encoding="utf-8")] == []
