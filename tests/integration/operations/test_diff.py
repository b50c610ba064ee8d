"""Comparing what two runs have left."""

from __future__ import annotations

import json
from datetime import date

import pytest
from click.testing import CliRunner

from sentinel_etl.audit.changes.changes import Changes
from sentinel_etl.cli.main import cli
from sentinel_etl.context import Context
from sentinel_etl.databases import Databases
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.operations.diff import diff_runs
from sentinel_etl.operations.undo import undo_run
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.provision import prepare_tables
from sentinel_etl.window import Window

NIGHTS = [Window.night(date(2026, 11, day)) for day in (20, 21)]
EDITED, DELETED = 5, 3


@pytest.fixture
def context(databases: Databases) -> Context:
    return Context(Settings(), SENTINEL, databases)


def totals(changes: Changes) -> tuple[object, ...]:
    return tuple(changes.totals[name] for name in ("added", "removed", "changed"))


@pytest.fixture
def runs(context: Context) -> dict[str, str]:
    """Two nights, the first of them again after an edit; name → run id."""
    made = {"first": run_window(NIGHTS[0], context=context).run_id}
    with context.source.begin() as connection:
        of_night = "created_at >= '2026-11-20T00:30:00+00:00' AND created_at < '2026-11-21T00:30:00+00:00'"
        some = f"SELECT {{}} FROM {{}} WHERE {of_night} ORDER BY 1 LIMIT {{}}"
        vehicles = some.format("vehicle_check_id", "vehicle_checks", EDITED)
        fences = some.format("geofence_log_id", "geofence_logs", DELETED)
        connection.exec_driver_sql(
            f"UPDATE vehicle_checks SET media_ref = 'another.jpg' WHERE vehicle_check_id IN ({vehicles})"
        )
        connection.exec_driver_sql(f"DELETE FROM geofence_logs WHERE geofence_log_id IN ({fences})")
    second = run_window(NIGHTS[1], context=context)
    made["second"], made["rows"] = second.run_id, str(int(second.counts["published"].sum()))
    again = run_window(NIGHTS[0], context=context)
    made["again"], made["changed"] = again.run_id, str(totals(again.changes)[2])
    return made


def test_two_states_differ_by_what_the_runs_between_them_changed(context: Context, runs: dict[str, str]) -> None:
    changed, rows = int(runs["changed"]), int(runs["rows"])
    assert changed >= EDITED
    assert totals(diff_runs(context, runs["second"], runs["again"])) == (0, DELETED, changed)
    assert totals(diff_runs(context, runs["again"], runs["second"])) == (DELETED, 0, changed)
    assert totals(diff_runs(context, runs["first"], runs["second"])) == (rows, 0, 0)
    assert totals(diff_runs(context, runs["first"], runs["again"])) == (rows, DELETED, changed)
    assert diff_runs(context, runs["again"], runs["again"]).is_empty
    assert totals(diff_runs(context)) == totals(diff_runs(context, runs["again"])) == (0, DELETED, changed)
    assert totals(diff_runs(context, runs["second"])) == (rows, 0, 0)
    undone = undo_run(context).run_id
    assert diff_runs(context, runs["second"], undone).is_empty


def test_where_no_run_has_changed_anything_there_is_nothing_to_compare(context: Context) -> None:
    prepare_tables(context.warehouse, SENTINEL.fact_table, SENTINEL.zone)
    with pytest.raises(ConfigurationError, match="expected a run that has changed patrol_events, found none"):
        diff_runs(context)


def test_the_command_shows_rows_columns_and_examples(
    context: Context, runs: dict[str, str], environment: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sentinel_etl.context.open_databases", lambda settings: context.databases)
    done = CliRunner().invoke(cli, ["diff", runs["second"], runs["again"]])
    assert done.exit_code == 0, done.output
    for words in (f"What changed from {runs['second']}", f"0 added, {DELETED} removed", "VEHICLE_CHECK", "media_ref"):
        assert words in done.output
    answer = json.loads(CliRunner().invoke(cli, ["diff", runs["second"], runs["again"], "--json"]).output)
    assert (answer["removed"], answer["changed"]) == (DELETED, int(runs["changed"]))
    with pytest.raises(ConfigurationError, match="found 'nobody'"):
        diff_runs(context, "nobody", runs["again"])
