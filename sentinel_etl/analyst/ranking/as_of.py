"""Ranks places as of each morning, from what had arrived by then. Pure: history in, night × place out.

Row ``t`` of every matrix is the morning on which night ``t`` begins: it knows the rows that arrived in the nights
before ``t``, and nothing else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sentinel_etl.analyst.ranking.history import FIRST_DAY, History

__all__ = ["BASELINES", "RECENT_NIGHTS", "count_known", "happened", "is_known", "rank_by_risk", "risk_as_of"]

Floats = npt.NDArray[np.float64]

RECENT_NIGHTS = 28  # four whole weeks, so that each weekday counts alike

# What a ranking has to beat: name → nights that are counted. Counting emergencies where they were is the oldest way
# to foretell them, and hard to beat (Chainey, Tompson and Uhlig, The utility of hotspot mapping for predicting spatial
# patterns of crime, Security Journal 21, 2008, 4-28).
BASELINES = {"counts of 28 nights": RECENT_NIGHTS, "counts of last week": 7}


def risk_as_of(history: History, column: str, half_life_hours: float) -> Floats:
    """Sum each place's risk as of each morning: Σ score·2^(−age/half-life) over what is known."""
    rows = history.risk
    night, arrived = rows["night"].to_numpy(), rows["arrived"].to_numpy()
    inside = arrived < len(history.nights)
    night, arrived = night[inside], arrived[inside]
    place, folded = rows["place"].to_numpy()[inside], rows[column].to_numpy(np.float64)[inside]
    midnight = 24.0 * ((history.nights[0] - FIRST_DAY).days + night)
    points = folded * np.exp2(-(history.ends[arrived] - midnight) / half_life_hours)
    came = add_up(points, arrived, place, history)
    risk = np.zeros_like(came)
    for morning in range(1, len(came)):
        risk[morning] = came[morning - 1]
        if morning > 1:
            hours = history.ends[morning - 1] - history.ends[morning - 2]
            risk[morning] += risk[morning - 1] * np.exp2(-hours / half_life_hours)
    return risk


def rank_by_risk(history: History, place: int = 0) -> Floats:
    """Give the scores of the half-life of that number in the history."""
    return risk_as_of(history, f"risk_{place}", history.half_lives[place])


def count_known(history: History, nights: int) -> Floats:
    """Count each place's emergencies of the last nights, those that had arrived by each morning."""
    rows = history.emergencies[history.emergencies["place"] >= 0]
    place, night, arrived = (rows[name].to_numpy(np.int64) for name in ("place", "night", "arrived"))
    events = rows["events"].to_numpy(np.float64)
    come, gone = (np.minimum(each + 1, len(history.nights)) for each in (arrived, night + nights))
    some = come < gone
    changes = np.zeros((len(history.nights) + 1, len(history.places)))
    np.add.at(changes, (come[some], place[some]), events[some])
    np.add.at(changes, (gone[some], place[some]), -events[some])
    return np.asarray(changes.cumsum(axis=0)[:-1])


def happened(history: History, nights: int = 1) -> Floats:
    """Count each place's emergencies of the night and those after it, ``nights`` in all, whenever they arrived."""
    rows = history.emergencies[history.emergencies["place"] >= 0]
    each = add_up(rows["events"], rows["night"], rows["place"], history)
    running = np.vstack([np.zeros((1, each.shape[1])), each.cumsum(axis=0)])
    return np.asarray(running[nights:] - running[: max(0, len(running) - nights)])


def is_known(history: History) -> npt.NDArray[np.bool_]:
    """Tell which places are known on each morning."""
    return np.asarray(history.known[None, :] < np.arange(len(history.nights))[:, None])


def add_up(values: Any, nights: Any, places: Any, history: History) -> Floats:
    total = np.zeros((len(history.nights), len(history.places)))
    np.add.at(total, (np.asarray(nights, np.int64), np.asarray(places, np.int64)), np.asarray(values, np.float64))
    return total
