"""What the nightly notebook shows: small functions that return a figure or a short table.

Tables hold no personal data: names, documents, plates and free text stay in the warehouse.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from html import escape
from zoneinfo import ZoneInfo

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sentinel_etl.gates import drift_table, shifted_types
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.result import RunResult
from sentinel_etl.source import compile_sql
from sentinel_etl.window import Window

__all__ = [
    "Page",
    "audit_table",
    "counts_table",
    "nulls_table",
    "plan_page",
    "preview_table",
    "reconciliation_table",
    "risk_ecdf_figure",
    "risk_histogram_figure",
    "risk_table",
    "table_page",
    "timings_table",
    "verdict_page",
]

# What a preview may show of a row: who, when, where and how risky, but nothing that a person said,
# and nothing about a person who is not an officer.
PREVIEW_COLUMNS = (
    "event_id",
    "event_timestamp",
    "station_id",
    "hotspot_id",
    "latitude",
    "longitude",
    "base_risk_score",
    "risk_reasons",
)

# Okabe and Ito's colours, distinct to the colour-blind (https://jfly.uni-koeln.de/color/).
TONIGHT = "#D55E00"
BEFORE = "#0072B2"
VERDICT_COLOURS = {"PUBLISHED": "#00695C", "PUBLISHED WITH WARNINGS": "#8A5A00", "DRY RUN": "#0B5394"}
FAILED = "#B00020"


SCORE_BAND = 5.0  # width of a histogram's bar, risk points

CELL = "padding:.25em .8em;border-bottom:1px solid #e0e0e0;"
WARNED_ROW = "background:#FDECEA;"


class Page:
    """A piece of a report: HTML where it can be shown, plain text elsewhere."""

    def __init__(self, html: str, text: str) -> None:
        self.html = html
        self.text = text

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


def table_page(frame: pd.DataFrame, flagged: Collection[object] = ()) -> Page:
    """Show a frame: text on the left, numbers on the right with thousands apart, flagged rows tinted."""
    numeric = [pd.api.types.is_numeric_dtype(frame[name]) for name in frame.columns]
    head = "".join(
        f'<th style="{CELL}text-align:{"right" if number else "left"}">{escape(str(name))}</th>'
        for name, number in zip(frame.columns, numeric, strict=True)
    )
    rows = []
    for label, values in zip(frame.index, frame.itertuples(index=False, name=None), strict=True):
        cells = "".join(
            f'<td style="{CELL}text-align:{"right" if number else "left"}">{escape(show_value(value))}</td>'
            for value, number in zip(values, numeric, strict=True)
        )
        tint = WARNED_ROW if label in flagged else ""
        name = f'<th style="{CELL}text-align:left;font-weight:600">{escape(str(label))}</th>'
        rows.append(f'<tr style="{tint}">{name}{cells}</tr>')
    html = (
        '<table style="border-collapse:collapse;color:#1a1a1a;font-variant-numeric:tabular-nums">'
        f'<thead><tr><th style="{CELL}"></th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )
    return Page(html, frame.to_string())


def show_value(value: object) -> str:
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return "–"
    if isinstance(value, bool | np.bool_ | str):
        return str(value)
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    return f"{value:,.2f}" if isinstance(value, float | np.floating) else str(value)


def verdict_page(result: RunResult, zone: ZoneInfo) -> Page:
    """Show the verdict, failed checks, the window, how many events, and the command that does it again."""
    events = int(result.counts["published"].sum())
    colour = VERDICT_COLOURS.get(result.verdict, FAILED)
    failed = sorted((c for c in result.checks if not c.passed), key=lambda c: c.severity != "block")
    lines = [
        *(f"{c.severity}: {c.name}: expected {c.expected}, observed {c.observed}" for c in failed),
        f"{result.window.local(zone)}  ({result.window})",
        f"{int(result.counts['source'].sum()):,} events in the source, {events:,} in the warehouse"
        f" · {result.how or 'nothing published'}",
        f"run {result.run_id} · version {result.code_version} · configuration {result.config_hash}",
        f"again: {rerun_command(result, zone)}",
    ]
    body = "".join(f"<div>{escape(line)}</div>" for line in lines)
    html = (
        f'<div style="border-left:8px solid {colour};padding:.4em 1em;color:#1a1a1a">'
        f'<div style="font-size:1.6em;font-weight:700;color:{colour}">{escape(result.verdict)}</div>{body}</div>'
    )
    return Page(html, "\n".join([result.verdict, *lines]))


def rerun_command(result: RunResult, zone: ZoneInfo) -> str:
    """Write the command that does this run again: the same window and event types."""
    window = result.window
    hours = 24.0 * len(window.shift_dates(zone))
    if Window.ending(window.end, hours, zone) != window:
        hours = (window.end - window.start).total_seconds() / 3600
    parts = ["sentinel-etl run", f"--window-end {window.end.astimezone(zone).isoformat()}"]
    parts += [f"--window-hours {hours:g}"] if hours != 24 else []
    if result.limited:
        parts += [f"--event-type {name}" for name in result.counts["event_type"]]
    return " ".join(parts)


def plan_page(pipeline: Pipeline, window: Window, event_types: list[str] | None = None) -> Page:
    """Show the statement of each event type, folded, as PostgreSQL will get it."""
    statements = {
        name: compile_sql(kind.select(window)) for name, kind in pipeline.select_event_types(event_types).items()
    }
    html = "".join(
        f"<details><summary>{escape(name)}</summary><pre style='white-space:pre-wrap'>{escape(sql)}</pre></details>"
        for name, sql in statements.items()
    )
    return Page(html, "\n\n".join(f"-- {name}\n{sql}" for name, sql in statements.items()))


def counts_table(result: RunResult) -> Page:
    """Rows per event type: source, staged, published; a week before, the usual night, and the change.

    ``median`` is that of the nights before; ``change`` is this window over it.
    """
    table = result.counts.set_index("event_type")[["source", "staged", "published"]].rename_axis(None)
    differing = table.index[(table["source"] != table["staged"]) | (table["source"] != table["published"])]
    table = pd.concat([table, table.sum().to_frame("total").T])
    past = nights_before(result.before.counts, list(result.counts["event_type"]))
    if len(past):
        week_ago = result.window.shift_dates(result.zone)[0] - timedelta(days=7)
        table["a week before"] = past.loc[week_ago].astype("Int64") if week_ago in past.index else pd.NA
        table["median"] = past.median().round().astype("Int64")
        change = table["source"] / past.median() - 1
        table["change"] = [f"{share:+.0%}" if np.isfinite(share) else "–" for share in change]
    return table_page(table, differing)


def nights_before(counts: pd.DataFrame, event_types: list[str]) -> pd.DataFrame:
    """Spread counts over nights (rows) and event types (columns), with a total."""
    plain = counts.assign(shift_date=[pd.Timestamp(d).date() for d in counts["shift_date"]])
    wide = plain.pivot_table(index="shift_date", columns="event_type", values="events", aggfunc="sum", fill_value=0)
    wide = wide.reindex(columns=event_types, fill_value=0).astype("float64")
    return wide.assign(total=wide.sum(axis=1))


def nulls_table(result: RunResult, most: int = 5) -> Page:
    """The columns whose share of NULLs has changed most against the nights before, over all events."""
    now = result.tonight.nulls.set_index("column")["share"]
    past = result.before.nulls.set_index("column")["share"].reindex(now.index)
    change = (now - past).abs().sort_values(ascending=False, kind="stable")
    rows = {
        name: (f"{now[name]:.1%}", f"{past[name]:.1%}", f"{now[name] - past[name]:+.1%}")
        for name in change.index[:most]
    }
    return table_page(pd.DataFrame.from_dict(rows, orient="index", columns=["NULL", "before", "change"]))


def reconciliation_table(result: RunResult) -> Page:
    """Source against warehouse after the run: rows that arrived during it, and the difference left."""
    counts = result.counts.set_index("event_type").rename_axis(None)
    table = pd.DataFrame(
        {
            "in snapshot": counts["source"],
            "source now": counts["source_now"],
            "warehouse": counts["published"],
            "arrived since": counts["source_now"] - counts["source"],
            "warehouse − snapshot": counts["published"] - counts["source"],
        }
    )
    return table_page(table, table.index[(table["arrived since"] != 0) | (table["warehouse − snapshot"] != 0)])


def audit_table(result: RunResult) -> Page:
    """The audit's checks, failures first: result, severity, expected, observed."""
    checks = sorted(result.checks, key=lambda c: (c.passed, c.severity != "block"))
    table = pd.DataFrame(
        [("ok" if c.passed else "FAILED", c.severity, c.expected, c.observed) for c in checks],
        index=[c.name for c in checks],
        columns=["result", "severity", "expected", "observed"],
    )
    return table_page(table, [c.name for c in checks if not c.passed])


