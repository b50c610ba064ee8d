"""What a dry run leaves in the warehouse: a line in the ledger, and no table that was not there before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from click.testing import CliRunner

from sentinel_etl.cli.main import cli
from sentinel_etl.config.fact_table import build_patrol_events
from sentinel_etl.databases import Databases
from sentinel_etl.errors import ConfigurationError, SchemaMismatch
from sentinel_etl.ledger.ledger import read_runs, record_run
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run import run_window as module
from sentinel_etl.run.held_locks import HeldLocks, hold_partitions
from sentinel_etl.run.job import Job
from sentinel_etl.run.result import RunResult
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.source.locks import hold_locks, run_lock, table_lock
from sentinel_etl.warehouse.provision import drop_fact_table, prepare_tables
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import CITY_ZONE, Window

NIGHT = Window.night(date(2026, 11, 21))
FACTS = SENTINEL.fact_table


def move(databases: Databases, **options: Any) -> RunResult:
    given = {"pipeline": SENTINEL, "settings": Settings(), **options}
    return run_window(NIGHT, source=databases.source, warehouse=databases.warehouse, **given)


def tables(databases: Databases) -> list[str]:
    found = run_statement(
        databases.warehouse, "SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name"
    )
    return [str(row[0]) for row in found]


def states(databases: Databases) -> list[str]:
    return [str(run["state"]) for run in read_runs(databases.warehouse)]


def test_a_dry_run_leaves_one_line_in_the_ledger_and_no_other_table(databases: Databases) -> None:
    assert move(databases, dry_run=True).verdict == "DRY RUN"
    assert tables(databases) == ["etl_rules", "etl_runs"]
    assert states(databases) == ["DRY RUN"]
    assert move(databases).verdict == "PUBLISHED"
    before = tables(databases)
    assert {"patrol_events", "patrol_events_rejected"} < {*before}
    move(databases, dry_run=True)
    assert tables(databases) == before


def test_tables_that_were_there_stay_though_they_are_empty(databases: Databases) -> None:
    prepare_tables(databases.warehouse, FACTS, CITY_ZONE)
    before = tables(databases)
    move(databases, dry_run=True)
    assert tables(databases) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("broken")], ids=["Ctrl-C", "a failure"])
def test_a_dry_run_that_fails_leaves_no_table_either(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(module, "judge", fail)
    with pytest.raises(type(error)):
        move(databases, dry_run=True)
    assert tables(databases) == ["etl_rules", "etl_runs"]
    assert states(databases) == ["FAILED"]


def test_tables_that_a_living_run_has_begun_to_use_stay(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    with living_run(databases, monkeypatch, "another"):
        move(databases, dry_run=True)
    assert {"patrol_events", "patrol_events_rejected"} < {*tables(databases)}


@contextmanager
def living_run(databases: Databases, monkeypatch: pytest.MonkeyPatch, run_id: str) -> Iterator[None]:
    """A run that notes its beginning while the other one judges, and holds its lock."""
    judge = module.judge

    def judge_beside(job: Job, *rest: Any) -> Any:
        record_run(replace(job.record, run_id=run_id), databases.warehouse)
        return judge(job, *rest)

    monkeypatch.setattr(module, "judge", judge_beside)
    with hold_locks(databases.source, [run_lock(run_id)], f"sentinel-etl run {run_id}", 0):
        yield


def test_tables_that_another_run_has_filled_meanwhile_stay(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconcile = module.reconcile

    def publish_first(*given: Any) -> Any:
        monkeypatch.setattr(module, "reconcile", reconcile)
        other = Window.night(date(2026, 10, 21))  # of another partition, and empty
        run_window(
            other, source=databases.source, warehouse=databases.warehouse, pipeline=SENTINEL, settings=Settings()
        )
        run_statement(
            databases.warehouse,
            "INSERT INTO patrol_events (event_id, shift_date) VALUES ('REMARK:1', '2026-10-21')",
        )
        return reconcile(*given)

    monkeypatch.setattr(module, "reconcile", publish_first)
    move(databases, dry_run=True)
    assert run_statement(databases.warehouse, "SELECT count() FROM patrol_events") == [(1,)]


def test_a_table_that_is_being_switched_is_left(databases: Databases) -> None:
    with hold_locks(databases.source, [table_lock("patrol_events")], "sentinel-etl run other", 0):
        move(databases, dry_run=True)
    assert "patrol_events" in tables(databases)


def test_a_run_whose_tables_were_dropped_before_it_was_seen_makes_them_again(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def drop_first(job: Job) -> Iterator[HeldLocks]:
        drop_fact_table(databases.warehouse, FACTS)
        with hold_partitions(job) as locks:
            yield locks

    monkeypatch.setattr(module, "hold_partitions", drop_first)
    assert move(databases).verdict == "PUBLISHED"


def test_a_dry_run_that_is_refused_by_a_table_of_other_columns_leaves_it(databases: Databases) -> None:
    prepare_tables(databases.warehouse, build_patrol_events(), CITY_ZONE)
    run_statement(databases.warehouse, "ALTER TABLE patrol_events ADD COLUMN mood Nullable(String)")
    with pytest.raises(SchemaMismatch):
        move(databases, dry_run=True)
    assert "patrol_events" in tables(databases)


def test_commands_find_nothing_amiss_after_a_first_dry_run(
    databases: Databases, environment: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sentinel_etl.context.open_databases", lambda settings: databases)
    move(databases, dry_run=True)
    for command in (["check"], ["runs", "list"], ["schema", "diff"]):
        result = CliRunner().invoke(cli, command)
        assert result.exit_code == 0, result.output
    assert "night 2026-11-21: MISSING" in CliRunner().invoke(cli, ["status"]).output
    assert tables(databases) == ["etl_rules", "etl_runs"]
    assert isinstance(CliRunner().invoke(cli, ["undo"]).exception, ConfigurationError)
    assert CliRunner().invoke(cli, ["reconcile", "--days", "2"]).exit_code == 0
