"""The map that a page can zoom: a mark for each cell, place and station, with its numbers in words."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import h3
import numpy as np
import pandas as pd
import pytest
from report_reading import cells_of, rows_of

from sentinel_etl.config.dimensions import Dimensions
from sentinel_etl.errors import NothingThere
from sentinel_etl.report.city_map import outlines
from sentinel_etl.report.map_marks import LARGEST_RADIUS, fit
from sentinel_etl.report.render import MAP_KEY
from sentinel_etl.report.zoom_map import ZoomMap, busiest_cells_table, draw_zoom_map, zoom_map

BUSY, QUIET = h3.latlng_to_cell(12.97, 77.59, 8), h3.latlng_to_cell(12.99, 77.59, 8)
INCIDENTS = pd.DataFrame(
    {
        "cell": [BUSY, QUIET],
        "latitude": [12.97, 12.99],
        "longitude": [77.59, 77.59],
        "events": [56, 28],
        "risk_points": [280.0, 28.0],
    }
)
RANKING = pd.DataFrame(
    {
        "hotspot_id": [301, 101, 202],
        "station_id": [3, 1, 2],
        "risk": [400.0, 100.0, 50.0],
        "risk_week_before": [500.0, 50.0, 0.0],
    }
)
PLACES = pd.DataFrame(
    {"hotspot_id": [101, 301, 202], "latitude": [12.97, 12.99, np.nan], "longitude": [77.59, 77.59, np.nan]}
)
STATIONS = pd.DataFrame({"station_id": [1], "latitude": [12.98], "longitude": [77.6]})
EMERGING = pd.DataFrame(
    {"cell": [h3.latlng_to_cell(12.971, 77.59, 9)], "risk": [63.45], "expected": [1.234], "events": [5]}
)
SVG = "{http://www.w3.org/2000/svg}"


def read(shown: ZoomMap) -> ElementTree.Element:
    return ElementTree.fromstring(shown.svg)  # noqa: S314 - made by the code under test


def titles(svg: ElementTree.Element, layer: str) -> list[str]:
    (group,) = [
        each for each in svg.iter(f"{SVG}g") if each.get("class") == layer and each.find(f"*/{SVG}title") is not None
    ]
    return [title.text or "" for title in group.iter(f"{SVG}title")]


def circles(svg: ElementTree.Element) -> list[ElementTree.Element]:
    return [each for each in svg.iter(f"{SVG}circle") if each.find(f"{SVG}title") is not None]


def test_each_place_with_a_position_is_a_circle_whose_area_is_its_risk() -> None:
    found = circles(read(draw_zoom_map(INCIDENTS, RANKING, PLACES, STATIONS, EMERGING, nights=28)))
    first, second = (float(circle.get("style", "").removeprefix("--r:")) for circle in found)  # 202 has no position
    assert first == LARGEST_RADIUS
    assert first**2 == pytest.approx(4 * second**2, rel=0.02)


def test_each_mark_says_its_numbers() -> None:
    svg = read(draw_zoom_map(INCIDENTS, RANKING, PLACES, STATIONS, EMERGING, nights=28))
    assert titles(svg, "places") == [
        "1. hotspot 301: 400 risk points left, ▼ −20% in a week, station 3",
        "2. hotspot 101: 100 risk points left, ▲ +100% in a week, station 1",
    ]
    assert titles(svg, "cells") == [
        f"cell {BUSY}: 2.0 incidents a night",
        f"cell {QUIET}: 1.0 incidents a night",
    ]
    assert titles(svg, "stations") == ["station 1: 12.9800 N, 77.6000 E"]
    assert titles(svg, "emerging") == [
        f"emerging cell {EMERGING['cell'][0]}: 5 incidents in 7 days, risk 63, expected 1.2"
    ]


def test_the_map_has_words_and_says_what_its_marks_mean() -> None:
    shown = draw_zoom_map(INCIDENTS, RANKING, PLACES, STATIONS, EMERGING, nights=28)
    words = (
        "Map of 2 cells, up to 2.0 incidents a night in one; 1 station; 1 emerging cell; "
        "most risk is left at 301, 400 points"
    )
    assert read(shown).get("role") == "img"
    assert read(shown).get("aria-label") == shown.words == repr(shown) == words
    assert "the more incidents a night: 2.0 at most" in shown.key
    assert "the risk left at a hotspot: 400 points at most" in shown.key


def test_names_are_text_whatever_they_hold() -> None:
    name = "</title></svg><script>alert('x')</script>&\"]]>"
    dimensions = Dimensions(place="ward")
    ranking = pd.DataFrame({"ward": [name], "risk": [1.0], "risk_week_before": [0.0]})
    places = pd.DataFrame({"ward": [name], "latitude": [12.97], "longitude": [77.59]})
    shown = draw_zoom_map(INCIDENTS, ranking, places, None, EMERGING.head(0), nights=1, dimensions=dimensions)
    assert titles(read(shown), "places") == [f"1. {name}: 1 risk point left, ▲ new in a week"]
    assert "<script" not in shown.svg
    assert shown.svg.count("</svg>") == 1


def test_only_the_first_places_are_named_until_the_map_is_near() -> None:
    svg = read(draw_zoom_map(INCIDENTS, RANKING, PLACES, None, EMERGING, nights=28, named=1))
    assert [text.text for text in svg.iter(f"{SVG}text")][:2] == ["301", "101"]
    assert ".names text:nth-child(n+2):not(.chosen) { display: none; }" in "".join(svg.itertext())
    assert svg.get("data-stops") == "1"


def test_a_chosen_place_stands_out_and_is_named() -> None:
    svg = read(draw_zoom_map(INCIDENTS, RANKING, PLACES, None, EMERGING, nights=28, named=1, chosen=101))
    assert [circle.get("class") for circle in circles(svg)] == [None, "chosen"]
    assert [text.text for text in svg.iter(f"{SVG}text") if text.get("class") == "chosen"] == ["101"]


def test_the_busier_cell_is_the_darker_one_and_the_busiest_nearly_full() -> None:
    svg = read(draw_zoom_map(INCIDENTS, None, None, None, EMERGING.head(0), nights=28))
    busy, quiet = (
        float(path.get("fill-opacity", "")) for path in svg.iter(f"{SVG}path") if path.find(f"{SVG}title") is not None
    )
    assert 0.9 < busy < 1
    assert quiet < busy


@pytest.mark.parametrize(
    "positions",
    [
        pytest.param([[77.5, 12.9], [77.7, 13.0]], id="wide"),
        pytest.param([[77.5, 12.0], [77.51, 14.0]], id="tall"),
        pytest.param([[10.0, 69.0], [12.0, 70.0]], id="far north"),
        pytest.param([[77.5, 12.9], [77.5, 12.9]], id="one point"),
    ],
)
def test_a_kilometre_is_as_long_up_as_across_and_every_position_is_on_the_map(positions: list[list[float]]) -> None:
    project = fit(np.array(positions))
    middle = np.radians(np.mean([latitude for _, latitude in positions]))
    assert project.across == pytest.approx(project.up * np.cos(middle))
    for position in positions:
        x, y = project.place(*position)
        assert 0 < x < 1000
        assert 0 < y < project.height


def test_an_outline_closes_at_its_first_corner() -> None:
    (corners,) = outlines([BUSY])
    path = fit(corners).draw(corners)
    assert re.fullmatch(r"M[\d.]+ [\d.]+l[-\d. ]+z", path)
    assert len(re.findall(r"-?(?:\d+\.?\d*|\.\d+)", path)) == 12


def test_a_map_without_stations_risk_or_emerging_cells_can_be_drawn() -> None:
    shown = draw_zoom_map(INCIDENTS, RANKING.head(0), PLACES, None, EMERGING.head(0), nights=1)
    assert circles(read(shown)) == []
    assert not [text for text in read(shown).itertext() if "station" in text and "{" not in text]


def test_a_map_of_a_large_city_draws_what_leads_and_says_so() -> None:
    cells = sorted(h3.grid_disk(BUSY, 40))
    incidents = pd.DataFrame({"cell": cells, "events": range(len(cells), 0, -1)})
    places = pd.DataFrame({"hotspot_id": range(3_000), "latitude": 12.97, "longitude": 77.59})
    ranking = pd.DataFrame({"hotspot_id": range(3_000), "risk": 1.0, "risk_week_before": 1.0})
    shown = draw_zoom_map(incidents, ranking, places, STATIONS, EMERGING, nights=28, chosen=2_999)
    assert len(shown.svg) < 200_000
    assert f"Drawn are the first 400 of {len(cells):,} cells and the first 400 of 3,000 hotspots." in shown.key
    assert titles(read(shown), "cells")[0] == f"cell {cells[0]}: {len(cells) / 28:,.1f} incidents a night"
    assert titles(read(shown), "places")[-1].startswith("401. hotspot 2999: ")


def test_a_map_of_nothing_is_left_out() -> None:
    nothing = (INCIDENTS.head(0), RANKING, PLACES.tail(1), None, EMERGING.head(0))
    with pytest.raises(NothingThere, match="nothing of these nights has a position"):
        draw_zoom_map(*nothing, nights=1)


def test_a_notebook_gets_the_map_as_svg_with_a_picture_for_where_there_is_none() -> None:
    shown = zoom_map(INCIDENTS, RANKING, PLACES, STATIONS, EMERGING, nights=28)
    data, metadata = shown._repr_mimebundle_()
    assert data["image/svg+xml"].startswith("<svg ")
    assert data["text/plain"] == shown.words
    assert data["image/png"].startswith("iVBOR")
    assert metadata["image/svg+xml"] == {"alt": shown.words, MAP_KEY: shown.key}
    assert metadata["image/png"] == {"alt": shown.words}


def test_the_busiest_cells_stand_in_a_table() -> None:
    page = busiest_cells_table(INCIDENTS.iloc[::-1], nights=28, most=2)
    assert rows_of(page) == [BUSY, QUIET]
    assert cells_of(page, BUSY) == ["2.0", "10.0", "12.9700", "77.5900"]
    lost = INCIDENTS.copy()
    lost.attrs["events_without_position"] = 1_234
    assert "1,234 incidents have no position, and are on no map." in busiest_cells_table(lost, nights=1).text
