"""The field's measures of a ranking of places against what happened there. Pure: night × place in, numbers out.

All are ratios of sums over nights, so that a night of many emergencies weighs more than one of few. Places of equal
score are taken in every order alike: what stands at rank *i* is the mean of those that share it. So a ranking that
says nothing has what chance has, and not what the order of the table has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sentinel_etl.analyst.ranking.intervals import Estimate, estimate

__all__ = ["MEASURES", "SHARES", "Taken", "calibrate", "measure", "places_of", "take_first"]

Floats = npt.NDArray[np.float64]
Known = npt.NDArray[np.bool_]

SHARES = (0.01, 0.02, 0.05, 0.10, 0.20)  # of places, from the first rank on

TENTHS = 10  # of the ranks, by which calibration is shown


@dataclass(frozen=True)
class Taken:
    """What the first places of a ranking held, a value for each night.

    ``hits`` emergencies there; ``total`` at all places; ``even`` what as many places drawn by lot hold in the mean;
    ``best`` what as many places hold at most; ``before`` emergencies there in the weeks before; ``total_before``.
    """

    hits: Floats
    total: Floats
    even: Floats
    best: Floats
    before: Floats
    total_before: Floats


def places_of(share: float, known: Known) -> npt.NDArray[np.int64]:
    """Give how many places a share is on each morning: rounded, and one at least."""
    return np.asarray(np.maximum(1, np.rint(share * known.sum(axis=1))), np.int64)


def take_first(scores: Floats, found: Floats, before: Floats, known: Known, most: npt.NDArray[np.int64]) -> Taken:
    """Take the first ``most`` places of each morning, and add up what they held."""
    total, total_before = (np.where(known, values, 0).sum(axis=1) for values in (found, before))
    return Taken(
        hits=sum_first(scores, found, known, most),
        total=total,
        even=total * most / np.maximum(known.sum(axis=1), 1),
        best=sum_first(found, found, known, most),
        before=sum_first(scores, before, known, most),
        total_before=total_before,
    )


def sum_first(scores: Floats, values: Floats, known: Known, most: npt.NDArray[np.int64]) -> Floats:
    """Add up the values of the first places of each morning, ties in expectation."""
    ranked = values_by_rank(scores, values, known).cumsum(axis=1)
    last = np.minimum(most, known.sum(axis=1)) - 1
    return np.where(last >= 0, ranked[np.arange(len(ranked)), np.maximum(last, 0)], 0.0)


def values_by_rank(scores: Floats, values: Floats, known: Known) -> Floats:
    """Put each morning's values into the order of the scores, those of equal scores as their mean; unknown places 0."""
    ordered = np.argsort(-np.where(known, scores, -np.inf), axis=1, kind="stable")
    taken = np.take_along_axis(np.where(known, values, 0.0), ordered, axis=1)
    sorted_scores = np.take_along_axis(np.where(known, scores, -np.inf), ordered, axis=1)
    begins = np.ones(sorted_scores.shape, bool)
    begins[:, 1:] = sorted_scores[:, 1:] != sorted_scores[:, :-1]
    groups = np.cumsum(begins.ravel()) - 1
    means = np.bincount(groups, taken.ravel()) / np.bincount(groups)
    return np.asarray(means[groups].reshape(taken.shape))


def hit_rate(taken: Taken, horizon: int) -> Estimate:
    """Estimate which share of the emergencies lay in the first places: n / N."""
    return estimate([taken.hits], [taken.total], horizon=horizon, least=0)


def accuracy_index(taken: Taken, horizon: int) -> Estimate:
    """Estimate the prediction accuracy index, PAI = (n / N) / (a / A): the hit rate over the share of places.

    S. Chainey, L. Tompson and S. Uhlig, The utility of hotspot mapping for predicting spatial patterns of crime,
    Security Journal 21, 2008, 4-28. Area is counted in places here. Chance has 1.
    """
    return estimate([taken.hits], [taken.even], horizon=horizon, least=0)


def efficiency_index(taken: Taken, horizon: int) -> Estimate:
    """Estimate PEI* = PAI / PAI*: the emergencies caught over the most that as many places could have caught.

    J. Hunt, Do crime hot spots move?, thesis, American University, 2016, for the index; V. M. White, J. Hunt and
    B. Green, A discussion of current crime forecasting indices and an improvement to the prediction efficiency index
    for applications, Security Journal, 2023, for PEI*, in which the best has the same area as the forecast. 1 is
    perfect hindsight. In a night of few emergencies the best catches nearly all, by luck that nobody foretells.
    """
    return estimate([taken.hits], [taken.best], horizon=horizon, least=0)


def recapture_index(taken: Taken, horizon: int) -> Estimate:
    """Estimate the recapture rate index, RRI = (n₂ / n₁) / (N₂ / N₁): whether the first places hold what they held.

    N. Levine, The "hottest" part of a hotspot: comments on "The utility of hotspot mapping for predicting spatial
    patterns of crime", Security Journal 21, 2008, 295-302. n₁ and N₁ are those of the weeks before. 1: the places hold
    the same share after as before; below: they were taken when they were at their worst, and fell back.
    """
    return estimate([taken.hits, taken.total_before], [taken.before, taken.total], horizon=horizon, least=0)


MEASURES = {"hit rate": hit_rate, "PAI": accuracy_index, "PEI*": efficiency_index, "RRI": recapture_index}


def measure(taken: Taken, horizon: int = 1) -> Mapping[str, tuple[Estimate, float]]:
    """Estimate all measures, each with what places drawn by lot would have in the mean."""
    sums = {name: float(getattr(taken, name).sum()) for name in ("total", "even", "best", "before", "total_before")}
    even = sums["even"]
    chance = {
        "hit rate": ratio(even, sums["total"]),
        "PAI": 1.0 if even else np.nan,
        "PEI*": ratio(even, sums["best"]),
        "RRI": ratio(even * sums["total_before"], sums["before"] * sums["total"]),
    }
    return {name: (judge(taken, horizon), chance[name]) for name, judge in MEASURES.items()}


def ratio(above: float, below: float) -> float:
    return above / below if below else np.nan


def calibrate(scores: Floats, found: Floats, a_night: Floats, known: Known, nights: int) -> list[tuple[Floats, Floats]]:
    """Compare expected with observed counts by tenths of the ranks: for each, expected and observed of each night.

    The scores say how the emergencies are shared out; how many there will be is as many as there were ``a_night`` in
    the weeks before. ``nights``: those that ``found`` counts.
    """
    shares = np.where(known, scores, 0.0)
    sums = shares.sum(axis=1, keepdims=True)
    places = known.sum(axis=1, keepdims=True)
    shares = np.where(sums > 0, shares / np.where(sums > 0, sums, 1), known / np.maximum(places, 1))
    expected = shares * np.where(known, a_night, 0.0).sum(axis=1, keepdims=True) * nights
    ranks = [values_by_rank(scores, values, known) for values in (expected, found)]
    tenth = np.minimum(TENTHS - 1, TENTHS * np.arange(known.shape[1])[None] // np.maximum(places, 1))
    return [
        (np.where(tenth == each, ranks[0], 0).sum(axis=1), np.where(tenth == each, ranks[1], 0).sum(axis=1))
        for each in range(TENTHS)
    ]
