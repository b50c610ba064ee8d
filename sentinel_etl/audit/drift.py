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
    rows: dict[str, dict[str, float]] = {}
    if "base_risk_score" not in tonight.columns:
        tonight = tonight.iloc[:0]
    # There may be thousands of stations, of which few have the events to be compared by.
    enough = set.intersection(*(values_of(frame, by, least) for frame in (tonight, before)))
    groups = [frame[frame[by].isin(enough)].groupby(by) for frame in (tonight, before)]
    earlier = dict(iter(groups[1]))
    for name, group in groups[0]:
        past = earlier[name]
        scores = sorted({*group["base_risk_score"], *past["base_risk_score"]})
        now_counts = counts_at(group, scores)
        past_counts = counts_at(past, scores)
        size, past_size = now_counts.sum(), past_counts.sum()
        if not size or not past_size:
            continue
        gap = float(np.abs(np.cumsum(now_counts) / size - np.cumsum(past_counts) / past_size).max())
        scale = float(np.sqrt(size * past_size / (size + past_size)))
        rows[str(name)] = {
            "events": int(size),
            "events before": int(past_size),
            "PSI": population_stability_index(now_counts, past_counts),
            "KS": gap,
            "KS p": float(special.kolmogorov(gap * scale)),
        }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["events", "events before", "PSI", "KS", "KS p"])


def values_of(scores: pd.DataFrame, by: str, least: int) -> set[object]:
    """Give the values that at least so many events have."""
    events = scores.groupby(by)["events"].sum()
    return set(events.index[(events >= least).to_numpy(bool)])


def counts_at(scores: pd.DataFrame, values: list[float]) -> np.ndarray:
    counted = scores.groupby("base_risk_score")["events"].sum()
    return np.array([float(counted.get(value, 0)) for value in values])


def population_stability_index(tonight: np.ndarray, before: np.ndarray) -> float:
    """Give the population stability index of two counts over the same values; 0 is no shift.

    It is the symmetrized Kullback–Leibler divergence of the shares, Σ (p − q)·ln(p/q), with
    `scipy.special.rel_entr` for each half; the thresholds are N. Siddiqi's (Credit Risk Scorecards, 2006).
    Half an event is added to every value, so that one never seen before counts as much but not
    without bound.
    """
    now, past = ((counts + 0.5) / (counts + 0.5).sum() for counts in (tonight, before))
    return float((special.rel_entr(now, past) + special.rel_entr(past, now)).sum())
