"""Every gate by its identifier, and what it was seen to do on simulated nights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sentinel_etl.audit.checks import Gate
from sentinel_etl.audit.history_gates import HISTORY_GATES
from sentinel_etl.audit.late_gates import LATE_GATES
from sentinel_etl.audit.night_gates import NIGHT_GATES
from sentinel_etl.audit.time_gates import TIME_GATES
from sentinel_etl.audit.window_gates import WINDOW_GATES

__all__ = ["GATES", "MEASURED", "TOGETHER", "Measured"]

ALL = (*WINDOW_GATES, *NIGHT_GATES, *HISTORY_GATES, *LATE_GATES, *TIME_GATES)
GATES: Mapping[str, Gate] = {gate.id: gate for gate in ALL}


@dataclass(frozen=True)
class Measured:
    """How a gate did on simulated nights.

    ``alarms``  ordinary nights on which it failed, of ``nights``
    ``power``   fault → share of the nights with it on which the gate tells
    """

    alarms: int
    nights: int
    power: Mapping[str, float]


# The last figures of `benchmarks.gates`: nights of the sample city of 2,000 events, feasts among them. A gate that is
# not named is not asked on such nights: what it counts is exact, so it fails where its fault is, and nowhere else.
MEASURED: Mapping[str, Measured] = {
    "rows_accepted": Measured(0, 632, {"one row is rejected": 1.0}),
    "source_counts": Measured(0, 632, {"one row is lost": 1.0}),
    "keys_unique": Measured(0, 632, {"one row stands twice": 1.0}),
    "nulls_arrived": Measured(0, 632, {"one NULL has become a value": 1.0}),
    "rows_in_window": Measured(0, 632, {"one row lies outside": 1.0}),
    "scores_valid": Measured(0, 632, {"one score is no number": 1.0}),
    "window_kept": Measured(
        0, 632, {"60% of the rows gone": 1.0, "50% of the rows gone": 0.49, "40% of the rows gone": 0.0}
    ),
    "window_has_events": Measured(0, 632, {"no event at all": 1.0}),
    "values_in_range": Measured(0, 632, {"one value lies outside": 1.0}),
    "types_present": Measured(0, 632, {"a type is missing": 1.0}),
    "volumes_usual": Measured(
        2, 632, {"all events halved": 0.83, "a type at a third": 0.91, "a type halved": 0.47, "a type trebled": 0.98}
    ),
    "null_shares_usual": Measured(
        0, 632, {"a column is NULL from now on": 0.97, "a column has 20 points more NULLs": 0.55}
    ),
    "risk_usual": Measured(0, 632, {"a type's scores doubled": 1.0}),
    "station_risk_usual": Measured(0, 632, {"a station's scores doubled": 0.36}),
    "nights_complete": Measured(0, 120, {"5% of a type's rows late": 1.0}),
    "run_time_usual": Measured(0, 632, {"4 times as slow": 0.87}),
}

# All gates together: the nights on which at least one of them failed.
TOGETHER = Measured(2, 632, {})
