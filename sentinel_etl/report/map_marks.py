"""The marks of a map that can be zoomed: where each stands, how large and how dark it is, and its numbers in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from sentinel_etl.config.dimensions import Dimensions
from sentinel_etl.report.city_map import round_sizes
from sentinel_etl.report.hotspots import write_trend
from sentinel_etl.report.pages import name_key, short_name
from sentinel_etl.wording import plural

__all__ = [
    "STRIP",
    "WIDTH",
    "LegendEntry",
    "Place",
    "Projection",
    "draw_cells",
    "draw_places",
    "draw_stations",
    "emerging_titles",
    "fit",
    "key_of",
    "lay_out",
    "legend_of",
    "positions_of",
]

Floats = npt.NDArray[np.float64]

WIDTH = 1000  # units of the map, about a pixel each on a page of 1280 px
LOWEST, HIGHEST = 560, 860  # units: a city that is long in one direction has ground beside it
MARGIN = 28
STRIP = 44  # below the map, for what the marks mean
LARGEST_RADIUS = 22.0  # of the riskiest place, px at a desk; the area stands for the risk
SMALLEST_RADIUS = 2.5  # below it nothing can be pointed at


class Place(NamedTuple):
    """A place's circle: centre and radius in units of the map, its short name, and its numbers in words."""

    x: float
    y: float
    radius: float
    name: str
    title: str
    chosen: bool


class LegendEntry(NamedTuple):
    """A mark and its meaning, in the strip below the map."""

    layer: str
    words: str
    x: float = 0.0
    room: float = 18.0  # from the mark's middle to its words
    opacity: float = 0.0
    radius: float = 0.0


@dataclass(frozen=True)
class Projection:
    """Turns degrees into units of the map; a kilometre is as long up as across, which a degree is not."""

    west: float
    north: float
    across: float  # units a degree of longitude
    up: float  # units a degree of latitude
    height: int

    def place(self, longitude: float, latitude: float) -> tuple[float, float]:
        x, y = (longitude - self.west) * self.across, (self.north - latitude) * self.up
        return round(float(x), 1), round(float(y), 1)

    def draw(self, corners: Floats) -> str:
        """Write an outline, longitude and latitude, as a closed path: one point, and the steps from it."""
        points = [self.place(*corner) for corner in corners]
        steps = [(round(x1 - x0, 1), round(y1 - y0, 1)) for (x0, y0), (x1, y1) in pairwise(points)]
        written = " ".join(f"{short(x)} {short(y)}" for x, y in steps).replace(" -", "-")
        return f"M{short(points[0][0])} {short(points[0][1])}l{written}z"


def short(number: float) -> str:
    """Write a number as short as SVG reads it: a page has thousands of them."""
    return f"{number:g}".replace("0.", ".", 1) if -1 < number < 1 and number else f"{number:g}"


def fit(positions: Floats) -> Projection:
    """Fit the map around positions, longitude and latitude in degrees."""
    (west, south), (east, north) = positions.min(axis=0), positions.max(axis=0)
    shrink = max(0.05, math.cos(math.radians((south + north) / 2)))  # a degree of longitude, in those of latitude
    wide, tall = max((east - west) * shrink, 1e-3), max(north - south, 1e-3)
    inside = WIDTH - 2 * MARGIN
    height = round(min(HIGHEST, max(LOWEST, inside * tall / wide + 2 * MARGIN)))
    up = min(inside / wide, (height - 2 * MARGIN) / tall)
    left, top = (WIDTH - wide * up) / 2, (height - tall * up) / 2
    return Projection(west - left / (up * shrink), north + top / up, up * shrink, up, height)


def positions_of(frame: pd.DataFrame) -> Floats:
    return frame[["longitude", "latitude"]].to_numpy(float)


def shade_of(counts: Floats, most: float) -> Floats:
    """Give each count's opacity, by the root: or the few busiest would leave all others as good as white."""
    return np.round(0.04 + 0.9 * np.sqrt(counts / (most or 1.0)), 2)


def draw_cells(
    cells: Iterable[str], shade: Sequence[Floats], counts: Floats, project: Projection
) -> Iterable[tuple[str, str, str]]:
    opacities = shade_of(counts, counts.max(initial=0.0))
    for cell, outline, count, opacity in zip(cells, shade, counts, opacities, strict=True):
        yield project.draw(outline), short(opacity), f"cell {cell}: {count:,.1f} incidents a night"


