"""How many rows are still to come: the estimate, its interval, and how often that holds."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from sentinel_etl.audit.completeness import Completeness, forecast

AT, UNTIL = datetime(2026, 11, 22, 0, 40, tzinfo=UTC), datetime(2026, 11, 22, 6, 30, tzinfo=UTC)


def expect(past: list[tuple[int, int]], known: int) -> Completeness:
    found = forecast(past, known, AT, UNTIL)
    assert found is not None
    return found


def test_what_is_expected_is_the_share_of_the_nights_before() -> None:
    found = expect([(1_000, 10), (2_000, 20), (3_000, 30)], 5_000)
    assert found.expected == pytest.approx(50)
    assert found.share == pytest.approx(5_000 / 5_050)
    assert found.low < 50 < found.high


@pytest.mark.parametrize("past", [[], [(100, 1)] * 2, [(0, 0)] * 7, [(100, 1), (100, 1), (0, 5)]])
def test_nothing_is_forecast_from_fewer_than_three_nights(past: list[tuple[int, int]]) -> None:
    assert forecast(past, 100, AT, UNTIL) is None


def test_where_nothing_has_ever_come_late_a_few_rows_may_still() -> None:
    found = expect([(1_000, 0)] * 7, 1_000)
    assert (found.expected, found.low, found.share) == (0, 0, 1)
    assert found.high == 1  # three in 7,000, at most, for a thousand


def test_a_night_of_which_nothing_is_known_yet_expects_nothing() -> None:
    found = expect([(1_000, 10)] * 7, 0)
    assert (found.expected, found.low, found.high) == (0, 0, 0)


def test_nights_that_differ_more_than_by_chance_widen_the_interval() -> None:
    steady = expect([(1_000, 40)] * 7, 1_000)
    unsteady = expect([(1_000, 10), (1_000, 70)] * 3 + [(1_000, 40)], 1_000)
    assert unsteady.expected == pytest.approx(steady.expected)
    assert unsteady.high - unsteady.low > 2 * (steady.high - steady.low)


def test_it_is_read_back_from_the_ledger_as_it_was_written() -> None:
    found = expect([(1_000, 10), (2_000, 20), (3_000, 33)], 5_000)
    assert Completeness.from_dict(found.as_dict()).as_dict() == found.as_dict()


@pytest.mark.parametrize("nights", [3, 7, 28])
@pytest.mark.parametrize("mean", [0.3, 2, 40, 400])
@pytest.mark.parametrize("dispersion", [1, 3])
def test_the_interval_holds_in_at_least_95_of_100_nights(nights: int, mean: float, dispersion: int) -> None:
    draw = np.random.default_rng(nights)
    histories, held = 1_500, 0
    for _ in range(histories):
        known = draw.poisson(5_000, nights + 1)
        rates = mean * known / 5_000
        come = (
            draw.poisson(rates) if dispersion == 1 else draw.negative_binomial(rates / (dispersion - 1), 1 / dispersion)
        )
        past = list(zip(known[:-1].tolist(), come[:-1].tolist(), strict=True))
        held += expect(past, int(known[-1])).contains(int(come[-1]))
    assert held / histories > 0.94  # 0.95, less what 1,500 histories leave to chance
