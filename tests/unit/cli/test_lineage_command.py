"""``sentinel-etl lineage``: what it prints, and what it says of a column that is not there."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sentinel_etl.cli.main import cli, main
from sentinel_etl.pipeline import SENTINEL

TESTS = Path(__file__).parents[2]


def lineage(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["lineage", *arguments], catch_exceptions=False)


def test_a_column_is_told_with_its_sources_steps_joins_and_filters() -> None:
    assert lineage("hotspot_id").stdout.splitlines() == [
        "hotspot_id  Nullable(Int64)",
        "  remarks.hotspot_id        ← REMARK, HIGH_INTEGRITY_VISITS, PRIORITY_CHANGE",
        "  geofence_logs.hotspot_id  ← GEOFENCE",
        "  · integer → Int64",
        "",
        "read from",
        "  REMARK  remarks",
        "      join patrols on remarks.patrol_id = patrols.patrol_id",
        "      in the window by remarks.created_at",
        "  HIGH_INTEGRITY_VISITS  remarks",
        "      join patrols on remarks.patrol_id = patrols.patrol_id AND patrols.patrol_status = 'COMPLETED'",
        "      where remarks.hotspot_id IS NOT NULL",
        "      in the window by remarks.created_at",
        "  PRIORITY_CHANGE  remarks",
        "      join patrols on remarks.patrol_id = patrols.patrol_id",
        "      where remarks.new_priority_ranking IS NOT NULL",
        "      in the window by remarks.created_at",
        "  GEOFENCE  geofence_logs",
        "      join patrols on geofence_logs.patrol_id = patrols.patrol_id",
        "      in the window by geofence_logs.created_at",
    ]


def test_a_case_is_told_with_what_it_asks() -> None:
    assert lineage("visited_hotspots").stdout.splitlines()[:4] == [
        "visited_hotspots  Array(Int64)",
        "  patrols.visited_hotspots, decided by patrol_logs.patrol_status: "
        "CASE WHEN (patrol_logs.patrol_status = 'finished') THEN patrols.visited_hotspots END  ← PATROL_STATUS",
        "  · array of integer → Array(Int64)",
        "  · [] where there is none",
    ]


def test_without_a_column_every_one_is_told_and_nothing_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_SOURCE_URL", "postgresql+psycopg://nobody@nowhere.invalid/none")
    printed = lineage().stdout
    told = [line.split("  ")[0] for line in printed.partition("\nread from\n")[0].splitlines() if line[:1].strip()]
    assert told == SENTINEL.fact_table.columns.keys()


def test_json_has_the_same_for_programs() -> None:
    found = json.loads(lineage("visited_hotspots", "--format", "json").stdout)
    assert lineage("visited_hotspots", "--json").stdout == lineage("visited_hotspots", "--format", "json").stdout
    [column] = found["columns"]
    [origin] = column["origins"]
    [read] = origin["reads"]
    assert (origin["event_type"], read["label"], read["type"]) == (
        "PATROL_STATUS",
        "visited_hotspots",
        "array of integer",
    )
    assert read["columns"] == [
        {"table": {"name": "patrol_logs", "schema": ""}, "name": "patrol_status", "decides": True},
        {"table": {"name": "patrols", "schema": ""}, "name": "visited_hotspots", "decides": False},
    ]
    [entry] = found["entries"]
    assert entry["joins"][0]["on"] == "patrol_logs.patrol_id = patrols.patrol_id"


def test_another_teams_pipeline_is_told_as_the_settings_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_HOME", str(TESTS))
    monkeypatch.setenv("SENTINEL_PIPELINE", "clinics:NAMED")
    assert lineage("ward_id").stdout.splitlines()[:3] == [
        "ward_id  Nullable(String)",
        "  clinic.admissions.ward_id  ← ADMISSION",
        "  · text → String",
    ]


def test_a_column_that_is_not_there_is_one_sentence_and_exit_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["sentinel-etl", "lineage", "hotspot"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "sentinel-etl: lineage: expected a column of patrol_events, found 'hotspot'. Did you mean hotspot_id?\n"
    )
