"""Forecasts how many rows of a night are still to come, from how those of the nights before came. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

__all__ = ["FEWEST_NIGHTS", "Completeness", "forecast"]

FEWEST_NIGHTS = 3

# Two-sided 95% points of Student's t by degrees of freedom, from 2 on; beyond the last one they differ little.
# https://www.itl.nist.gov/div898/handbook/eda/section3/eda3672.htm
STUDENT = {2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228}
STUDENT |= {15: 2.131, 20: 2.086, 27: 2.052, 60: 2.000}


@dataclass(frozen=True)
class Completeness:
    """What is expected of a night's rows that are still to come.

    ``at``        when it was forecast; ``until``: by when they are expected
    ``known``     rows that had arrived
    ``expected``  rows that are expected until then, and the ends of the 95% interval: ``low``, ``high``
    """

    at: datetime
    until: datetime
    known: int
    expected: float
    low: float
    high: float

    @property
    def share(self) -> float:
        """The share of the rows that had arrived, of all that will have."""
        total = self.known + self.expected
        return self.known / total if total else 1.0

    def contains(self, came: int) -> bool:
        return self.low <= came <= self.high

    def as_dict(self) -> dict[str, Any]:
        return {
            "at": self.at.isoformat(),
            "until": self.until.isoformat(),
            "known": self.known,
            "expected": round(self.expected, 2),
            "low": round(self.low, 2),
            "high": round(self.high, 2),
        }

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Self:
        at, until = (datetime.fromisoformat(kept[name]) for name in ("at", "until"))
        return cls(at, until, *(kept[name] for name in ("known", "expected", "low", "high")))


def forecast(past: Sequence[tuple[int, int]], known: int, at: datetime, until: datetime) -> Completeness | None:
    """Forecast how many rows will come until then, beside those that are ``known``.

    ``past``: of earlier nights, how many rows were known at the same time after their end, and how many came after
    that until the same time. None: there are fewer than three, or nothing was known in them.

    The chain-ladder estimate: what came is a share of what was known, the same in all nights. Its spread is that of an
    over-dispersed Poisson model, with the dispersion of the past nights but at least a Poisson's, and with what the
    share itself is uncertain by. The interval is taken on the scale of square roots, with Student's t, so that it
    has room above where few rows are expected.
    England and Verrall, Stochastic claims reserving in general insurance, 2002, section 2; as reporting delays:
    Höhle and an der Heiden, Bayesian nowcasting during the STEC O104:H4 outbreak in Germany, 2014.
    """
    nights = [(before, after) for before, after in past if before > 0]
    if len(nights) < FEWEST_NIGHTS:
        return None
    total, came = (sum(each) for each in zip(*nights, strict=True))
    if not came:  # three rows are what 95% of a Poisson's zeros allow: the "rule of three"
        return Completeness(at, until, known, 0.0, 0.0, math.ceil(3 / total * known))
    share, freedom = came / total, len(nights) - 1
    residuals = sum((after - share * before) ** 2 / (share * before) for before, after in nights)
    dispersion = max(1.0, residuals / freedom)
    expected = share * known
    spread = math.sqrt(dispersion * expected * (1 + known / total))
    margin = student(freedom) * spread / (2 * math.sqrt(expected)) if expected else 0.0
    low, high = max(0.0, math.sqrt(expected) - margin) ** 2, (math.sqrt(expected) + margin) ** 2
    return Completeness(at, until, known, expected, math.floor(low), math.ceil(high))


def student(freedom: int) -> float:
    return STUDENT[max(known for known in STUDENT if known <= max(freedom, 2))]
