from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel_etl.config.fact_table import build_patrol_events
from sentinel_etl.config.risk_weights import RISK_WEIGHTS, RiskWeights, check_risk_weights, read_risk_weights
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.transform.risk import score_events

FACT_TABLE = build_patrol_events()
WEIGHTS: RiskWeights = {
    "event_type": {"EMERGENCY_INCIDENT": 20.0, "REMARK": 1.0, "GEOFENCE": 0.0},
    "emergency_category": {"FIRE": 25.0, "MEDICAL": 0.5},
    "suspicious_activity": {True: 3.0, False: 0.25},
}


def by_hand(reasons: list[str]) -> float:
    """Add up a score as a reader of the report would: the number after each reason's plus sign."""
    return float(sum(Decimal(reason.rpartition(" +")[2]) for reason in reasons))


def scored(weights: RiskWeights, **columns: Any) -> list[tuple[float, list[str]]]:
    score, reasons = score_events(pa.table(columns), weights)
    assert score.type == pa.float64()
    assert reasons.type == pa.list_(pa.string())
    return list(zip(score.to_pylist(), reasons.to_pylist(), strict=True))


@pytest.mark.parametrize(
    ("event_type", "category", "suspicious", "score", "reasons"),
    [
        pytest.param("REMARK", None, None, 1.0, ["event_type=REMARK +1"], id="one weight"),
        pytest.param(
            "EMERGENCY_INCIDENT",
            "FIRE",
            None,
            45.0,
            ["event_type=EMERGENCY_INCIDENT +20", "emergency_category=FIRE +25"],
            id="two weights in the order of the dictionary",
        ),
        pytest.param(
            "EMERGENCY_INCIDENT",
            "MEDICAL",
            True,
            23.5,
            ["event_type=EMERGENCY_INCIDENT +20", "emergency_category=MEDICAL +0.5", "suspicious_activity=True +3"],
            id="all three",
        ),
        pytest.param("EMERGENCY_INCIDENT", None, None, 20.0, ["event_type=EMERGENCY_INCIDENT +20"], id="NULL category"),
        pytest.param(
            "EMERGENCY_INCIDENT", "FLOOD", None, 20.0, ["event_type=EMERGENCY_INCIDENT +20"], id="unknown value"
        ),
        pytest.param("GEOFENCE", None, None, 0.0, [], id="a zero weight is no reason"),
        pytest.param("SOMETHING", None, None, 0.0, [], id="unknown event type"),
        pytest.param(None, None, None, 0.0, [], id="nothing known"),
        pytest.param("SOMETHING", None, False, 0.25, ["suspicious_activity=False +0.25"], id="false is a value"),
        pytest.param("remark", "fire", None, 0.0, [], id="letters' case matters"),
    ],
)
def test_a_score_is_the_sum_of_the_weights_that_its_reasons_name(
    event_type: str | None, category: str | None, suspicious: bool | None, score: float, reasons: list[str]
) -> None:
    (row,) = scored(
        WEIGHTS,
        suspicious_activity=pa.array([suspicious], pa.bool_()),
        event_type=pa.array([event_type], pa.string()),
        emergency_category=pa.array([category], pa.string()),
    )
    assert row == (score, reasons)
    assert by_hand(row[1]) == row[0]


def test_reasons_follow_the_weights_order_not_the_columns() -> None:
    weights: RiskWeights = {"b": {"x": 1.0}, "a": {"x": 2.0}}
    assert scored(weights, a=["x"], b=["x"]) == [(3.0, ["b=x +1", "a=x +2"])]


@pytest.mark.parametrize(
    "weights", [{}, {"event_type": {}}, {"event_type": {"REMARK": 0.0}}, {"missing_column": {"REMARK": 4.0}}],
    ids=["none", "an empty column", "only zeros", "a column that the events lack"],
)  # fmt: skip
def test_without_a_weight_that_applies_every_score_is_0_for_no_reason(weights: RiskWeights) -> None:
    assert scored(weights, event_type=["REMARK", None]) == [(0.0, []), (0.0, [])]


@pytest.mark.parametrize("weights", [{}, WEIGHTS], ids=["no weights", "weights"])
def test_no_rows_give_no_scores(weights: RiskWeights) -> None:
    assert scored(weights, event_type=pa.array([], pa.string())) == []


@pytest.mark.parametrize(
    ("column", "weights"),
    [
        pytest.param(pa.array([1, 2, None]), {"1": 5.0}, id="integers by their text"),
        pytest.param(pa.array([1, 2, None]), {1: 5.0}, id="integers, as YAML reads them"),
        pytest.param(pa.array([True, False, None]), {True: 5.0}, id="booleans"),
        pytest.param(pa.array([True, False, None]), {"true": 5.0}, id="booleans by their text"),
        pytest.param(pa.array(["1", "2", None], pa.large_string()), {"1": 5.0}, id="long text"),
        pytest.param(pa.array(["1", "2", None]).dictionary_encode(), {"1": 5.0}, id="dictionary-encoded"),
        pytest.param(pa.chunked_array([["1"], [], ["2", None]]), {"1": 5.0}, id="several chunks"),
    ],
)
def test_values_are_found_whatever_the_columns_type(column: Any, weights: dict[Any, float]) -> None:
    assert [score for score, _ in scored({"value": weights}, value=column)] == [5.0, 0.0, 0.0]


def test_an_unknown_type_of_column_with_nothing_in_it_adds_nothing() -> None:
    assert scored(WEIGHTS, event_type=pa.nulls(2)) == [(0.0, []), (0.0, [])]


