"""What the data-quality notebook shows: coverage, reconciliation, NULL shares and lags, night by night."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from sentinel_etl.errors import NothingThere
from sentinel_etl.ledger.nights import NIGHT_MARKS, NightCoverage, NightState, list_shown
from sentinel_etl.report.figure_style import (
    BEFORE,
    DEPARTURES,
    INK,
    MUTED,
    NIGHT_COLOURS,
    TONIGHT,
    WIDTH,
    draw_plain,
    finish_figure,
)
from sentinel_etl.report.pages import Page, lines_page, table_page, with_note
from sentinel_etl.report.words import describe_coverage, describe_lags, describe_nulls, describe_reconciliation
from sentinel_etl.wording import plural

__all__ = [
    "coverage_figure",
    "coverage_table",
    "forecast_table",
    "lag_figure",
    "lag_table",
    "nights_differing_table",
    "nulls_over_time_figure",
    "reconciliation_figure",
]

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def coverage_figure(nights: Sequence[NightCoverage]) -> Figure:
    """Draw a calendar: a row per week, a square per night, its day of the month and the letter of its state."""
    monday = nights[0].shift_date - timedelta(days=nights[0].shift_date.weekday())
    weeks = (nights[-1].shift_date - monday).days // 7 + 1
    figure, axis = draw_plain(7.2, 0.9 + 0.5 * weeks)
    for night in nights:
        week, weekday = divmod((night.shift_date - monday).days, 7)
        fill, ink = NIGHT_COLOURS[night.state]
        axis.add_patch(
            plt.Rectangle((weekday - 0.46, week - 0.43), 0.92, 0.86, facecolor=fill, edgecolor=ink, linewidth=0.6)
        )
        letter, _ = NIGHT_MARKS[night.state]
        axis.text(weekday, week, f"{night.shift_date.day}  {letter}", ha="center", va="center", color=ink)
    axis.set_xlim(-0.55, 6.55)
    axis.set_ylim(weeks - 0.45, -0.55)
    axis.set_xticks(range(7), WEEKDAYS)
    axis.set_yticks(range(weeks), [f"{monday + timedelta(weeks=week):%d %b %Y}" for week in range(weeks)])
    axis.set_ylabel("week from")
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    marked = {state: NIGHT_MARKS[state] for state in list_shown(nights)}
    handles = [
        Patch(facecolor=NIGHT_COLOURS[state][0], edgecolor=NIGHT_COLOURS[state][1], label=f"{mark}: {words}")
        for state, (mark, words) in marked.items()
    ]
    figure.legend(frameon=False, handles=handles, loc="outside lower center", ncols=len(handles))
    return finish_figure(figure, describe_coverage(nights))


def coverage_table(nights: Sequence[NightCoverage]) -> Page:
    """How many nights stand in each state, and which ones need someone."""
    rows = {}
    for state in list_shown(nights):
        words = NIGHT_MARKS[state][1]
        of_state = [night.shift_date for night in nights if night.state == state]
        named = ", ".join(map(str, of_state[-10:])) if state is not NightState.PUBLISHED else ""
        more = f"{len(of_state) - 10} earlier, " if len(of_state) > 10 and named else ""
        rows[words] = (len(of_state), more + named or "–")
    flagged = [words for words, (count, named) in rows.items() if count and named != "–"]
    return table_page(pd.DataFrame.from_dict(rows, orient="index", columns=["nights", "which"]), flagged)


def reconciliation_figure(counts: pd.DataFrame) -> Figure:
    """Draw each night's events in the source and in the warehouse, and below what the warehouse lacks.

    In: what `sentinel_etl.analyst.quality.compare_counts` returns.
    """
    if counts.empty:
        raise NothingThere("Source and warehouse: neither has an event in these nights")
    nights = counts.groupby("shift_date")[["source", "warehouse"]].sum()
    figure, axis = draw_plain(WIDTH, 3.4)
    positions = np.arange(len(nights))
    axis.bar(positions, nights["source"], width=0.8, color=BEFORE, alpha=0.35, label="source")
    axis.plot(positions, nights["warehouse"], "o", color=INK, markersize=5, label="warehouse")
    differing = nights["source"] != nights["warehouse"]
    for position in positions[differing.to_numpy()]:
        row = nights.iloc[position]
        text = f"{int(row['warehouse'] - row['source']):+,}"
        axis.annotate(
            text, (position, row.max()), xytext=(0, 6), textcoords="offset points", ha="center", color=TONIGHT
        )
    label_nights(axis, list(nights.index))
    axis.set_ylabel("events a night")
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_formatter("{x:,.0f}")
    axis.grid(axis="y")
    figure.legend(frameon=False, loc="outside upper left", ncols=2)
    return finish_figure(figure, describe_reconciliation(nights))


def nights_differing_table(counts: pd.DataFrame, most: int = 15) -> Page:
    """The nights and event types of which the two sides differ, the latest first."""
    rows = counts[counts["source"] != counts["warehouse"]].sort_values(
        ["shift_date", "event_type"], ascending=[False, True]
    )
    if rows.empty:
        nights = counts["shift_date"].nunique()
        return lines_page([f"{nights} {plural(nights, 'night')}: source and warehouse agree in each event type"])
    table = rows.assign(difference=rows["warehouse"] - rows["source"])[
        ["event_type", "source", "warehouse", "difference"]
    ]
    return table_page(table.set_axis(rows["shift_date"].astype("str"))[:most])


def nulls_over_time_figure(shares: pd.DataFrame) -> Figure:
    """Draw how each column's share of NULLs departs from its median: a row per column, a square per night.

    In: what `sentinel_etl.analyst.quality.measure_nulls` returns. Columns that are never NULL are left out;
    beside each name stands its median, because most columns belong to some event types only.
    """
    shares = 100 * shares.loc[:, shares.max() > 0]
    if shares.empty:
        raise NothingThere("Nothing is unknown: no value of these nights is NULL")
    usual = shares.median()
    departure = (shares - usual).T.to_numpy()
    most = max(5.0, float(np.abs(departure).max(initial=0)))
    figure, axis = draw_plain(WIDTH, 1.4 + 0.25 * max(shares.shape[1], 1))
    image = axis.imshow(departure, aspect="auto", vmin=-most, vmax=most, interpolation="nearest", cmap=DEPARTURES)
    axis.set_yticks(range(shares.shape[1]), [f"{name}  {usual[name]:.0f} %" for name in shares.columns])
    axis.tick_params(axis="y", length=0)
    label_nights(axis, list(shares.index))
    axis.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axis, pad=0.01, fraction=0.03)
    bar.set_label("share of NULLs less its median, percentage points")
    bar.outline.set_visible(False)
    return finish_figure(figure, describe_nulls(shares - usual))


def forecast_table(forecasts: pd.DataFrame, most: int = 14) -> Page:
    """Each night's forecast of the rows still to come beside what came, the latest first, and how often it held.

    In: what `sentinel_etl.analyst.quality.check_forecasts` returns.
    """
    latest = forecasts.iloc[::-1][:most]
    table = pd.DataFrame(
        {
            "rows at the run": latest["known"],
            "expected": [f"{value:,.0f}" for value in latest["expected"]],
            "95% interval": [f"{low:,} to {high:,}" for low, high in zip(latest["low"], latest["high"], strict=True)],
            "came": latest["came"],
            "within": ["yes" if within else "no" for within in latest["within"]],
        }
    ).set_axis(latest.index.astype("str"))
    held, count = int(forecasts["within"].sum()), len(forecasts)
    more = forecasts["came"].sum() - forecasts["expected"].sum()
    nights = f"{count} {plural(count, 'night')}"
    rows = f"{more:+,.0f} {plural(round(more), 'row')}"
    note = f"{held} of {nights} within the interval; in all {rows} beside those expected"
    flagged = [str(night) for night, within in latest["within"].items() if not within]
    return with_note(table_page(table, flagged, ["expected"]), note)


def lag_figure(lags: pd.DataFrame) -> Figure:
    """Draw which share of each type's events has arrived within each lag; in: `quality.measure_lags`."""
    wide = spread_lags(lags)
    arrived = 100 * wide.cumsum(axis=1).div(wide.sum(axis=1), axis=0)
    figure, axis = draw_plain(WIDTH, 3.6)
    for position, (name, row) in enumerate(arrived.iterrows()):
        style = ("-", "--", ":", "-.")[position // 6 % 4]
        axis.plot(range(len(row)), row.to_numpy(), linestyle=style, marker="o", markersize=4, label=str(name))
    axis.set_xticks(range(arrived.shape[1]), list(arrived.columns))
    axis.set_xlabel("time from the event to its arrival in the source")
    axis.set_ylabel("events arrived, %")
    axis.set_ylim(min(95.0, float(np.floor(arrived.to_numpy().min()))), 100.2)
    axis.grid(axis="y")
    figure.legend(frameon=False, loc="outside right upper")
    return finish_figure(figure, describe_lags(arrived))


def lag_table(lags: pd.DataFrame) -> Page:
    """Events per class of lag, and how many came after their night's 06:00, when the run had begun."""
    wide = spread_lags(lags)
    late = lags.groupby("event_type")["after_night"].first()
    table = wide.assign(**{"after 06:00": late}).astype("int64")
    total = table.sum().to_frame("total").T
    table = pd.concat([table, total])
    table["% after 06:00"] = 100 * table["after 06:00"] / wide.sum(axis=1).reindex(table.index).fillna(wide.sum().sum())
    return table_page(table.rename_axis(None))


def spread_lags(lags: pd.DataFrame) -> pd.DataFrame:
    """Spread the lags: a row per type, a column per class, in the classes' own order."""
    if lags.empty:
        raise NothingThere("How late events arrive: left out, no table that is read has a column received_at")
    if not lags["events"].sum():
        raise NothingThere("How late events arrive: the source has no event in these nights")
    order = list(dict.fromkeys(lags["lag"]))
    return lags.pivot_table(index="event_type", columns="lag", values="events", aggfunc="sum")[order].rename_axis(
        columns=None
    )


def label_nights(axis: plt.Axes, nights: Sequence[date]) -> None:
    """Name every seventh night below the axis, counted back from the last."""
    positions = list(range(len(nights) - 1, -1, -7))[::-1]
    axis.set_xticks(positions, [f"{nights[position]:%a %d %b}" for position in positions])
    axis.set_xlabel("night of", color=INK)
    axis.tick_params(axis="x", color=MUTED)
