"""The gates on when the latest night came in, and how long that took. Older nights are done again at any hour."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from statistics import median
from zoneinfo import ZoneInfo

from sentinel_etl.audit.checks import Check, Gate, Severity
from sentinel_etl.config.gates import GateLimits
from sentinel_etl.window import Window
from sentinel_etl.wording import plural

__all__ = ["TIME_GATES", "check_deadline", "check_run_time", "deadline_of"]

USUAL = GateLimits()

RUN_TIME = Gate(
    "run_time_usual",
    "the run is as fast as usual",
    Severity.WARN,
    "seconds of the latest night's run over the median of the nights before, of which there are at least `least`: "
    "at most `limit`",
    limit=USUAL.slow_ratio,
    least=USUAL.slow_nights,
)


def check_run_time(seconds: float, before: Sequence[float], limits: GateLimits = USUAL) -> Check:
    """Judge the seconds that the run took by those of the nights before, one a night."""
    gate = RUN_TIME.within(limits)
    nights = f"{len(before)} {plural(len(before), 'night')}"
    if len(before) < gate.least:
        wanted = f"at most {gate.limit:g} times the median of {gate.least} {plural(gate.least, 'night')} or more"
        return gate.check(True, wanted, nights)
    usual = median(before)
    return gate.check(
        seconds <= gate.limit * usual,
        f"at most {gate.limit * usual:,.1f} s, {gate.limit:g} times the median of {nights}",
        f"{seconds:,.1f} s",
    )


IN_TIME = Gate(
    "published_in_time",
    "the night is in by its deadline",
    Severity.WARN,
    "when the latest night was published: by SENTINEL_DEADLINE on the city's clocks",
)


def deadline_of(window: Window, deadline: time, zone: ZoneInfo) -> datetime:
    """Give the first instant after the window's end at which the city's clocks show the deadline."""
    end = window.end.astimezone(zone)
    day = end.date() + timedelta(days=deadline <= end.timetz().replace(tzinfo=None))
    return datetime.combine(day, deadline, zone)


def check_deadline(published_at: datetime, window: Window, deadline: time, zone: ZoneInfo) -> Check:
    """Judge when the window's night was first published."""
    due = deadline_of(window, deadline, zone)
    at = published_at.astimezone(zone)
    expected, observed = f"published by {due:%Y-%m-%d %H:%M %Z}", f"published at {at:%Y-%m-%d %H:%M %Z}"
    return IN_TIME.check(published_at <= due, expected, observed)


TIME_GATES = (RUN_TIME, IN_TIME)
