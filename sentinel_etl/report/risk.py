"""Risk scores against the nights before: a table and figures."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sentinel_etl.gates import drift_table, shifted_types
from sentinel_etl.report.pages import Page, table_page
from sentinel_etl.report.style import BEFORE, TONIGHT, draw_panels, finish_figure, label_panels

__all__ = ["risk_ecdf_figure", "risk_histogram_figure", "risk_table"]

SCORE_BAND = 5.0  # width of a histogram's bar, risk points


def risk_table(scores: pd.DataFrame, before: pd.DataFrame) -> Page:
    """Scores per event type, this window against the nights before, and how far they have moved.

    In: `Measures.scores`, twice. PSI is the population stability index, KS the Kolmogorov–Smirnov
    statistic: see `sentinel_etl.gates`. Flagged are the types that the gate warns of.
    """
    now, past = summarise(scores), summarise(before)
    table = now.join(past["mean"].rename("mean before"), how="left")
    table["change"] = table["mean"] - table["mean before"]
    drift = drift_table(scores, before)
    table = table.join(drift[["PSI", "KS"]], how="left")
    return table_page(table, shifted_types(drift))


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    rows = {}
    for name, group in scores.groupby("event_type"):
        values = group.groupby("base_risk_score")["events"].sum()
        total = values.sum()
        rows[str(name)] = {
            "events": int(total),
            "mean": float((values.index * values).sum() / total),
            "p95": float(values.index[int(np.searchsorted(values.cumsum(), 0.95 * total))]),
            "highest": float(values.index.max()),
        }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["events", "mean", "p95", "highest"])


def risk_histogram_figure(scores: pd.DataFrame, before: pd.DataFrame) -> Figure:
    """Draw the share of events in each score band per event type, this window against the nights before."""
    figure, axes = grid_of_types(scores, before)
    edges = np.arange(0, highest_score(scores, before) + 2 * SCORE_BAND, SCORE_BAND)
    for name, axis in axes.items():
        for frame, colour, label, filled in (
            (before, BEFORE, "nights before", False),
            (scores, TONIGHT, "this window", True),
        ):
            group = frame[frame["event_type"] == name]
            if group.empty:
                continue
            shares, _ = np.histogram(group["base_risk_score"], edges, weights=group["events"])
            axis.stairs(100 * shares / shares.sum(), edges, fill=filled, color=colour, alpha=0.85, label=label, lw=1.5)
        axis.set_ylim(0, 105)
    label_panels(figure, axes, "score, risk points", "share of events, %")
    return finish_figure(figure)


def risk_ecdf_figure(scores: pd.DataFrame, before: pd.DataFrame) -> Figure:
    """Draw the cumulative share of events up to each score per event type, against the nights before."""
    figure, axes = grid_of_types(scores, before)
    end = highest_score(scores, before) * 1.05
    for name, axis in axes.items():
        for frame, colour, label in ((before, BEFORE, "nights before"), (scores, TONIGHT, "this window")):
            values = frame[frame["event_type"] == name].groupby("base_risk_score")["events"].sum()
            if values.empty:
                continue
            steps = 100 * values.cumsum() / values.sum()
            axis.step([0, *values.index, end], [0, *steps, 100], where="post", color=colour, label=label, lw=1.8)
        axis.set_ylim(0, 105)
    label_panels(figure, axes, "score, risk points", "events up to it, %")
    return finish_figure(figure)


def highest_score(scores: pd.DataFrame, before: pd.DataFrame) -> float:
    """Give the highest score of both frames, and at least 10, so that axes have a length."""
    return float(max([10.0, *scores["base_risk_score"], *before["base_risk_score"]]))


def grid_of_types(scores: pd.DataFrame, before: pd.DataFrame) -> tuple[Figure, dict[str, Axes]]:
    """Lay out one small panel for each event type that has more than one score."""
    variety = pd.concat([scores, before]).groupby("event_type")["base_risk_score"].nunique()
    return draw_panels([str(name) for name in variety[variety > 1].index], sharex=True, sharey=True)