@pytest.mark.parametrize(
    "weight",
    [
        1.0,
        0.1,
        2.5,
        123456.0,
        1e-5,
        pytest.param(
            1_000_000.5,
        ),
        pytest.param(
            33.333333,
        ),
    ],
)
def test_a_reason_gives_the_weight_that_was_added_to_its_last_digit(weight: float) -> None:
    ((score, reasons),) = scored({"event_type": {"REMARK": weight}}, event_type=["REMARK"])
    assert by_hand(reasons) == score


@settings(max_examples=60, deadline=None, database=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, *RISK_WEIGHTS["event_type"], "SOMETHING"]),
            st.sampled_from([None, *RISK_WEIGHTS["emergency_category"], "FLOOD", ""]),
        ),
        max_size=30,
    )
)
def test_any_score_can_be_recomputed_from_its_reasons(rows: list[tuple[str | None, str | None]]) -> None:
    table = {
        "event_type": pa.array([row[0] for row in rows], pa.string()),
        "emergency_category": pa.array([row[1] for row in rows], pa.string()),
    }
    for (event_type, category), (score, reasons) in zip(rows, scored(RISK_WEIGHTS, **table), strict=True):
        assert by_hand(reasons) == score
        assert score == (
            RISK_WEIGHTS["event_type"].get(event_type or "", 0.0)
            + RISK_WEIGHTS["emergency_category"].get(category or "", 0.0)
        )


def test_a_hundred_thousand_rows_agree_with_a_loop_over_them() -> None:
    chance = np.random.default_rng(7)

    def drawn(values: list[Any]) -> list[Any]:
        return [values[place] for place in chance.integers(0, len(values), 100_000).tolist()]

    event_types = drawn(["EMERGENCY_INCIDENT", "REMARK", "GEOFENCE", "SOMETHING", None])
    categories = drawn(["FIRE", "MEDICAL", "FLOOD", None])
    suspicious = drawn([True, False, None])
    expected = []
    for row in zip(event_types, categories, suspicious, strict=True):
        score, reasons = 0.0, []
        for (column, weights), value in zip(WEIGHTS.items(), row, strict=True):
            if value is not None and (weight := weights.get(value, 0.0)):
                score += weight
                reasons.append(f"{column}={value} +{weight:g}")
        expected.append((score, reasons))
    found = scored(WEIGHTS, event_type=event_types, emergency_category=categories, suspicious_activity=suspicious)
    assert found == expected  # pairs of score and reasons, row by row


def test_the_events_are_not_changed() -> None:
    events = pa.table({"event_type": ["REMARK", None]})
    score_events(events, WEIGHTS)
    assert events.equals(pa.table({"event_type": ["REMARK", None]}))


def test_the_built_in_weights_pass_their_check() -> None:
    check_risk_weights(RISK_WEIGHTS, FACT_TABLE)


@pytest.mark.parametrize("weight", [0, 0.0, 3, 2.5, 1e308], ids=["integer 0", "0", "integer", "fraction", "large"])
def test_any_finite_weight_of_at_least_0_passes(weight: float) -> None:
    check_risk_weights({"event_type": {"REMARK": weight}}, FACT_TABLE)


@pytest.mark.parametrize(
    ("weight", "found"),
    [(-1, "-1"), (math.nan, "nan"), (math.inf, "inf"), (True, "True"), ("5", "'5'"), (None, "None"), ([1], "[1]")],
    ids=["negative", "not a number", "infinite", "a boolean", "text", "nothing", "a list"],
)
def test_a_weight_that_is_no_finite_number_of_at_least_0_is_refused(weight: Any, found: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        check_risk_weights({"emergency_category": {"FIRE": weight}}, FACT_TABLE)
    assert str(refused.value) == (
        f"risk weights: emergency_category.FIRE: expected a finite number of at least 0, found {found}"
    )


def test_all_wrong_weights_are_named_in_one_message() -> None:
    weights = {"event_typo": {"REMARK": 1.0}, "event_type": {"REMARK": -1, "GEOFENCE": "x"}, "speed": 3}
    with pytest.raises(ConfigurationError) as refused:
        check_risk_weights(weights, FACT_TABLE)
    assert str(refused.value) == (
        "risk weights: event_typo: expected a column of patrol_events; "
        "event_type.REMARK: expected a finite number of at least 0, found -1; "
        "event_type.GEOFENCE: expected a finite number of at least 0, found 'x'; "
        "speed: expected {value: weight}, found 3"
    )


@pytest.mark.parametrize(("weights", "kind"), [(None, "NoneType"), ([], "list"), ("x", "str")])
def test_weights_that_are_no_dictionary_are_refused(weights: object, kind: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        check_risk_weights(weights, FACT_TABLE)
    assert str(refused.value) == f"risk weights: expected {{column: {{value: weight}}}}, found {kind}"


def test_weights_are_read_from_a_file_as_the_dictionary_would_be(tmp_path: Path) -> None:
    path = tmp_path / "weights.yaml"
    path.write_text("event_type:\n  REMARK: 2\n  गश्त: 1.5\nsuspicious_activity:\n  true: 9\n", encoding="utf-8")
    assert read_risk_weights(path) == {"event_type": {"REMARK": 2, "गश्त": 1.5}, "suspicious_activity": {True: 9}}


@pytest.mark.parametrize(
    "content", [None, b"event_type: [", b"\xff\xfe\x00", b"!!python/object/apply:os.getcwd []"],
    ids=["missing", "not YAML", "not text", "code"],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_refused_by_its_path(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "weights.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError) as refused:
        read_risk_weights(path)
    assert str(refused.value).startswith(f"risk weights: expected a readable YAML file at {path}, found: ")
