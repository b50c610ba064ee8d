"""Where risk is, how it fades, and what is getting worse.

Frames come in as `sentinel_etl.analyst.questions` returns them. Risk is in risk points, decayed to the
instant that was asked about; hotspots are what a pipeline's `Dimensions` call the place.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import h3
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from sentinel_etl.config.dimensions import CITY, Dimensions
from sentinel_etl.errors import NothingThere
from sentinel_etl.report.figure_style import INK, MUTED, PALETTE, WIDTH, draw_axes, finish_figure, house_style
from sentinel_etl.report.pages import Page, lines_page, name_key, short_name, table_page
from sentinel_etl.report.render import render_macro
from sentinel_etl.report.sections import needs
from sentinel_etl.report.words import describe_history, describe_rankings, first_of
from sentinel_etl.window import Window
from sentinel_etl.wording import plural

__all__ = [
    "emerging_table",
    "headline_page",
    "history_figure",
    "moments_before",
    "ranking_figure",
    "ranking_table",
    "trend_of",
]

# A smaller change against the week before, as a share of it, is called steady: the sample city's
# hotspots swing by about so much from week to week without any cause.
STEADY = 0.10

RISING, FALLING, LEVEL = PALETTE[1], PALETTE[0], "#9AA5AE"
ARROWS = {"rising": "▲", "falling": "▼", "steady": "▶", "new": "▲"}
TREND_COLOURS = {"rising": RISING, "falling": FALLING, "steady": LEVEL, "new": RISING}


def trend_of(risk: float, week_before: float) -> str:
    """Name the trend: rising, falling, steady (within `STEADY` of the week before), or new."""
    if week_before <= 0:
        return "new" if risk > 0 else "steady"
    change, band = risk - week_before, STEADY * week_before
    return "rising" if change > band else "falling" if change < -band else "steady"


def write_trend(risk: float, week_before: float) -> str:
    """Write an arrow and the change against the week before: ``▲ +34%``."""
    trend = trend_of(risk, week_before)
    return f"{ARROWS[trend]} {'new' if week_before <= 0 else f'{risk / week_before - 1:+.0%}'.replace('-', '−')}"


def headline_page(
    ranking: pd.DataFrame,
    as_of: datetime | Window,
    half_life_hours: float,
    zone: ZoneInfo,
    dimensions: Dimensions = CITY,
) -> Page:
    """Say where risk is highest, which of the leading hotspots rose most, and how many rise and fall.

    In: `presentation.hotspot_risk` at ``as_of``. The ten that lead are looked at for the rise: a quiet
    place may double with a single remark.
    """
    when = f"{instant_of(as_of).astimezone(zone):%Y-%m-%d %H:%M %Z}, half-life {half_life_hours:g} h"
    word = dimensions.word(dimensions.place)
    pairs = list(zip(ranking["risk"].astype(float), ranking["risk_week_before"].astype(float), strict=True))
    if not pairs:
        return Page(
            render_macro("text_lines", lines=[when, f"No {word} has any risk."]),
            f"{when}\nNo risk.",
        )
    ids = ranking[dimensions.place].to_list()
    climb = max(range(min(10, len(pairs))), key=lambda rank: pairs[rank][0] - pairs[rank][1])
    trends = [trend_of(*pair) for pair in pairs]
    rising, falling = trends.count("rising") + trends.count("new"), trends.count("falling")
    leader = (
        f"{word.capitalize()} {ids[0]} leads with {pairs[0][0]:,.0f} risk {plural(round(pairs[0][0]), 'point')}, "
        f"{write_trend(*pairs[0])} against the week before"
    )
    others = [
        f"Of the first ten, {word} {ids[climb]} rose most: {pairs[climb][1]:,.0f} → {pairs[climb][0]:,.0f}",
        f"{rising} of {len(ids)} {plural(len(ids), word)} rising, {falling} falling, "
        f"{len(ids) - rising - falling} steady",
    ]
    html = render_macro("headline", when=when, leader=leader, others=others)
    return Page(html, "\n".join([when, leader, *others]))


def moments_before(end: datetime | Window, days: int, zone: ZoneInfo) -> list[datetime]:
    """List the instants of the same hour on so many days, ``end`` the last, by the city's clocks."""
    local = instant_of(end).astimezone(zone)
    return [local - timedelta(days=day) for day in range(days - 1, -1, -1)]


def instant_of(asked: datetime | Window) -> datetime:
    """Give the instant that is asked about: a period's is its end."""
    return asked.end if isinstance(asked, Window) else asked


