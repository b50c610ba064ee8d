"""The city's map as a page can zoom it: inline SVG, in which each mark says its numbers.

It asks no network and no tile server. What it draws is what `city_map` draws as a picture, which goes with it for
where there is no SVG: on GitHub, and in a notebook that JupyterLab does not trust yet.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sentinel_etl.config.dimensions import CITY, Dimensions
from sentinel_etl.errors import NothingThere
from sentinel_etl.report.city_map import city_map_figure, locate_ranking, outlines, with_position
from sentinel_etl.report.colours import PALETTE
from sentinel_etl.report.figure_image import ShownFigure
from sentinel_etl.report.map_marks import (
    STRIP,
    WIDTH,
    draw_cells,
    draw_places,
    draw_stations,
    emerging_titles,
    fit,
    key_of,
    lay_out,
    legend_of,
    positions_of,
)
from sentinel_etl.report.pages import Page, show_value, table_page, with_note
from sentinel_etl.report.render import MAP_KEY, render_template
from sentinel_etl.report.sections import needs
from sentinel_etl.report.words import describe_map, first_of

__all__ = ["ZoomMap", "busiest_cells_table", "draw_zoom_map", "zoom_map"]


# Cells, places and stations that are drawn, of each kind: a page of 250 KB has no room for more, nor a reader an eye.
MOST_MARKS = 400


@dataclass(frozen=True)
class ZoomMap:
    """A map as SVG, with what it shows in words, what its marks mean, and the same as a picture."""

    svg: str
    words: str
    key: str
    figure: ShownFigure | None = None

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
        """Give SVG and picture. https://ipython.readthedocs.io/en/stable/config/integrating.html#rich-display"""
        data: dict[str, Any] = {"image/svg+xml": self.svg, "text/plain": self.words}
        words = {"image/svg+xml": {"alt": self.words, MAP_KEY: self.key}}
        if self.figure is not None:
            data["image/png"] = b64encode(self.figure.shown.draw_image()).decode("ascii")
            words["image/png"] = {"alt": self.words}
        return data, words

    def __repr__(self) -> str:
        return self.words


@needs("latitude", "longitude", "base_risk_score", optional=("ranking", "hotspots", "stations"))
def zoom_map(
    incidents: pd.DataFrame,
    ranking: pd.DataFrame | None,
    hotspots: pd.DataFrame | None,
    stations: pd.DataFrame | None,
    emerging: pd.DataFrame,
    nights: int,
    named: int = 8,
    dimensions: Dimensions = CITY,
) -> ZoomMap:
    """Draw the map of `city_map_figure` as SVG, with that figure beside it; frames as there.

    Raises:
        NothingThere: no incident, place or station has a position.
    """
    given = (incidents, ranking, hotspots, stations, emerging, nights)
    figure = city_map_figure(*given, named=named, dimensions=dimensions)
    drawn = draw_zoom_map(*given, named=named, dimensions=dimensions)
    return ZoomMap(drawn.svg, drawn.words, drawn.key, figure if isinstance(figure, ShownFigure) else None)


@needs("latitude", "longitude", "base_risk_score", optional=("ranking", "hotspots", "stations"))
def draw_zoom_map(
    incidents: pd.DataFrame,
    ranking: pd.DataFrame | None,
    hotspots: pd.DataFrame | None,
    stations: pd.DataFrame | None,
    emerging: pd.DataFrame,
    nights: int,
    named: int = 8,
    chosen: object = None,
    dimensions: Dimensions = CITY,
) -> ZoomMap:
    """Draw the SVG alone; ``chosen`` is a place that stands out.

    Raises: as `zoom_map`.
    """
    risky, known_stations = locate_ranking(ranking, hotspots, dimensions), with_position(stations)
    note = name_left_out({"cell": incidents, dimensions.place: risky, dimensions.station: known_stations}, dimensions)
    incidents = incidents.head(MOST_MARKS)
    if risky is not None:
        risky = risky[
            (np.arange(len(risky)) < MOST_MARKS) | (risky[dimensions.place] == chosen).to_numpy(bool, na_value=False)
        ]
    known_stations = None if known_stations is None else known_stations.head(MOST_MARKS)
    shade, edges = outlines(incidents["cell"]), outlines(emerging["cell"])
    points = [positions_of(frame) for frame in (risky, known_stations) if frame is not None and len(frame)]
    if not (found := [*shade, *edges, *points]):
        raise NothingThere("The map: left out, nothing of these nights has a position")
    project = fit(np.concatenate(found))
    counts = incidents["events"].to_numpy(float) / nights
    places = list(draw_places(risky, chosen, project, dimensions))
    marks = list(draw_stations(known_stations, project, dimensions))
    others = {} if known_stations is None else {dimensions.word(dimensions.station): len(known_stations)}
    others |= {"emerging cell": len(emerging)}
    words = describe_map(counts, None if risky is None else first_of(risky, dimensions), others)
    svg = render_template(
        "city_map.svg.j2",
        words=words,
        width=WIDTH,
        height=project.height,
        strip=STRIP,
        named=named,
        place_colour=PALETTE[1],
        cells=list(draw_cells(incidents["cell"], shade, counts, project)),
        places=places,
        emerging=[(project.draw(edge), title) for edge, title in zip(edges, emerging_titles(emerging), strict=True)],
        stations=marks,
        legend=list(lay_out(legend_of(counts, risky, dimensions, bool(marks), bool(len(emerging))))),
    )
    return ZoomMap(svg, words, f"{key_of(counts, risky, dimensions)}{note}")


def name_left_out(marks: Mapping[str, pd.DataFrame | None], dimensions: Dimensions) -> str:
    """Say of which marks not all are drawn; in: column → all that there are, those that lead first."""
    told = [
        f"the first {MOST_MARKS:,} of {len(frame):,} {dimensions.word(column)}s"
        for column, frame in marks.items()
        if frame is not None and len(frame) > MOST_MARKS
    ]
    return f" Drawn are {' and '.join(told)}." if told else ""


@needs("latitude", "longitude", "base_risk_score")
def busiest_cells_table(incidents: pd.DataFrame, nights: int, most: int = 10) -> Page:
    """Rows per cell of the map, those with the most incidents a night; in: `presentation.incident_heatmap`."""
    order = incidents.sort_values(["events", "cell"], ascending=[False, True]).head(most)
    table = pd.DataFrame(
        {
            "incidents a night": [f"{events / nights:,.1f}" for events in order["events"]],
            "risk points a night": [f"{points / nights:,.1f}" for points in order["risk_points"]],
            "latitude": [f"{degrees:.4f}" for degrees in order["latitude"]],
            "longitude": [f"{degrees:.4f}" for degrees in order["longitude"]],
        },
        index=order["cell"].to_list(),
    )
    left_out = int(incidents.attrs.get("events_without_position", 0))
    note = f"{show_value(left_out)} incidents have no position, and are on no map." if left_out else ""
    return with_note(table_page(table, numbers=table.columns), note)
