"""`etl_runs`: what every run did, in the warehouse, so that a lost ``runs/`` folder loses no state."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
from clickhouse_sqlalchemy import Table, select
from sqlalchemy import ColumnElement, Engine, func, literal, literal_column
from sqlalchemy import select as plain_select

from sentinel_etl.errors import SentinelError
from sentinel_etl.ledger.states import RunState
from sentinel_etl.retry import try_again
from sentinel_etl.warehouse.catalog import has_table
from sentinel_etl.warehouse.contract import fit_table
from sentinel_etl.warehouse.failures import warehouse_may_recover
from sentinel_etl.warehouse.insert import check_there, insert_sql
from sentinel_etl.warehouse.query import query_rows, run_statement
from sentinel_etl.warehouse.tables import ETL_RUNS
from sentinel_etl.window import Window

__all__ = [
    "STAGES_ONLY",
    "RunRecord",
    "attach_report",
    "kept_runs",
    "list_runs",
    "note_switch",
    "read_clock",
    "read_runs",
    "record_run",
    "runs_of",
    "set_state",
    "with_switch",
]


# How a dry run switches the fact table, from its first row on: a run that has died says no more than that.
STAGES_ONLY = "dry run"

JSON_COLUMNS = ("counts", "timings", "checks", "nights", "changes", "versions", "completeness")

# https://clickhouse.com/docs/sql-reference/functions/date-time-functions#now64
LATER_THAN_ALL: ColumnElement[Any] = literal_column(
    "greatest(now64(6, 'UTC'), max(updated_at) + toIntervalMicrosecond(1))"
)


def kept_runs(fact_table: Table, warehouse: Engine) -> list[dict[str, object]]:
    """List the runs that keep tables for inspection.

    They are those whose audit failed and whose window no newer run has published since, and the newest run of all,
    if it was a dry one.
    """
    runs = read_runs(warehouse, runs_of(fact_table))
    kept = [run for run in runs[:1] if run["state"] is RunState.DRY_RUN]
    for index, run in enumerate(runs):
        newer = runs[:index]
        covered = any(
            later["state"].is_published
            and later["window_start"] <= run["window_start"]
            and later["window_end"] >= run["window_end"]
            for later in newer
        )
        if run["state"] is RunState.NOT_PUBLISHED and not covered:
            kept.append(run)
    return kept


@dataclass(frozen=True)
class RunRecord:
    """One row of the ledger.

    ``counts``, ``changes``  event type → counts, and what the run changes of rows that were loaded before
    ``started_at``           None: as the ledger has it, or else when the row is written, by the ledger's clock
    ``backfill``             the id of the backfill that the run is a part of; empty: of none
    ``content``              the hash of the rows that it staged (`warehouse.rows.hash_content`); empty: not known
    """

    run_id: str
    fact_table: str
    window: Window
    event_types: tuple[str, ...]
    state: RunState = RunState.RUNNING
    cause: str = ""
    started_at: datetime | None = None
    source_rows: int = 0
    published_rows: int = 0
    counts: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    checks: tuple[Mapping[str, Any], ...] = ()
    config_hash: str = ""
    code_version: str = ""
    report_path: str = ""
    how: str = ""
    switched_at: datetime | None = None
    nights: Mapping[str, tuple[int, str] | None] = field(default_factory=dict)
    pii: str = ""
    backfill: str = ""
    content: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    completeness: Mapping[str, Any] = field(default_factory=dict)


def note_switch(record: RunRecord, how: str, nights: Iterable[date], warehouse: Engine) -> None:
    """Note how a run is about to switch the fact table, which nights change, and when, by the ledger's clock.

    Said before the switch, under the table's lock, so that the runs' order is the switches'. An interruption leaves
    a run that may have switched the table, or not.
    """
    switched_at, _ = next_moment(record, warehouse)
    unknown = {str(night): None for night in nights}
    record_run(replace(record, how=how, switched_at=switched_at, nights=unknown), warehouse)


def set_state(run: Mapping[str, Any], state: RunState, cause: str, warehouse: Engine) -> None:
    """Give a run another state than the one that it ended in; ``run`` is as `read_runs` gives it."""
    fields = {name: run[name] for name in RunRecord.__dataclass_fields__ if name in run}
    window = Window(run["window_start"], run["window_end"])
    record_run(replace(RunRecord(**fields | {"window": window}), state=state, cause=cause), warehouse)


def with_switch(record: RunRecord, warehouse: Engine) -> RunRecord:
    """Complete a run's record with what `note_switch` has noted of it, if the ledger is still there."""
    if not has_table(warehouse, ETL_RUNS.name):
        return record
    [noted] = read_runs(warehouse, ETL_RUNS.c.run_id == record.run_id)[:1] or [{}]
    found = {name: noted[name] for name in ("how", "switched_at", "nights") if name in noted}
    return replace(record, **found)


