"""What a run of a loaded window says that it changes, against edits of the source that were made by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from payments import BY_NUMBER, NIGHTS, PAYMENTS, ROWS, SECOND, fill_payments, start
from sqlalchemy import Engine, text

from sentinel_etl import report
from sentinel_etl.audit.changes import rerun
from sentinel_etl.audit.changes.changes import Changes
from sentinel_etl.cli.main import cli
from sentinel_etl.databases import Databases
from sentinel_etl.ledger.ledger import read_runs
from sentinel_etl.pipeline import SENTINEL, Pipeline
from sentinel_etl.report.verdict import rerun_page
from sentinel_etl.run.result import RunResult
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.tables import ETL_RUNS
from sentinel_etl.window import Window

NIGHT = Window.night(pd.Timestamp("2026-11-21").date())
IN_NIGHT = "created_at >= '2026-11-21 00:30:00+00' AND created_at < '2026-11-22 00:30:00+00'"


def move(databases: Databases, window: Window = NIGHT, pipeline: Pipeline = SENTINEL, **options: Any) -> RunResult:
    return run_window(
        window,
        source=databases.source,
        warehouse=databases.warehouse,
        pipeline=pipeline,
        settings=Settings(now=window.end + timedelta(minutes=10), lookback_nights=0),
        **options,
    )


def change(databases: Databases, *statements: str) -> list[int]:
    with databases.source.begin() as connection:
        counts = [int(connection.execute(text(statement)).rowcount) for statement in statements]
    assert all(count > 0 for count in counts), counts
    return counts


def changes_of(result: RunResult) -> Changes:
    assert result.changes is not None
    return result.changes


def counts_of(result: RunResult) -> dict[str, tuple[int, int, int]]:
    counts = changes_of(result).counts
    rows = counts.loc[counts[["added", "removed", "changed"]].any(axis="columns")]
    return {row.event_type: (row.added, row.removed, row.changed) for row in rows.itertuples()}


def columns_of(result: RunResult) -> dict[str, dict[str, int]]:
    told: dict[str, dict[str, int]] = {}
    for kind, name, rows in changes_of(result).columns.itertuples(index=False):
        told.setdefault(kind, {})[name] = rows
    return told


def night_as_read(databases: Databases) -> list[Any]:
    return run_statement(databases.warehouse, "SELECT count(), sum(cityHash64(*)) FROM patrol_events")


def test_a_fresh_night_has_no_changes_and_the_same_again_changes_nothing(databases: Databases) -> None:
    fresh = move(databases)
    assert fresh.changes is None
    assert "What this run" not in repr(report.first_screen(fresh, fresh.zone))
    again = move(databases, run_id="again")
    rows = int(again.counts["published"].sum())
    assert changes_of(again).describe() == f"nothing changes: all {rows:,} rows are as they were"
    assert changes_of(again).examples.empty
    [ledger] = read_runs(databases.warehouse, ETL_RUNS.c.run_id == "again")
    assert Changes.from_record(ledger["changes"]).describe() == changes_of(again).describe()
    assert all(
        set(counts) == {"source", "staged", "rejected", "published", "source_now"}
        for counts in ledger["counts"].values()
    )


def test_edits_deletions_and_additions_are_counted_by_event_type_and_column(databases: Databases) -> None:
    move(databases)
    in_hours = "created_at BETWEEN '2026-11-21 14:00:00+00' AND '2026-11-21 18:00:00+00'"
    stations, removed, added, quieter = change(
        databases,
        f"UPDATE emergency_incidents SET latitude = 12.5, longitude = 77.25 WHERE {IN_NIGHT} AND latitude IS NOT NULL",
        f"DELETE FROM geofence_logs WHERE {in_hours}",
        "INSERT INTO stranger_encounters (stranger_encounter_id, patrol_id, created_by_officer_id, created_at, "
        "received_at) SELECT max(stranger_encounter_id) + 1, max(patrol_id), max(created_by_officer_id), "
        "'2026-11-21 20:00:00+00', '2026-11-21 20:00:01+00' FROM stranger_encounters",
        f"UPDATE vehicle_checks SET suspicion_details = 'seen before' WHERE {IN_NIGHT} AND suspicious_activity",
    )
    before = night_as_read(databases)
    preview = move(databases, dry_run=True)
    assert (preview.verdict, night_as_read(databases)) == ("DRY RUN", before)
    result = move(databases)
    for found in (preview, result):
        assert counts_of(found) == {
            "EMERGENCY_INCIDENT": (0, 0, stations),
            "GEOFENCE": (0, removed, 0),
            "STRANGER_ENCOUNTER": (added, 0, 0),
            "SUSPICIOUS_VEHICLE": (0, 0, quieter),
            "VEHICLE_CHECK": (0, 0, quieter),
        }
        assert columns_of(found) == {
            "EMERGENCY_INCIDENT": {"latitude": stations, "longitude": stations},
            "SUSPICIOUS_VEHICLE": {"suspicion_details": quieter},
            "VEHICLE_CHECK": {"suspicion_details": quieter},
        }
        assert len(changes_of(found).examples) == 5
        assert "seen before" not in repr(report.first_screen(found, found.zone))
    assert changes_of(move(databases)).is_empty
    title = "What this run would change\nrows: "
    assert title + f"{added} added, {removed} removed" in repr(report.first_screen(preview, preview.zone))


def test_risk_points_that_other_weights_move_are_told_with_the_score_s_columns(databases: Databases) -> None:
    move(databases)
    weights = {"event_type": {**SENTINEL.risk_weights["event_type"], "REMARK": 3.5}}
    louder = replace(SENTINEL, risk_weights={**SENTINEL.risk_weights, **weights})
    result = move(databases, pipeline=louder, dry_run=True)
    remarks = int(result.counts.set_index("event_type").loc["REMARK", "source"])
    assert counts_of(result) == {"REMARK": (0, 0, remarks)}
    assert columns_of(result) == {"REMARK": {"base_risk_score": remarks, "risk_reasons": remarks}}
    totals = changes_of(result).totals
    assert totals["points_after"] == pytest.approx(float(totals["points_before"] or 0) + 2.5 * remarks)
    assert changes_of(result).describe().endswith(f"({2.5 * remarks:+,.10g})")
    assert changes_of(result).examples["values"].to_list()[0] == (
        "base_risk_score 1 → 3.5; risk_reasons event_type=REMARK +1 → event_type=REMARK +3.5"
    )


def test_a_run_of_some_event_types_compares_these_alone(databases: Databases) -> None:
    move(databases)
    remarks, _ = change(
        databases,
        f"UPDATE remarks SET remark_text = remark_text || '!' WHERE {IN_NIGHT} AND remark_text IS NOT NULL",
        f"UPDATE vehicle_checks SET plate_number = 'X' WHERE {IN_NIGHT}",
    )
    result = move(databases, event_types=["REMARK", "GEOFENCE"])
    assert changes_of(result).counts["event_type"].to_list() == ["GEOFENCE", "REMARK"]
    assert counts_of(result) == {"REMARK": (0, 0, remarks)}
    assert set(columns_of(result)["REMARK"]) == {"remark_text", "remark_length"}


@pytest.fixture
def till(source_engine: Engine, warehouse: Engine) -> Databases:
    """Three nights of payments, loaded; the second and third lie in one month."""
    fill_payments(source_engine)
    databases = Databases(source_engine, warehouse)
    move(databases, Window(start(NIGHTS[0]), Window.night(NIGHTS[-1]).end), BY_NUMBER)
    return databases


@pytest.mark.parametrize("number", [203, 3], ids=["in one partition", "from another partition"])
def test_an_event_that_moved_here_is_changed_and_neither_added_nor_removed(till: Databases, number: int) -> None:
    change(till, f"UPDATE payments SET paid_at = '{start(SECOND).isoformat()}' WHERE payment_id = {number}")
    result = move(till, Window.night(SECOND), BY_NUMBER)
    assert counts_of(result) == {"PAYMENT": (0, 0, 1)}
    [changed] = changes_of(result).examples.itertuples(index=False)
    assert (changed.event_id, changed.change) == (f"PAYMENT:{number}", "changed")
    assert "; ".join(columns_of(result)["PAYMENT"]) == "event_timestamp; event_date; shift_date"
    assert changed.values.startswith("event_timestamp 2026-1")
    assert " → 2026-12-01 00:30:00.000000; event_date; shift_date" in changed.values
    totals = changes_of(result).totals
    assert (totals["before"], totals["after"]) == (ROWS + 1, ROWS + 1)


def test_events_that_moved_away_are_removed(till: Databases) -> None:
    change(till, f"UPDATE payments SET paid_at = '{start(NIGHTS[2]).isoformat()}' WHERE payment_id IN (100, 101)")
    assert counts_of(move(till, Window.night(SECOND), BY_NUMBER)) == {"PAYMENT": (0, 2, 0)}


def test_a_key_of_personal_data_is_not_shown(till: Databases) -> None:
    entry = BY_NUMBER.event_config["PAYMENT"]
    columns = [*entry["columns"][:-1], PAYMENTS.c.note.label("stranger_name")]
    entry = {**entry, "key": (PAYMENTS.c.payment_id, PAYMENTS.c.note), "columns": columns}
    by_name = replace(BY_NUMBER, event_config={"PAYMENT": entry})
    change(till, "UPDATE payments SET note = 'Asha Rao'")
    window = Window.night(SECOND)
    move(till, window, by_name, allow_shrink=True)
    change(till, "UPDATE payments SET place = 9 WHERE payment_id = 107")
    result = move(till, window, by_name)
    assert changes_of(result).examples.values.tolist() == [
        ["PAYMENT", "", "changed", "patrol_id; officer_id; station_id 7 → 9"]
    ]
    assert "Asha" not in json.dumps(changes_of(result).as_dict()) + rerun_page(changes_of(result), result.verdict).html


def test_of_a_window_without_rows_nothing_is_compared(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("rows were compared")

    monkeypatch.setattr(rerun, "find_changes", refuse)
    assert move(databases).published


def command(*arguments: str) -> str:
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_command_prints_what_a_re_run_changes_and_its_json_has_it(
    environment: Settings, databases: Databases
) -> None:
    assert "changes" not in command("run")
    assert "changes nothing changes: all " in command("run")
    [edited] = change(databases, f"UPDATE remarks SET hotspot_id = NULL WHERE {IN_NIGHT} AND hotspot_id IS NOT NULL")
    told = json.loads(command("run", "--dry-run", "--event-type", "REMARK", "--json"))
    assert (told["changes"]["added"], told["changes"]["changed"]) == (0, edited)
    assert told["changes"]["event_types"]["REMARK"]["columns"] == {"hotspot_id": edited}
    assert "changes" not in told["counts"]["REMARK"]
    shown = command("runs", "show", told["run_id"])
    assert f"changes  rows: 0 added, 0 removed, {edited} changed, " in shown
