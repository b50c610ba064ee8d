"""What chance does to ordinary nights: the tests that gates ask, against simulated nights and scipy."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sentinel_etl.audit.chance import CHANCE, chance_of_count, chance_of_shares, scatter_of_shares
from sentinel_etl.audit.history import Measures, add_up_nulls
from sentinel_etl.audit.history_gates import judge_history

NIGHTS = [date(2026, 11, 21) - timedelta(days=n) for n in range(28, -1, -1)]
KINDS = {"COMMON": 600, "USUAL": 120, "RARE": 9, "SELDOM": 1}


def test_the_chance_of_a_count_is_that_of_the_negative_binomial() -> None:
    before = [8, 14, 9, 11, 20, 3, 12]
    mean = (sum(before) + 0.5) / 7
    variance = max(1.0, np.mean(np.diff(before) ** 2) / 2 / mean) * (1 + 1 / 7)
    law = stats.nbinom(mean / (variance - 1), 1 / variance)
    assert chance_of_count(31, before) == pytest.approx(law.sf(30), rel=1e-9)
    assert chance_of_count(2, before) == pytest.approx(law.cdf(2), rel=1e-9)
    assert chance_of_count(0, []) == 1.0


@pytest.mark.parametrize("mean", [1.0, 9.0, 120.0])
@pytest.mark.parametrize("scatter", [1.0001, 3.0], ids=["Poisson's", "three times Poisson's"])
def test_a_count_is_as_rare_as_it_is_said_to_be(mean: float, scatter: float) -> None:
    """Each of two tails at one in a hundred: 4,000 simulated nights, each after 28 of its own."""
    random = np.random.default_rng(5)
    counts = random.negative_binomial(mean / (scatter - 1), 1 / scatter, (4_000, 29))
    rare = sum(chance_of_count(int(row[-1]), row[:-1]) < 0.01 for row in counts)
    assert rare / len(counts) <= 0.03


def test_a_change_that_lasts_is_still_rare_on_its_tenth_night() -> None:
    assert chance_of_count(500, [200] * 18 + [500] * 10) < CHANCE


def nulls_of(shares: np.ndarray, events: np.ndarray) -> pd.DataFrame:
    rows = zip(NIGHTS, shares, events, strict=False)
    return pd.DataFrame(
        [(night, "REMARK", "speed", share, rows_there) for night, share, rows_there in rows],
        columns=["shift_date", "event_type", "column", "share", "events"],
    )


def test_shares_that_come_in_runs_scatter_further_than_single_rows() -> None:
    random, events = np.random.default_rng(3), np.full(28, 400)
    single = random.binomial(400, 0.2, 28) / 400
    in_runs = 20 * random.binomial(20, 0.2, 28) / 400
    scatters = [add_up_nulls(nulls_of(each, events))["scatter"][0] for each in (single, in_runs)]
    assert scatters[0] < 1.7
    assert 12 < scatters[1] < 32


def test_each_group_scatters_by_its_own_nights() -> None:
    shares = np.array([0.1, 0.3, 0.1, 0.5, 0.5, 0.2])
    groups, events = np.array([0, 0, 0, 1, 1, 2]), np.full(6, 1_000.0)
    share = 0.5 / 3
    first = 0.2**2 / (2 / 1_000) / (share * (1 - share))
    assert scatter_of_shares(groups, shares, events) == pytest.approx([first, 1.0, 1.0])


def test_nulls_are_added_up_by_type_and_column_whatever_the_order_of_rows() -> None:
    rows = [
        (night, kind, column, share, events)
        for night, events in zip(NIGHTS[:3], (10, 0, 30), strict=True)
        for kind, share in (("A", 0.5), ("B", 0.0))
        for column in ("x", "y")
        if events
    ]
    nulls = pd.DataFrame(rows, columns=["shift_date", "event_type", "column", "share", "events"])
    for order in (nulls, nulls[::-1]):
        added = add_up_nulls(order.reset_index(drop=True)).set_index(["event_type", "column"])
        assert set(added.index) == {(kind, column) for kind in "AB" for column in "xy"}
        assert added.loc[("A", "x"), ["events", "share"]].tolist() == [40, 0.5]
        assert added.loc[("B", "y"), ["events", "share", "scatter"]].tolist() == [40, 0.0, 1.0]
    assert add_up_nulls(nulls[:0]).empty


@pytest.mark.parametrize("share", [0.0, 1.0], ids=["never NULL", "always NULL"])
def test_what_never_differs_has_the_least_scatter(share: float) -> None:
    assert list(add_up_nulls(nulls_of(np.full(28, share), np.full(28, 50)))["scatter"]) == [1.0]


def tonight(share: float, events: int, scatter: float = 1.0) -> pd.DataFrame:
    row = {"share": share, "events": events, "share_before": 0.1, "events_before": 28 * events, "scatter": scatter}
    return pd.DataFrame([row])


def test_the_chance_of_a_share_knows_the_size_of_its_group() -> None:
    few, many = (chance_of_shares(tonight(0.2, events), 0.02)[0] for events in (60, 2_000))
    assert few > 0.03
    assert many < 1e-12
    assert chance_of_shares(tonight(0.2, 2_000, scatter=40.0), 0.02)[0] > 0.001
    assert chance_of_shares(tonight(0.0, 60), 0.02)[0] == 1.0


def ordinary_nights(random: np.random.Generator) -> tuple[Measures, Measures]:
    """Draw 28 nights and one more: counts as Poisson's, NULLs of one value in ten, in runs of five."""
    rows, nulls = [], []
    for night in NIGHTS:
        for kind, mean in KINDS.items():
            if events := int(random.poisson(mean)):
                rows.append((night, kind, events))
                runs = max(1, events // 5)
                unknown = random.binomial(runs, 0.1, 6) / runs
                nulls += [(night, kind, f"column_{n}", each, events) for n, each in enumerate(unknown)]
    counts = pd.DataFrame(rows, columns=["shift_date", "event_type", "events"])
    shares = pd.DataFrame(nulls, columns=["shift_date", "event_type", "column", "share", "events"])
    scores = counts.assign(base_risk_score=1.0, station_id=3)
    measured = Measures(counts, shares, scores)
    return measured.of_nights(NIGHTS[:-1]), measured.of_nights(NIGHTS[-1:])


def test_ordinary_nights_of_a_city_of_chance_are_hardly_ever_warned_of() -> None:
    random = np.random.default_rng(11)
    warned = []
    for _ in range(60):
        before, night = ordinary_nights(random)
        warned += [check.observed for check in judge_history(before, night) if not check.passed]
    assert len(warned) <= 1, warned
