"""Risk scores against the nights before, by event type or by station: a table and figures.

``by`` is a column of `Measures.scores`.
A station may be anything, of which there may be thousands: shown are those with the most events.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from sentinel_etl.audit.drift import drift_table
from sentinel_etl.audit.history_gates import RISK_GATES, shifted
from sentinel_etl.config.dimensions import CITY, Dimensions
from sentinel_etl.errors import NothingThere
from sentinel_etl.report.figure_style import (
    BEFORE,
    INK,
    TONIGHT,
    WIDTH,
    draw_plain,
    finish_figure,
)
from sentinel_etl.report.pages import Page, table_page, with_note
from sentinel_etl.report.panels import draw_panels, label_panels
from sentinel_etl.report.sections import needs
from sentinel_etl.report.words import describe_drift, describe_medians

__all__ = ["risk_box_figure", "risk_ecdf_figure", "risk_histogram_figure", "risk_table"]

NOW, PAST = "this window", "nights before"
SCORE_BAND = 5.0  # width of a histogram's bar, risk points
MOST_ROWS, MOST_PANELS = 40, 24  # of stations and types, those with the most events: a page of each


@needs("base_risk_score")
def risk_table(scores: pd.DataFrame, before: pd.DataFrame, by: str = "event_type") -> Page:
    """Scores per event type (or station), this window against the nights before, and how far they have moved.

    In: `Measures.scores`, twice. PSI is the population stability index, KS the Kolmogorov–Smirnov
    statistic: see `sentinel_etl.drift`. Flagged are the rows that the gate warns of.
    """
    some = busiest(scores, by, MOST_ROWS)
    now, past = summarise(scores[scores[by].isin(some)], by), summarise(before[before[by].isin(some)], by)
    table = now.join(past["mean"].rename("mean before"), how="left")
    table["change"] = table["mean"] - table["mean before"]
    drift = drift_table(scores[scores[by].isin(some)], before, by)
    table = table.join(drift[["PSI", "KS"]], how="left")
    gate = RISK_GATES["event_type" if by == "event_type" else "station"]
    page, rest = table_page(table, shifted(drift, gate)), scores[by].nunique() - len(some)
    return with_note(page, f"and {rest:,} more, with fewer events" if rest else "")


def busiest(scores: pd.DataFrame, by: str, most: int) -> list[object]:
    """Pick the values that the most events have, ties in order of the value."""
    events = scores.groupby(by)["events"].sum()
    return list(events.iloc[np.argsort(-events.to_numpy(float), kind="stable")].index[:most])


def summarise(scores: pd.DataFrame, by: str) -> pd.DataFrame:
    rows = {}
    for name, group in scores.groupby(by):
        values = group.groupby("base_risk_score")["events"].sum()
        total = values.sum()
        rows[str(name)] = {
            "events": int(total),
            "mean": float((values.index * values).sum() / total),
            "p95": quantile(values, 0.95),
            "highest": float(values.index.max()),
        }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["events", "mean", "p95", "highest"])


def quantile(values: pd.Series, share: float) -> float:
    """Give the least score that the share of the events does not exceed; in: score → events."""
    return float(values.index[int(np.searchsorted(values.cumsum(), share * values.sum()))])


@needs("base_risk_score")
def risk_histogram_figure(
    scores: pd.DataFrame, before: pd.DataFrame, by: str = "event_type", dimensions: Dimensions = CITY
) -> Figure:
    """Draw the share of events in each score band, this window against the nights before."""
    figure, panels = draw_grid(scores, before, by, dimensions)
    edges = np.arange(0, highest_score(scores, before) + 2 * SCORE_BAND, SCORE_BAND)
    for label, colour, groups in sides_of(scores, before, by):
        for name in panels.keys() & groups.keys():
            shares, _ = np.histogram(groups[name].index, edges, weights=groups[name])
            panels[name].stairs(
                100 * shares / shares.sum(), edges, fill=label == NOW, color=colour, alpha=0.85, label=label, lw=1.5
            )
    for panel in panels.values():
        panel.set_xlim(0, 1.02 * edges[-1])
        if by != "event_type":  # where most events are of types without risk, and the tail is what matters
            panel.set_yscale("log")
            panel.set_ylim(0.03, 150)
            panel.yaxis.set_major_formatter("{x:g}")
        else:
            panel.set_ylim(0, 105)
    label_panels(figure, panels, "score, risk points", "share of events, %")
    drift = drift_of(scores, before, by, list(panels), dimensions)["PSI"]
    shown = f"Share of events in each band of {SCORE_BAND:g} risk points"
    return finish_figure(figure, describe_drift(shown, len(panels), dimensions.word(by), drift))


@needs("base_risk_score")
def risk_ecdf_figure(
    scores: pd.DataFrame, before: pd.DataFrame, by: str = "event_type", dimensions: Dimensions = CITY
) -> Figure:
    """Draw the cumulative share of events up to each score, this window against the nights before."""
    figure, panels = draw_grid(scores, before, by, dimensions)
    end = highest_score(scores, before) * 1.05
    for label, colour, groups in sides_of(scores, before, by):
        for name in panels.keys() & groups.keys():
            values = groups[name]
            steps = 100 * values.cumsum() / values.sum()
            panels[name].step(
                [0, *values.index, end], [0, *steps, 100], where="post", color=colour, label=label, lw=1.8
            )
    for panel in panels.values():
        panel.set_xlim(0, end)
        panel.set_ylim(0, 105)
    label_panels(figure, panels, "score, risk points", "events up to it, %")
    drift = drift_of(scores, before, by, list(panels), dimensions)["KS"]
    shown = "Share of events up to each score"
    return finish_figure(figure, describe_drift(shown, len(panels), dimensions.word(by), drift))


@needs("base_risk_score")
def risk_box_figure(
    scores: pd.DataFrame, before: pd.DataFrame, by: str = "event_type", dimensions: Dimensions = CITY
) -> Figure:
    """Draw a box for this window above one for the nights before: quartiles, 5 to 95 %, and the highest score."""
    names = varied(scores, before, by)
    figure, axis = draw_plain(WIDTH, 1.1 + 0.45 * len(names))
    for (_, colour, groups), shift in zip(sides_of(scores, before, by), (0.19, -0.19), strict=True):
        some = [(place + shift, groups[name]) for place, name in enumerate(names) if name in groups]
        axis.bxp(
            [box_of(values) for _, values in some],
            positions=[place for place, _ in some],
            widths=0.32,
            orientation="horizontal",
            patch_artist=True,
            manage_ticks=False,
            boxprops={"facecolor": colour, "edgecolor": INK, "alpha": 0.85, "linewidth": 0.8},
            medianprops={"color": "white", "linewidth": 2},
            whiskerprops={"color": INK, "linewidth": 0.8},
            capprops={"color": INK, "linewidth": 0.8},
            flierprops={"marker": ".", "markersize": 5, "markerfacecolor": colour, "markeredgecolor": colour},
        )
    axis.set_yticks(range(len(names)), [name_value(by, name, dimensions) for name in names])
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_xlabel("score, risk points; box: quartiles, line: median, whiskers: 5 % to 95 %, dot: highest")
    axis.grid(axis="x")
    handles = [Patch(facecolor=TONIGHT, label=NOW), Patch(facecolor=BEFORE, label=PAST)]
    figure.legend(frameon=False, handles=handles, loc="outside upper left", ncols=2)
    return finish_figure(figure, describe_medians(medians_of(scores, before, by, names, dimensions)))


def box_of(values: pd.Series) -> dict[str, object]:
    """Give what `Axes.bxp` draws of score → events."""
    names = {"whislo": 0.05, "q1": 0.25, "med": 0.5, "q3": 0.75, "whishi": 0.95}
    return {**{name: quantile(values, share) for name, share in names.items()}, "fliers": [float(values.index.max())]}


def sides_of(scores: pd.DataFrame, before: pd.DataFrame, by: str) -> list[tuple[str, str, dict[str, pd.Series]]]:
    """Give label and colour of the nights before and of this window, and for each value of ``by`` score → events."""
    sides = ((PAST, BEFORE, before), (NOW, TONIGHT, scores))
    return [(label, colour, scores_by(frame, by)) for label, colour, frame in sides]


def scores_by(frame: pd.DataFrame, by: str) -> dict[str, pd.Series]:
    sums = frame.groupby([frame[by].astype("str"), "base_risk_score"])["events"].sum()
    return {str(name): group.droplevel(0) for name, group in sums.groupby(level=0)}


def medians_of(
    scores: pd.DataFrame, before: pd.DataFrame, by: str, names: list[str], dimensions: Dimensions
) -> dict[str, tuple[float, float | None, float]]:
    """Give name → median score of this window and of the nights before, and the highest; risk points."""
    (_, _, past), (_, _, now) = sides_of(scores, before, by)
    return {
        name_value(by, name, dimensions): (
            quantile(now[name], 0.5),
            quantile(past[name], 0.5) if name in past else None,
            float(now[name].index.max()),
        )
        for name in names
        if name in now
    }


def drift_of(
    scores: pd.DataFrame, before: pd.DataFrame, by: str, names: list[str], dimensions: Dimensions
) -> pd.DataFrame:
    """Give PSI and KS of the names that are drawn."""
    drift = drift_table(scores[scores[by].astype("str").isin(names)], before, by)
    return drift.rename(index=lambda name: name_value(by, str(name), dimensions))


def highest_score(scores: pd.DataFrame, before: pd.DataFrame) -> float:
    """Give the highest score of both frames, and at least 10, so that axes have a length."""
    return float(max([10.0, *scores["base_risk_score"], *before["base_risk_score"]]))


def varied(scores: pd.DataFrame, before: pd.DataFrame, by: str) -> list[str]:
    """List the event types or stations that have more than one score, those with the most events of them.

    The others have no shape to draw.

    Raises:
        NothingThere: none has.
    """
    both = pd.concat([scores, before])
    variety = both.groupby(by)["base_risk_score"].nunique()
    names = variety[variety > 1].index
    if names.empty:
        raise NothingThere("Figures of the scores: left out, no group of events has more than one score")
    some = set(busiest(both[both[by].isin(names)], by, MOST_PANELS))
    return [str(name) for name in names if name in some]


def draw_grid(
    scores: pd.DataFrame, before: pd.DataFrame, by: str, dimensions: Dimensions
) -> tuple[Figure, dict[str, Axes]]:
    names = varied(scores, before, by)
    figure, panels = draw_panels(names, columns=3 if by == "event_type" else 4, height=2.2)
    for name, panel in panels.items():
        panel.set_title(name_value(by, name, dimensions), loc="left", y=1.0, fontsize="medium")
    return figure, panels


def name_value(by: str, name: str, dimensions: Dimensions) -> str:
    """Write a number with what it is the number of: ``station 3``; a name stands for itself."""
    return f"{dimensions.word(by)} {name}" if name.lstrip("-").isdecimal() else name
