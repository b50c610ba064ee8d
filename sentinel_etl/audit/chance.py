"""How likely an ordinary night is to have what a night has, as the nights before scatter. Pure.

A gate that warns of what chance does warns of nothing. So each that compares a group of events with its past asks, too,
whether chance could have done it, by a test that knows how large the group is; and it asks for less, the more groups
it looks at (Bonferroni), so that all of them together give the false alarms of one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import special

__all__ = ["CHANCE", "chance_of_count", "chance_of_shares", "highest_rate", "scatter_of_shares"]

# Share of ordinary nights on which one gate may warn. Six gates compare with the past, so they and all others stay
# below one night in a hundred; `benchmarks.gates` measures what they come to.
CHANCE = 0.001


def chance_of_count(events: int, before: Sequence[float]) -> float:
    """Give the chance that an ordinary night is so far from the nights before, or farther, on the same side.

    In: a night's events; those of each night before, 0 where it had none. By a gamma-Poisson (negative binomial)
    distribution whose variance is that of the nights before, at least Poisson's, with the uncertainty of their mean,
    as C. Farrington et al. predict counts (JRSS A 159, 1996, 547-563). The variance is measured from one night to the
    next (J. von Neumann, Annals of Mathematical Statistics 12, 1941, 367-395), so that a change that lasts is told
    until it is usual, and does not hide itself on its second night.
    """
    nights = np.asarray(before, dtype="float64")
    if not len(nights):
        return 1.0
    mean = (nights.sum() + 0.5) / len(nights)
    scatter = max(1.0, float((np.diff(nights) ** 2).mean()) / 2 / mean) if len(nights) > 1 else 1.0
    variance = scatter * (1 + 1 / len(nights))
    size = mean / (variance - 1)
    if events > mean:
        return float(special.betainc(events, size, 1 - 1 / variance))
    return float(special.betainc(size, events + 1, 1 / variance))


def scatter_of_shares(groups: np.ndarray, shares: np.ndarray, events: np.ndarray) -> np.ndarray:
    """Give how far each group's shares scatter from night to night, as a multiple of the binomial variance; at least 1.

    In: an entry for each group and night, group by group, their nights in order; ``groups``: int, 0 to n - 1, each of
    which has an entry. Out: float64[n]. What is unknown comes in runs, of one phone or one patrol, so a night has fewer
    independent events than rows.
    """
    sizes = np.bincount(groups, events)
    share = np.bincount(groups, shares * events) / sizes
    later = groups[1:] == groups[:-1]
    steps = np.diff(shares)[later] ** 2 / (1 / events[1:] + 1 / events[:-1])[later]
    of_group = groups[1:][later]
    count = np.bincount(of_group, minlength=len(sizes))
    known = (share > 0) & (share < 1) & (count > 0)
    mean_step = np.bincount(of_group, steps, len(sizes)) / np.maximum(count, 1)
    scatter = mean_step / np.where(known, share * (1 - share), 1.0)
    return np.where(known, np.maximum(scatter, 1.0), 1.0)


def chance_of_shares(tonight: pd.DataFrame, more: float) -> np.ndarray:
    """Give the chance of such a share or a higher one where the share before may rise by ``more``; row by row.

    In: share, events; share_before, events_before; scatter (`scatter_of_shares`). The binomial tail of the counts
    divided by their design effect, that is the scatter with the uncertainty of the share before (J. Rao and A. Scott,
    Biometrics 48, 1992, 577-585).
    """
    events, before = (tonight[name].to_numpy("float64") for name in ("events", "events_before"))
    unknown = np.round(tonight["share"].to_numpy("float64") * events)
    known_before = tonight["share_before"].to_numpy("float64") * before
    share = np.minimum((known_before + 1) / (before + 2) + more, 1.0)
    effect = tonight["scatter"].to_numpy("float64") * (1 + events / np.maximum(before, 1))
    tail = special.betainc(np.maximum(unknown, 1) / effect, (events - unknown) / effect + 1, share)
    return np.where(unknown > 0, tail, 1.0)


def highest_rate(alarms: int, nights: int) -> float:
    """Give the upper limit, with 95% confidence, of the rate of alarms of which so many were seen in so many nights.

    Exact for the binomial distribution (C. Clopper and E. Pearson, Biometrika 26, 1934, 404-413).
    """
    return float(special.betaincinv(alarms + 1, nights - alarms, 0.95)) if alarms < nights else 1.0
