"""Histories of places whose danger is known: lasting, fading, shuffled each night, or the same everywhere."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sentinel_etl.analyst.ranking.history import History
from sentinel_etl.window import CITY_ZONE, night_starts

FIRST = date(2026, 6, 1)
PLACES = 60
Floats = npt.NDArray[np.float64]


def lasting(nights: int, seed: int) -> Floats:
    """Emergencies a night at each place, the same in every night, a few places far above the rest."""
    rates = np.exp(np.random.default_rng(seed).normal(-1.5, 1.0, PLACES))
    return np.tile(rates, (nights, 1))


def fading(nights: int, seed: int, half_life_nights: float = 2.0) -> Floats:
    """Places that flare up to sixty times the ordinary, at any time, and fade by half in so many nights."""
    random = np.random.default_rng([seed, 1])
    heat = np.zeros((nights, PLACES))
    for night in range(nights):
        heat[night] = (heat[night - 1] if night else 0) * 0.5 ** (1 / half_life_nights)
        heat[night, random.random(PLACES) < 0.02] = 6.0
    return 0.1 + heat


def shuffled(rates: Floats, seed: int) -> Floats:
    """The same rates, given to other places in each night."""
    random = np.random.default_rng([seed, 2])
    return np.stack([random.permutation(row) for row in rates])


def history_of(
    rates: Floats, seed: int, *, late: float = 0.0, half_lives: tuple[float, ...] = (72.0,), **changes: Any
) -> History:
    """Draw a history: each emergency scores 20 points; a share ``late`` arrives in the night after its own."""
    random = np.random.default_rng([seed, 3])
    counts = random.poisson(rates)
    night, place = np.repeat(np.indices(counts.shape).reshape(2, -1), counts.ravel(), axis=1)
    arrived = night + (random.random(len(night)) < late)
    hours = random.uniform(1, 24, len(night))  # from 00:00 UTC on: a night ends at 00:30 UTC of the next day
    rows = pd.DataFrame({"place": place, "night": night, "arrived": arrived})
    risk = rows.assign(**{f"risk_{n}": 20 * np.exp2(hours / each) for n, each in enumerate(half_lives)})
    keys = ["place", "night", "arrived"]
    nights = tuple(FIRST + timedelta(days=each) for each in range(len(rates)))
    ends = [night_starts(each + timedelta(days=1), CITY_ZONE).timestamp() / 3600 for each in nights]
    return History(
        nights=nights,
        places=tuple(range(PLACES)),
        known=np.full(PLACES, -1),
        risk=risk.groupby(keys, as_index=False).sum(),
        emergencies=rows.assign(events=1.0).groupby(keys, as_index=False).sum(),
        half_lives=half_lives,
        ends=np.array(ends),
        **changes,
    )
