from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from report_reading import cells_of, rows_of

from sentinel_etl import report
from sentinel_etl.errors import NothingThere


def scores(*rows: tuple[str, float, int]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["event_type", "base_risk_score", "events"])
    return frame.astype({"event_type": "str", "base_risk_score": "float64", "events": "int64"})


TONIGHT = scores(("EMERGENCY", 30, 1), ("EMERGENCY", 80, 3), ("REMARK", 0, 5), ("REMARK", 4, 15))
BEFORE = scores(("EMERGENCY", 30, 10), ("EMERGENCY", 60, 10), ("REMARK", 0, 90), ("REMARK", 4, 10))
NOTHING = scores()


@pytest.fixture(autouse=True)
def figures_are_closed() -> Iterator[None]:
    yield
    plt.close("all")


def test_risk_is_summed_up_per_type_and_compared_with_the_nights_before() -> None:
    page = report.risk_table(TONIGHT, BEFORE)
    assert cells_of(page, "EMERGENCY") == ["4", "67.50", "80.00", "80.00", "45.00", "22.50", "2.82", "0.75"]
    assert cells_of(page, "REMARK") == ["20", "3.00", "4.00", "4.00", "0.40", "2.60", "2.02", "0.65"]


def test_the_95th_percentile_is_the_score_that_95_of_100_events_do_not_exceed() -> None:
    page = report.risk_table(scores(("A", 1, 95), ("A", 9, 5), ("B", 1, 94), ("B", 9, 6)), NOTHING)
    assert cells_of(page, "A")[2] == "1.00"
    assert cells_of(page, "B")[2] == "9.00"


def test_a_type_without_a_past_has_no_change() -> None:
    assert cells_of(report.risk_table(TONIGHT, NOTHING), "REMARK")[-4:] == ["–", "–", "–", "–"]


def test_a_window_without_events_has_no_rows_of_risk() -> None:
    assert rows_of(report.risk_table(NOTHING, BEFORE)) == []


FIGURES = [
    pytest.param(report.risk_histogram_figure, "share of events, %", id="histogram"),
    pytest.param(report.risk_ecdf_figure, "events up to it, %", id="cumulative"),
]


@pytest.mark.parametrize(("draw", "up"), FIGURES)
def test_a_risk_figure_has_labelled_axes_a_panel_a_type_and_a_legend(draw: Any, up: str) -> None:
    figure = draw(TONIGHT, BEFORE)
    assert isinstance(figure, Figure)
    assert figure.get_supxlabel() == "score, risk points"
    assert figure.get_supylabel() == up
    assert [axis.get_title(loc="left") for axis in figure.axes if axis.get_visible()] == ["EMERGENCY", "REMARK"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["nights before", "this window"]
    figure.canvas.draw()


@pytest.mark.parametrize(("draw", "up"), FIGURES)
def test_a_risk_figure_is_drawn_without_nights_before(draw: Any, up: str) -> None:
    figure = draw(TONIGHT, NOTHING)
    assert figure.get_supylabel() == up
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["this window"]


@pytest.mark.parametrize(("draw", "up"), FIGURES)
def test_a_risk_figure_is_drawn_for_a_window_without_events(draw: Any, up: str) -> None:
    figure = draw(NOTHING, BEFORE)
    assert figure.get_supylabel() == up
    figure.canvas.draw()


@pytest.mark.parametrize("draw", [report.risk_box_figure, report.risk_histogram_figure, report.risk_ecdf_figure])
@pytest.mark.parametrize("scores", [NOTHING, TONIGHT.assign(base_risk_score=0.0)], ids=["no events", "one score"])
def test_a_figure_of_nothing_is_not_drawn(draw: Any, scores: pd.DataFrame) -> None:
    with pytest.raises(NothingThere, match="no group of events has more than one score"):
        draw(scores, NOTHING)


def steps_of(figure: Figure, panel: int, label: str) -> list[float]:
    (patch,) = [patch for patch in figure.axes[panel].patches if patch.get_label() == label]
    return list(patch.get_data().values)  # type: ignore[attr-defined]


def test_histogram_shares_add_up_to_100_in_bands_of_5_points() -> None:
    figure = report.risk_histogram_figure(TONIGHT, BEFORE)
    tonight = steps_of(figure, 0, "this window")
    assert (tonight[6], tonight[16], sum(tonight)) == (25.0, 75.0, 100.0)
    assert steps_of(figure, 1, "nights before")[0] == 100.0


HIGHER_BEFORE = scores(("REMARK", 0, 5), ("REMARK", 100, 5))


def test_a_histogram_counts_earlier_scores_above_the_windows_highest() -> None:
    figure = report.risk_histogram_figure(scores(("REMARK", 0, 1), ("REMARK", 4, 1)), HIGHER_BEFORE)
    assert steps_of(figure, 0, "nights before")[0] == 50.0


def test_a_cumulative_line_never_turns_back() -> None:
    figure = report.risk_ecdf_figure(scores(("REMARK", 0, 1), ("REMARK", 4, 1)), HIGHER_BEFORE)
    for line in figure.axes[0].lines:
        assert np.all(np.diff(np.asarray(line.get_xdata(), float)) >= 0)


def test_a_cumulative_line_rises_to_100() -> None:
    figure = report.risk_ecdf_figure(TONIGHT, BEFORE)
    lines = {str(line.get_label()): line for line in figure.axes[0].lines}
    assert list(lines["this window"].get_xdata()) == [0, 30, 80, 84]
    assert list(lines["this window"].get_ydata()) == [0, 25, 100, 100]
