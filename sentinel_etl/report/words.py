"""What figures show, in words, for who cannot see them: what is drawn, and the number that it is drawn for.

Names are shortened and numbers rounded as in the figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from sentinel_etl.config.dimensions import Dimensions
from sentinel_etl.ledger.nights import NIGHT_MARKS, NightCoverage, NightState, list_shown
from sentinel_etl.report.pages import write_average
from sentinel_etl.wording import list_some, plural

__all__ = [
    "describe_breakdown",
    "describe_coverage",
    "describe_drift",
    "describe_history",
    "describe_hours",
    "describe_lags",
    "describe_loads",
    "describe_map",
    "describe_medians",
    "describe_nulls",
    "describe_rankings",
    "describe_ranks",
    "describe_reconciliation",
    "describe_shifts",
]

MOST = 6  # values that are named

Floats = npt.NDArray[np.float64]


def count(number: int, word: str) -> str:
    return f"{number:,} {plural(number, word)}"


def describe_medians(medians: Mapping[str, tuple[float, float | None, float]]) -> str:
    """Describe boxes: name → median of the window and of the nights before, highest score; risk points."""
    told = [
        f"{name} {now:g}, {'none' if before is None else f'{before:g}'} before, highest {highest:g}"
        for name, (now, before, highest) in medians.items()
    ]
    return f"Boxes of scores, this window above the nights before. Median risk points: {list_some(told, MOST)}"


def describe_drift(shown: str, panels: int, word: str, drift: pd.Series) -> str:
    """Describe panels of scores by how far they have moved; in: name → PSI or KS, as its name says."""
    compared = f"{shown}, this window against the nights before, {count(panels, word)}"
    if drift.empty:
        return f"{compared}. There is nothing before to compare with"
    return f"{compared}. Furthest moved: {drift.idxmax()}, {drift.name} {drift.max():.2f}"


def describe_coverage(nights: Sequence[NightCoverage]) -> str:
    """Describe the calendar by how many nights stand in each state, and which are not as they should be."""
    told = []
    for state in list_shown(nights):
        days = [str(night.shift_date) for night in nights if night.state is state]
        named = f" ({list_some(days, MOST, ', ')})" if days and state is not NightState.PUBLISHED else ""
        told += [f"{len(days)} {NIGHT_MARKS[state][1]}{named}"] if days else []
    first, last = nights[0].shift_date, nights[-1].shift_date
    return f"Calendar of {count(len(nights), 'night')}, {first} to {last}: {', '.join(told)}"


def describe_reconciliation(nights: pd.DataFrame) -> str:
    """Describe both sides by where they differ most; in: a row a night, ``source``, ``warehouse``."""
    source, gaps = nights["source"].to_numpy(int), (nights["warehouse"] - nights["source"]).to_numpy(int)
    sides = f"Events of {count(len(nights), 'night')}, {source.min():,} to {source.max():,} in the source"
    if not gaps.any():
        return f"{sides}, as many in the warehouse"
    worst = int(np.abs(gaps).argmax())
    differing = count(int(np.count_nonzero(gaps)), "night")
    return f"{sides}. The warehouse differs in {differing}, most in that of {nights.index[worst]}: {gaps[worst]:+,}"


def describe_nulls(departure: pd.DataFrame) -> str:
    """Describe NULL shares by what is furthest from its median; in: night × column, percentage points."""
    values = departure.to_numpy(float)
    row, column = np.unravel_index(np.abs(values).argmax(), values.shape)
    shown = f"{count(values.shape[1], 'column')}, {count(len(values), 'night')}"
    return (
        f"Share of NULLs less its median, {shown}. Furthest from it: {departure.columns[column]} in the night of "
        f"{departure.index[row]}, {values[row, column]:+.1f} percentage points"
    )


def describe_lags(arrived: pd.DataFrame) -> str:
    """Describe arrivals by the type that is latest; in: event type × class of lag, percent arrived by then."""
    first = arrived.iloc[:, 0]
    return (
        f"Share of events that have arrived by the time since they happened, {count(len(arrived), 'event type')}. "
        f"Least in the first class, {arrived.columns[0]}: {first.idxmin()}, {first.min():.1f} %"
    )


def describe_rankings(leaders: Mapping[float, tuple[object, float, str]], word: str) -> str:
    """Describe rankings by who leads; in: half-life (hours) → name, risk points, trend."""
    told = [
        f"{hours:g} h {name}, {count(round(risk), 'risk point')}, {trend}"
        for hours, (name, risk, trend) in leaders.items()
    ]
    return f"The first {word}s by the risk left. First at a half-life of {'; of '.join(told)}"


def describe_history(risks: pd.DataFrame, word: str) -> str:
    """Describe how risk came by who leads; in: name × instant, risk points, the leader first."""
    first, last = risks.fillna(0.0).to_numpy(float)[0, [0, -1]]
    return (
        f"Risk left of {count(len(risks), word)}, day by day, and how it will fade. "
        f"{risks.index[0]} leads: {count(round(first), 'risk point')} at first, {last:,.0f} at last"
    )


def describe_map(incidents: Floats, leader: tuple[object, float] | None, others: Mapping[str, int]) -> str:
    """Describe the map: incidents a night of each cell, the riskiest place and its points, how many of what else."""
    told = [f"Map of {count(len(incidents), 'cell')}, up to {incidents.max(initial=0.0):.1f} incidents a night in one"]
    told += [count(number, word) for word, number in others.items()]
    return "; ".join(
        [*told, f"most risk is left at {leader[0]}, {count(round(leader[1]), 'point')}"] if leader else told
    )


def describe_breakdown(sums: pd.DataFrame, name: str, word: str) -> str:
    """Describe a breakdown by who has most; in: ``points`` a night and ``share``, the most last, and its name."""
    most = sums.iloc[-1]
    return (
        f"Events, spread of scores and risk points a night of {count(len(sums), word)}. Most points: "
        f"{name}, {write_average(most['points'])} a night, {most['share']:.0%} of all"
    )


def describe_hours(middle: pd.Series, weekdays: pd.DataFrame, names: Sequence[str]) -> str:
    """Describe hours by the riskiest: of the median night, hour → points; in the mean of weekdays, weekday × hour."""
    means = np.nan_to_num(weekdays.to_numpy(float))
    day, hour = np.unravel_index(means.argmax(), means.shape)
    return (
        f"Risk points by hour of the night. The median night has most from {middle.idxmax():02d}:00, "
        f"{middle.max():,.0f} in the hour; of the week {names[day]} {weekdays.columns[hour]:02d}:00 has, "
        f"{means.max():,.0f} in the mean"
    )


def describe_loads(word: str, nights: int, names: Sequence[str], groups: Sequence[Floats]) -> str:
    """Describe loads by how many points their lightest and their heaviest band meets in the median."""
    light, heavy = (float(np.median(groups[place])) for place in (0, -1))
    return (
        f"How many events {word}s report in a night, {count(nights, 'night')}, and the risk points that they meet. "
        f"The median by events in the night: {names[0]}: {count(round(light), 'point')}, "
        f"{names[-1]}: {count(round(heavy), 'point')}"
    )


def describe_shifts(means: Mapping[str, tuple[float, float]]) -> str:
    """Describe score bands under two sets of weights by the mean scores; in: event type → before, after."""
    told = [f"{name} {before:,.1f} to {after:,.1f}" for name, (before, after) in means.items()]
    return f"Share of events in each score band under both sets of weights. The mean score: {list_some(told, MOST)}"


def describe_ranks(rankings: Mapping[str, pd.DataFrame]) -> str:
    """Describe rankings under two sets of weights by who leads, and how many change their rank."""
    told = []
    for title, ranks in rankings.items():
        first, moved = ranks.iloc[0], int((ranks["rank_before"] != ranks["rank_after"]).sum())
        points = f"{first['points_after']:,.0f} after {first['points_before']:,.0f}"
        told.append(f"{title}: {ranks.index[0]} leads with {points}, {moved} of {len(ranks)} change their rank")
    return f"Risk points a night under both sets of weights. {'; '.join(told)}"


def first_of(ranking: pd.DataFrame, dimensions: Dimensions) -> tuple[object, float] | None:
    """Give the first place of a ranking and its risk points."""
    return (ranking[dimensions.place].iloc[0], float(ranking["risk"].iloc[0])) if len(ranking) else None
