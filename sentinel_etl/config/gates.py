"""The limits that the audit's gates judge by, and what must be true of them. A pipeline may have its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite

from sentinel_etl.errors import ConfigurationError

__all__ = ["GATE_FIELDS", "GateLimits", "check_gate_limits"]


@dataclass(frozen=True)
class GateLimits:
    """The limits of one pipeline's gates. A share is of 1, a number of events or nights at least 1.

    ``max_shrink``                     share of a loaded night's rows that may go; None: SENTINEL_MAX_SHRINK's
                                       default. That setting, where it is given, wins
    ``rejected_share``                 share of a night's rows above which rejected ones block, and the number
    ``rejected_rows``                  of rows that may be rejected in any case
    ``usual_nights``                   nights before with events of a type, from which on it is missed
    ``volume_ratio``                   a type's events over the median of the nights before, or the inverse
    ``volume_events``                  nights before, and events in their median, from which on volumes are judged
    ``null_share``                     share of NULLs above that of the nights before, to which chance is added
    ``null_events``                    events of a type from which on its NULLs are judged
    ``drift``                          population stability index of a type's scores
    ``drift_events``                   events, tonight and before, from which on its scores are judged
    ``station_drift``                  the same of a station's scores
    ``station_events``
    ``late_share``                     share of a loaded night's rows that may be late or gone
    ``late_rows``                      rows of a night that may be so in any case
    ``slow_ratio``                     seconds of the latest night's run over the median of the nights before
    ``slow_nights``                    nights before, from which on the run's seconds are judged
    """

    max_shrink: float | None = None
    rejected_share: float = 0.2
    rejected_rows: int = 100
    usual_nights: int = 7
    volume_ratio: float = 1.8
    volume_events: int = 7
    null_share: float = 0.10
    null_events: int = 100
    drift: float = 0.25
    drift_events: int = 50
    station_drift: float = 0.25
    station_events: int = 100
    late_share: float = 0.02
    late_rows: int = 10
    slow_ratio: float = 3.0
    slow_nights: int = 7


# A gate's identifier → which of the limits are its `limit` and its `least`; empty: it has no such.
GATE_FIELDS: Mapping[str, tuple[str, str]] = {
    "window_kept": ("max_shrink", ""),
    "rows_accepted": ("rejected_share", "rejected_rows"),
    "types_present": ("", "usual_nights"),
    "volumes_usual": ("volume_ratio", "volume_events"),
    "null_shares_usual": ("null_share", "null_events"),
    "risk_usual": ("drift", "drift_events"),
    "station_risk_usual": ("station_drift", "station_events"),
    "nights_complete": ("late_share", "late_rows"),
    "run_time_usual": ("slow_ratio", "slow_nights"),
}

SHARES = ("max_shrink", "rejected_share", "null_share", "late_share")


def check_gate_limits(limits: object) -> None:
    """Check that each limit is a number that its gate can judge by.

    Raises:
        ConfigurationError: the first that is not, by its name.
    """
    if not isinstance(limits, GateLimits):
        raise ConfigurationError(f"gate_limits: expected a GateLimits, found {limits!r}")
    for name in (field.name for field in fields(limits)):
        value = getattr(limits, name)
        if name == "max_shrink" and value is None:
            continue
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
        if name in SHARES:
            expected, fits = "a share from 0 to 1", is_number and 0 <= value <= 1
        elif name.endswith(("_rows", "_events", "_nights")):
            expected, fits = "a whole number of at least 1", is_number and isinstance(value, int) and value >= 1
        else:
            least = 1 if name.endswith("_ratio") else 0
            expected, fits = f"a number above {least}", is_number and value > least
        if not fits:
            raise ConfigurationError(f"gate_limits.{name}: expected {expected}, found {value!r}")
