"""Other weights for scores that are there: what is changed, what stays, and what is refused."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from sentinel_etl.config.fact_table import build_patrol_events
from sentinel_etl.config.risk_weights import RiskWeights
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.transform.what_if import change_weights, changed_weights, compare_scores

FACT_TABLE = build_patrol_events()
WEIGHTS: RiskWeights = {
    "event_type": {"EMERGENCY_INCIDENT": 20.0, "REMARK": 1.0},
    "new_priority_ranking": {1: 8.0, 2: 5.0},
    "suspicious_activity": {True: 3.0},
}


def changed(changes: Any) -> RiskWeights:
    return change_weights(WEIGHTS, changes, FACT_TABLE)


def test_only_the_named_weights_change() -> None:
    assert changed({"event_type": {"REMARK": 2}}) == {
        **WEIGHTS,
        "event_type": {"EMERGENCY_INCIDENT": 20.0, "REMARK": 2.0},
    }


def test_the_weights_given_stay_as_they_are() -> None:
    before = {column: dict(values) for column, values in WEIGHTS.items()}
    changed({"event_type": {"REMARK": 2}, "emergency_category": {"FIRE": 25}})
    assert before == WEIGHTS


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"new_priority_ranking": {1: 16}}, id="as the dictionary has it"),
        pytest.param({"new_priority_ranking": {"1": 16}}, id="as papermill passes a number that is a key"),
        pytest.param("new_priority_ranking: {1: 16}", id="YAML"),
        pytest.param("new_priority_ranking:\n  '1': 16", id="YAML of two lines, quoted"),
    ],
)
def test_a_value_is_known_by_how_it_is_written(changes: Any) -> None:
    assert changed(changes)["new_priority_ranking"] == {1: 16.0, 2: 5.0}


def test_a_truth_value_is_known_as_scoring_knows_it() -> None:
    assert changed({"suspicious_activity": {"true": 9}})["suspicious_activity"] == {True: 9.0}


@pytest.mark.parametrize("changes", [pytest.param({}, id="empty"), pytest.param("", id="empty text")])
def test_no_change_gives_the_same_weights(changes: Any) -> None:
    assert changed(changes) == WEIGHTS


def test_a_column_that_had_no_weights_is_added() -> None:
    assert changed({"emergency_category": {"FIRE": 25}})["emergency_category"] == {"FIRE": 25.0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param(
            {"event_typ": {"REMARK": 2}}, "event_typ: expected a column of patrol_events", id="no such column"
        ),
        pytest.param({"event_type": {"REMARK": -2}}, "event_type.REMARK: expected a finite number", id="negative"),
        pytest.param({"event_type": {"REMARK": "2"}}, "event_type.REMARK: expected a finite number", id="text"),
        pytest.param({"event_type": 2}, "event_type: expected {value: weight}", id="no values"),
        pytest.param("REMARK", r"expected \{column: \{value: weight\}\}", id="YAML of another form"),
        pytest.param("event_type: {REMARK", "expected YAML such as", id="broken YAML"),
    ],
)
def test_what_is_no_weight_is_refused(changes: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        changed(changes)


def test_differences_are_listed_with_both_sides() -> None:
    after = changed({"new_priority_ranking": {1: 8, 3: 2}, "event_type": {"REMARK": 0}})
    assert changed_weights(WEIGHTS, after).to_dict(orient="records") == [
        {"column": "event_type", "value": "REMARK", "before": 1.0, "after": 0.0},
        {"column": "new_priority_ranking", "value": "3", "before": 0.0, "after": 2.0},
    ]


GROUPS = pd.DataFrame(
    {
        "event_type": ["REMARK", "PRIORITY_CHANGE", "EMERGENCY_INCIDENT"],
        "new_priority_ranking": pd.array([None, 1, None], "Int16"),
        "suspicious_activity": pd.array([True, None, None], "boolean"),
        "events": [5, 2, 1],
    }
)


def test_both_scores_are_worked_out_from_the_columns() -> None:
    compared = compare_scores(GROUPS, WEIGHTS, changed({"new_priority_ranking": {1: 16}, "event_type": {"REMARK": 0}}))
    assert compared["score_before"].to_list() == [4.0, 8.0, 20.0]
    assert compared["score_after"].to_list() == [3.0, 16.0, 20.0]
    assert compared["events"].to_list() == [5, 2, 1]
    assert list(GROUPS.columns) == ["event_type", "new_priority_ranking", "suspicious_activity", "events"]


def test_a_weighted_column_that_was_not_read_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected the columns emergency_category among those read"):
        compare_scores(GROUPS, WEIGHTS, changed({"emergency_category": {"FIRE": 25}}))
