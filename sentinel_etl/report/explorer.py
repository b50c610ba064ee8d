"""Where risk points come from: by type, station, hour and officer's load.

Scores come in as `sentinel_etl.analyst.read_scores` counts them: one row for each combination of
columns, with how many ``events`` it stands for. Most events, such as a geofence crossing, have a score
of 0; what is said of scores is said of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from sentinel_etl.config.dimensions import CITY, Dimensions
from sentinel_etl.errors import NothingThere
from sentinel_etl.report.figure_style import (
    INK,
    PALETTE,
    WIDTH,
    draw_axes,
    draw_boxes,
    finish_figure,
    house_style,
)
from sentinel_etl.report.pages import Page, lines_page, name_key, short_name, table_page, write_average
from sentinel_etl.report.sections import needs
from sentinel_etl.report.words import describe_breakdown, describe_hours, describe_loads
from sentinel_etl.window import NIGHT_STARTS, Window
from sentinel_etl.wording import plural

__all__ = [
    "breakdown_figure",
    "breakdown_table",
    "hours_figure",
    "hours_table",
    "officer_load_figure",
    "officer_load_table",
    "period_page",
    "riskiest_event",
]

Floats = npt.NDArray[np.float64]

QUANTILES = {"p5": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95}
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# From the night's first hour to its last.
HOURS = [(NIGHT_STARTS.hour + n) % 24 for n in range(24)]

SCORED, UNSCORED = PALETTE[0], "#C9D4DC"


@needs("base_risk_score")
def period_page(scores: pd.DataFrame, period: Window, nights: int, zone: ZoneInfo) -> Page:
    """Say which nights are looked at, and what is in them: events, how many have a score, risk points a night.

    ``nights`` is how many of them have events.
    """
    events, score = scores["events"].to_numpy(float), scores["base_risk_score"].to_numpy(float)
    total, several = float(np.sum(events * score)), len(period.shift_dates(zone))
    lines = [
        period.local(zone),
        f"{nights} of {several} {plural(several, 'night has', 'nights have')} events: {events.sum():,.0f} of them, "
        f"{events[score > 0].sum() / events.sum():.0%} with a score",
        f"{total / nights:,.0f} risk {plural(round(total / nights), 'point')} a night",
    ]
    return lines_page(lines, large=True)


@needs("base_risk_score")
def riskiest_event(scores: pd.DataFrame) -> str:
    """Give the event_id of an event with the highest score; of several, the least."""
    highest = scores["base_risk_score"].max()
    return str(scores.loc[(scores["base_risk_score"] == highest).to_numpy(bool), "example"].min())


def quantiles_of(values: Floats, counts: Floats, shares: Sequence[float]) -> Floats:
    """Find the least of the values that at least such a share of the counts does not exceed."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(counts[order])
    places = np.searchsorted(reached, np.asarray(shares) * reached[-1])
    return np.asarray(values[order][places])


def break_down(scores: pd.DataFrame, by: str, nights: int) -> pd.DataFrame:
    """Sum up the events of each value of ``by``, the most risk points first, ties in order of the value.

    Out, one row a value: ``events``, ``scored`` and ``points`` (each a night); ``share`` of all points
    (0 to 1); ``p5`` to ``p95`` and ``highest`` (risk points, of events with a score; NaN where there is none).
    """
    counted = pd.DataFrame(
        {
            "key": scores[by].to_numpy(object),
            "score": scores["base_risk_score"].to_numpy(float),
            "events": scores["events"].to_numpy(float),
        }
    )
    counted = counted[counted["key"].notna()]
    total = float((counted["score"] * counted["events"]).sum())
    rows = {}
    for key, group in counted.groupby("key", sort=True):
        score, events = group["score"].to_numpy(), group["events"].to_numpy()
        some = score > 0
        points = float(np.sum(score * events))
        found = quantiles_of(score[some], events[some], list(QUANTILES.values())) if some.any() else [np.nan] * 5
        rows[key] = {
            "events": events.sum() / nights,
            "scored": events[some].sum() / nights,
            "points": points / nights,
            "share": points / total if total else 0.0,
            **dict(zip(QUANTILES, map(float, found), strict=True)),
            "highest": float(score[some].max()) if some.any() else np.nan,
        }
    names = ["events", "scored", "points", "share", *QUANTILES, "highest"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=names).sort_values(
        "points", ascending=False, kind="stable"
    )


