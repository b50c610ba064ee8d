"""The explanation of a score: its parts, their sum, and a word where they do not agree."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from report_reading import cells_of, rows_of

from sentinel_etl.config.risk_weights import RiskWeights
from sentinel_etl.report import Page
from sentinel_etl.report.explanation import explanation_page

KOLKATA = ZoneInfo("Asia/Kolkata")
WEIGHTS: RiskWeights = {"event_type": {"EMERGENCY_INCIDENT": 20.0}, "emergency_category": {"FIRE": 25.0, "a=b +c": 0.5}}
FIRE = {
    "event_id": "EMERGENCY_INCIDENT:7",
    "event_timestamp": datetime(2026, 11, 21, 18, 30, tzinfo=UTC),
    "event_type": "EMERGENCY_INCIDENT",
    "station_id": 3,
    "hotspot_id": None,
    "emergency_category": "FIRE",
    "base_risk_score": 45.0,
    "risk_reasons": ["event_type=EMERGENCY_INCIDENT +20", "emergency_category=FIRE +25"],
}


def explain(**other: Any) -> Page:
    return explanation_page(pd.DataFrame([FIRE | other]), WEIGHTS, KOLKATA)


def test_each_weight_stands_with_its_column_value_and_points_and_the_sum_below() -> None:
    page = explain()
    assert rows_of(page) == ["event_type", "emergency_category", "sum"]
    assert cells_of(page, "event_type") == ["EMERGENCY_INCIDENT", "20.00"]
    assert cells_of(page, "emergency_category") == ["FIRE", "25.00"]
    assert cells_of(page, "sum") == ["", "45.00"]
    assert "EMERGENCY_INCIDENT:7: base_risk_score 45" in page.html


def test_time_is_local_and_a_place_that_is_unknown_is_left_out() -> None:
    assert "2026-11-22 00:00:00 IST · station 3<" in explain().html
    assert "station 3 · hotspot 301" in explain(hotspot_id=301).html


def test_a_score_that_agrees_needs_no_remark() -> None:
    page = explain()
    assert page.html.count("<div>") == 1  # when and where
    assert "weights" not in page.text


def test_a_value_may_hold_the_signs_that_a_reason_is_written_with() -> None:
    page = explain(
        emergency_category="a=b +c",
        base_risk_score=20.5,
        risk_reasons=["event_type=EMERGENCY_INCIDENT +20", "emergency_category=a=b +c +0.5"],
    )
    assert cells_of(page, "emergency_category") == ["a=b +c", "0.50"]
    assert cells_of(page, "sum") == ["", "20.50"]


def test_an_event_without_any_weight_says_so() -> None:
    page = explain(event_type="GEOFENCE", emergency_category=None, base_risk_score=0.0, risk_reasons=[])
    assert rows_of(page) == ["sum"]
    assert cells_of(page, "sum") == ["", "0.00"]
    assert "No weight applies to it." in page.html


def test_a_score_of_other_weights_than_todays_is_said_to_be() -> None:
    page = explain(
        base_risk_score=50.0, risk_reasons=["event_type=EMERGENCY_INCIDENT +20", "emergency_category=FIRE +30"]
    )
    assert cells_of(page, "sum") == ["", "50.00"]
    assert "It was loaded under other weights; those of today would make it 45." in page.text


def test_parts_that_do_not_make_the_score_are_said_not_to() -> None:
    assert "The parts add up to 45, not to base_risk_score." in explain(base_risk_score=44.0).html


@pytest.mark.parametrize("category", ["<script>x</script>"])
def test_a_value_cannot_write_html(category: str) -> None:
    reasons = ["event_type=EMERGENCY_INCIDENT +20", f"emergency_category={category} +25"]
    assert "<script>" not in explain(emergency_category=category, risk_reasons=reasons).html
