"""The mathematics of decay, against sums worked out by hand and with exact fractions."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from sentinel_etl.errors import ConfigurationError
from sentinel_etl.warehouse.decay import (
    DEFAULT_HALF_LIFE_HOURS,
    MIN_HALF_LIFE_HOURS,
    NEGLIGIBLE_HALF_LIVES,
    check_half_life,
)

Floats = npt.NDArray[np.float64]


def decayed_risk(scores: Floats, ages_hours: Floats, half_life_hours: float) -> float:
    """Sum the scores (risk points), each decayed by its age (hours); a negative age does not count."""
    counts = ages_hours >= 0
    return float(np.sum(scores[counts] * np.exp2(-ages_hours[counts] / half_life_hours)))


def fold_night(scores: Floats, hours: Floats, half_life_hours: float) -> float:
    """Sum one night's scores as seen from its reference instant: ``hours`` are the events' own."""
    return float(np.sum(scores * np.exp2(hours / half_life_hours)))


def unfold_night(folded: float, hours: float, half_life_hours: float) -> float:
    """Turn a folded night into its risk ``hours`` after its reference instant."""
    return folded * math.exp2(-hours / half_life_hours)


@pytest.mark.parametrize(
    ("age_hours", "left"),
    [
        pytest.param(0.0, 8.0, id="at the instant it happens"),
        pytest.param(72.0, 4.0, id="after one half-life"),
        pytest.param(216.0, 1.0, id="after three"),
        pytest.param(-0.001, 0.0, id="before it happens"),
    ],
)
def test_an_event_of_eight_points_halves_with_each_half_life(age_hours: float, left: float) -> None:
    assert decayed_risk(np.array([8.0]), np.array([age_hours]), 72.0) == left


def test_risk_is_the_sum_over_the_events_in_the_form_with_lambda() -> None:
    scores, ages = np.array([20.0, 6.0, 1.0]), np.array([1.5, 30.0, 500.0])
    rate = math.log(2) / DEFAULT_HALF_LIFE_HOURS
    expected = 20 * math.exp(-rate * 1.5) + 6 * math.exp(-rate * 30) + math.exp(-rate * 500)
    assert decayed_risk(scores, ages, DEFAULT_HALF_LIFE_HOURS) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("half_life_hours", [MIN_HALF_LIFE_HOURS, 1.0, 72.0, 8_760.0])
def test_a_folded_night_unfolds_to_the_same_risk_in_any_zone(half_life_hours: float) -> None:
    random = np.random.default_rng(5)
    hours = random.uniform(-8, 43, 2_000)  # of events of nights from UTC+14 to UTC−12, after the reference
    scores = random.uniform(0, 80, 2_000)
    folded = fold_night(scores, hours, half_life_hours)
    for later in (43.0, 44.0, 60.0):
        direct = decayed_risk(scores, later - hours, half_life_hours)
        assert unfold_night(folded, later, half_life_hours) == pytest.approx(direct, rel=1e-12)


def test_what_counts_as_negligible_lies_below_double_precision() -> None:
    left = decayed_risk(np.array([1.0]), np.array([NEGLIGIBLE_HALF_LIVES * 72.0]), 72.0)
    assert left > 0
    assert 1.0 + left == 1.0
    assert 1.0 + 4 * left > 1.0


@pytest.mark.parametrize(
    "half_life_hours",
    [
        pytest.param(0, id="zero"),
        pytest.param(-72.0, id="negative"),
        pytest.param(0.09, id="below the least"),
        pytest.param(math.nan, id="not a number"),
        pytest.param(math.inf, id="infinite"),
        pytest.param(True, id="a truth value"),
        pytest.param("72", id="text"),
    ],
)
def test_a_half_life_that_cannot_be_is_refused_with_what_was_found(half_life_hours: float) -> None:
    with pytest.raises(ConfigurationError, match=r"^half_life_hours: expected a number of hours of at least 0\.1"):
        check_half_life(half_life_hours)


def test_a_half_life_in_whole_hours_is_taken_as_a_float() -> None:
    assert type(check_half_life(72)) is float
