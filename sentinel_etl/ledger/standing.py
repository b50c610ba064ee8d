"""How nights stand: by what the ledger says of their runs, by the locks of those, and by the fact table's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Engine

from sentinel_etl.ledger.archive import Archive
from sentinel_etl.ledger.ledger import read_runs, runs_of
from sentinel_etl.ledger.living import read_standing_runs
from sentinel_etl.ledger.nights import NightState, OpenNight, find_dead_run, missing_nights, open_nights
from sentinel_etl.ledger.presence import ExpiredRows, LostRows, compare_counts, compare_rows
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.warehouse.catalog import has_table
from sentinel_etl.warehouse.rows import instant
from sentinel_etl.warehouse.tables import ETL_RUNS
from sentinel_etl.window import Window, night_starts

__all__ = ["DeadRun", "Standing", "find_dead_runs", "name_gone", "read_standing"]


@dataclass(frozen=True)
class DeadRun:
    """A night whose run died, or failed while it published, and has not been done again."""

    shift_date: date
    run_id: str
    state: str

    def as_dict(self) -> dict[str, str]:
        return {"night": str(self.shift_date), "run_id": self.run_id, "state": self.state}

    def __str__(self) -> str:
        return f"night {self.shift_date}: MISSING, {self.cause}"

    @property
    def cause(self) -> str:
        return f"its run {self.run_id} ended {self.state} and may have left half of it"


@dataclass(frozen=True)
class Standing:
    """How some nights stand.

    ``missing``  those that are not in by the ledger: never loaded, or a part of them, or a run of theirs has died
    ``open``     of them, those of which a part is loaded; ``dead``: those whose run has died
    ``lost``     nights that are in by the ledger, and have other rows than their last run left
    ``expired``  nights of which the fact table's TTL has taken rows
    ``runs``     the fact table's runs, the newest first, as `read_standing_runs` gives them
    """

    missing: tuple[date, ...]
    open: tuple[OpenNight, ...]
    dead: tuple[DeadRun, ...]
    lost: tuple[LostRows, ...]
    expired: tuple[ExpiredRows, ...]
    runs: Sequence[dict[str, Any]]

    @property
    def due(self) -> set[date]:
        """The nights that are to be loaded, or loaded again."""
        return {*self.missing, *(one.shift_date for one in self.lost)}


def read_standing(nights: Sequence[date], pipeline: Pipeline, warehouse: Engine, source: Engine) -> Standing:
    """Read how nights stand. The source is asked only which runs are alive. Reads only.

    Raises:
        WarehouseUnreachable: the ledger cannot be read.
    """
    runs = read_standing_runs(warehouse, source, runs_of(pipeline.fact_table))
    gaps = compare_rows(nights, runs, pipeline, warehouse)
    given = (nights, pipeline.event_types, runs, pipeline.zone)
    return Standing(
        missing=tuple(missing_nights(*given)),
        open=tuple(open_nights(*given)),
        dead=tuple(list_dead(nights, runs, pipeline)),
        lost=gaps.lost,
        expired=gaps.expired,
        runs=runs,
    )


def find_dead_runs(nights: Sequence[date], pipeline: Pipeline, warehouse: Engine, source: Engine) -> list[DeadRun]:
    """Find the nights whose run has died, or failed while it published, and has not been done again."""
    if not nights:
        return []
    whole = Window.nights(min(nights), max(nights), pipeline.zone)
    start, end = whole.start, whole.end
    columns = ETL_RUNS.c
    of_nights = (columns.window_start < instant(end), columns.window_end > instant(start))
    return list_dead(nights, read_standing_runs(warehouse, source, runs_of(pipeline.fact_table), *of_nights), pipeline)


def list_dead(nights: Sequence[date], runs: Sequence[dict[str, Any]], pipeline: Pipeline) -> list[DeadRun]:
    found = ((night, find_dead_run(Window.night(night, pipeline.zone), pipeline.event_types, runs)) for night in nights)
    return [DeadRun(night, run["run_id"], run["state"]) for night, run in found if run]


def name_gone(nights: Sequence[date], counted: Mapping[date, int], archive: Archive) -> dict[date, NightState]:
    """Name, for a calendar, the nights whose rows are gone by their number, which is ``counted``. Reads only."""
    warehouse, pipeline = archive.warehouse, archive.pipeline
    if not has_table(warehouse, ETL_RUNS.name):
        return {}
    since = ETL_RUNS.c.window_end > instant(night_starts(nights[0], pipeline.zone))
    gaps = compare_counts(read_runs(warehouse, runs_of(pipeline.fact_table), since), counted, pipeline, warehouse)
    found: dict[date, NightState] = {one.shift_date: NightState.LOST for one in gaps.lost}
    return found | {one.shift_date: NightState.EXPIRED for one in gaps.expired if not one.found}
