from __future__ import annotations

import numpy as np
import pytest

from sentinel_etl.analyst.ranking.intervals import block_length, circular_blocks, estimate


def test_a_ratio_of_sums_is_estimated_with_an_interval_around_it() -> None:
    random = np.random.default_rng(1)
    total = random.poisson(40, 60).astype(float)
    hits = random.binomial(total.astype(int), 0.3).astype(float)
    found = estimate([hits], [total])
    assert found.value == pytest.approx(hits.sum() / total.sum())
    assert found.low < 0.3 < found.high
    assert found.high - found.low < 0.12
    assert found.p_value < 0.01


def test_a_product_of_ratios_is_that_of_its_sums() -> None:
    series = [np.arange(1.0, 41.0), np.full(40, 3.0), np.arange(40.0, 0.0, -1.0), np.full(40, 5.0)]
    found = estimate(series[:2], series[2:])
    sums = [each.sum() for each in series]
    assert found.value == pytest.approx(sums[0] * sums[1] / sums[2] / sums[3])
    assert found.low < found.value < found.high


def test_a_block_goes_on_at_the_first_night_after_the_last() -> None:
    np.testing.assert_array_equal(circular_blocks(np.array([1.0, 2.0, 3.0, 4.0]), 3), [6.0, 9.0, 8.0, 7.0])


@pytest.mark.parametrize(
    ("nights", "horizon", "length"),
    [(60, 1, 9), (90, 7, 16), (17, 1, 0), (18, 1, 3), (20, 7, 0), (28, 7, 7)],
    ids=["nights", "weeks", "too few", "just enough", "too few weeks", "just enough weeks"],
)
def test_a_block_is_a_seventh_of_the_nights_and_longer_where_each_value_is_of_a_week(
    nights: int, horizon: int, length: int
) -> None:
    assert block_length(nights, horizon) == length


def test_too_few_nights_have_a_value_and_no_interval() -> None:
    found = estimate([np.ones(10)], [np.full(10, 4.0)])
    assert (found.value, np.isnan(found.low), np.isnan(found.high), np.isnan(found.p_value)) == (0.25, True, True, True)


def test_a_ratio_over_nothing_is_none() -> None:
    assert np.isnan(estimate([np.ones(60)], [np.zeros(60)]).value)


def test_no_hits_at_all_have_no_spread() -> None:
    found = estimate([np.zeros(60)], [np.full(60, 9.0)], least=0)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_a_few_hits_among_many_nights_keep_above_what_can_be() -> None:
    hits = np.zeros(60)
    hits[[3, 40]] = 1
    found = estimate([hits], [np.full(60, 9.0)], least=0)
    assert found.low == 0.0
    assert found.high > found.value > 0


def test_a_difference_of_nothing_is_by_chance() -> None:
    random = np.random.default_rng(5)
    assert estimate([random.normal(0, 1, 80)], [np.full(80, 10.0)]).p_value > 0.05


def test_the_same_nights_have_the_same_interval() -> None:
    values = np.random.default_rng(2).poisson(5, 60).astype(float)
    assert estimate([values], [np.full(60, 9.0)]) == estimate([values], [np.full(60, 9.0)])


@pytest.mark.parametrize("memory", [0.0, 0.6], ids=["nights apart", "nights that hang together"])
def test_the_interval_covers_the_truth_about_as_often_as_it_says(memory: float) -> None:
    """A small version of `benchmarks/interval_coverage.py`: 400 histories, so within three and a half deviations."""
    random = np.random.default_rng(8)
    histories, nights, covered = 400, 70, 0
    for _ in range(histories):
        pull = np.zeros(nights)
        for night in range(1, nights):
            pull[night] = memory * pull[night - 1] + random.normal(0, 0.2)
        total = random.poisson(50, nights).astype(float)
        hits = random.binomial(total.astype(int), np.clip(0.3 * (1 + pull), 0, 1)).astype(float)
        found = estimate([hits], [total])
        covered += found.low <= 0.3 <= found.high
    assert 0.91 <= covered / histories <= 0.99
