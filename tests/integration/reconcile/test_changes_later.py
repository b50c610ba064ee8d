"""Columns that are filled in after the event: told as expected, and loaded again by the means that heal."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import pytest
from click.testing import CliRunner

from sentinel_etl.cli.main import cli
from sentinel_etl.config.source_models import Feedback
from sentinel_etl.databases import Databases
from sentinel_etl.errors import AuditFailed
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.reconcile.compare import compare_fingerprints, find_settling_nights
from sentinel_etl.run.result import RunResult
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

NIGHTS = [date(2026, 11, 19), date(2026, 11, 20), date(2026, 11, 21)]
ENTRY = {**SENTINEL.event_config["FEEDBACK"], "changes_later": [Feedback.feedback_text]}
PIPELINE = replace(SENTINEL, event_config={**SENTINEL.event_config, "FEEDBACK": ENTRY})
FILLED_IN = "UPDATE feedback SET feedback_text = 'given later' WHERE created_at < '2026-11-20 00:30+00'"


def move(databases: Databases, *nights: date) -> RunResult:
    window = Window(Window.night(nights[0]).start, Window.night(nights[-1]).end)
    return run_window(
        window, source=databases.source, warehouse=databases.warehouse, pipeline=PIPELINE, settings=Settings()
    )


def change(databases: Databases, statement: str) -> None:
    with databases.source.begin() as connection:
        connection.exec_driver_sql(statement)


@pytest.fixture
def loaded(databases: Databases) -> Databases:
    move(databases, *NIGHTS)
    return databases


def test_the_next_run_tells_of_it_and_warns_of_nothing(loaded: Databases) -> None:
    before = {check.gate: check for check in move(loaded, NIGHTS[2]).checks}
    assert before["nights_complete"].observed == "no night has changed"
    change(loaded, FILLED_IN)
    result = move(loaded, NIGHTS[2])
    assert (result.verdict, result.late.empty) == ("PUBLISHED", True)
    [check] = [check for check in result.checks if check.gate == "nights_complete"]
    assert check.observed == (
        "changed later, as expected: FEEDBACK in 2026-11-19; to load it: "
        f"sentinel-etl reconcile --days {Settings().lookback_nights + 1} --heal"
    )


def test_other_edits_are_none_of_it(loaded: Databases) -> None:
    change(loaded, "UPDATE feedback SET latitude = 1 WHERE created_at < '2026-11-20 00:30+00'")
    found = find_settling_nights(NIGHTS, PIPELINE, loaded.source, loaded.warehouse)
    assert found.empty
    table = compare_fingerprints(NIGHTS, PIPELINE, loaded.source, loaded.warehouse)
    assert table[["content", "expected"]].sum().to_list() == [len(table) - 1, 0]


@pytest.fixture
def commands(loaded: Databases, environment: Settings, monkeypatch: pytest.MonkeyPatch) -> Databases:
    monkeypatch.setattr("sentinel_etl.context.open_databases", lambda settings: loaded)
    monkeypatch.setattr("sentinel_etl.context.load_pipeline", lambda settings: PIPELINE)
    return loaded


def test_reconcile_tells_it_apart_from_a_fault(commands: Databases) -> None:
    change(commands, FILLED_IN)
    done = CliRunner().invoke(cli, ["reconcile", "--days", "3"])
    assert done.exit_code == 0, done.output
    assert "changed later" in done.output
    assert "changed later, as expected: FEEDBACK; to load it, run with --heal" in done.output
    told = json.loads(CliRunner().invoke(cli, ["reconcile", "--days", "3", "--json"]).output)
    assert [row["content"] for row in told["found"]] == ["changed later"]
    change(commands, "UPDATE remarks SET remark_text = 'edited' WHERE created_at < '2026-11-20 00:30+00'")
    refused = CliRunner().invoke(cli, ["reconcile", "--days", "3"]).exception
    assert isinstance(refused, AuditFailed)


def test_both_kinds_of_change_in_one_type_are_a_fault(loaded: Databases) -> None:
    change(loaded, FILLED_IN)
    change(loaded, "UPDATE feedback SET latitude = 1 WHERE created_at < '2026-11-20 00:30+00'")
    table = compare_fingerprints(NIGHTS, PIPELINE, loaded.source, loaded.warehouse)
    assert table[["content", "expected"]].sum().to_list() == [len(table) - 1, 0]


def test_heal_loads_it(commands: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    change(commands, FILLED_IN)
    monkeypatch.setattr(
        "sentinel_etl.operations.heal.run_backfill", lambda groups, context, **options: [move(commands, NIGHTS[0])][:0]
    )
    done = CliRunner().invoke(cli, ["reconcile", "--days", "3", "--heal"])
    assert done.exit_code == 0, done.output
    texts = (
        "SELECT DISTINCT feedback_text FROM patrol_events WHERE event_type = 'FEEDBACK' AND shift_date = '2026-11-19'"
    )
    assert run_statement(commands.warehouse, texts) == [("given later",)]
    assert find_settling_nights(NIGHTS, PIPELINE, commands.source, commands.warehouse).empty