def draw_places(
    risky: pd.DataFrame | None, chosen: object, project: Projection, dimensions: Dimensions
) -> Iterable[Place]:
    if risky is None or risky.empty:
        return
    column, highest = dimensions.place, max(1e-9, float(risky["risk"].max()))
    for rank, row in enumerate(risky.to_dict("records"), start=1):
        risk, key = float(row["risk"]), row[column]
        radius = round(max(SMALLEST_RADIUS, LARGEST_RADIUS * math.sqrt(max(0.0, risk) / highest)), 1)
        title = (
            f"{rank}. {name_key(column, key, dimensions)}: {risk:,.0f} risk {plural(round(risk), 'point')} left, "
            f"{write_trend(risk, float(row['risk_week_before']))} in a week"
        )
        if (station := row.get(dimensions.station)) is not None and not pd.isna(station):
            title += f", {name_key(dimensions.station, station, dimensions)}"
        x, y = project.place(row["longitude"], row["latitude"])
        yield Place(x, y, radius, short_name(key), title, key == chosen)


def draw_stations(
    stations: pd.DataFrame | None, project: Projection, dimensions: Dimensions
) -> Iterable[tuple[float, float, str, str]]:
    if stations is None:
        return
    column = dimensions.station
    for key, longitude, latitude in zip(stations[column], stations["longitude"], stations["latitude"], strict=True):
        name = name_key(column, key, dimensions)
        yield *project.place(longitude, latitude), short_name(name), f"{name}: {latitude:.4f} N, {longitude:.4f} E"


# What is told of an emerging cell, of the columns that it comes with, and how each number is written.
EMERGING_WORDS = {
    "events": "{:,.0f} incidents in 7 days",
    "risk": "risk {:,.0f}",
    "expected": "expected {:,.1f}",
    "by_chance": "{:.2g} as surprising on a steady morning",
}


def emerging_titles(emerging: pd.DataFrame) -> list[str]:
    told = [(name, words) for name, words in EMERGING_WORDS.items() if name in emerging.columns]
    return [
        f"emerging cell {row['cell']}: {', '.join(words.format(float(row[name])) for name, words in told)}"
        for row in emerging.to_dict("records")
    ]


def legend_of(
    counts: Floats, risky: pd.DataFrame | None, dimensions: Dimensions, stations: bool, emerging: bool
) -> Iterable[LegendEntry]:
    most = float(counts.max(initial=0.0))
    for amount in reversed(round_sizes(most)):
        shown = float(shade_of(np.array([amount]), most)[0])
        yield LegendEntry("cells", f"{amount:g} incidents a night", opacity=shown)
    highest = 0.0 if risky is None or risky.empty else float(risky["risk"].max())
    for amount in reversed(round_sizes(highest)):
        radius = round(LARGEST_RADIUS * math.sqrt(amount / highest), 1)
        words = f"{amount:g} risk {plural(amount, 'point')} left"
        yield LegendEntry("places", words, room=radius + 8, radius=radius)
    if emerging:
        yield LegendEntry("emerging", "emerging cell")
    if stations:
        yield LegendEntry("stations", dimensions.word(dimensions.station))


def lay_out(entries: Iterable[LegendEntry]) -> Iterable[LegendEntry]:
    """Set the legend's entries one behind the other; a letter takes about 6.5 units."""
    right = 0.0
    for entry in entries:
        middle = right + max(10.0, entry.radius)
        yield entry._replace(x=round(middle, 1))
        right = middle + entry.room + 6.5 * len(entry.words) + 14


def key_of(counts: Floats, risky: pd.DataFrame | None, dimensions: Dimensions) -> str:
    """Say what the marks mean, and how much the largest is, for where there is no room for the legend."""
    told = [f"The stronger a cell's colour, the more incidents a night: {counts.max(initial=0.0):,.1f} at most."]
    if risky is not None and len(risky):
        highest = round(float(risky["risk"].max()))
        place = dimensions.word(dimensions.place)
        told.append(f"A circle's area is the risk left at a {place}: {highest:,} {plural(highest, 'point')} at most.")
    return " ".join([*told, f"A square is a {dimensions.word(dimensions.station)}, a thick outline an emerging cell."])
