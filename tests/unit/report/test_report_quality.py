from __future__ import annotations

from datetime import date, timedelta

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from report_reading import cells_of, flagged_rows_of, rows_of

from sentinel_etl import report
from sentinel_etl.ledger.nights import NightCoverage
from sentinel_etl.report.figure_style import NIGHT_COLOURS

FIRST = date(2026, 11, 10)  # a Tuesday
STATES = ("published", "warned", "failed", "missing", "published", "published", "missing")
NIGHTS = [NightCoverage(FIRST + timedelta(days=n), state, None) for n, state in enumerate(STATES)]  # type: ignore[arg-type]


def texts_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_the_calendar_shows_each_night_with_its_letter_under_its_weekday() -> None:
    figure = report.coverage_figure(NIGHTS)
    assert texts_of(figure) == ["10  P", "11  W", "12  F", "13  M", "14  P", "15  P", "16  M"]
    places = [text.get_position() for text in figure.axes[0].texts]
    assert places == [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (0, 1)]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["09 Nov 2026", "16 Nov 2026"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "P: published",
        "W: published with warnings",
        "F: failed",
        "M: missing",
    ]


def test_the_letters_of_the_calendar_can_be_read_on_their_colours() -> None:
    """Contrast of at least 4.5 to 1, WCAG 2.2, success criterion 1.4.3."""

    def light(colour: str) -> float:
        channels = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for fill, ink in NIGHT_COLOURS.values():
        darker, lighter = sorted([light(fill), light(ink)])
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (fill, ink)


def test_nights_that_need_someone_are_named_and_flagged() -> None:
    page = report.coverage_table(NIGHTS)
    assert cells_of(page, "published") == ["3", "–"]
    assert cells_of(page, "failed") == ["1", "2026-11-12"]
    assert cells_of(page, "missing") == ["2", "2026-11-13, 2026-11-16"]
    assert flagged_rows_of(page) == ["published with warnings", "failed", "missing"]


COUNTS = pd.DataFrame(
    [
        (date(2026, 11, 20), "GEOFENCE", 50, 50),
        (date(2026, 11, 20), "REMARK", 20, 12),
        (date(2026, 11, 21), "GEOFENCE", 60, 60),
        (date(2026, 11, 21), "REMARK", 10, 10),
    ],
    columns=["shift_date", "event_type", "source", "warehouse"],
)


def test_reconciliation_draws_both_sides_and_names_the_difference_of_a_night() -> None:
    figure = report.reconciliation_figure(COUNTS)
    axis = figure.axes[0]
    assert [bar.get_height() for bar in axis.patches] == [70, 70]  # type: ignore[attr-defined]
    assert list(axis.lines[0].get_ydata()) == [62, 70]
    assert texts_of(figure) == ["-8"]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("night of", "events a night")


def test_the_nights_that_differ_are_listed_by_type() -> None:
    page = report.nights_differing_table(COUNTS)
    assert rows_of(page) == ["2026-11-20"]
    assert cells_of(page, "2026-11-20") == ["REMARK", "20", "12", "-8"]


def test_where_no_night_differs_it_says_so() -> None:
    agreed = COUNTS.assign(warehouse=COUNTS["source"])
    assert repr(report.nights_differing_table(agreed)) == "2 nights: source and warehouse agree in each event type"


def test_null_shares_are_drawn_as_points_from_each_columns_median() -> None:
    nights = [date(2026, 11, 19), date(2026, 11, 20), date(2026, 11, 21)]
    shares = pd.DataFrame({"latitude": [0.05, 0.05, 0.35], "never": [0.0, 0.0, 0.0]}, index=nights)
    figure = report.nulls_over_time_figure(shares)
    (image,) = figure.axes[0].images
    assert np.asarray(image.get_array()).round(6).tolist() == [[0.0, 0.0, 30.0]]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["latitude  5 %"]
    assert figure.axes[1].get_ylabel() == "share of NULLs less its median, percentage points"


LAGS = pd.DataFrame(
    {
        "event_type": ["REMARK"] * 3 + ["GEOFENCE"] * 3,
        "lag": ["10 s", "1 h", "later"] * 2,
        "events": [90, 7, 3, 50, 0, 0],
        "after_night": [3, 3, 3, 0, 0, 0],
    }
)


def test_lags_are_counted_by_class_with_what_came_after_the_run() -> None:
    page = report.lag_table(LAGS)
    assert cells_of(page, "REMARK") == ["90", "7", "3", "3", "3.00"]
    assert cells_of(page, "total") == ["140", "7", "3", "3", "2.00"]


def test_a_lag_line_rises_to_100_in_the_order_of_the_classes() -> None:
    axis = report.lag_figure(LAGS).axes[0]
    lines = {str(line.get_label()): list(line.get_ydata()) for line in axis.lines}
    assert lines == {"GEOFENCE": [100.0, 100.0, 100.0], "REMARK": [90.0, 97.0, 100.0]}
    assert [label.get_text() for label in axis.get_xticklabels()] == ["10 s", "1 h", "later"]
    assert axis.get_ylim()[0] == pytest.approx(90.0)