def preview_table(result: RunResult, zone: ZoneInfo) -> Page:
    """The earliest event of each type, on the city's clocks, without personal data."""
    rows = result.preview
    table = rows[[name for name in PREVIEW_COLUMNS if name in rows.columns]].copy()
    table["event_timestamp"] = pd.to_datetime(rows["event_timestamp"], utc=True).dt.tz_convert(zone.key)
    table["event_timestamp"] = table["event_timestamp"].dt.strftime("%d %b %H:%M:%S")
    for name in table.columns.intersection(["station_id", "hotspot_id"]):
        table[name] = table[name].astype("Int64").astype("string")
    for name in table.columns.intersection(["latitude", "longitude"]):
        table[name] = table[name].astype("Float64").round(4).astype("string")
    if "risk_reasons" in table.columns:
        table["risk_reasons"] = table["risk_reasons"].map(lambda reasons: "; ".join(reasons) or "none")
    table.index = pd.Index(table.pop("event_id"), name=None)
    return table_page(table)


def timings_table(result: RunResult) -> Page:
    """Seconds busy per phase; extract, transform and load overlap within the total."""
    return table_page(pd.DataFrame({"seconds": pd.Series(dict(result.timings))}))


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
    label_grid(figure, axes, "score, risk points", "share of events, %")
    return figure


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
    label_grid(figure, axes, "score, risk points", "events up to it, %")
    return figure


