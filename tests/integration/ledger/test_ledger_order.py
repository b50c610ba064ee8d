"""The ledger's order is its own: the clocks of the machines that run, and one that steps back, change none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from sentinel_etl.ledger.ledger import RunRecord, attach_report, note_switch, read_runs, record_run
from sentinel_etl.ledger.states import RunState
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.warehouse.provision import prepare_tables
from sentinel_etl.window import Window

NIGHT = Window(datetime(2026, 11, 20, 0, 30, tzinfo=UTC), datetime(2026, 11, 21, 0, 30, tzinfo=UTC))
RECORD = RunRecord("one", SENTINEL.fact_table.name, NIGHT, ("REMARK",))


@pytest.fixture
def ledger(warehouse: Engine) -> Engine:
    prepare_tables(warehouse, SENTINEL.fact_table, SENTINEL.zone, SENTINEL.breakdown)
    return warehouse


def ahead(record: RunRecord, ledger: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a row as the ledger's clock would have it two minutes from now; then the clock steps back."""
    with monkeypatch.context() as patched:
        patched.setattr("sentinel_etl.ledger.ledger.LATER_THAN_ALL", later(timedelta(minutes=2)))
        record_run(record, ledger)


def later(by: timedelta) -> object:
    from sqlalchemy import literal_column

    return literal_column(f"now64(6, 'UTC') + toIntervalSecond({by.total_seconds():.0f})")


def test_what_is_written_last_counts_although_the_clock_has_stepped_back(
    ledger: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead(RECORD, ledger, monkeypatch)
    record_run(replace(RECORD, state=RunState.PUBLISHED, cause="it is in"), ledger)
    [run] = read_runs(ledger)
    assert (run["state"], run["cause"]) == (RunState.PUBLISHED, "it is in")


def test_a_report_is_noted_although_the_run_s_last_row_is_ahead_of_the_clock(
    ledger: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead(replace(RECORD, state=RunState.PUBLISHED), ledger, monkeypatch)
    attach_report("one", "2026-11-20/report.ipynb", ledger)
    [run] = read_runs(ledger)
    assert (run["state"], run["report_path"]) == (RunState.PUBLISHED, "2026-11-20/report.ipynb")


def test_a_run_that_begins_later_is_the_newer_one_although_the_clock_has_stepped_back(
    ledger: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead(RECORD, ledger, monkeypatch)
    record_run(replace(RECORD, run_id="two"), ledger)
    assert [run["run_id"] for run in read_runs(ledger)] == ["two", "one"]


def test_switches_are_in_their_order_although_the_clock_has_stepped_back(
    ledger: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_run(RECORD, ledger)
    with monkeypatch.context() as patched:
        patched.setattr("sentinel_etl.ledger.ledger.LATER_THAN_ALL", later(timedelta(minutes=2)))
        note_switch(RECORD, "attach 202611", [], ledger)
    other = replace(RECORD, run_id="two")
    record_run(other, ledger)
    note_switch(other, "attach 202611", [], ledger)
    switched = {run["run_id"]: run["switched_at"] for run in read_runs(ledger)}
    assert switched["one"] < switched["two"]


def test_a_run_keeps_when_it_began_through_all_its_rows(ledger: Engine) -> None:
    began = record_run(RECORD, ledger)["started_at"]
    note_switch(RECORD, "attach 202611", [], ledger)
    done = record_run(replace(RECORD, state=RunState.PUBLISHED), ledger)
    assert done["started_at"] == began
    [run] = read_runs(ledger)
    assert run["started_at"] == began
    assert run == done
