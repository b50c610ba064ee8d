"""Where risk is and how it fades: literal rankings in, literal rows and drawn marks out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import h3
import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from report_reading import cells_of, rows_of

from sentinel_etl.report import hotspots
from sentinel_etl.report.city_map import city_map_figure, outlines, round_sizes

KOLKATA = ZoneInfo("Asia/Kolkata")
AS_OF = datetime(2026, 11, 22, 0, 30, tzinfo=UTC)


def ranking(*rows: tuple[int, float, float]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["hotspot_id", "risk", "risk_week_before"])
    return frame.assign(station_id=frame["hotspot_id"] // 100)


RANKING = ranking((301, 400.0, 500.0), (101, 200.0, 50.0), (202, 100.0, 99.0), (203, 5.0, 0.0))


@pytest.fixture(autouse=True)
def no_figure_stays_open() -> Iterator[None]:
    yield
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("risk", "week_before", "trend"),
    [
        pytest.param(111.0, 100.0, "rising", id="more than a tenth above"),
        pytest.param(110.0, 100.0, "steady", id="a tenth above"),
        pytest.param(90.0, 100.0, "steady", id="a tenth below"),
        pytest.param(89.0, 100.0, "falling", id="more than a tenth below"),
        pytest.param(1.0, 0.0, "new", id="nothing before"),
        pytest.param(0.0, 0.0, "steady", id="nothing at all"),
    ],
)
def test_a_trend_is_named_by_the_change_against_the_week_before(risk: float, week_before: float, trend: str) -> None:
    assert hotspots.trend_of(risk, week_before) == trend


def test_headline_names_the_leader_the_steepest_rise_and_how_many_rise_and_fall() -> None:
    assert hotspots.headline_page(RANKING, AS_OF, 72.0, KOLKATA).text.splitlines() == [
        "2026-11-22 06:00 IST, half-life 72 h",
        "Hotspot 301 leads with 400 risk points, ▼ −20% against the week before",
        "Of the first ten, hotspot 101 rose most: 50 → 200",
        "2 of 4 hotspots rising, 1 falling, 1 steady",
    ]


def test_headline_of_no_hotspot_says_that_there_is_none() -> None:
    assert "No hotspot has any risk." in hotspots.headline_page(ranking(), AS_OF, 72.0, KOLKATA).html


def test_half_lives_stand_side_by_side_in_the_order_of_the_one_asked_for() -> None:
    short = ranking((101, 30.0, 10.0), (301, 4.4, 4.4))
    page = hotspots.ranking_table({72.0: RANKING, 12.0: short}, 72.0, most=3)
    assert rows_of(page) == ["hotspot 301", "hotspot 101", "hotspot 202"]
    assert cells_of(page, "hotspot 301") == ["3", "2", "4", "▶ +0%", "1", "400", "▼ −20%"]
    assert cells_of(page, "hotspot 101") == ["1", "1", "30", "▲ +200%", "2", "200", "▲ +300%"]
    assert cells_of(page, "hotspot 202") == ["2", "–", "–", "–", "3", "100", "▶ +1%"]


def test_ranking_figure_has_a_panel_for_each_half_life_and_a_tick_for_the_week_before() -> None:
    short, long = hotspots.ranking_figure({72.0: RANKING, 12.0: ranking((101, 30.0, 10.0))}, most=3).axes
    assert [axis.get_title(loc="left") for axis in (short, long)] == ["half-life 12 h", "half-life 72 h"]
    assert [label.get_text() for label in long.get_yticklabels()] == ["301", "101", "202"]
    assert [bar.get_width() for bar in long.containers[0]] == [400.0, 200.0, 100.0]
    assert list(long.lines[0].get_xdata()) == [500.0, 50.0, 99.0]
    assert [text.get_text() for text in long.texts] == ["▼ −20%", "▲ +300%", "▶ +1%"]
    colours = {bar.get_facecolor() for bar in long.containers[0]}
    assert len(colours) == 3


def test_moments_keep_the_hour_where_the_clocks_change() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    end = datetime(2026, 10, 26, 6, 0, tzinfo=berlin)
    moments = hotspots.moments_before(end.astimezone(UTC), 3, berlin)
    assert [f"{moment:%d %H:%M}" for moment in moments] == ["24 06:00", "25 06:00", "26 06:00"]
    assert moments[-1] == end
    assert moments[-1].astimezone(UTC) - moments[0].astimezone(UTC) == timedelta(hours=49)


def test_history_draws_what_was_left_and_halves_it_every_half_life_after() -> None:
    history = {
        AS_OF: RANKING,
        AS_OF - timedelta(days=1): ranking((101, 60.0, 0.0)),
    }
    (axis,) = hotspots.history_figure(history, 24.0, KOLKATA, most=2).axes
    past, future, *_ = axis.lines
    assert list(past.get_xdata()) == [-1.0, 0.0]
    assert list(past.get_ydata()) == [0.0, 400.0]  # 301 had no risk the day before
    days, left = np.asarray(future.get_xdata()), np.asarray(future.get_ydata())
    assert left == pytest.approx(400.0 * 0.5**days)
    assert [text.get_text() for text in axis.texts] == ["hotspot 101", "hotspot 301"]
    assert axis.get_xlabel() == "days before and after 2026-11-22 06:00 IST"


def test_labels_of_curves_that_meet_do_not_cover_each_other() -> None:
    close = ranking((1, 100.0, 0.0), (2, 99.9, 0.0), (3, 99.8, 0.0))
    (axis,) = hotspots.history_figure({AS_OF: close, AS_OF - timedelta(days=1): close}, 24.0, KOLKATA).axes
    heights = sorted(text.xy[1] for text in axis.texts)
    assert min(np.diff(heights)) >= 0.064 * axis.get_ylim()[1]


PLACES = pd.DataFrame(
    {"hotspot_id": [101, 301, 999], "latitude": [12.97, 12.99, np.nan], "longitude": [77.59, 77.59, np.nan]}
)
CELL = h3.latlng_to_cell(12.971, 77.59, 9)
EMERGING = pd.DataFrame(
    {
        "cell": [CELL],
        "latitude": [12.971],
        "longitude": [77.59],
        "events": [5],
        "expected": [1.234],
        "p_value": [2.04e-5],
        "by_chance": [0.0204],
        "q_value": [0.0204],
        "weeks": [3],
        "risk": [63.45],
        "last_event": pd.to_datetime(["2026-11-20T22:21:00Z"]),
    }
)


def test_emerging_cells_are_named_by_the_hotspot_nearest_to_them() -> None:
    page = hotspots.emerging_table(EMERGING, PLACES, KOLKATA)
    assert cells_of(page, CELL) == ["101, 111 m", "5", "1.23", "0.02", "3", "63.45", "Sat 21 Nov 03:51"]


def test_what_chance_hardly_ever_does_is_not_said_to_be_never() -> None:
    page = hotspots.emerging_table(EMERGING.assign(by_chance=[1e-12]), PLACES, KOLKATA)
    assert cells_of(page, CELL)[3] == "&lt; 0.0001"


def test_where_no_hotspot_has_a_position_a_cell_has_no_neighbour() -> None:
    assert cells_of(hotspots.emerging_table(EMERGING, PLACES.tail(1), KOLKATA), CELL)[0] == "–"


def test_no_emerging_cell_is_said_to_be_none() -> None:
    assert (
        "No cell has more incidents than chance explains"
        in hotspots.emerging_table(EMERGING.head(0), PLACES, KOLKATA).html
    )


INCIDENTS = pd.DataFrame(
    {"cell": [h3.latlng_to_cell(12.97, 77.59, 8), h3.latlng_to_cell(12.99, 77.59, 8)], "events": [56, 28]}
)
STATIONS = pd.DataFrame({"station_id": [1], "latitude": [12.98], "longitude": [77.6]})


def test_the_map_shades_cells_by_incidents_a_night_and_sizes_hotspots_by_the_risk_left() -> None:
    figure = city_map_figure(INCIDENTS, RANKING, PLACES, STATIONS, EMERGING, nights=28, named=1)
    axis = figure.axes[0]
    density, circles, emerging, *_ = axis.collections
    assert density.get_array().tolist() == [2.0, 1.0]
    # 202 and 203 have no position, 301 has twice the risk of 101; an area stands for it, not a width.
    assert circles.get_offsets().tolist() == [[77.59, 12.99], [77.59, 12.97]]
    assert circles.get_sizes()[0] == 2 * circles.get_sizes()[1]
    assert len(emerging.get_paths()) == 1
    assert [text.get_text() for text in axis.texts] == ["301", "station 1"]


def test_a_kilometre_is_as_long_up_as_across_on_the_map() -> None:
    axis = city_map_figure(INCIDENTS, RANKING, PLACES, STATIONS, EMERGING, nights=28).axes[0]
    assert axis.get_aspect() == pytest.approx(1 / np.cos(np.radians(12.98)), rel=1e-3)
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("longitude, degrees east", "latitude, degrees north")


def test_a_map_without_emerging_cells_or_risk_can_be_drawn() -> None:
    figure = city_map_figure(INCIDENTS, ranking(), PLACES, STATIONS, EMERGING.head(0), nights=1)
    figure.canvas.draw()
    assert len(figure.axes[0].collections[1].get_offsets()) == 0


def test_an_outline_has_longitude_before_latitude_and_lies_about_its_cell() -> None:
    (corners,) = outlines([CELL])
    assert corners.mean(axis=0) == pytest.approx([77.59, 12.971], abs=0.003)


@pytest.mark.parametrize(
    ("highest", "sizes"),
    [
        pytest.param(578.0, [500.0, 100.0], id="hundreds"),
        pytest.param(2.0, [2.0, 0.4], id="exactly round"),
        pytest.param(0.19, [0.1, 0.02], id="below one"),
        pytest.param(0.0, [], id="none"),
    ],
)
def test_the_legend_of_sizes_has_round_amounts_that_occur(highest: float, sizes: list[float]) -> None:
    assert round_sizes(highest) == pytest.approx(sizes)
