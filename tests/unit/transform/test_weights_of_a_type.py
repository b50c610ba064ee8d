"""Weights of one event type alone, beside those of every type: scored, checked, tried and shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from sentinel_etl.config.event_config import PERSONAL
from sentinel_etl.config.fact_table import build_patrol_events
from sentinel_etl.config.risk_weights import RiskWeights, check_risk_weights, weight_columns
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.pipeline import SENTINEL, load_pipeline
from sentinel_etl.report.weights import weights_table
from sentinel_etl.settings import Settings
from sentinel_etl.transform.risk import score_events
from sentinel_etl.transform.what_if import change_weights, changed_weights, compare_scores

FACTS = build_patrol_events()
TYPES = ("REMARK", "FEEDBACK")
WEIGHTS: RiskWeights = {
    "event_type": {"REMARK": 1.0},
    "hotspot_id": {7: 2.0},
    "FEEDBACK": {"hotspot_id": {7: 10.0, 8: 0.5}, "suspicious_activity": {True: 3.0}},
}
EVENTS = {
    "event_type": ["REMARK", "FEEDBACK", "FEEDBACK", None, "REMARK"],
    "hotspot_id": [7, 7, 8, 7, None],
    "suspicious_activity": [True, True, None, True, False],
}


def refusal(weights: Any) -> str:
    with pytest.raises(ConfigurationError) as refused:
        check_risk_weights(weights, FACTS, TYPES)
    return str(refused.value)


def test_they_are_added_to_the_general_ones_in_events_of_that_type_alone() -> None:
    scores, reasons = score_events(pa.table(EVENTS), WEIGHTS)
    assert scores.to_pylist() == [3.0, 15.0, 0.5, 2.0, 1.0]
    assert reasons.to_pylist() == [
        ["event_type=REMARK +1", "hotspot_id=7 +2"],
        ["hotspot_id=7 +2", "FEEDBACK.hotspot_id=7 +10", "FEEDBACK.suspicious_activity=True +3"],
        ["FEEDBACK.hotspot_id=8 +0.5"],
        ["hotspot_id=7 +2"],
        ["event_type=REMARK +1"],
    ]


def test_events_without_a_type_have_none_of_them() -> None:
    scores, _ = score_events(pa.table({"hotspot_id": [7]}), WEIGHTS)
    assert scores.to_pylist() == [2.0]


def test_a_score_follows_from_the_columns_and_the_event_type() -> None:
    assert weight_columns(WEIGHTS) == ["event_type", "hotspot_id", "suspicious_activity"]
    assert weight_columns({"hotspot_id": {7: 2.0}}) == ["hotspot_id"]
    assert weight_columns({"FEEDBACK": {"hotspot_id": {7: 2.0}}}) == ["event_type", "hotspot_id"]


def test_they_pass_the_check() -> None:
    check_risk_weights(WEIGHTS, FACTS, TYPES)
    replace(SENTINEL, risk_weights=WEIGHTS).check()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        pytest.param(
            {"RENTAL": {"hotspot_id": {7: 1}}},
            "RENTAL: expected one of the event types, REMARK, FEEDBACK, because weights by column stand there",
            id="no such type",
        ),
        pytest.param(
            {"hotspot_id": {"REMARK": {7: 1}}},
            "hotspot_id: expected one of the event types, REMARK, FEEDBACK, because weights by column stand there",
            id="the two swapped",
        ),
        pytest.param(
            {"REMARK": {"hotspot": {7: 1}}}, "REMARK.hotspot: expected a column of patrol_events", id="no such column"
        ),
        pytest.param(
            {"REMARK": {"hotspot_id": {7: -1}}},
            "REMARK.hotspot_id.7: expected a finite number of at least 0, found -1",
            id="negative",
        ),
        pytest.param(
            {"REMARK": {"hotspot_id": {7: 1}, "speed": 3}},
            "REMARK.speed: expected {value: weight}, found 3",
            id="weights beside columns",
        ),
        pytest.param({"REMARK": {"7": 1}}, "REMARK: expected a column of patrol_events", id="a type as a column"),
    ],
)
def test_what_is_wrong_with_them_is_told_by_its_path(weights: Any, message: str) -> None:
    assert refusal(weights) == f"risk weights: {message}"


def test_a_name_that_is_an_event_type_and_a_column_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^risk weights: speed: expected a name that is no column of "):
        check_risk_weights({"speed": {"hotspot_id": {7: 1}}}, FACTS, ("speed",))


def test_a_yaml_file_may_have_them(tmp_path: Path) -> None:
    path = tmp_path / "weights.yaml"
    path.write_text("event_type: {REMARK: 1}\nFEEDBACK:\n  hotspot_id: {7: 10}\n", encoding="utf-8")
    pipeline = load_pipeline(Settings(risk_weights=path))
    assert pipeline.risk_weights == {"event_type": {"REMARK": 1}, "FEEDBACK": {"hotspot_id": {7: 10}}}


def test_a_personal_column_has_none_of_them_either() -> None:
    pipeline = replace(SENTINEL, personal=PERSONAL, risk_weights={"REMARK": {"remark_text": {"gun": 9.0}}})
    with pytest.raises(ConfigurationError, match="expected no risk weights for it"):
        pipeline.check()


@pytest.mark.parametrize(
    "changes", [{"FEEDBACK": {"hotspot_id": {"7": 0, 9: 4}}}, "FEEDBACK: {hotspot_id: {7: 0, 9: 4}}"]
)
def test_other_ones_are_tried_beside_those_that_stay(changes: Any) -> None:
    after = change_weights(WEIGHTS, changes, FACTS, TYPES)
    assert after["FEEDBACK"] == {"hotspot_id": {7: 0.0, 8: 0.5, 9: 4.0}, "suspicious_activity": {True: 3.0}}
    assert after["hotspot_id"] == {7: 2.0}
    assert WEIGHTS["FEEDBACK"]["hotspot_id"] == {7: 10.0, 8: 0.5}  # type: ignore[index]
    assert changed_weights(WEIGHTS, after).to_dict("records") == [
        {"column": "FEEDBACK.hotspot_id", "value": "7", "before": 10.0, "after": 0.0},
        {"column": "FEEDBACK.hotspot_id", "value": "9", "before": 0.0, "after": 4.0},
    ]


def test_they_may_be_tried_where_there_are_none() -> None:
    after = change_weights({"hotspot_id": {7: 2.0}}, {"REMARK": {"hotspot_id": {7: 1}}}, FACTS, TYPES)
    assert after == {"hotspot_id": {7: 2.0}, "REMARK": {"hotspot_id": {7: 1.0}}}


def test_what_they_move_is_counted_in_events_of_the_type_alone() -> None:
    groups = pd.DataFrame({**EVENTS, "events": [1, 2, 4, 8, 16]}).astype({"hotspot_id": "Int64"})
    after = change_weights(WEIGHTS, {"FEEDBACK": {"hotspot_id": {7: 0}}}, FACTS, TYPES)
    compared = compare_scores(groups, WEIGHTS, after)
    assert compared["score_after"].to_list() == [3.0, 5.0, 0.5, 2.0, 1.0]
    assert "FEEDBACK.hotspot_id = 7" in weights_table(compared, WEIGHTS, after, 1).text
    [line] = [line for line in weights_table(compared, WEIGHTS, after, 1).text.splitlines() if "_id = 7" in line]
    assert line.split()[-4:] == ["10.0", "0.0", "2", "-20.0"]
