"""Where risk points come from: literal rows in, literal rows and drawn marks out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from report_reading import cells_of, rows_of

from sentinel_etl.report import explorer
from sentinel_etl.window import Window

KOLKATA = ZoneInfo("Asia/Kolkata")


def scores(*rows: tuple[str, int | None, float, int, str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["event_type", "station_id", "base_risk_score", "events", "example"])
    return frame.astype({"station_id": "Int64"})


# Over two nights: 100 events and 460 points.
SCORES = scores(
    ("EMERGENCY", 1, 30.0, 8, "EMERGENCY:3"),
    ("EMERGENCY", 2, 80.0, 1, "EMERGENCY:2"),
    ("EMERGENCY", 1, 80.0, 1, "EMERGENCY:1"),
    ("GEOFENCE", 2, 0.0, 30, "GEOFENCE:1"),
    ("REMARK", 1, 1.0, 60, "REMARK:1"),
)


@pytest.fixture(autouse=True)
def no_figure_stays_open() -> Iterator[None]:
    yield
    assert plt.get_fignums() == []


def test_values_are_ranked_by_their_points_and_averaged_over_the_nights() -> None:
    sums = explorer.break_down(SCORES, "event_type", nights=2)
    assert sums.index.to_list() == ["EMERGENCY", "REMARK", "GEOFENCE"]
    assert sums["events"].to_list() == [5.0, 30.0, 15.0]
    assert sums["scored"].to_list() == [5.0, 30.0, 0.0]
    assert sums["points"].to_list() == [200.0, 30.0, 0.0]
    assert sums["share"].to_list() == [pytest.approx(400 / 460), pytest.approx(60 / 460), 0.0]


def test_quantiles_count_events_and_leave_out_those_without_a_score() -> None:
    by_station = explorer.break_down(SCORES, "station_id", nights=1)
    assert by_station.loc[1, ["p5", "median", "p95", "highest"]].to_list() == [1.0, 1.0, 30.0, 80.0]
    assert by_station.loc[2, ["p5", "median", "p95", "highest"]].to_list() == [80.0, 80.0, 80.0, 80.0]


def test_half_of_the_events_reach_the_median_exactly() -> None:
    found = explorer.quantiles_of(np.array([5.0, 1.0, 9.0]), np.array([1.0, 2.0, 1.0]), [0.5, 0.51, 1.0])
    assert found.tolist() == [1.0, 5.0, 9.0]


def test_a_value_without_scores_has_no_quantiles_and_an_unknown_value_no_row() -> None:
    sums = explorer.break_down(scores(("GEOFENCE", None, 0.0, 3, "a"), ("GEOFENCE", 4, 0.0, 1, "b")), "station_id", 1)
    assert sums.index.to_list() == [4]
    assert np.isnan(sums.loc[4, "median"])
    assert sums.loc[4, "share"] == 0.0


def test_breakdown_table_shows_events_scores_and_points() -> None:
    page = explorer.breakdown_table(SCORES, "station_id", nights=2)
    assert rows_of(page) == ["station 1", "station 2"]
    assert cells_of(page, "station 1") == ["34", "100%", "1.00", "30.00", "80.00", "190", "82.6%"]
    assert cells_of(page, "station 2") == ["16", "3%", "80.00", "80.00", "80.00", "40", "17.4%"]


def test_breakdown_table_keeps_to_the_first_rows() -> None:
    assert rows_of(explorer.breakdown_table(SCORES, "event_type", 1, most=2)) == ["EMERGENCY", "REMARK"]


def test_breakdown_figure_draws_each_value_once_a_panel_with_units() -> None:
    figure = explorer.breakdown_figure(SCORES, "event_type", nights=2)
    left, middle, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["GEOFENCE", "REMARK", "EMERGENCY"]
    assert [bar.get_width() for bar in left.containers[0]] == [15.0, 30.0, 5.0]
    assert [bar.get_width() for bar in right.containers[0]] == [0.0, 30.0, 200.0]
    assert [axis.get_xlabel() for axis in (left, right)] == ["events a night", "risk points a night"]
    assert middle.get_xlabel() == "score of an event that has one, risk points"


def test_period_page_says_which_nights_and_what_is_in_them() -> None:
    period = Window(datetime(2026, 11, 19, 0, 30, tzinfo=UTC), datetime(2026, 11, 22, 0, 30, tzinfo=UTC))
    assert explorer.period_page(SCORES, period, 2, KOLKATA).text.splitlines() == [
        "2026-11-19 06:00 → 2026-11-22 06:00 IST",
        "2 of 3 nights have events: 100 of them, 70% with a score",
        "230 risk points a night",
    ]


def test_the_riskiest_event_is_the_least_id_of_the_highest_score() -> None:
    assert explorer.riskiest_event(SCORES) == "EMERGENCY:1"


# Two nights, a Friday's and a Saturday's.
HOURS = pd.DataFrame(
    [(date(2026, 11, 20), 23, 10.0), (date(2026, 11, 20), 3, 4.0), (date(2026, 11, 21), 23, 30.0)],
    columns=["shift_date", "hour", "risk_points"],
)


def test_hours_follow_the_night_and_an_hour_without_events_counts_as_none() -> None:
    wide = explorer.spread_hours(HOURS)
    assert wide.columns.to_list() == [*range(6, 24), *range(6)]
    assert wide[23].to_list() == [10.0, 30.0]
    assert wide[3].to_list() == [4.0, 0.0]
    assert wide[12].to_list() == [0.0, 0.0]


def test_hours_table_ranks_hours_by_their_median_night() -> None:
    page = explorer.hours_table(HOURS, most=2)
    assert rows_of(page) == ["23:00 to 00:00", "03:00 to 04:00"]
    assert cells_of(page, "23:00 to 00:00") == ["20.00", "12 to 28", "Sat 2026-11-21", "30.00"]


def test_hours_figure_puts_each_weekday_in_its_row() -> None:
    line, heat, bar = explorer.hours_figure(HOURS).axes
    drawn = heat.images[0].get_array()
    assert drawn[4, 17] == 10.0  # Friday, 23:00
    assert drawn[5, 17] == 30.0
    assert drawn.mask[0].all()  # no Monday among them
    assert list(line.lines[0].get_ydata())[17] == 20.0
    assert line.get_ylabel() == "risk points in the hour"
    assert bar.get_ylabel() == "risk points in the hour, mean"


def loads(*rows: tuple[int, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["events", "risk_points"])


LOADS = loads((1, 0.0), (2, 2.0), (3, 10.0), (4, 8.0), (5, 20.0), (6, 0.0), (7, 30.0), (8, 30.0))


def test_bands_hold_as_many_officers_nights_each() -> None:
    bands = explorer.band_loads(LOADS)["band"]
    assert bands.to_list() == ["1 to 2"] * 2 + ["3 to 4"] * 2 + ["5 to 6"] * 2 + ["7 to 8"] * 2


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        pytest.param([(5, 1.0)], ["5"], id="one night"),
        pytest.param([(1, 1.0)] * 9 + [(4, 1.0)], ["1", "2 to 4"], id="most alike"),
    ],
)
def test_equal_loads_are_never_in_two_bands(rows: list[tuple[int, float]], names: list[str]) -> None:
    assert explorer.band_loads(loads(*rows))["band"].cat.categories.to_list() == names


def test_officer_load_table_says_how_many_points_each_band_carries() -> None:
    page = explorer.officer_load_table(LOADS)
    assert rows_of(page) == ["1 to 2 events", "3 to 4 events", "5 to 6 events", "7 to 8 events"]
    assert cells_of(page, "1 to 2 events") == ["2", "1.00", "0.00", "2.00", "2%"]
    assert cells_of(page, "7 to 8 events") == ["2", "30.00", "30.00", "30.00", "60%"]


def test_officer_load_figure_counts_every_officers_night() -> None:
    left, right = explorer.officer_load_figure(LOADS).axes
    assert sum(bar.get_height() for bar in left.containers[0]) == len(LOADS)
    assert [label.get_text() for label in right.get_xticklabels()] == ["1 to 2", "3 to 4", "5 to 6", "7 to 8"]
    assert right.get_ylabel() == "risk points in the night"