def record_run(record: RunRecord, warehouse: Engine) -> dict[str, Any]:
    """Append the run's present state, and return it as `read_runs` would; readers take each run's newest row.

    One row is one block, written in whole or not at all. An interruption before it leaves the
    state that was there, RUNNING at the least, so a killed run leaves its trace.
    """
    moment, started_at = next_moment(record, warehouse)
    row = {
        **{name: getattr(record, name) for name in record.__dataclass_fields__ if name != "window"},
        "window_start": record.window.start,
        "window_end": record.window.end,
        "event_types": list(record.event_types),
        "started_at": record.started_at or started_at,
        "updated_at": moment,
        **{name: json.dumps(getattr(record, name), default=str) for name in JSON_COLUMNS},
    }
    rows = fit_table(pa.Table.from_pylist([row]), ETL_RUNS)
    # The same row twice is the same row: the newest of a run counts.
    try_again(warehouse, warehouse_may_recover)(insert_sql, [rows], ETL_RUNS, warehouse)
    return {name: plain_value(name, row[name]) for name in ETL_RUNS.c.keys()}  # noqa: SIM118 - a collection of columns iterates over them


def read_clock(warehouse: Engine) -> datetime:
    """Read the clock that the ledger is written by: the warehouse's."""
    [[moment]] = run_statement(warehouse, "SELECT toString(now64(6, 'UTC'))", repeatable=True)
    return datetime.fromisoformat(str(moment)).replace(tzinfo=UTC)


def next_moment(record: RunRecord, warehouse: Engine) -> tuple[datetime, datetime]:
    """Ask the ledger for the moment of its next row, and when the run began; of a run's first row they are the same.

    It is the warehouse's clock, but later than each row that is there: the clocks of the machines that run, and one
    that steps back, change no order.

    Raises:
        SchemaMismatch: there is no ledger.
    """
    first = record.state is RunState.RUNNING and record.switched_at is None
    of_run = ETL_RUNS.c.run_id == ("" if first else record.run_id)
    began = func.minIf(ETL_RUNS.c.started_at, of_run)
    statement = plain_select(func.toString(LATER_THAN_ALL), func.toString(began), func.countIf(of_run)).select_from(
        ETL_RUNS
    )
    try:
        found = run_statement(warehouse, statement, repeatable=True)
    except SentinelError:
        check_there(ETL_RUNS, warehouse)  # a sentence of ours, where that is why
        raise
    if not found:  # of an empty ledger, where a user's settings have it so: see `read_number`
        now = read_clock(warehouse)
        return now, now
    [[moment, started_at, rows]] = found
    moments = [datetime.fromisoformat(str(each)).replace(tzinfo=UTC) for each in (moment, started_at)]
    return moments[0], moments[1] if rows else moments[0]


def read_runs(warehouse: Engine, *conditions: ColumnElement[bool]) -> list[dict[str, Any]]:
    """Read the runs that meet the conditions on `ETL_RUNS`, the newest first, each in its latest state.

    Instants are datetimes in UTC, ``state`` is a `RunState`; ``counts``, ``timings``, ``checks``, ``nights``,
    ``changes``, ``versions`` and ``completeness`` are read from their JSON.
    """
    runs = ETL_RUNS.c
    newest_first = (runs.started_at.desc(), runs.run_id.desc())
    rows = query_rows(warehouse, select(*runs).final().where(*conditions).order_by(*newest_first))
    return [{name: plain_value(name, value) for name, value in zip(runs.keys(), row, strict=True)} for row in rows]


def list_runs(fact_table: Table, warehouse: Engine) -> list[dict[str, Any]]:
    """List a fact table's runs as `read_runs` gives them; none where there is no ledger yet."""
    return read_runs(warehouse, runs_of(fact_table)) if has_table(warehouse, ETL_RUNS.name) else []


def runs_of(fact_table: Table) -> ColumnElement[bool]:
    """Build the condition that a run writes this fact table."""
    condition: ColumnElement[bool] = ETL_RUNS.c.fact_table == fact_table.name
    return condition


def plain_value(name: str, value: Any) -> Any:
    if name in JSON_COLUMNS:
        return json.loads(value)
    if name == "event_types":
        return tuple(value)
    if name == "state":
        return RunState(value)
    if isinstance(value, datetime):
        moment = value.to_pydatetime() if hasattr(value, "to_pydatetime") else value  # pandas' own, where it is one
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return value


def attach_report(run_id: str, report_path: str, warehouse: Engine) -> None:
    """Note where a run's report is kept; a run without a row stays without one."""
    later = plain_select(LATER_THAN_ALL).select_from(ETL_RUNS).scalar_subquery()
    noted: dict[str, Any] = {"report_path": literal(report_path), "updated_at": later}
    columns = [noted.get(column.name, column) for column in ETL_RUNS.columns]
    of_run = plain_select(*columns).where(ETL_RUNS.c.run_id == run_id)
    newest = of_run.order_by(ETL_RUNS.c.updated_at.desc()).limit(1)
    # Noted twice is noted: the newest row counts.
    run_statement(warehouse, ETL_RUNS.insert().from_select(ETL_RUNS.columns.keys(), newest), repeatable=True)
