"""Tells runs that are at work from runs that have died: who says RUNNING and holds no lock has died."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Engine

from sentinel_etl.errors import SentinelError
from sentinel_etl.ledger.ledger import read_clock, read_runs
from sentinel_etl.ledger.states import RunState
from sentinel_etl.source.connection import connect_source
from sentinel_etl.source.locks import held_names, run_lock, session_name, session_names
from sentinel_etl.warehouse.catalog import has_table
from sentinel_etl.warehouse.tables import ETL_RUNS

__all__ = ["find_living", "read_standing_runs"]


# A run's row comes before its lock, and its end after it, by a second at the most.
RECENT = timedelta(seconds=30)
SETTLE_SECONDS = 3.0


def find_living(run_ids: Collection[str], source: Engine) -> set[str]:
    """Tell which runs live: a run holds a lock in the source, and waits for it under its own name.

    Where the source does not answer, no run lives: none can hold its lock.
    """
    try:
        with connect_source(source) as connection:
            held = held_names(connection, [run_lock(run_id) for run_id in run_ids])
            sessions = session_names(connection)
    except SentinelError:
        return set()
    return {run_id for run_id in run_ids if run_lock(run_id) in held or session_name(run_id) in sessions}


def read_standing_runs(warehouse: Engine, source: Engine, *conditions: ColumnElement[bool]) -> list[dict[str, Any]]:
    """Read the runs as `read_runs` does; one that says RUNNING and has died is NO END RECORDED.

    The source is asked only where a row says RUNNING. Without a ledger there are none. Reads only. A run that has
    written to the ledger just now, and holds no lock, may be about to take it or to say how it ended: it is looked at
    again for a few seconds.
    """
    runs = read_runs(warehouse, *conditions) if has_table(warehouse, ETL_RUNS.name) else []
    dead = find_dead(runs, source)
    deadline = time.monotonic() + SETTLE_SECONDS
    while dead and any(run["run_id"] in dead for run in find_recent(runs, warehouse)) and time.monotonic() < deadline:
        time.sleep(SETTLE_SECONDS / 10)
        runs = read_runs(warehouse, *conditions)
        dead = find_dead(runs, source)
    return [run | {"state": RunState.NO_END} if run["run_id"] in dead else run for run in runs]


def find_dead(runs: Sequence[Mapping[str, Any]], source: Engine) -> set[str]:
    running = [run["run_id"] for run in runs if run["state"] is RunState.RUNNING]
    return set(running) - find_living(running, source) if running else set()


def find_recent(runs: Sequence[Mapping[str, Any]], warehouse: Engine) -> list[Mapping[str, Any]]:
    """Find the runs that say RUNNING and have written to the ledger just now, by the clock that it is written by."""
    running = [run for run in runs if run["state"] is RunState.RUNNING]
    if not running:
        return []
    now = read_clock(warehouse)
    return [run for run in running if abs(now - run["updated_at"]) < RECENT]
