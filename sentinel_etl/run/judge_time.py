"""Judges a published run of the latest night by the clock: how long it took, and whether the night is in in time."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sentinel_etl.audit.checks import Check
from sentinel_etl.audit.history import HISTORY_NIGHTS
from sentinel_etl.audit.time_gates import check_deadline, check_run_time
from sentinel_etl.errors import SentinelError
from sentinel_etl.ledger.ledger import read_runs, runs_of
from sentinel_etl.ledger.nights import missing_nights
from sentinel_etl.run.job import Job
from sentinel_etl.settings import choose_window
from sentinel_etl.warehouse.rows import instant
from sentinel_etl.warehouse.tables import ETL_RUNS
from sentinel_etl.window import Window, night_starts

__all__ = ["judge_time"]


log = logging.getLogger(__name__)


def judge_time(job: Job) -> list[Check]:
    """Check the time of a run that has just published the latest night, whole and for all event types; else nothing.

    Reads the ledger. Runs of several nights take as long as they take, and are asked for the deadline alone. The night
    is in: a ledger that cannot be read is a warning here, and nothing is checked.
    """
    try:
        return check_times(job)
    except SentinelError as error:
        log.warning("when the night came in was not judged: %s", error)
        return []


def check_times(job: Job) -> list[Check]:
    context, settings = job.context, job.context.settings
    latest = choose_window(settings=settings)
    if job.limited or not (job.window.start <= latest.start and latest.end <= job.window.end):
        return []
    first = night_starts(job.first_night - timedelta(days=HISTORY_NIGHTS), context.pipeline.zone)
    since = ETL_RUNS.c.window_end > instant(first)
    others = [
        run
        for run in read_runs(context.warehouse, runs_of(job.fact_table), since)
        if run["run_id"] != job.run_id and run["state"].is_published
    ]
    checks = []
    if job.is_one_night:
        seconds = job.clock.seconds["total"]
        checks.append(check_run_time(seconds, seconds_by_night(others, job), context.pipeline.gate_limits))
    if settings.deadline is not None:
        now = settings.now or datetime.now(UTC)
        published_at = min([now, *earlier_publications(others, latest, job)])
        check = check_deadline(published_at, latest, settings.deadline, context.pipeline.zone)
        of_latest = () if check.passed or job.is_one_night else (str(latest.shift_dates(context.pipeline.zone)[0]),)
        checks.append(replace(check, nights=of_latest))
    return checks


def seconds_by_night(runs: Sequence[Mapping[str, Any]], job: Job) -> list[float]:
    """Give the seconds of the newest whole run of each night before, the newest run first in ``runs``."""
    zone, types = job.context.pipeline.zone, set(job.event_types)
    found: dict[date, float] = {}
    for run in runs:
        window = Window(run["window_start"], run["window_end"])
        night = window.shift_dates(zone)[0]
        whole = window == Window.night(night, zone) and set(run["event_types"]) >= types
        if whole and night < job.first_night and "total" in run["timings"]:
            found.setdefault(night, float(run["timings"]["total"]))
    return list(found.values())


def earlier_publications(runs: Sequence[Mapping[str, Any]], latest: Window, job: Job) -> list[datetime]:
    """Give when the latest night came to be in by earlier runs, if it did: this run then does it again."""
    zone = job.context.pipeline.zone
    night = latest.shift_dates(zone)[0]
    so_far: list[Mapping[str, Any]] = []
    for run in sorted(runs, key=switch_time):
        so_far.append(run)
        if not missing_nights([night], job.event_types, so_far, zone):
            return [switch_time(run)]
    return []


def switch_time(run: Mapping[str, Any]) -> datetime:
    """Give when a run switched the table; rows of older versions say only when it began."""
    moment: datetime = run["switched_at"] or run["started_at"]
    return moment
