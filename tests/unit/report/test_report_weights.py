"""What other weights would move: literal counts in, literal rows and drawn marks out."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from report_reading import cells_of, flagged_rows_of, rows_of

from sentinel_etl.config.risk_weights import RiskWeights
from sentinel_etl.errors import NothingThere
from sentinel_etl.report import weights

BEFORE: RiskWeights = {"event_type": {"FIRE": 30.0, "REMARK": 1.0}, "new_priority_ranking": {1: 8.0}}
AFTER: RiskWeights = {"event_type": {"FIRE": 10.0, "REMARK": 1.0, "FIER": 5.0}, "new_priority_ranking": {1: 16.0}}

NAMES = ["event_type", "hotspot_id", "new_priority_ranking", "base_risk_score", "events", "example"]
COMPARED = pd.DataFrame(
    [
        ("FIRE", 101, None, 30.0, 4, "FIRE:2", 30.0, 10.0),
        ("FIRE", None, None, 30.0, 1, "FIRE:1", 30.0, 10.0),
        ("REMARK", 101, None, 1.0, 60, "REMARK:1", 1.0, 1.0),
        ("REMARK", 102, 1, 9.0, 15, "REMARK:2", 9.0, 17.0),
        ("REMARK", 103, 1, 7.0, 20, "REMARK:3", 9.0, 17.0),
    ],
    columns=[*NAMES, "score_before", "score_after"],
).astype({"hotspot_id": "Int64", "new_priority_ranking": "Int16"})
UNCHANGED = COMPARED.assign(score_after=COMPARED["score_before"])


@pytest.fixture(autouse=True)
def no_figure_stays_open() -> Iterator[None]:
    yield
    assert plt.get_fignums() == []


def test_effect_counts_events_and_points_and_what_was_loaded_under_other_weights() -> None:
    assert weights.effect_page(COMPARED, nights=5).text.splitlines() == [
        "40 of 100 events would have another score (40.0%)",
        "105 → 141 risk points a night (+34.3%)",
        "20 events were loaded under other weights: today's make another score of them",
    ]


def test_effect_of_no_change_is_none() -> None:
    same = UNCHANGED.assign(base_risk_score=UNCHANGED["score_before"])
    assert weights.effect_page(same, nights=5).text.splitlines() == [
        "0 of 100 events would have another score (0.0%)",
        "105 → 105 risk points a night (+0.0%)",
    ]


def test_weights_table_counts_the_events_of_each_changed_value_and_flags_one_that_nobody_has() -> None:
    page = weights.weights_table(COMPARED, BEFORE, AFTER, nights=5)
    assert rows_of(page) == ["event_type = FIRE", "event_type = FIER", "new_priority_ranking = 1"]
    assert cells_of(page, "event_type = FIRE") == ["30.00", "10.00", "5", "-20.00"]
    assert cells_of(page, "new_priority_ranking = 1") == ["8.00", "16.00", "35", "56.00"]
    assert flagged_rows_of(page) == ["event_type = FIER"]


def test_changed_events_are_summed_by_kind_the_most_points_first() -> None:
    page = weights.changed_events_table(COMPARED)
    assert rows_of(page) == ["REMARK", "FIRE"]
    assert cells_of(page, "REMARK") == ["9.00", "17.00", "35", "280.00", "REMARK:2"]
    assert cells_of(page, "FIRE") == ["30.00", "10.00", "5", "-100.00", "FIRE:1"]


def test_no_changed_event_leaves_an_empty_table() -> None:
    assert rows_of(weights.changed_events_table(UNCHANGED)) == []


def test_ranks_are_by_points_and_then_by_place_with_unknown_places_left_out() -> None:
    ranks = weights.rank_by_points(COMPARED, "hotspot_id", nights=5)
    assert ranks.reset_index().to_dict(orient="records") == [
        {"hotspot_id": 103, "points_before": 36.0, "points_after": 68.0, "rank_before": 2, "rank_after": 1},
        {"hotspot_id": 102, "points_before": 27.0, "points_after": 51.0, "rank_before": 3, "rank_after": 2},
        {"hotspot_id": 101, "points_before": 36.0, "points_after": 20.0, "rank_before": 1, "rank_after": 3},
    ]


def test_rank_table_shows_the_furthest_moves_first() -> None:
    page = weights.rank_table(weights.rank_by_points(COMPARED, "hotspot_id", nights=5), most=2)
    assert rows_of(page) == ["hotspot 101", "hotspot 103"]
    assert cells_of(page, "hotspot 101") == ["1 → 3", "▼ 2", "36.00", "20.00"]
    assert cells_of(page, "hotspot 103") == ["2 → 1", "▲ 1", "36.00", "68.00"]


def test_rank_figure_names_places_in_their_new_order_with_their_moves() -> None:
    ranks = weights.rank_by_points(COMPARED, "hotspot_id", nights=5)
    (axis,) = weights.rank_figure({"hotspots": ranks}).axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["1.  103", "2.  102", "3.  101"]
    assert [text.get_text() for text in axis.texts] == ["▲ 1", "▲ 1", "▼ 2"]
    assert [list(line.get_xdata()) for line in axis.lines] == [[36.0, 27.0, 36.0], [68.0, 51.0, 20.0]]


def test_score_shift_figure_draws_the_types_that_change_and_all_their_events() -> None:
    panels = weights.score_shift_figure(COMPARED).axes
    assert [panel.get_title(loc="left") for panel in panels] == ["FIRE", "REMARK"]
    for panel in panels:
        assert [sum(patch.get_data().values) for patch in panel.patches] == [pytest.approx(100), pytest.approx(100)]


def test_score_shift_figure_of_no_change_is_not_drawn() -> None:
    with pytest.raises(NothingThere, match="no event would have another score"):
        weights.score_shift_figure(UNCHANGED)