def ranking_table(
    rankings: Mapping[float, pd.DataFrame], half_life_hours: float, most: int = 12, dimensions: Dimensions = CITY
) -> Page:
    """Rows per hotspot, in the order of one half-life: rank, risk and trend at each, side by side.

    In: half-life (hours) → `presentation.hotspot_risk` at it. A hotspot whose events have all faded at
    a short half-life has no rank there.
    """
    order = rankings[half_life_hours].head(most)
    place, station = dimensions.place, dimensions.station
    table = pd.DataFrame(index=order[place].to_list())
    if station in order.columns:
        table[dimensions.word(station)] = order[station].to_list()
    for hours, ranking in sorted(rankings.items()):
        ranked = ranking.assign(rank=range(1, len(ranking) + 1)).set_index(place).reindex(table.index)
        name = f"{hours:g} h"
        table[f"{name}: rank"] = ranked["rank"].astype("Int64")
        table[f"{name}: risk"] = ranked["risk"].astype("Float64").round().astype("Int64")
        pairs = zip(ranked["risk"], ranked["risk_week_before"], strict=True)
        table[f"{name}: trend"] = ["–" if pd.isna(risk) else write_trend(risk, before) for risk, before in pairs]
    table.index = [name_key(place, key, dimensions) for key in table.index]
    return table_page(table)


def ranking_figure(rankings: Mapping[float, pd.DataFrame], most: int = 12, dimensions: Dimensions = CITY) -> Figure:
    """Draw the first hotspots at each half-life, coloured by trend, with a tick where each was a week before.

    Raises:
        NothingThere: none has any risk.
    """
    if all(ranking.empty for ranking in rankings.values()):
        raise NothingThere(f"The ranking: left out, no {dimensions.word(dimensions.place)} has any risk")
    with house_style():
        figure, axes = draw_axes(1, len(rankings), figsize=(WIDTH, 1.2 + 0.27 * most), squeeze=False)
        for axis, (hours, ranking) in zip(axes.flat, sorted(rankings.items()), strict=True):
            draw_ranking(axis, ranking.head(most), most, dimensions.place)
            axis.set_title(f"half-life {hours:g} h", loc="left")
        figure.supxlabel("risk left, risk points", fontsize="medium")
        figure.supylabel(dimensions.word(dimensions.place), fontsize="medium")
        tick = plt.Line2D([], [], color=INK, marker="|", ls="", ms=10, mew=1.5, label="a week before")
        named = {"rising": "rising", "falling": "falling", "steady": f"within {STEADY:.0%} of the week before"}
        patches = [Patch(color=TREND_COLOURS[trend], label=label) for trend, label in named.items()]
        figure.legend(handles=[*patches, tick], loc="outside upper left", ncols=4)
    leaders = {
        hours: (*leader, trend_of(leader[1], float(ranking["risk_week_before"].iloc[0])))
        for hours, ranking in sorted(rankings.items())
        if (leader := first_of(ranking, dimensions))
    }
    return finish_figure(figure, describe_rankings(leaders, dimensions.word(dimensions.place)))


def draw_ranking(axis: Axes, ranking: pd.DataFrame, rows: int, place: str) -> None:
    y = np.arange(len(ranking))
    risk, before = ranking["risk"].to_numpy(float), ranking["risk_week_before"].to_numpy(float)
    trends = [trend_of(*pair) for pair in zip(risk, before, strict=True)]
    axis.barh(y, risk, height=0.72, color=[TREND_COLOURS[trend] for trend in trends])
    axis.plot(before, y, "|", color=INK, ms=12, mew=1.5)
    axis.set(yticks=y, yticklabels=[short_name(hotspot) for hotspot in ranking[place]])
    axis.set_ylim(rows - 0.4, -0.6)
    axis.set_xlim(0, 1.3 * max([1.0, *risk, *before]))
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x")
    for row, pair in enumerate(zip(risk, before, strict=True)):
        axis.text(1.0, row, write_trend(*pair), transform=axis.get_yaxis_transform(), va="center", ha="right", size=8)


