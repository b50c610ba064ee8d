from __future__ import annotations

import numpy as np
import pytest

from sentinel_etl.analyst.ranking.measures import calibrate, measure, places_of, sum_first, take_first, values_by_rank

KNOWN = np.ones((1, 5), bool)
SCORES = np.array([[5.0, 1.0, 4.0, 2.0, 3.0]])
FOUND = np.array([[4.0, 0.0, 1.0, 3.0, 2.0]])
BEFORE = np.array([[6.0, 1.0, 1.0, 1.0, 1.0]])


def test_values_stand_in_the_order_of_the_scores() -> None:
    np.testing.assert_array_equal(values_by_rank(SCORES, FOUND, KNOWN), [[4.0, 1.0, 2.0, 3.0, 0.0]])


def test_places_of_equal_score_share_their_values_alike() -> None:
    scores = np.array([[2.0, 2.0, 2.0, 1.0, 1.0]])
    np.testing.assert_allclose(values_by_rank(scores, FOUND, KNOWN), [[5 / 3, 5 / 3, 5 / 3, 2.5, 2.5]])
    assert sum_first(scores, FOUND, KNOWN, np.array([2]))[0] == pytest.approx(10 / 3)


def test_a_ranking_that_says_nothing_has_what_chance_has() -> None:
    taken = take_first(np.zeros((1, 5)), FOUND, BEFORE, KNOWN, np.array([2]))
    for found, chance in measure(taken).values():
        assert found.value == pytest.approx(chance)


def test_places_that_are_not_known_yet_have_no_rank() -> None:
    known = np.array([[True, False, True, True, True]])
    scores, found = np.array([[1.0, 9.0, 0.0, 0.0, 0.0]]), np.array([[1.0, 7.0, 1.0, 1.0, 1.0]])
    taken = take_first(scores, found, BEFORE, known, np.array([1]))
    assert (taken.hits[0], taken.total[0], taken.even[0], taken.best[0]) == (1.0, 4.0, 1.0, 1.0)
    np.testing.assert_array_equal(values_by_rank(scores, found, known), [[1.0, 1.0, 1.0, 1.0, 0.0]])


def test_a_night_without_any_known_place_counts_for_nothing() -> None:
    taken = take_first(SCORES, FOUND, BEFORE, np.zeros((1, 5), bool), np.array([1]))
    assert (taken.hits[0], taken.total[0], taken.even[0], taken.best[0]) == (0.0, 0.0, 0.0, 0.0)


def test_measures_are_what_their_definitions_say() -> None:
    taken = take_first(SCORES, FOUND, BEFORE, KNOWN, np.array([2]))
    found = {name: (each.value, chance) for name, (each, chance) in measure(taken).items()}
    # The first two places, of scores 5 and 4, held 5 of 10; the best two 7; and 7 of 10 in the weeks before.
    assert found["hit rate"] == pytest.approx((0.5, 0.4))
    assert found["PAI"] == pytest.approx((1.25, 1.0))
    assert found["PEI*"] == pytest.approx((5 / 7, 4 / 7))
    assert found["RRI"] == pytest.approx((0.5 / 0.7, 0.4 / 0.7))


@pytest.mark.parametrize(
    ("share", "places"), [(0.01, 1), (0.02, 2), (0.05, 6), (0.1, 12), (0.2, 24)], ids=lambda value: str(value)
)
def test_a_share_of_places_is_rounded_and_one_at_least(share: float, places: int) -> None:
    assert places_of(share, np.ones((1, 120), bool))[0] == places
    assert places_of(share, np.ones((1, 3), bool))[0] == 1


def test_calibration_compares_what_was_to_be_expected_with_what_was_found_by_tenths() -> None:
    scores = np.arange(20.0, 0.0, -1.0)[None]
    found, known = np.arange(20.0, 0.0, -1.0)[None] / 10, np.ones((1, 20), bool)
    tenths = calibrate(scores, found, np.full((1, 20), 21 / 20), known, 1)
    assert [float(expected[0]) for expected, _ in tenths] == pytest.approx([float(got[0]) for _, got in tenths])
    assert sum(float(expected[0]) for expected, _ in tenths) == pytest.approx(21.0)


def test_without_any_score_all_places_are_expected_to_be_alike() -> None:
    tenths = calibrate(np.zeros((1, 10)), np.ones((1, 10)), np.ones((1, 10)), np.ones((1, 10), bool), 7)
    assert [float(expected[0]) for expected, _ in tenths] == pytest.approx([7.0] * 10)
