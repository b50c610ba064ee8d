"""What other weights would move: which events, which places, and how the scores shift.

Scores come in as `sentinel_etl.transform.what_if.compare_scores` gives them: rows of ``events`` that agree in
what they are, with ``score_before`` and ``score_after`` (risk points).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sentinel_etl.config.dimensions import CITY, Dimensions
from sentinel_etl.config.risk_weights import RiskWeights
from sentinel_etl.errors import NothingThere
from sentinel_etl.report.figure_style import (
    BEFORE,
    INK,
    MUTED,
    TONIGHT,
    WIDTH,
    draw_axes,
    finish_figure,
    house_style,
)
from sentinel_etl.report.pages import Page, lines_page, name_key, short_name, table_page
from sentinel_etl.report.panels import draw_panels, label_panels, name_axes
from sentinel_etl.report.sections import needs
from sentinel_etl.report.words import describe_ranks, describe_shifts
from sentinel_etl.transform.what_if import changed_weights, has_value
from sentinel_etl.wording import plural

__all__ = [
    "changed_events_table",
    "effect_page",
    "rank_by_points",
    "rank_figure",
    "rank_table",
    "ranks_figure",
    "score_shift_figure",
    "weights_table",
]

BEFORE_LABEL, AFTER_LABEL = "weights of today", "changed weights"
SCORE_BAND = 5.0  # width of a bar, risk points


def effect_page(compared: pd.DataFrame, nights: int) -> Page:
    """Say in two lines how many events would change, and what that does to the points of a night.

    A third line counts the events whose score in the warehouse, ``base_risk_score``, is not what the
    weights of today make: they were loaded under other ones.
    """
    events, before, after, stored = (
        compared[name].to_numpy(float) for name in ("events", "score_before", "score_after", "base_risk_score")
    )
    moved = float(events[before != after].sum())
    points = [float(np.sum(events * scores)) / nights for scores in (before, after)]
    change = f" ({points[1] / points[0] - 1:+.1%})" if points[0] else ""
    lines = [
        f"{moved:,.0f} of {events.sum():,.0f} {plural(events.sum(), 'event')} would have another score "
        f"({moved / max(events.sum(), 1):.1%})",
        f"{points[0]:,.0f} → {points[1]:,.0f} risk {plural(round(points[1]), 'point')} a night{change}",
    ]
    if stale := float(events[~np.isclose(before, stored)].sum()):
        # Our own words: their apostrophe stays one in HTML.
        words = Markup("{:,.0f} {} loaded under other weights: today's make another score of {}")
        lines.append(words.format(stale, plural(stale, "event was", "events were"), plural(stale, "it", "them")))
    return lines_page(lines, large=True)


def weights_table(
    compared: pd.DataFrame,
    before: RiskWeights,
    after: RiskWeights,
    nights: int,
) -> Page:
    """Rows per changed weight: before, after, the events that have the value, and the points that it moves.

    Flagged are values that no event has: most often a slip of the pen.
    """
    table = changed_weights(before, after)
    events = compared["events"].to_numpy(float)
    counts = [
        float(events[has_value(compared, column, value).to_numpy(bool, na_value=False)].sum())
        for column, value in zip(table["column"], table["value"], strict=True)
    ]
    shown = pd.DataFrame(
        {
            "before": table["before"],
            "after": table["after"],
            "events that have it": np.array(counts, int),
            "points a night": ((table["after"] - table["before"]) * counts / nights).round(2),
        }
    )
    shown.index = [f"{column} = {value}" for column, value in zip(table["column"], table["value"], strict=True)]
    return table_page(shown, shown.index[shown["events that have it"] == 0])


def changed_events_table(compared: pd.DataFrame, most: int = 10) -> Page:
    """Rows per kind of event whose score changes, the most points first: from, to, how many, and one of them."""
    moved = compared[compared["score_before"] != compared["score_after"]]
    kinds = (
        moved.astype({"events": "int64"})
        .groupby(["event_type", "score_before", "score_after"], as_index=False)
        .agg(events=("events", "sum"), example=("example", "min"))
    )
    kinds["points"] = (kinds["score_after"] - kinds["score_before"]) * kinds["events"]
    kinds = kinds.iloc[np.argsort(-kinds["points"].abs().to_numpy(float), kind="stable")].head(most)
    table = kinds[["score_before", "score_after", "events", "points", "example"]].rename(
        columns={
            "score_before": "score",
            "score_after": "would be",
            "points": "points in all",
            "example": "one of them",
        }
    )
    table.index = kinds["event_type"].to_list()
    return table_page(table)


def score_shift_figure(compared: pd.DataFrame) -> Figure:
    """Draw the share of events in each score band, by both sets of weights, for the types that change.

    Raises:
        NothingThere: no event changes.
    """
    moved = compared.loc[compared["score_before"] != compared["score_after"], "event_type"]
    names = sorted(set(map(str, moved)))
    if not names:
        raise NothingThere("How the scores shift: left out, no event would have another score")
    highest = max([10.0, *compared["score_before"], *compared["score_after"]])
    edges = np.arange(0, highest + 2 * SCORE_BAND, SCORE_BAND)
    figure, panels = draw_panels(names, columns=max(1, min(3, len(names))), height=2.8)
    for name, panel in panels.items():
        group = compared[(compared["event_type"] == name).to_numpy(bool)]
        for column, colour, label, filled in (
            ("score_before", BEFORE, BEFORE_LABEL, True),
            ("score_after", TONIGHT, AFTER_LABEL, False),
        ):
            counts, _ = np.histogram(group[column], edges, weights=group["events"].to_numpy(float))
            alpha = 0.35 if filled else 1.0
            panel.stairs(100 * counts / counts.sum(), edges, fill=filled, color=colour, alpha=alpha, label=label, lw=2)
        panel.set_xlim(0, 1.02 * edges[-1])
        panel.set_ylim(bottom=0)
    label_panels(figure, panels, "score, risk points", "share of events, %")
    means = {name: mean_scores(compared, name) for name in names}
    return finish_figure(figure, describe_shifts(means))


def mean_scores(compared: pd.DataFrame, event_type: str) -> tuple[float, float]:
    """Give the mean score of an event type before and after, risk points."""
    group = compared[(compared["event_type"] == event_type).to_numpy(bool)]
    events = group["events"].to_numpy(float)
    before, after = (group[name].to_numpy(float) for name in ("score_before", "score_after"))
    return float(np.average(before, weights=events)), float(np.average(after, weights=events))


def rank_by_points(compared: pd.DataFrame, by: str, nights: int) -> pd.DataFrame:
    """Rank the values of ``by`` by their risk points a night, under both sets of weights.

    Out, in the order of the rank after; ties stand in order of the value: ``by`` as index;
    ``points_before``, ``points_after``; ``rank_before``, ``rank_after`` (int64, from 1).
    """
    events = compared["events"].to_numpy(float) / nights
    sums = (
        pd.DataFrame(
            {
                by: compared[by].to_numpy(object),
                "points_before": compared["score_before"].to_numpy(float) * events,
                "points_after": compared["score_after"].to_numpy(float) * events,
            }
        )
        .groupby(by, sort=True)  # without those that are in none
        .sum()
        .round(9)  # sums of the same numbers in another order are ties, too
    )
    for side in ("before", "after"):
        sums[f"rank_{side}"] = sums[f"points_{side}"].rank(ascending=False, method="first").astype("int64")
    return sums.sort_values("rank_after")


def describe_move(before: int, after: int) -> str:
    """Write a change of rank: ``▲ 2`` is two places up."""
    return "=" if before == after else f"{'▲' if after < before else '▼'} {abs(before - after)}"


def rank_table(ranks: pd.DataFrame, most: int = 8, dimensions: Dimensions = CITY) -> Page:
    """Rows that move furthest in the ranking, then those with the most points: rank and points of both."""
    distance = (ranks["rank_before"] - ranks["rank_after"]).abs()
    order = np.lexsort((ranks["rank_after"], -distance))[:most]
    some = ranks.iloc[order]
    pairs = zip(some["rank_before"], some["rank_after"], strict=True)
    table = pd.DataFrame(
        {
            "rank": [f"{before} → {after}" for before, after in pairs],
            "move": [describe_move(*pair) for pair in zip(some["rank_before"], some["rank_after"], strict=True)],
            "points a night": some["points_before"].round(2),
            "would be": some["points_after"].round(2),
        }
    )
    table.index = [name_key(str(ranks.index.name), key, dimensions) for key in some.index]
    return table_page(table)


def rank_figure(rankings: Mapping[str, pd.DataFrame], most: int = 15) -> Figure:
    """Draw one panel for each ranking: points a night before and after, and the move in rank."""
    rows = max(min(most, len(ranks)) for ranks in rankings.values())
    with house_style():
        figure, axes = draw_axes(
            1, len(rankings), figsize=(WIDTH, 1.1 + 0.27 * rows), squeeze=False, gridspec_kw={"wspace": 0.05}
        )
        panels = dict(zip(rankings, axes.flat, strict=True))
        for title, panel in panels.items():
            draw_ranks(panel, rankings[title].head(most), rows)
            panel.set_title(title, loc="left")
    name_axes(figure, panels, "risk points a night", "")
    return finish_figure(figure, describe_ranks(rankings))


@needs("base_risk_score", optional=("stations", "places"))
def ranks_figure(stations: pd.DataFrame | None, places: pd.DataFrame | None, dimensions: Dimensions = CITY) -> Figure:
    """Draw `rank_figure` of the stations and of the places, of those that there are.

    Raises:
        NothingThere: there are neither.
    """
    pairs = ((dimensions.station, stations), (dimensions.place, places))
    rankings = {f"{dimensions.word(name)}s": ranks for name, ranks in pairs if ranks is not None and len(ranks)}
    if not rankings:
        raise NothingThere("Which stations and places: left out, no event names one")
    return rank_figure(rankings)


def draw_ranks(axis: Axes, ranks: pd.DataFrame, rows: int) -> None:
    y = np.arange(len(ranks))
    axis.hlines(y, ranks["points_before"], ranks["points_after"], color=MUTED, lw=1.5, zorder=1)
    axis.plot(ranks["points_before"], y, "o", color="white", mec=BEFORE, mew=2, ms=7, label=BEFORE_LABEL)
    axis.plot(ranks["points_after"], y, "o", color=TONIGHT, ms=7, label=AFTER_LABEL)
    axis.set(yticks=y, yticklabels=[f"{n + 1}.  {short_name(key)}" for n, key in enumerate(ranks.index)])
    axis.set_ylim(rows - 0.4, -0.6)
    axis.set_xlim(0, 1.12 * max([1.0, *ranks["points_before"], *ranks["points_after"]]))
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x")
    for row, (before, after) in enumerate(zip(ranks["rank_before"], ranks["rank_after"], strict=True)):
        move = describe_move(before, after)
        colour = MUTED if move == "=" else INK
        axis.text(
            1.0, row, move, transform=axis.get_yaxis_transform(), va="center", ha="right", fontsize=9, color=colour
        )
