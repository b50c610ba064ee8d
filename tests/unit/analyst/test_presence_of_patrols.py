"""How events hang on patrols' hours, in places of which that is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sentinel_etl.analyst.ranking.presence import associate, correlate, relate
from sentinel_etl.errors import NothingThere

PLACES, NIGHTS = 60, 40


def hours_and_events(power: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw hours, more of them at worse places, and events whose mean rises with a power of the hours."""
    random = np.random.default_rng(seed)
    place, night = (each.ravel() for each in np.indices((PLACES, NIGHTS)))
    worse = np.exp(random.normal(0, 1, PLACES))[place]
    hours = worse * np.exp(random.normal(0, 0.6, len(place)))
    events = random.poisson(0.8 * worse * hours**power).astype(float)
    keys = {"place": place.astype(str), "night": night}
    told = pd.DataFrame({**keys, "events": events})
    return pd.DataFrame({**keys, "hours": hours}), told[told["events"] > 0]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("power", "factor"), [(0.0, 1.0), (0.5, 2**0.5), (1.0, 2.0)], ids=["not", "half", "as much"])
def test_the_factor_of_twice_the_hours_is_found_however_bad_the_places_are(
    power: float, factor: float, seed: int
) -> None:
    found = associate(*hours_and_events(power, seed))
    assert found.value == pytest.approx(factor, rel=0.08)
    assert found.low - 0.03 < factor < found.high + 0.03
    assert found.places > PLACES / 2


def test_the_factor_s_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    found = [associate(*hours_and_events(0.5, 100 + seed)) for seed in range(200)]
    covered = sum(each.low <= 2**0.5 <= each.high for each in found)
    assert 0.89 <= covered / len(found) <= 0.99


def test_nights_without_patrols_and_too_few_places_say_nothing() -> None:
    hours, events = hours_and_events(1.0, 1)
    few = hours["place"].isin(["1", "2"])
    assert np.isnan(associate(hours[few], events).value)
    assert np.isnan(associate(hours.assign(hours=0.0), events).value)
    assert np.isnan(associate(hours.assign(hours=2.0), events).value)


def test_ranks_that_rise_together_are_correlated() -> None:
    rising = np.arange(20.0)
    assert correlate(rising, rising**3).value == pytest.approx(1.0)
    assert correlate(rising, -rising).value == pytest.approx(-1.0)
    assert np.isnan(correlate(rising, np.zeros(20)).value)
    assert np.isnan(correlate(rising[:3], rising[:3]).value)


def test_the_interval_of_a_rank_correlation_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(4)
    pairs = (random.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 80).T for _ in range(400))
    found = [correlate(one, other) for one, other in pairs]
    truth = 6 / np.pi * np.arcsin(0.3)  # Spearman's of a normal correlation of 0.6
    assert 0.91 <= sum(each.low <= truth <= each.high for each in found) / len(found) <= 0.99


def test_both_rankings_stand_side_by_side() -> None:
    hours = pd.DataFrame({"place": ["1", "2", "3"], "night": [0, 0, 0], "hours": [4.0, 2.0, 1.0]})
    kinds = {
        "reported": pd.DataFrame({"place": ["2", "3"], "night": [0, 0], "events": [3.0, 1.0], "risk": [60.0, 20.0]}),
        "found": pd.DataFrame({"place": ["1"], "night": [0], "events": [8.0], "risk": [16.0]}),
    }
    found = relate(hours, kinds, pd.Series([90.0, 50.0, 10.0], index=["1", "2", "3"]), {"1": 1, "2": 2, "3": 3}).places
    assert found.index.tolist() == [1, 2, 3]
    assert found["rank"].tolist() == [1, 2, 3]
    assert found["rank_reported"].tolist() == [3, 1, 2]
    assert found["found_per_hour"].tolist() == [2.0, 0.0, 0.0]
    assert found["reported"].tolist() == [0, 3, 1]


def test_no_patrol_anywhere_is_said_in_one_sentence() -> None:
    nothing = pd.DataFrame({"place": [], "night": [], "hours": []})
    with pytest.raises(NothingThere, match="no patrol was at any place"):
        relate(nothing, {}, pd.Series([1.0], index=["1"]), {})