def history_figure(
    history: Mapping[datetime, pd.DataFrame],
    half_life_hours: float,
    zone: ZoneInfo,
    most: int = 6,
    dimensions: Dimensions = CITY,
) -> Figure:
    """Draw the risk of the first hotspots over a stretch of time, and how it would fade with nothing new.

    In: instant → `presentation.hotspot_risk` at it, all at one half-life. The hotspots are those that
    lead at the last instant; after it, dotted, each curve halves every half-life.

    Raises:
        NothingThere: none has any risk then.
    """
    moments = sorted(history)
    leaders = history[moments[-1]].head(most)
    if leaders.empty:
        raise NothingThere(f"How risk came and fades: left out, no {dimensions.word(dimensions.place)} has any")
    wide = pd.DataFrame(
        {moment: history[moment].set_index(dimensions.place)["risk"].astype(float) for moment in moments}
    ).reindex(leaders[dimensions.place])
    days = [float((moment - moments[-1]).total_seconds()) / 86_400 for moment in moments]
    ahead = np.linspace(0, max(2.0, min(7.0, 2 * half_life_hours / 24)), 60)
    with house_style():
        figure, axis = draw_axes(figsize=(WIDTH, 3.4))
        heights = []
        for index, (hotspot, risks) in enumerate(wide.fillna(0.0).iterrows()):
            colour = PALETTE[index % len(PALETTE)]
            now = float(risks.iloc[-1])
            axis.plot(days, risks, color=colour)
            axis.plot(ahead, now * np.exp2(-24 * ahead / half_life_hours), color=colour, ls=":")
            left = now * float(np.exp2(-24 * ahead[-1] / half_life_hours))
            heights.append((left, short_name(name_key(dimensions.place, hotspot, dimensions)), colour))
        label_ends(axis, float(ahead[-1]), heights)
        axis.axvline(0, color=MUTED, lw=1)
        axis.set(
            xlabel=f"days before and after {moments[-1].astimezone(zone):%Y-%m-%d %H:%M %Z}",
            ylabel="risk left, risk points",
            xlim=(days[0], float(ahead[-1])),
        )
        axis.set_ylim(bottom=0)
        axis.grid(axis="y")
    named = wide.rename(index=lambda hotspot: short_name(name_key(dimensions.place, hotspot, dimensions)))
    return finish_figure(figure, describe_history(named, dimensions.word(dimensions.place)))


def label_ends(axis: Axes, end: float, heights: list[tuple[float, str, str]]) -> None:
    """Name each curve at its end, no label over another: they are pushed apart, in order, from below."""
    gap = 0.065 * axis.get_ylim()[1]
    reached = -np.inf
    for height, name, colour in sorted(heights):
        reached = max(height, reached + gap)
        axis.annotate(
            name,
            (end, reached),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            size=9,
            color=colour,
        )


@needs(optional=("places",))
def emerging_table(
    cells: pd.DataFrame, places: pd.DataFrame | None, zone: ZoneInfo, most: int = 10, dimensions: Dimensions = CITY
) -> Page:
    """Rows per cell that has more incidents than chance explains, by the hotspot nearest to it.

    In: `presentation.emerging_threats`; the places with their ``latitude, longitude`` (degrees), None where
    there are none.
    """
    if cells.empty:
        return lines_page(["No cell has more incidents than chance explains, or there are no two weeks before."])
    some, place = cells.head(most), dimensions.place
    last = pd.to_datetime(some["last_event"]).dt.tz_convert(zone.key)
    points = zip(some["latitude"].astype(float), some["longitude"].astype(float), strict=True)
    table = pd.DataFrame(
        {
            f"nearest {dimensions.word(place)}": [nearest_place(point, places, place) for point in points],
            "incidents in 7 days": some["events"].astype("int64"),
            "expected": some["expected"].astype(float).round(2),
            "by chance, a morning": [f"{cells:.1g}" if cells >= 1e-4 else "< 0.0001" for cells in some["by_chance"]],
            "weeks compared": some["weeks"].astype("int64"),
            "risk": some["risk"].astype(float).round(2),
            "last one": last.dt.strftime("%a %d %b %H:%M"),
        }
    )
    table.index = some["cell"].to_list()
    return table_page(table)


def nearest_place(point: tuple[float, float], places: pd.DataFrame | None, column: str) -> str:
    """Name the hotspot nearest to a point (degrees), and how far it is as the crow flies: ``702, 524 m``."""
    if places is None:
        return "–"
    known = places.dropna(subset=["latitude", "longitude"])
    positions = zip(known["latitude"].astype(float), known["longitude"].astype(float), strict=True)
    metres = [h3.great_circle_distance(point, position, unit="m") for position in positions]
    if not metres:
        return "–"
    nearest = int(np.argmin(metres))
    return f"{known[column].iloc[nearest]}, {metres[nearest]:.0f} m"