def highest_score(scores: pd.DataFrame, before: pd.DataFrame) -> float:
    """Give the highest score of both frames, and at least 10, so that axes have a length."""
    return float(max([10.0, *scores["base_risk_score"], *before["base_risk_score"]]))


def grid_of_types(scores: pd.DataFrame, before: pd.DataFrame) -> tuple[Figure, dict[str, Axes]]:
    """Lay out one small panel for each event type that has more than one score."""
    variety = pd.concat([scores, before]).groupby("event_type")["base_risk_score"].nunique()
    names = [str(name) for name in variety[variety > 1].index]
    columns = 3
    rows = max(1, -(-len(names) // columns))
    figure, grid = plt.subplots(
        rows, columns, figsize=(10.5, 2.6 * rows), sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    panels = list(grid.flat)
    for spare in panels[len(names) :]:
        spare.set_visible(False)
    return figure, dict(zip(names, panels, strict=False))


def label_grid(figure: Figure, axes: dict[str, Axes], across: str, up: str) -> None:
    for name, axis in axes.items():
        axis.set_title(name, fontsize=10, loc="left")
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelbottom=True)
    figure.supxlabel(across, fontsize=10)
    figure.supylabel(up, fontsize=10)
    handles = {label: h for axis in axes.values() for h, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    if handles:
        figure.legend(handles.values(), handles.keys(), loc="outside upper right", ncols=2, frameon=False, fontsize=9)
    plt.close(figure)  # a notebook shows the cell's result, and would show an open figure once more
