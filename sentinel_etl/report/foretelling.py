"""How good the ranking of places has been. Frames come in as `sentinel_etl.analyst.ranking` makes them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from sentinel_etl.config.dimensions import CITY, Dimensions
from sentinel_etl.errors import NothingThere
from sentinel_etl.report.figure_style import INK, MUTED, PALETTE, WIDTH, draw_axes, finish_figure, house_style
from sentinel_etl.report.pages import Page, short_name, table_page
from sentinel_etl.report.render import render_macro
from sentinel_etl.wording import plural

__all__ = [
    "calibration_figure",
    "measures_table",
    "nights_figure",
    "rates_figure",
    "sweep_figure",
    "verdict_page",
]

RISK, EVEN, HINDSIGHT = "risk", "even share", "perfect hindsight"
STYLES = {
    RISK: (PALETTE[1], "-", "o"),
    "counts of 28 nights": (PALETTE[0], "-", "s"),
    "counts of last week": (PALETTE[5], "--", "s"),
    EVEN: (MUTED, ":", ""),
    HINDSIGHT: (INK, "--", ""),
}
HORIZON_WORDS = {"night": "the night that follows", "week": "the week that follows"}
TENTH = 0.10  # the share of places that sentences speak of
MOST_WEIGHTS = 10
RUNNING = 7  # nights that a curve is the mean over: every weekday once


class Evaluated(Protocol):
    """What is read of an `analyst.ranking.Evaluation`."""

    @property
    def by(self) -> str: ...
    @property
    def half_life_hours(self) -> float: ...
    @property
    def nights(self) -> int: ...
    @property
    def places(self) -> float: ...
    @property
    def elsewhere(self) -> float: ...
    @property
    def measures(self) -> pd.DataFrame: ...
    @property
    def paired(self) -> pd.DataFrame: ...
    @property
    def calibration(self) -> pd.DataFrame: ...
    @property
    def half_lives(self) -> pd.DataFrame: ...
    @property
    def weights(self) -> pd.DataFrame: ...
    @property
    def by_night(self) -> pd.DataFrame: ...


def verdict_page(found: Evaluated, dimensions: Dimensions = CITY) -> Page:
    """Say in three lines what the first tenth of the places held, and whether that is more than counting holds."""
    words = name_places(found, dimensions)
    rates = pick(found.measures, "night", "hit rate")
    rows = {str(row["ranking"]): row for _, row in rates[np.isclose(rates["share"], TENTH)].iterrows()}
    taken = rows[RISK]["places"]
    when = (
        f"{found.nights} {plural(found.nights, 'morning')}, {found.places:,.0f} {words}, half-life "
        f"{found.half_life_hours:g} h; {found.elsewhere:.0%} of the emergencies lay at none of them and are left out"
    )
    leader = (
        f"The first {taken:,.0f} held {write_share(rows[RISK])} of the next night's emergencies; chance "
        f"{rows[RISK]['chance']:.0%}, perfect hindsight {rows[HINDSIGHT]['value']:.0%}"
    )
    tested = found.paired
    [(_, test)] = tested[(tested["horizon"] == "night") & np.isclose(tested["share"], TENTH)].iterrows()
    best = str(test["baseline"])
    others = [
        f"The best of the plain ways, {best}, held {write_share(rows[best])}. {judge(test)}",
        "In brackets: the 95% interval over nights." if np.isfinite(test["low"]) else "Too few nights for intervals.",
    ]
    html = render_macro("headline", when=when, leader=leader, others=others)
    return Page(html, "\n".join([when, leader, *others]))


def judge(test: pd.Series) -> str:
    """Say whether the risk's hit rate differs from the baseline's on the same nights."""
    points = f"{100 * test['difference']:+.1f} points"
    if not np.isfinite(test["low"]):
        return f"The risk differs by {points}."
    between = f"{points} [{100 * test['low']:+.1f}, {100 * test['high']:+.1f}], p = {test['p_value']:.3f}"
    if test["low"] > 0:
        return f"The risk is better: {between}."
    return f"The risk is worse: {between}." if test["high"] < 0 else f"That is no clear difference: {between}."


def write_share(row: pd.Series) -> str:
    value = f"{row['value']:.0%}"
    return f"{value} [{100 * row['low']:.0f}, {100 * row['high']:.0f}]" if np.isfinite(row["low"]) else value


def name_places(found: Evaluated, dimensions: Dimensions) -> str:
    return "cells" if found.by == "cell" else plural(2, dimensions.word(dimensions.place))


def pick(measures: pd.DataFrame, horizon: str, measure: str) -> pd.DataFrame:
    return measures[(measures["horizon"] == horizon) & (measures["measure"] == measure)]


def measures_table(found: Evaluated, share: float = TENTH) -> Page:
    """Rows per horizon and ranking, columns per measure: its value, and its interval where there is one."""
    rows = found.measures[np.isclose(found.measures["share"], share)]
    table: dict[str, dict[str, str]] = {}
    for _, row in rows.iterrows():
        is_rate = row["measure"] == "hit rate"
        write = "{:.1%}".format if is_rate else "{:.2f}".format
        shown = write(row["value"]) if np.isfinite(row["value"]) else "–"
        if np.isfinite(row["low"]) and row["ranking"] not in (EVEN, HINDSIGHT):
            shown += f" [{write(row['low'])}, {write(row['high'])}]"
        name = f"{row['horizon']}: {row['ranking']}"
        table.setdefault(name, {})[str(row["measure"])] = shown
    return table_page(pd.DataFrame(table).T)


def rates_figure(found: Evaluated, dimensions: Dimensions = CITY) -> Figure:
    """Draw which share of the emergencies the first 1, 2, 5, 10 and 20 percent of the places held, by ranking."""
    horizons = list(dict.fromkeys(found.measures["horizon"]))
    words = name_places(found, dimensions)
    with house_style():
        figure, axes = draw_axes(1, len(horizons), figsize=(WIDTH, 3.8), sharey=True, squeeze=False)
        for axis, horizon in zip(axes.flat, horizons, strict=True):
            draw_rates(axis, pick(found.measures, horizon, "hit rate"))
            axis.set_title(HORIZON_WORDS.get(horizon, horizon), loc="left")
        figure.supxlabel(f"{words} taken, from the first rank on, %", fontsize="medium")
        axes.flat[0].set_ylabel("emergencies held, %")
        handles, labels = axes.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=5)
    tenth = found.measures[np.isclose(found.measures["share"], TENTH)]
    told = [f"{row['ranking']} {row['value']:.0%}" for _, row in pick(tenth, "night", "hit rate").iterrows()]
    return finish_figure(figure, f"Emergencies held by the first places. A tenth of them in a night: {', '.join(told)}")


def draw_rates(axis: Axes, rates: pd.DataFrame) -> None:
    shares = sorted(set(rates["share"]))
    places = np.arange(len(shares))
    for ranking, (colour, line, marker) in STYLES.items():
        rows = rates[rates["ranking"] == ranking].sort_values("share")
        axis.plot(places, 100 * rows["value"], color=colour, ls=line, marker=marker, ms=5, label=ranking)
        if ranking == RISK and np.isfinite(rows["low"]).all():
            axis.fill_between(places, 100 * rows["low"], 100 * rows["high"], color=colour, alpha=0.18, lw=0)
    axis.set_xticks(places, [f"{100 * share:g}" for share in shares])
    axis.set_ylim(0, 102)
    axis.yaxis.set_major_formatter(PercentFormatter(symbol=""))
    axis.grid(axis="y")


def nights_figure(found: Evaluated) -> Figure:
    """Draw night by night which share of the emergencies a tenth of the places held, over seven nights each.

    Raises:
        NothingThere: fewer nights than that.
    """
    rows = found.by_night
    nights = sorted(set(rows["shift_date"]))
    if len(nights) < RUNNING:
        raise NothingThere(f"Night by night: left out, it needs {RUNNING} mornings; {len(nights)} were judged")
    with house_style():
        figure, axis = draw_axes(figsize=(WIDTH, 3.2))
        for ranking, (colour, line, _) in STYLES.items():
            each = rows[rows["ranking"] == ranking].set_index("shift_date").loc[nights, ["hits", "total"]]
            sums = each.rolling(RUNNING).sum().dropna()
            axis.plot(sums.index, 100 * sums["hits"] / sums["total"], color=colour, ls=line, label=ranking)
        axis.set(xlabel=f"last of the {RUNNING} nights", ylabel="emergencies held, %")
        axis.set_ylim(bottom=0)
        axis.grid(axis="y")
        figure.autofmt_xdate(rotation=0, ha="center")
        figure.legend(loc="outside upper left", ncols=5)
    risk = rows[rows["ranking"] == RISK]
    held = risk["hits"].sum() / max(risk["total"].sum(), 1)
    return finish_figure(
        figure, f"What a tenth of the places held, {nights[0]} to {nights[-1]}, {held:.0%} in all by the risk"
    )


def calibration_figure(found: Evaluated) -> Figure:
    """Draw, by tenths of the ranks, the emergencies that were to be expected and those that came."""
    rows = found.calibration[found.calibration["horizon"] == "night"]
    with house_style():
        figure, axis = draw_axes(figsize=(WIDTH, 3.2))
        tenths = np.arange(len(rows))
        axis.bar(tenths - 0.2, rows["expected"], width=0.38, color=PALETTE[5], label="expected by the risk's shares")
        axis.bar(tenths + 0.2, rows["observed"], width=0.38, color=PALETTE[1], label="observed")
        heights = rows[["expected", "observed"]].max(axis=1)
        for place, height, ratio in zip(tenths, heights, rows["ratio"], strict=True):
            axis.text(place, height, f"× {ratio:.1f}" if np.isfinite(ratio) else "–", ha="center", va="bottom", size=9)
        axis.set_xticks(tenths, [f"{10 * place}–{10 * place + 10}" for place in tenths])
        axis.set(xlabel="rank, % of the places", ylabel="emergencies a night")
        axis.grid(axis="y")
        axis.legend(loc="upper right")
    first, last = rows.iloc[0], rows.iloc[-1]
    return finish_figure(
        figure,
        f"Expected and observed emergencies by tenths of the ranks. First tenth {first['expected']:.1f} expected, "
        f"{first['observed']:.1f} observed; last {last['expected']:.1f} and {last['observed']:.1f}",
    )


def sweep_figure(found: Evaluated) -> Figure:
    """Draw what other half-lives, and each weight at half and twice, would have held.

    Raises:
        NothingThere: none was tried.
    """
    if found.half_lives.empty:
        raise NothingThere("Other half-lives and weights: left out, none was tried")
    with house_style():
        figure, axes = draw_axes(1, 2, figsize=(WIDTH, 4.0), width_ratios=[1, 1.2])
        draw_half_lives(axes[0], found.half_lives, found.half_life_hours)
        draw_weights(axes[1], found.weights)
    best = found.half_lives.sort_values("value").iloc[-1]
    asked = found.half_lives.set_index("half_life_hours")["value"][found.half_life_hours]
    return finish_figure(
        figure,
        f"A tenth of the places held {asked:.1%} at a half-life of {found.half_life_hours:g} h; the most, "
        f"{best['value']:.1%}, at {best['half_life_hours']:g} h. {len(found.weights)} changes of weights beside",
    )


def draw_half_lives(axis: Axes, swept: pd.DataFrame, asked: float) -> None:
    places = np.arange(len(swept))
    values, base = 100 * swept["value"], 100 * float(swept.set_index("half_life_hours")["value"][asked])
    reach = 100 * (swept["high"] - swept["difference"]).fillna(0.0)
    axis.errorbar(places, values, yerr=reach, color=PALETTE[1], marker="o", ms=5, lw=1.5, elinewidth=1.2, capsize=3)
    axis.axhline(base, color=MUTED, lw=1, ls=":")
    axis.set_xticks(places, [f"{hours:g}" for hours in swept["half_life_hours"]])
    axis.set(xlabel="half-life, hours", ylabel="emergencies held by a tenth of the places, %")
    axis.set_title(f"half-life; dotted: {asked:g} h, bars: of the difference from it", loc="left")
    axis.grid(axis="y")


def draw_weights(axis: Axes, swept: pd.DataFrame) -> None:
    order = swept["difference"].abs().groupby(swept["weight"]).max().sort_values(ascending=False)
    names = list(order.index[order > 0][:MOST_WEIGHTS])
    for factor, colour, shift in ((0.5, PALETTE[0], -0.15), (2.0, PALETTE[4], 0.15)):
        rows = swept[swept["factor"] == factor].set_index("weight").reindex(names)
        y = np.arange(len(names)) + shift
        reach = 100 * (rows["high"] - rows["difference"]).fillna(0.0)
        label = "half of it" if factor < 1 else "twice as much"
        axis.errorbar(100 * rows["difference"], y, xerr=reach, fmt="o", ms=5, color=colour, elinewidth=1.2, label=label)
    axis.axvline(0, color=MUTED, lw=1)
    axis.set_yticks(np.arange(len(names)), [short_name(name.removeprefix("event_type="), 26) for name in names])
    axis.set_ylim(max(len(names), 1) - 0.4, -0.6)
    axis.set(xlabel="emergencies held, points of difference")
    axis.set_title("each weight changed by itself; those that change nothing are not shown", loc="left")
    axis.grid(axis="x")
    axis.legend(loc="lower right")