@needs("base_risk_score")
def breakdown_table(scores: pd.DataFrame, by: str, nights: int, most: int = 12, dimensions: Dimensions = CITY) -> Page:
    """Rows per value of ``by``: events and risk points a night, and the scores of events that have one."""
    sums = break_down(scores, by, nights).head(most)
    table = pd.DataFrame(
        {
            "events a night": [write_average(events) for events in sums["events"]],
            "with a score": [f"{share:.0%}" for share in sums["scored"] / sums["events"]],
            "median score": sums["median"],
            "p95": sums["p95"],
            "highest": sums["highest"],
            "points a night": [write_average(points) for points in sums["points"]],
            "share of points": [f"{share:.1%}" for share in sums["share"]],
        }
    )
    table.index = [name_key(by, key, dimensions) for key in sums.index]
    return table_page(table, numbers=["events a night", "points a night"])


@needs("base_risk_score")
def breakdown_figure(
    scores: pd.DataFrame, by: str, nights: int, most: int = 20, dimensions: Dimensions = CITY
) -> Figure:
    """Draw, for each value of ``by``, its events, the spread of its scores, and its risk points a night."""
    sums = break_down(scores, by, nights).head(most).iloc[::-1]
    if sums.empty:
        raise NothingThere(f"By {dimensions.word(by)}: left out, no event of these nights names one")
    place = np.arange(len(sums))
    with house_style():
        figure, (left, middle, right) = draw_axes(
            1, 3, figsize=(WIDTH, 0.9 + 0.27 * max(len(sums), 3)), sharey=True, width_ratios=(3, 4, 3)
        )
        left.barh(place, sums["events"], color=UNSCORED, label="score 0")
        left.barh(place, sums["scored"], color=SCORED, label="with a score")
        names = [short_name(name_key(by, key, dimensions)) for key in sums.index]
        left.set(xlabel="events a night", yticks=place, yticklabels=names)
        middle.hlines(place, sums["p5"], sums["p95"], color=SCORED, lw=1.5, label="middle 90%")
        middle.hlines(place, sums["p25"], sums["p75"], color=SCORED, lw=6, label="middle half")
        middle.plot(sums["highest"], place, "|", color=INK, ms=9, mew=1.2, label="highest")
        middle.plot(sums["median"], place, "o", color="white", mec=INK, ms=5, label="median")
        middle.set(xlabel="score of an event that has one, risk points")
        middle.set_xlim(left=0)
        right.barh(place, sums["points"], color=SCORED)
        right.set(xlabel="risk points a night")
        for axis in (left, middle, right):
            axis.tick_params(axis="y", length=0)
            axis.grid(axis="x")
        for axis in (left, middle):
            axis.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=4, columnspacing=1, handlelength=1.2)
    return finish_figure(figure, describe_breakdown(sums, names[-1], dimensions.word(by)))


def spread_hours(hours: pd.DataFrame) -> pd.DataFrame:
    """Spread risk points over nights (rows) and hours from 06 to 05 (columns); an hour without events holds 0."""
    if hours.empty:
        raise NothingThere("By hour: left out, these nights have no event")
    plain = pd.DataFrame(
        {
            "night": pd.to_datetime(hours["shift_date"].to_numpy(object)),
            "hour": hours["hour"].to_numpy(int),
            "points": hours["risk_points"].to_numpy(float),
        }
    )
    wide = plain.pivot_table(index="night", columns="hour", values="points", aggfunc="sum", fill_value=0.0)
    return wide.reindex(columns=HOURS, fill_value=0.0)


@needs("base_risk_score")
def hours_table(hours: pd.DataFrame, most: int = 6) -> Page:
    """The hours with the most risk points: the median night's, the range of four nights in five, the worst night.

    In: ``shift_date``, ``hour`` (0 to 23, on the city's clocks), ``risk_points``; one row each.
    """
    wide = spread_hours(hours)
    order = wide.median().sort_values(ascending=False, kind="stable").index[:most]
    table = pd.DataFrame(
        {
            "median night": wide.median().round(2),
            "four nights in five": [f"{low:.0f} to {high:.0f}" for low, high in wide.quantile([0.1, 0.9]).T.to_numpy()],
            "worst night": [f"{night:%a %Y-%m-%d}" for night in wide.idxmax()],
            "its points": wide.max().round(2),
        }
    ).loc[order]
    table.index = [f"{hour:02d}:00 to {(hour + 1) % 24:02d}:00" for hour in order]
    return table_page(table)


