"""Operational nights, judged by the ledger: which are in, which failed, which are missing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from sentinel_etl.ledger.archive import ArchivedRun
from sentinel_etl.ledger.commands import NIGHTLY
from sentinel_etl.ledger.ledger import read_runs, runs_of
from sentinel_etl.ledger.states import RunState
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.window import Window

__all__ = [
    "NIGHT_MARKS",
    "NIGHT_STATES",
    "NightCoverage",
    "NightState",
    "judge_nights",
    "loaded_nights",
    "missing_nights",
    "nights_before",
]


def loaded_nights(nights: Sequence[date], pipeline: Pipeline, warehouse: Engine) -> list[date]:
    """Pick the nights that the ledger says were published for all event types."""
    runs = read_runs(warehouse, runs_of(pipeline.fact_table))
    missing = set(missing_nights(nights, pipeline.event_types, runs, pipeline.zone))
    return [night for night in nights if night not in missing]


def nights_before(night: date, count: int) -> list[date]:
    return [night - timedelta(days=back) for back in range(count, 0, -1)]


def missing_nights(
    nights: Sequence[date], event_types: Collection[str], runs: Sequence[Mapping[str, Any]], zone: ZoneInfo
) -> list[date]:
    """List the nights that no published run, nor several together, cover for all the event types."""
    loaded = sorted(
        (run["window_start"], run["window_end"])
        for run in runs
        if run["state"].is_published and set(event_types) <= set(run["event_types"])
    )
    missing = []
    for night in nights:
        window = Window.night(night, zone)
        reached = window.start
        for start, end in loaded:
            if start <= reached < end:
                reached = end
        if reached < window.end:
            missing.append(night)
    return missing


class NightState(StrEnum):
    """How a night stands in the warehouse."""

    PUBLISHED = "published"
    WARNED = "warned"
    FAILED = "failed"
    MISSING = "missing"


# A letter with each colour, because colours alone do not reach everyone.
NIGHT_MARKS: dict[NightState, tuple[str, str]] = {
    NightState.PUBLISHED: ("P", "published"),
    NightState.WARNED: ("W", "published with warnings"),
    NightState.FAILED: ("F", "failed"),
    NightState.MISSING: ("M", "missing"),
}

# What a run's state means for its night, where it says something of it.
NIGHT_STATES: dict[RunState, NightState] = {
    RunState.PUBLISHED: NightState.PUBLISHED,
    RunState.PUBLISHED_WITH_WARNINGS: NightState.WARNED,
    **{state: NightState.FAILED for state in RunState if state.ended_badly},
}


@dataclass(frozen=True)
class NightCoverage:
    """An operational night: how it stands in the warehouse, and the run that says so."""

    shift_date: date
    state: NightState
    run: ArchivedRun | None


def judge_nights(
    nights: Sequence[date], runs: Sequence[ArchivedRun], event_types: Collection[str], zone: ZoneInfo
) -> list[NightCoverage]:
    """Judge each night by what is in the warehouse; ``runs`` come newest first.

    published  runs that were published cover it, for all event types; warned: the newest with warnings
    failed     they do not, and the newest run of it ended badly
    missing    they do not, and no run of it ended, or only some event types or hours are in
    """
    windows = [
        {"window_start": r.window.start, "window_end": r.window.end, "state": r.state, "event_types": r.event_types}
        for r in runs
    ]
    missing = set(missing_nights(nights, event_types, windows, zone))
    judged = []
    for night in nights:
        of_night = [run for run in runs if run.first_night <= night <= run.last_night and concerns_night(run)]
        published = [run for run in of_night if run.state.is_published]
        if night not in missing:
            judged.append(NightCoverage(night, NIGHT_STATES[published[0].state], published[0]))
        elif of_night and of_night[0].state.ended_badly:
            judged.append(NightCoverage(night, NightState.FAILED, of_night[0]))
        else:
            judged.append(NightCoverage(night, NightState.MISSING, of_night[0] if of_night else None))
    return judged


def concerns_night(run: ArchivedRun) -> bool:
    """Whether a run says something of its nights: a dry run and another notebook do not."""
    return run.state is not RunState.DRY_RUN and (run.state is not RunState.REPORT_ONLY or run.notebook == NIGHTLY)
