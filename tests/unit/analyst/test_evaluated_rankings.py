"""What the evaluation says of histories whose truth is known: chance, lasting and fading places, and no leak."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ranking_samples import PLACES, fading, history_of, lasting, shuffled

from sentinel_etl.analyst.ranking.as_of import BASELINES, count_known, is_known, rank_by_risk, risk_as_of
from sentinel_etl.analyst.ranking.evaluate import Evaluation, evaluate_history
from sentinel_etl.errors import NothingThere

NIGHTS = 90
SEEDS = [1, 2, 3]
each_seed = pytest.mark.parametrize("seed", SEEDS)


def values(
    found: Evaluation, ranking: str, share: float = 0.10, horizon: str = "night"
) -> dict[str, tuple[float, ...]]:
    rows = found.measures
    rows = rows[(rows["ranking"] == ranking) & np.isclose(rows["share"], share) & (rows["horizon"] == horizon)]
    columns = ["value", "low", "high", "chance"]
    return {row["measure"]: tuple(row[columns]) for _, row in rows.iterrows()}


def paired(found: Evaluation, share: float = 0.10) -> dict[str, Any]:
    rows = found.paired
    [(_, row)] = rows[np.isclose(rows["share"], share) & (rows["horizon"] == "night")].iterrows()
    return dict(row)


@each_seed
def test_where_places_are_shuffled_between_nights_every_measure_falls_to_chance(seed: int) -> None:
    found = evaluate_history(history_of(shuffled(lasting(NIGHTS, seed), seed), seed))
    assert found.nights >= 60
    for ranking in ("risk", *BASELINES):
        for share in (0.05, 0.10, 0.20):
            for measure, (value, _, _, chance) in values(found, ranking, share).items():
                assert value == pytest.approx(chance, rel=0.35), (ranking, share, measure)
    # Within the interval but for one of twenty; all of these hang together.
    inside = [low <= chance <= high for _, low, high, chance in values(found, "risk").values()]
    assert sum(inside) >= len(inside) - 1
    assert abs(paired(found)["difference"]) < 0.05


def test_where_places_are_shuffled_the_mean_over_many_cities_is_chance() -> None:
    ratios = []
    for seed in range(20):
        found = evaluate_history(history_of(shuffled(lasting(NIGHTS, seed), seed), seed))
        ratios.append([value / chance for value, _, _, chance in values(found, "risk").values()])
    np.testing.assert_allclose(np.mean(ratios, axis=0), 1.0, atol=0.05)


@each_seed
def test_where_places_last_counting_is_not_beaten(seed: int) -> None:
    found = evaluate_history(history_of(lasting(NIGHTS, seed), seed))
    assert found.nights >= 60
    for measure, (_, low, _, chance) in values(found, "risk").items():
        assert measure == "RRI" or low > chance, measure
    for share in (0.05, 0.10, 0.20):
        test = paired(found, share)
        assert test["baseline"] == "counts of 28 nights"
        assert test["low"] <= 0
    # A longer memory is better where nothing changes.
    swept = evaluate_history(history_of(lasting(NIGHTS, seed), seed, half_lives=(72.0, 12.0, 720.0))).half_lives
    rates = dict(zip(swept["half_life_hours"], swept["value"], strict=True))
    assert rates[12.0] < rates[72.0] < rates[720.0]


@each_seed
def test_where_places_flare_up_and_fade_the_score_beats_counting(seed: int) -> None:
    found = evaluate_history(history_of(fading(NIGHTS, seed), seed, half_lives=(72.0, 24.0, 720.0)))
    assert found.nights >= 60
    for share in (0.05, 0.10):
        test = paired(found, share)
        assert test["low"] > 0
        assert test["p_value"] < 0.05
    # What flared up two nights ago is better found by a short memory than by a long one.
    swept = found.half_lives.set_index("half_life_hours")
    assert swept.loc[24.0, "low"] > 0
    assert swept.loc[720.0, "high"] < 0


@each_seed
def test_hindsight_is_perfect_and_an_even_share_is_chance(seed: int) -> None:
    found = evaluate_history(history_of(lasting(NIGHTS, seed), seed))
    assert values(found, "perfect hindsight")["PEI*"][0] == 1.0
    for value, _, _, chance in values(found, "even share").values():
        assert value == pytest.approx(chance)


@each_seed
@pytest.mark.parametrize("cut", [20, 47], ids=lambda cut: f"night {cut}")
def test_no_morning_knows_anything_of_the_nights_after_it(seed: int, cut: int) -> None:
    """Change what happened or arrived from one night on: the mornings up to it rank as they did."""
    one = history_of(lasting(NIGHTS, seed), seed, late=0.1)
    other = history_of(fading(NIGHTS, seed + 10), seed + 10, late=0.1)
    frames = {}
    for name in ("risk", "emergencies"):
        left, right = getattr(one, name), getattr(other, name)
        parts = left[left["arrived"] < cut], right[right["arrived"] >= cut]
        frames[name] = pd.concat(parts, ignore_index=True)
    changed = replace(one, **frames)
    for ranked in (rank_by_risk, lambda each: count_known(each, 28), lambda each: count_known(each, 7), is_known):
        np.testing.assert_array_equal(ranked(one)[: cut + 1], ranked(changed)[: cut + 1])
        assert ranked is is_known or not np.array_equal(ranked(one)[cut + 1 :], ranked(changed)[cut + 1 :])


def test_what_arrives_late_is_known_on_the_morning_after_it_arrived() -> None:
    history = history_of(np.zeros((10, PLACES)), 1)
    row = {"place": [3], "night": [2], "arrived": [5]}
    risk, emergencies = pd.DataFrame({**row, "risk_0": [8.0]}), pd.DataFrame({**row, "events": [1.0]})
    late = replace(history, risk=risk, emergencies=emergencies)
    assert risk_as_of(late, "risk_0", 72.0)[:, 3].nonzero()[0].tolist() == [6, 7, 8, 9]
    assert count_known(late, 7)[:, 3].tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 1, 1]
    # After seven nights it is out of the count, and one that arrives when it would be out never counts.
    assert count_known(late, 4)[:, 3].tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 0, 0]
    assert count_known(late, 3)[:, 3].sum() == 0


@each_seed
def test_what_is_expected_of_all_places_is_as_much_as_was_found(seed: int) -> None:
    found = evaluate_history(history_of(lasting(NIGHTS, seed), seed)).calibration
    for _, rows in found.groupby("horizon"):
        assert rows["expected"].sum() == pytest.approx(rows["observed"].sum(), rel=0.1)


def test_a_weight_that_counts_for_nothing_changes_nothing_and_one_that_is_all_changes_nothing_either() -> None:
    history = history_of(lasting(NIGHTS, 1), 1)
    risk = history.risk.assign(weight_0=0.0, weight_1=history.risk["risk_0"] / 20)
    found = evaluate_history(replace(history, risk=risk, weights=(("nothing", 5.0), ("all", 20.0)))).weights
    assert found["difference"].to_numpy() == pytest.approx(0.0)
    assert found["factor"].tolist() == [0.5, 2.0, 0.5, 2.0]


@pytest.mark.parametrize("nights", [0, 5, 7], ids=lambda nights: f"{nights} nights")
def test_too_short_a_history_says_so_in_one_sentence(nights: int) -> None:
    with pytest.raises(NothingThere, match="expected more than 7 nights with emergencies at places; found"):
        evaluate_history(history_of(lasting(max(nights, 1), 1)[:nights] if nights else np.zeros((1, PLACES)), 1))


def test_one_night_is_judged_without_an_interval() -> None:
    found = evaluate_history(history_of(lasting(8, 1), 1))
    assert found.nights == 1
    assert set(found.measures["horizon"]) == {"night"}
    assert found.measures["low"].isna().all()
