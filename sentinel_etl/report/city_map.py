"""A map of the city: how dense incidents are, where risk is left, and which places are emerging."""

from __future__ import annotations

from collections.abc import Iterable

import h3
import matplotlib.patheffects as effects
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import PowerNorm, to_rgb
from matplotlib.figure import Figure

from sentinel_etl.config.dimensions import CITY, Dimensions
from sentinel_etl.errors import NothingThere
from sentinel_etl.report.figure_style import INK, PALETTE, SHADES, WIDTH, draw_axes, finish_figure, house_style
from sentinel_etl.report.pages import name_key, short_name
from sentinel_etl.report.sections import needs
from sentinel_etl.report.words import describe_map, first_of
from sentinel_etl.wording import plural

__all__ = ["city_map_figure"]

Floats = npt.NDArray[np.float64]

LARGEST_CIRCLE = 900.0  # area of the riskiest hotspot's circle, points²
HALO = [effects.withStroke(linewidth=2.5, foreground="white")]
# The circles let the density under them through.
HOTSPOT, EDGE, EMERGING = (*to_rgb(PALETTE[1]), 0.35), PALETTE[1], INK


@needs("latitude", "longitude", "base_risk_score", optional=("ranking", "hotspots", "stations"))
def city_map_figure(
    incidents: pd.DataFrame,
    ranking: pd.DataFrame | None,
    hotspots: pd.DataFrame | None,
    stations: pd.DataFrame | None,
    emerging: pd.DataFrame,
    nights: int,
    named: int = 8,
    dimensions: Dimensions = CITY,
) -> Figure:
    """Draw incidents a night by H3 cell, hotspots by the risk left (area), stations, and emerging cells.

    In: `presentation.incident_heatmap`, `hotspot_risk` and `emerging_threats`; the places and the stations with
    ``latitude``, ``longitude`` (degrees); None where there are none. The first ``named`` places of the
    ranking are named. One without a position is left out.

    Raises:
        NothingThere: no incident, place or station has a position.
    """
    place, stations = dimensions.place, with_position(stations)
    risky = locate_ranking(ranking, hotspots, dimensions)
    if all(frame is None or frame.empty for frame in (incidents, risky, stations, emerging)):
        raise NothingThere("The map: left out, nothing of these nights has a position")
    with house_style():
        figure, (axis, side) = draw_axes(1, 2, figsize=(WIDTH, 7.6), width_ratios=(40, 9))
        shade = outlines(incidents["cell"])
        density = draw_density(axis, shade, incidents["events"].to_numpy(float) / nights)
        if risky is not None:
            draw_hotspots(axis, risky, named, place)
        edges = outlines(emerging["cell"])
        axis.add_collection(
            PolyCollection(edges, facecolors="none", edgecolors=EMERGING, lw=2.2, zorder=4, label="emerging cell")
        )
        if stations is not None:
            draw_stations(axis, stations, dimensions)
        frame_map(axis, shade)
        side.axis("off")
        side.legend(*axis.get_legend_handles_labels(), loc="upper left", labelspacing=1.7, borderpad=1.0)
        bar = figure.colorbar(density, cax=side.inset_axes((0.12, 0.05, 0.12, 0.5)))
        bar.set_label("incidents a night in the cell")
        bar.outline.set_visible(False)
    others = {} if stations is None else {dimensions.word(dimensions.station): len(stations)}
    others |= {"emerging cell": len(emerging)}
    leader = None if risky is None else first_of(risky, dimensions)
    return finish_figure(figure, describe_map(incidents["events"].to_numpy(float) / nights, leader, others))


def locate_ranking(
    ranking: pd.DataFrame | None, hotspots: pd.DataFrame | None, dimensions: Dimensions
) -> pd.DataFrame | None:
    """Give the ranking's places their positions; None: there is no ranking, or there are no places."""
    known = with_position(hotspots)
    if ranking is None or known is None:
        return None
    return ranking.merge(known[[dimensions.place, "latitude", "longitude"]], on=dimensions.place)


def with_position(places: pd.DataFrame | None) -> pd.DataFrame | None:
    return None if places is None else places.dropna(subset=["latitude", "longitude"])


def draw_density(axis: Axes, shade: list[Floats], incidents: npt.NDArray[np.float64]) -> PolyCollection:
    """Shade the cells, by the root: or the few busiest would leave all others as good as white."""
    density = PolyCollection(
        shade, array=incidents, norm=PowerNorm(0.5, vmin=0), cmap=SHADES, edgecolors="white", lw=0.3
    )
    axis.add_collection(density)
    return density


def outlines(cells: Iterable[str]) -> list[Floats]:
    """Give each H3 cell's corners as longitude and latitude, degrees."""
    return [np.array(h3.cell_to_boundary(cell))[:, ::-1] for cell in cells]


def draw_hotspots(axis: Axes, risky: pd.DataFrame, named: int, place: str) -> None:
    risk = risky["risk"].to_numpy(float)
    per_point = LARGEST_CIRCLE / max([1e-9, *risk])
    axis.scatter(
        risky["longitude"],
        risky["latitude"],
        s=risk * per_point,
        facecolors=[HOTSPOT],
        edgecolors=EDGE,
        lw=1.4,
        zorder=3,
    )
    leaders = risky.head(named)
    for name, longitude, latitude in zip(leaders[place], leaders["longitude"], leaders["latitude"], strict=True):
        axis.annotate(
            short_name(name),
            (longitude, latitude),
            ha="center",
            va="center",
            size=9,
            weight="bold",
            zorder=5,
            path_effects=HALO,
        )
    for size in round_sizes(max([0.0, *risk])):
        axis.scatter(
            [],
            [],
            s=size * per_point,
            facecolors=[HOTSPOT],
            edgecolors=EDGE,
            lw=1.4,
            label=f"{size:g} risk {plural(size, 'point')} left",
        )


def round_sizes(highest: float) -> list[float]:
    """Choose up to two round amounts for the legend: the largest 1, 2 or 5 times a power of ten, and a fifth of it."""
    if highest <= 0:
        return []
    power = 10.0 ** np.floor(np.log10(highest))
    largest = max(step * power for step in (1.0, 2.0, 5.0) if step * power <= highest)
    return [float(largest), float(largest / 5)]


def draw_stations(axis: Axes, stations: pd.DataFrame, dimensions: Dimensions) -> None:
    column = dimensions.station
    axis.scatter(
        stations["longitude"], stations["latitude"], marker="s", s=45, color=INK, label=dimensions.word(column)
    )
    for name, longitude, latitude in zip(stations[column], stations["longitude"], stations["latitude"], strict=True):
        axis.annotate(
            short_name(name_key(column, name, dimensions)),
            (longitude, latitude),
            xytext=(0, -11),
            textcoords="offset points",
            ha="center",
            size=8,
            path_effects=HALO,
        )


def frame_map(axis: Axes, shade: list[Floats]) -> None:
    """Fit the axes to the cells; a kilometre is as long up as across, which a degree is not."""
    axis.autoscale_view()
    if shade:
        axis.set_aspect(1 / np.cos(np.radians(np.concatenate(shade)[:, 1].mean())))
    axis.set(xlabel="longitude, degrees east", ylabel="latitude, degrees north")
    axis.ticklabel_format(useOffset=False)
    axis.locator_params(nbins=6)
