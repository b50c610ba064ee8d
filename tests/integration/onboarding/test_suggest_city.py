"""Suggestions for the sample city's tables: they load what the committed entries load."""

from __future__ import annotations

import json
from datetime import date

import pandas as pd
import pytest
from click.testing import CliRunner
from sqlalchemy import Engine
from suggested import ZONE, suggest

from sentinel_etl.cli.main import cli
from sentinel_etl.config.event_config import EVENT_CONFIG, PERSONAL
from sentinel_etl.extract.read import extract_data
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.settings import Settings
from sentinel_etl.transform.concatenate import concatenate
from sentinel_etl.transform.facts import transform_data
from sentinel_etl.window import Window

TABLES = {
    "patrol_logs": "PATROL_STATUS",
    "remarks": "REMARK",
    "vehicle_checks": "VEHICLE_CHECK",
    "stranger_encounters": "STRANGER_ENCOUNTER",
    "emergency_incidents": "EMERGENCY_INCIDENT",
    "feedback": "FEEDBACK",
    "geofence_logs": "GEOFENCE",
}
THREE_NIGHTS = Window(Window.night(date(2026, 11, 19), ZONE).start, Window.night(date(2026, 11, 21), ZONE).end)

# The committed entry reads the list of a finished patrol only: the team's own `case`.
THE_TEAMS_OWN = ["visited_hotspots"]


def facts(name: str, config: dict[str, object], source: Engine) -> pd.DataFrame:
    read = extract_data(name, THREE_NIGHTS, source, config)
    rows = transform_data(concatenate({name: read}))
    return rows.drop(columns=THE_TEAMS_OWN).sort_values("event_id", ignore_index=True)


@pytest.mark.parametrize(("table", "name"), TABLES.items(), ids=list(TABLES))
def test_the_suggestion_loads_the_rows_and_columns_of_the_committed_entry(city: Engine, table: str, name: str) -> None:
    tried = suggest(city, table, SENTINEL)
    assert list(tried.config) == [name]
    committed = facts(name, EVENT_CONFIG, city)
    assert len(committed) > 0
    pd.testing.assert_frame_equal(facts(name, tried.config, city), committed)


@pytest.mark.parametrize(("table", "name"), TABLES.items(), ids=list(TABLES))
def test_the_suggestion_reads_under_the_labels_of_the_committed_entry(city: Engine, table: str, name: str) -> None:
    tried = suggest(city, table, SENTINEL)
    labels = set(SENTINEL.event_types[name].labels) - set(SENTINEL.common_columns)
    assert set(tried.suggestion.fact_columns) == labels


def test_personal_data_is_what_the_pipeline_says(city: Engine) -> None:
    tried = suggest(city, "stranger_encounters", SENTINEL)
    assert dict(tried.suggestion.personal) == {
        name: why for name, why in PERSONAL.items() if name.startswith("stranger_")
    }


def test_without_a_pipeline_personal_data_is_told_by_name_and_shape(city: Engine) -> None:
    found = {}
    for table in TABLES:
        found |= suggest(city, table).suggestion.personal
    assert found == {
        "remark_text": "free text",
        "plate_number": "names its keeper",
        "suspicion_details": "free text",
        "name": "name",
        "purpose": "free text",
        "id_details": "number of a document",
        "details": "free text",
        "feedback_text": "free text",
    }


def test_a_column_that_changes_another_tables_is_told_to_be_an_event_of_its_own(city: Engine) -> None:
    tried = suggest(city, "remarks", SENTINEL)
    assert (
        "left out: new_priority_ranking (where it is not NULL it changes hotspots.priority_ranking: an event type of "
        "its own, with the filter Remark.new_priority_ranking.is_not(None))"
    ) in tried.notes


def test_the_command_prints_python_and_what_a_dry_run_would_load(environment: Settings) -> None:
    done = CliRunner().invoke(cli, ["suggest", "remarks"])
    assert done.exit_code == 0
    names: dict[str, object] = {}
    exec(compile(done.stdout, "<stdout>", "exec"), names)  # noqa: S102 - what a person would paste
    assert "REMARK" in names["EVENT_CONFIG"]
    assert done.stdout.splitlines()[-1] == (
        "# a dry run of 2026-11-21 06:00 → 2026-11-22 06:00 IST would load 84 rows, and reject 0"
    )


def test_the_command_prints_one_line_of_json(environment: Settings) -> None:
    done = CliRunner().invoke(cli, ["suggest", "public.remarks", "--json"])
    told = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert told["name"] == "REMARK"
    assert (told["loaded"], told["rejected"]) == (84, 0)
    assert told["entry"].startswith('"REMARK": {')
