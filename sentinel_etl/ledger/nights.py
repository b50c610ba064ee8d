"""Operational nights, judged by the ledger: which are in, which failed, which are missing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from sentinel_etl.ledger.archive import ArchivedRun
from sentinel_etl.ledger.commands import NIGHTLY
from sentinel_etl.ledger.ledger import STAGES_ONLY, read_runs, runs_of
from sentinel_etl.ledger.presence import compare_rows
from sentinel_etl.ledger.states import RunState
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.warehouse.catalog import read_ttl_rules
from sentinel_etl.warehouse.ddl import storage_name
from sentinel_etl.window import Window

__all__ = [
    "NIGHT_MARKS",
    "NIGHT_STATES",
    "NightCoverage",
    "NightState",
    "OpenNight",
    "find_dead_run",
    "judge_nights",
    "list_shown",
    "loaded_nights",
    "loaded_parts",
    "missing_nights",
    "nights_before",
    "open_nights",
]

NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def loaded_nights(nights: Sequence[date], pipeline: Pipeline, warehouse: Engine) -> list[date]:
    """Pick the nights that the ledger says were published for all event types, and that no TTL has expired since."""
    runs = read_runs(warehouse, runs_of(pipeline.fact_table))
    windows = {night: Window.night(night, pipeline.zone) for night in nights}
    loaded = [night for night in nights if loaded_parts(windows[night], pipeline.event_types, runs) == [windows[night]]]
    if not read_ttl_rules(warehouse, storage_name(pipeline.fact_table)):
        return loaded  # the rows need not be counted
    expired = {one.shift_date for one in compare_rows(loaded, runs, pipeline, warehouse).expired}
    return [night for night in loaded if night not in expired]


def nights_before(night: date, count: int) -> list[date]:
    return [night - timedelta(days=back) for back in range(count, 0, -1)]


def missing_nights(
    nights: Sequence[date], event_types: Collection[str], runs: Sequence[Mapping[str, Any]], zone: ZoneInfo
) -> list[date]:
    """List the nights that no published run, nor several together, cover for all the event types.

    One whose last run died is missing, too, until it has been done again.
    """
    missing = []
    for night in nights:
        window = Window.night(night, zone)
        of_night = [run for run in runs if overlaps(run, window)]
        if loaded_parts(window, event_types, of_night) != [window] or find_dead_run(window, event_types, of_night):
            missing.append(night)
    return missing


@dataclass(frozen=True)
class OpenNight:
    """A night of which only a part is loaded: its window, and the stretches of it that are, in order."""

    shift_date: date
    window: Window
    loaded: tuple[Window, ...]

    def describe(self, zone: ZoneInfo) -> str:
        """Write what is loaded on the zone's clocks: ``06:00–14:00 of 24 h``."""
        stretches = ", ".join(
            f"{part.start.astimezone(zone):%H:%M}–{part.end.astimezone(zone):%H:%M}" for part in self.loaded
        )
        return f"{stretches} of {(self.window.end - self.window.start).total_seconds() / 3600:g} h"


def open_nights(
    nights: Sequence[date], event_types: Collection[str], runs: Sequence[Mapping[str, Any]], zone: ZoneInfo
) -> list[OpenNight]:
    """List the nights of which published runs cover a part, for all the event types, and not the whole."""
    found = []
    for night in nights:
        window = Window.night(night, zone)
        of_night = [run for run in runs if overlaps(run, window)]
        parts = loaded_parts(window, event_types, of_night)
        if parts and parts != [window] and not find_dead_run(window, event_types, of_night):
            found.append(OpenNight(night, window, tuple(parts)))
    return found


def loaded_parts(window: Window, event_types: Collection[str], runs: Iterable[Mapping[str, Any]]) -> list[Window]:
    """List the stretches of a window that published runs cover for all the event types, in order."""
    spans = [
        Window(max(run["window_start"], window.start), min(run["window_end"], window.end))
        for run in runs
        if run["state"].is_published and set(event_types) <= set(run["event_types"]) and overlaps(run, window)
    ]
    parts: list[Window] = []
    for span in sorted(spans):
        if parts and span.start <= parts[-1].end:
            parts[-1] = Window(parts[-1].start, max(parts[-1].end, span.end))
        else:
            parts.append(span)
    return parts


def overlaps(run: Mapping[str, Any], window: Window) -> bool:
    return bool(run["window_start"] < window.end and run["window_end"] > window.start)


