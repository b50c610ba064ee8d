"""The gates: what a run's rows must be like, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["GATES", "Gate", "Severity"]


Severity = Literal["block", "warn"]


@dataclass(frozen=True)
class Gate:
    """A limit with its meaning. ``least`` is how much evidence it needs before it speaks."""

    severity: Severity
    meaning: str
    limit: float = 0
    least: int = 0


GATES: Mapping[str, Gate] = {
    # The window itself, before anyone may read it.
    # One rejected row is worth a word; too many, and it is the source or the config that is wrong.
    "rows are accepted": Gate(
        "warn", "rows rejected: 0; it blocks at more than `limit` of the window's rows and more than `least`", 0.2, 100
    ),
    "staged rows equal the source's": Gate("block", "rows per event type, counted by each side in one snapshot"),
    "keys are unique": Gate("block", "rows less distinct event_id: 0"),
    "NULLs arrived as NULLs": Gate("block", "NULLs per column, as sent and as stored"),
    "rows lie in the window": Gate("block", "rows outside the window or of other event types: at most 0"),
    "scores are finite and not negative": Gate("block", "scores that are not: at most 0"),
    "the window has not collapsed": Gate("block", "share of a loaded window's rows that may go: SENTINEL_MAX_SHRINK"),
    "the window has events": Gate("warn", "events: at least 1"),
    "values lie in their ranges": Gate(
        "warn", "values outside the range that the fact table's column states: at most `limit`"
    ),
    # The night against the 28 before.
    "every event type is there": Gate(
        "warn", "types with events on at least `least` of the nights before: more than `limit` events", 0, 7
    ),
    "volumes are as usual": Gate(
        "warn", "a type's events over the median of the nights before: at most `limit`, at least 1/`limit`", 1.8, 7
    ),
    # Ten points are more than a night's chance where at least 100 events are counted: three standard
    # deviations of a share of 0.1. The p-value below guards the rest.
    "NULLs are as usual": Gate(
        "warn", "share of NULLs in a column of one event type, less the nights before: at most `limit`", 0.10, 100
    ),
    # Below 0.10 is no shift, above 0.25 a major one, by the convention of credit scoring
    # (N. Siddiqi, Credit Risk Scorecards, 2006). Small nights reach it by chance, hence the test.
    "risk is distributed as usual": Gate(
        "warn", "population stability index of a type's scores, where Kolmogorov–Smirnov's p is below 0.001", 0.25, 50
    ),
    "risk is distributed as usual at each station": Gate(
        "warn", "population stability index of a station's scores, where its p is below 0.001", 0.25, 100
    ),
    # Phones that were off send a few rows each morning; a night that lacks more was not all there.
    "earlier nights are complete": Gate(
        "warn", "rows that differ between the sides: at most `limit` of an event type's, or under `least`", 0.02, 10
    ),
}
