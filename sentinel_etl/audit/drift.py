"""How far the scores of one night have moved from those of the nights before."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import special

__all__ = ["drift_table", "population_stability_index"]


def drift_table(tonight: pd.DataFrame, before: pd.DataFrame, by: str = "event_type", least: int = 1) -> pd.DataFrame:
    """Measure how far each event type's (or station's) scores have moved: events, events before, PSI, KS, KS p.

    In: `Measures.scores`, twice: ``by``, base_risk_score, events. Out: a row for each value of ``by``
    that both have ``least`` events of; none where the fact table has no score. KS is the largest gap between the two
    cumulative shares; its p-value is the asymptotic one (`scipy.special.kolmogorov`) for the two sizes.
    They are computed from counts, because `scipy.stats.ks_2samp` takes single events, of which 28 nights
    may hold millions.
    """
    names = ["events", "events before", "PSI", "KS", "KS p"]
    if "base_risk_score" not in tonight.columns:
        return pd.DataFrame(columns=names)
    groups, (now, past) = count_scores(tonight, before, by, least)
    sizes, past_sizes = now.sum(axis=1), past.sum(axis=1)
    shares = [np.cumsum(each, axis=1) / size[:, None] for each, size in ((now, sizes), (past, past_sizes))]
    gaps = np.abs(shares[0] - shares[1]).max(axis=1, initial=0.0)
    scales = np.sqrt(sizes * past_sizes / (sizes + past_sizes))
    columns = [
        sizes.astype(np.int64),
        past_sizes.astype(np.int64),
        population_stability_index(now, past),
        gaps,
        special.kolmogorov(gaps * scales),
    ]
    return pd.DataFrame(dict(zip(names, columns, strict=True)), index=[str(name) for name in groups])


def count_scores(tonight: pd.DataFrame, before: pd.DataFrame, by: str, least: int) -> tuple[pd.Index, np.ndarray]:
    """Count the events of each value of ``by`` (rows) and each score (columns), both sorted, tonight and before.

    There may be thousands of stations, of which few have the events to be compared by: the others have no row.
    """
    both = pd.concat([frame[[by, "base_risk_score", "events"]] for frame in (tonight, before)], ignore_index=True)
    group, groups = pd.factorize(both[by], sort=True)  # -1: NULL
    score, scores = pd.factorize(both["base_risk_score"], sort=True)
    side, events = np.repeat([0, 1], [len(tonight), len(before)]), both["events"].to_numpy("float64")
    side, group, score, events = (each[group >= 0] for each in (side, group, score, events))

    sizes = np.zeros((2, len(groups)))
    np.add.at(sizes, (side, group), events)
    enough: np.ndarray = np.all(sizes >= max(least, 1), axis=0)
    rows, place = enough[group] & (score >= 0), np.cumsum(enough) - 1
    counts = np.zeros((2, enough.sum(), len(scores)))
    np.add.at(counts, (side[rows], place[group[rows]], score[rows]), events[rows])
    scored: np.ndarray = np.all(counts.any(axis=2), axis=0)
    return groups[enough][scored], counts[:, scored]


def population_stability_index(tonight: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Give the population stability index of each row of two tables of counts over the same values; 0 is no shift.

    It is the symmetrized Kullback–Leibler divergence of the shares, Σ (p − q)·ln(p/q), with
    `scipy.special.rel_entr` for each half; the thresholds are N. Siddiqi's (Credit Risk Scorecards, 2006).
    Half an event is added to every value that either has, so that one never seen before counts as much but not
    without bound.
    """
    there = (tonight + before) > 0
    halves = (np.where(there, counts + 0.5, 0.0) for counts in (tonight, before))
    now, past = (each / each.sum(axis=-1, keepdims=True) for each in halves)
    found: np.ndarray = (special.rel_entr(now, past) + special.rel_entr(past, now)).sum(axis=-1)
    return found
