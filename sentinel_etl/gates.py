"""The gates: what a night may be like, as data, and the checks that judge a night by them.

A gate that blocks stops publishing; one that warns is told first in the report. The nights before are
the yardstick, so each gate waits until there are enough of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from sentinel_etl.audit import Check, Severity
from sentinel_etl.history import Measures

__all__ = ["GATES", "Gate", "drift_table", "judge_history", "population_stability_index", "shifted_types"]


@dataclass(frozen=True)
class Gate:
    """A limit with its meaning. ``least`` is how much evidence it needs before it speaks."""

    severity: Severity
    limit: float
    least: int
    meaning: str


GATES: Mapping[str, Gate] = {
    "every event type is there": Gate(
        "warn", 0, 7, "types with events on at least `least` of the nights before, and more than `limit` tonight"
    ),
    "volumes are as usual": Gate(
        "warn", 1.8, 7, "a type's events over the median of the nights before: at most `limit`, at least 1/`limit`"
    ),
    "NULLs are as usual": Gate(
        "warn", 0.10, 7, "a column's share of NULLs over all events, minus the nights before: at most `limit`"
    ),
    # Below 0.10 is no shift, above 0.25 a major one, by the convention of credit scoring
    # (N. Siddiqi, Credit Risk Scorecards, 2006). Small nights reach it by chance, hence the test.
    "risk is distributed as usual": Gate(
        "warn", 0.25, 50, "population stability index of a type's scores, with a Kolmogorov–Smirnov p below 0.001"
    ),
}

KS_P_VALUE = 0.001


def judge_history(before: Measures, tonight: Measures) -> list[Check]:
    """Judge a night by the nights before it, gate by gate."""
    nights = before.counts["shift_date"].nunique()
    return [
        judge_presence(before.counts, tonight.counts),
        judge_volumes(before.counts, tonight.counts, nights),
        judge_nulls(before.nulls, tonight.nulls, nights),
        judge_drift(before.scores, tonight.scores),
    ]


def judge_presence(before: pd.DataFrame, tonight: pd.DataFrame) -> Check:
    gate = GATES["every event type is there"]
    usual = before[before["events"] > 0].groupby("event_type")["shift_date"].nunique()
    expected = sorted(str(name) for name in usual[usual >= gate.least].index)
    there = set(tonight.loc[tonight["events"] > gate.limit, "event_type"])
    missing = [name for name in expected if name not in there]
    return told(
        "every event type is there",
        [f"{name} has none" for name in missing],
        f"events of {len(expected)} event types",
        f"events of {len(expected) - len(missing)} of them",
    )


def judge_volumes(before: pd.DataFrame, tonight: pd.DataFrame, nights: int) -> Check:
    gate = GATES["volumes are as usual"]
    medians = before.groupby("event_type")["events"].median()
    odd = []
    for name, events in zip(tonight["event_type"], tonight["events"], strict=True):
        median = float(medians.get(name, 0))
        if nights >= gate.least and median >= gate.least and events > 0:
            ratio = events / median
            if ratio > gate.limit or ratio < 1 / gate.limit:
                odd.append(f"{name} {events:,} is {ratio:.1f} times the median {median:,.0f}")
    return told("volumes are as usual", odd, f"within {gate.limit:g} times the median of {nights} nights", "all within")


def judge_nulls(before: pd.DataFrame, tonight: pd.DataFrame, nights: int) -> Check:
    gate = GATES["NULLs are as usual"]
    usual = dict(zip(before["column"], before["share"], strict=True))
    odd = []
    if nights >= gate.least:
        for name, share in zip(tonight["column"], tonight["share"], strict=True):
            if name in usual and share - usual[name] > gate.limit:
                odd.append(f"{name} {share:.0%} NULL, {usual[name]:.0%} before")
    return told("NULLs are as usual", odd, f"at most {gate.limit:.0%} more than before", "all within")


def judge_drift(before: pd.DataFrame, tonight: pd.DataFrame) -> Check:
    gate = GATES["risk is distributed as usual"]
    table = drift_table(tonight, before)
    rows = table.loc[shifted_types(table)]
    odd = [
        f"{name} PSI {psi:.2f}, KS {ks:.2f}" for name, psi, ks in zip(rows.index, rows["PSI"], rows["KS"], strict=True)
    ]
    return told("risk is distributed as usual", odd, f"PSI at most {gate.limit:g} for each event type", "all within")


def shifted_types(drift: pd.DataFrame) -> list[str]:
    """Pick the event types of a `drift_table` that the gate warns of."""
    gate = GATES["risk is distributed as usual"]
    enough = (drift["events"] >= gate.least) & (drift["events before"] >= gate.least)
    return list(drift.index[enough & (drift["PSI"] > gate.limit) & (drift["KS p"] < KS_P_VALUE)])


def told(name: str, problems: list[str], expected: str, fine: str) -> Check:
    return Check(name, GATES[name].severity, not problems, expected, "; ".join(problems) or fine)


def drift_table(tonight: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Measure how far each event type's scores have moved: events, events before, PSI, KS, KS p.

    In: event_type, base_risk_score, events, twice. KS is the largest gap between the two cumulative
    shares; its p-value is the asymptotic one (scipy.stats.kstwobign) for the two sizes.
    """
    rows = {}
    for name, group in tonight.groupby("event_type"):
        past = before[before["event_type"] == name]
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
            "KS p": float(stats.kstwobign.sf(gap * scale)),
        }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["events", "events before", "PSI", "KS", "KS p"])


def counts_at(scores: pd.DataFrame, values: list[float]) -> np.ndarray:
    counted = scores.groupby("base_risk_score")["events"].sum()
    return np.array([float(counted.get(value, 0)) for value in values])


def population_stability_index(tonight: np.ndarray, before: np.ndarray) -> float:
    """Give the population stability index of two counts over the same values; 0 is no shift.

    It is the symmetrized Kullback–Leibler divergence of the shares. Half an event is added to every
    value, so that one never seen before counts as much but not without bound.
    """
    now, past = tonight + 0.5, before + 0.5
    return float(stats.entropy(now, past) + stats.entropy(past, now))