def find_dead_run(
    window: Window, event_types: Collection[str], runs: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    """Find a run of the window that has died, or failed while it published, and has not been done again since.

    It may have switched one table and not the other, so that a row stands in both or in none. Done again is what
    later runs have published of the same hours, and of the same event types; or of all ``event_types``, where the
    configuration has some of its types no more.
    """
    for run in runs:
        if not overlaps(run, window) or not may_be_half_done(run):
            continue
        share = Window(max(run["window_start"], window.start), min(run["window_end"], window.end))
        later = [each for each in runs if each.get("started_at", NEVER) > run.get("started_at", NEVER)]
        types = run["event_types"] if set(run["event_types"]) <= set(event_types) else event_types
        if loaded_parts(share, types, later) != [share]:
            return run
    return None


def may_be_half_done(run: Mapping[str, Any]) -> bool:
    """Whether a run may have stopped between its switches; a dry run makes none."""
    if run.get("how") == STAGES_ONLY:
        return False
    return run["state"] is RunState.NO_END or (run["state"] is RunState.FAILED and "publish" in run.get("timings", {}))


class NightState(StrEnum):
    """How a night stands in the warehouse."""

    PUBLISHED = "published"
    WARNED = "warned"
    FAILED = "failed"
    STALE = "stale"
    OPEN = "open"
    LOST = "lost"
    EXPIRED = "expired"
    MISSING = "missing"


# A letter with each colour, because colours alone do not reach everyone.
NIGHT_MARKS: dict[NightState, tuple[str, str]] = {
    NightState.PUBLISHED: ("P", "published"),
    NightState.WARNED: ("W", "published with warnings"),
    NightState.FAILED: ("F", "failed"),
    NightState.STALE: ("S", "published under other rules than today's"),
    NightState.OPEN: ("O", "open: a part is loaded"),
    NightState.LOST: ("L", "lost: published, its rows are gone"),
    NightState.EXPIRED: ("X", "expired by the table's TTL"),
    NightState.MISSING: ("M", "missing"),
}

SELDOM = (NightState.STALE, NightState.OPEN, NightState.LOST, NightState.EXPIRED)

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


def list_shown(nights: Iterable[NightCoverage]) -> list[NightState]:
    """List the states that a legend names: of the seldom ones only those that a night is in."""
    found = {night.state for night in nights}
    return [state for state in NIGHT_MARKS if state not in SELDOM or state in found]


def judge_nights(
    nights: Sequence[date],
    runs: Sequence[ArchivedRun],
    event_types: Collection[str],
    zone: ZoneInfo,
    otherwise: Mapping[date, NightState] | None = None,
) -> list[NightCoverage]:
    """Judge each night by what is in the warehouse; ``runs`` come newest first.

    published  runs that were published cover it, for all event types; warned: the newest with warnings, of which one
               is of the night, or of the whole window
    lost       they do, and its rows are gone; expired: the table's TTL took them; stale: they had other rules than
               today's. ``otherwise`` names these nights
    failed     they do not, and the newest run of it ended badly; or one died, and it has not been done again
    open       they cover a part of it
    missing    they do not, and no run of it ended, or only some event types are in
    """
    all_rows = [as_row(run) for run in runs]
    judged = []
    for night in nights:
        of_night = [run for run in runs if run.first_night <= night <= run.last_night and concerns_night(run)]
        published = [run for run in of_night if run.state.is_published]
        window = Window.night(night, zone)
        rows = [row for row in all_rows if overlaps(row, window)]
        dead = find_dead_run(window, event_types, rows)
        if dead is not None:
            judged.append(NightCoverage(night, NightState.FAILED, dead["run"]))
        elif not missing_nights([night], event_types, rows, zone):
            state = (otherwise or {}).get(night, state_of_night(night, published[0]))
            judged.append(NightCoverage(night, state, published[0]))
        elif of_night and of_night[0].state.ended_badly:
            judged.append(NightCoverage(night, NightState.FAILED, of_night[0]))
        else:
            part = open_nights([night], event_types, rows, zone)
            state = NightState.OPEN if part else NightState.MISSING
            judged.append(NightCoverage(night, state, of_night[0] if of_night else None))
    return judged


def state_of_night(night: date, run: ArchivedRun) -> NightState:
    """Say what a published run's state means for one of its nights: a warning that names its nights is theirs alone."""
    state = NIGHT_STATES[run.state]
    failed = [check for check in run.checks if not check["passed"]]
    if state is not NightState.WARNED or not failed:
        return state
    named = [check.get("nights") or (str(night),) for check in failed]
    return state if any(str(night) in nights for nights in named) else NightState.PUBLISHED


def as_row(run: ArchivedRun) -> dict[str, Any]:
    """Write a run as `read_runs` gives it, as far as nights are judged by it, and with itself."""
    return {
        "run": run,
        "window_start": run.window.start,
        "window_end": run.window.end,
        "state": run.state,
        "event_types": run.event_types,
        "started_at": run.started_at,
        "timings": run.timings,
        "how": STAGES_ONLY if run.stages_only else "",
    }


def concerns_night(run: ArchivedRun) -> bool:
    """Whether a run says something of its nights: a dry run and another notebook do not."""
    return (
        not run.stages_only
        and run.state is not RunState.DRY_RUN
        and (run.state is not RunState.REPORT_ONLY or run.notebook == NIGHTLY)
    )