@needs("base_risk_score")
def hours_figure(hours: pd.DataFrame) -> Figure:
    """Draw the risk points of each hour of the night, and how they differ between the week's nights.

    In: as `hours_table`. The weekday is that of the night's start: Friday's 03:00 is Saturday morning.
    """
    wide = spread_hours(hours)
    low, middle, high = (wide.quantile(share) for share in (0.1, 0.5, 0.9))
    weekdays = wide.groupby(pd.DatetimeIndex(wide.index).day_of_week).mean().reindex(range(7))
    with house_style():
        figure, (line, heat) = draw_axes(1, 2, figsize=(WIDTH, 3.2), width_ratios=(5, 6))
        place = np.arange(24)
        line.fill_between(place, low, high, color=SCORED, alpha=0.2, lw=0, label="four nights in five")
        line.plot(place, middle, color=SCORED, label="median night")
        line.set(xlabel="hour of the night, local time", ylabel="risk points in the hour", xlim=(0, 23))
        line.set_ylim(bottom=0)
        line.grid(axis="y")
        line.legend(loc="upper left")
        image = heat.imshow(weekdays, aspect="auto", vmin=0)
        heat.set(xlabel="hour of the night, local time", yticks=range(7), yticklabels=WEEKDAYS)
        heat.spines[:].set_visible(False)
        figure.colorbar(image, ax=heat, label="risk points in the hour, mean").outline.set_visible(False)
        for axis in (line, heat):
            axis.set_xticks(place[::3], [f"{hour:02d}" for hour in HOURS[::3]])
    return finish_figure(figure, describe_hours(middle, weekdays, WEEKDAYS))


def band_loads(officer_nights: pd.DataFrame, bands: int = 4) -> pd.DataFrame:
    """Sort officers' nights into bands of load, about as many nights in each.

    In: ``events`` and ``risk_points`` of each officer's night. Out: ``events`` (int64), ``points``
    (float64), ``band``, an ordered category such as ``5 to 8``, events.
    """
    events = officer_nights["events"].to_numpy(int)
    if not len(events):
        raise NothingThere("By load: left out, no event of these nights names who was there")
    quartiles = np.quantile(events, np.linspace(0, 1, bands + 1), method="inverted_cdf")
    # (lowest − 1, q1], (q1, q2], …: no night is in two bands, and equal quartiles make one.
    bounds = [int(bound) for bound in np.unique([quartiles[0] - 1, *quartiles[1:]])]
    names = [f"{high}" if low + 1 == high else f"{low + 1} to {high}" for low, high in pairwise(bounds)]
    return pd.DataFrame(
        {
            "events": events,
            "points": officer_nights["risk_points"].to_numpy(float),
            "band": pd.cut(pd.Series(events), bounds, labels=names),
        }
    )


@needs("person", "base_risk_score")
def officer_load_table(officer_nights: pd.DataFrame, dimensions: Dimensions = CITY) -> Page:
    """Rows per band of load: officers' nights, risk points met in one, and the band's share of all points."""
    loads = band_loads(officer_nights)
    groups = loads.groupby("band", observed=True)["points"]
    total = loads["points"].sum()
    table = pd.DataFrame(
        {
            f"{dimensions.word(dimensions.person)}s' nights": groups.size(),
            "median points": groups.median(),
            "p95": groups.quantile(0.95, interpolation="lower"),
            "highest": groups.max(),
            "share of points": [f"{share:.0%}" for share in groups.sum() / (total or 1)],
        }
    )
    table.index = [f"{band} events" for band in table.index]
    return table_page(table)


@needs("person", "base_risk_score")
def officer_load_figure(officer_nights: pd.DataFrame, dimensions: Dimensions = CITY) -> Figure:
    """Draw how many events officers have in a night, and how many risk points they meet by that load."""
    loads = band_loads(officer_nights)
    groups = [group["points"].to_numpy() for _, group in loads.groupby("band", observed=True)]
    names, word = list(loads["band"].cat.categories), dimensions.word(dimensions.person)
    with house_style():
        figure, (left, right) = draw_axes(1, 2, figsize=(WIDTH, 3.0), width_ratios=(5, 6))
        edges = np.arange(loads["events"].min(), loads["events"].max() + 2) - 0.5
        left.hist(loads["events"], bins=edges, color=SCORED)
        left.set(xlabel=f"events that one {word} reports in a night", ylabel=f"{word}s' nights")
        draw_boxes(right, groups, names, SCORED)
        right.set(xlabel="events in the night", ylabel="risk points in the night")
        for axis in (left, right):
            axis.grid(axis="y")
    return finish_figure(figure, describe_loads(word, len(loads), names, groups))
