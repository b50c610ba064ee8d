"""Figures and tables of how a ranking did, made of evaluations of drawn histories."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from ranking_samples import fading, history_of

from sentinel_etl.analyst.ranking.evaluate import Evaluation, evaluate_history
from sentinel_etl.analyst.ranking.presence import CAVEAT, Association, Presence
from sentinel_etl.config.dimensions import Dimensions
from sentinel_etl.errors import NothingThere
from sentinel_etl.report import feedback, foretelling


def evaluate(nights: int) -> Evaluation:
    history = history_of(fading(nights, 1), 1, half_lives=(72.0, 24.0))
    risk = history.risk.assign(weight_0=history.risk["risk_0"] / 40)
    return evaluate_history(replace(history, risk=risk, weights=(("event_type=FIRE", 20.0),)))


@pytest.fixture(scope="module")
def found() -> Evaluation:
    return evaluate(90)


@pytest.fixture(scope="module")
def short() -> Evaluation:
    """Two mornings, too few for an interval and for a week."""
    return evaluate(9)


@pytest.fixture
def presence() -> Presence:
    hours = np.array([9.0, 4.0, 0.0])
    places = pd.DataFrame(
        {
            "hours": hours,
            "reported": [3, 1, 0],
            "reported_per_hour": [1 / 3, 0.25, np.nan],
            "found": [9, 2, 0],
            "found_per_hour": [1.0, 0.5, np.nan],
            "risk": [50.0, 20.0, 1.0],
            "rank": [1, 2, 3],
            "risk_reported": [20.0, 30.0, 0.0],
            "rank_reported": [2, 1, 3],
        },
        index=[101, 102, 103],
    )
    known, unknown = Association(0.5, 0.2, 0.8, 3), Association(np.nan, np.nan, np.nan, 0)
    return Presence(
        places, {"as it is": known, "reported events alone": unknown}, {"reported": unknown, "found": known}
    )


def test_the_headline_says_what_was_held_beside_the_best_plain_way_and_chance(found: Evaluation) -> None:
    lines = repr(foretelling.verdict_page(found)).splitlines()
    assert lines[0].startswith("68 mornings, 60 hotspots, half-life 72 h; 0% of the emergencies")
    assert "The first 6 held 37% [" in lines[1]
    assert "chance 10%" in lines[1]
    assert "counts of last week, held 27% [" in lines[2]
    assert "The risk is better: +10.2 points [" in lines[2]


def test_a_clear_difference_is_called_one_and_no_other(found: Evaluation) -> None:
    test = pd.Series({"difference": -0.1, "low": -0.2, "high": -0.05, "p_value": 0.01})
    assert foretelling.judge(test) == "The risk is worse: -10.0 points [-20.0, -5.0], p = 0.010."
    assert foretelling.judge(test.replace(-0.05, 0.02)).startswith("That is no clear difference: -10.0 points")


def test_too_few_nights_have_no_brackets(short: Evaluation) -> None:
    page = repr(foretelling.verdict_page(short))
    assert "[" not in page
    assert page.endswith("Too few nights for intervals.")
    assert "[" not in repr(foretelling.measures_table(short))


def test_cells_are_called_cells_and_places_by_the_pipeline_s_word(found: Evaluation) -> None:
    dimensions = Dimensions(place="bed", words={"bed": "kind of bed"})
    assert " 60 kind of beds, " in repr(foretelling.verdict_page(found, dimensions))
    assert " 60 cells, " in repr(foretelling.verdict_page(replace(found, by="cell"), dimensions))


def test_the_table_has_a_row_for_each_horizon_and_ranking(found: Evaluation) -> None:
    table = repr(foretelling.measures_table(found))
    assert table.split()[:5] == ["hit", "rate", "PAI", "PEI*", "RRI"]
    assert table.count("night: ") == table.count("week: ") == 5
    assert "night: even share" in table


@pytest.mark.parametrize("draw", [foretelling.rates_figure, foretelling.calibration_figure, foretelling.sweep_figure])
def test_each_figure_is_drawn_and_told_in_words(found: Evaluation, short: Evaluation, draw: Any) -> None:
    for evaluation in (found, short):
        figure = draw(evaluation)
        assert isinstance(figure, Figure)
        assert len(figure.words) > 40  # type: ignore[attr-defined]


def test_nights_are_drawn_where_there_are_enough(found: Evaluation, short: Evaluation) -> None:
    assert "37% in all by the risk" in foretelling.nights_figure(found).words  # type: ignore[attr-defined]
    with pytest.raises(NothingThere, match="it needs 7 mornings; 2 were judged"):
        foretelling.nights_figure(short)


def test_without_a_sweep_there_is_no_figure_of_it(found: Evaluation) -> None:
    with pytest.raises(NothingThere, match="none was tried"):
        foretelling.sweep_figure(replace(found, half_lives=found.half_lives.iloc[:0]))
    assert foretelling.sweep_figure(replace(found, weights=found.weights.iloc[:0]))


def test_presence_is_told_with_its_caveat_and_its_sources(presence: Presence) -> None:
    text = repr(feedback.presence_page(presence, CAVEAT))
    assert "in nights of twice the patrol-hours, found events are × 0.50 [0.20, 0.80]" in text
    assert "reported events are × – (too few places)" in text
    assert "Ensign et al. 2018; Lum and Isaac 2016" in text


def test_both_rankings_stand_in_the_table_and_in_the_figure(presence: Presence) -> None:
    table = repr(feedback.presence_table(presence))
    assert table.splitlines()[1].split()[:2] == ["hotspot", "101"]
    assert table.splitlines()[1].split()[-2:] == ["1", "2"]
    figure = feedback.presence_figure(presence)
    assert "Risk over patrol-hours of 3 places" in figure.words  # type: ignore[attr-defined]
