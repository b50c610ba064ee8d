"""What is said of two sets of rules: each difference by its kind and name, and nothing of what decides nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import and_, case

from sentinel_etl.config.event_config import EVENT_CONFIG
from sentinel_etl.config.source_models import Patrol, Remark
from sentinel_etl.pipeline import SENTINEL, Pipeline
from sentinel_etl.rules.compare import compare_rules, describe_changes
from sentinel_etl.rules.describe import describe_rules


def told(after: Pipeline, before: Pipeline = SENTINEL) -> list[str]:
    documents = [json.loads(json.dumps(describe_rules(each))) for each in (before, after)]
    return [str(change) for change in compare_rules(*documents)]


def with_weights(**changed: dict[Any, float]) -> Pipeline:
    weights: dict[str, Any] = {name: dict(values) for name, values in SENTINEL.risk_weights.items()}
    for name, values in changed.items():
        weights[name] = {**weights.get(name, {}), **values}
    return replace(SENTINEL, risk_weights=weights)


def with_entry(name: str = "REMARK", **parts: Any) -> Pipeline:
    entry = {**EVENT_CONFIG[name], **parts}
    return replace(SENTINEL, event_config={**EVENT_CONFIG, name: entry})


def test_equal_rules_have_no_difference() -> None:
    assert told(replace(SENTINEL)) == []


@pytest.mark.parametrize(
    ("after", "sentence"),
    [
        (with_weights(emergency_category={"FIRE": 30.0}), "risk weight emergency_category=FIRE 25 → 30"),
        (with_weights(emergency_category={"FLOOD": 12.5}), "risk weight emergency_category=FLOOD is new: 12.5"),
        (with_weights(emergency_category={"FIRE": 0.0}), "risk weight emergency_category=FIRE is gone: 25"),
        (with_weights(REMARK={"hotspot_id": {7: 2.0}}), "risk weight REMARK.hotspot_id=7 is new: 2"),
        (replace(SENTINEL, coalesce={}), "coalesce officer_id is gone: "),
        (replace(SENTINEL, bounds={"latitude": (-60.0, 60.0)}), "bounds of latitude -90, 90 → -60, 60"),
        (replace(SENTINEL, text_lengths={}), "text length remark_length is gone: remark_text"),
        (replace(SENTINEL, unknown_values={}), "unknown value of latitude, longitude is gone: 0, 0"),
        (replace(SENTINEL, zone=ZoneInfo("UTC")), "time zone Asia/Kolkata → UTC"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_rule_that_differs_is_named_with_both_values(after: Pipeline, sentence: str) -> None:
    assert any(line.startswith(sentence) for line in told(after)), told(after)


def test_a_column_of_an_entry_that_comes_goes_or_changes_is_named() -> None:
    columns = EVENT_CONFIG["REMARK"]["columns"]
    more = with_entry(columns=[*columns, Patrol.patrol_status.label("state_of_patrol")])
    assert "REMARK column state_of_patrol is new: patrols.patrol_status" in told(more)
    assert "REMARK column state_of_patrol is gone: patrols.patrol_status" in told(SENTINEL, more)
    other = with_entry(columns=[*columns, Patrol.patrol_id.label("state_of_patrol")])
    assert "REMARK column state_of_patrol patrols.patrol_status → patrols.patrol_id" in told(other, more)


def test_two_long_expressions_are_shown_from_where_they_differ() -> None:
    columns = EVENT_CONFIG["REMARK"]["columns"]
    long = "a text that is longer than a sentence shows of an expression, and ends in "
    one, two = (
        with_entry(columns=[*columns, case((Remark.remark_id > 5, f"{long}{end}"), else_="").label("kind_of_remark")])
        for end in ("peace", "war")
    )
    [line] = [line for line in told(two, one) if "kind_of_remark" in line]
    assert line.startswith("REMARK column kind_of_remark …")
    assert "peace" in line.partition(" → ")[0]
    assert "war" in line.partition(" → ")[2]
    assert len(line) < 200


def test_a_filter_and_a_join_that_differ_are_named() -> None:
    filtered = with_entry(filters=[Remark.remark_id > 5])
    assert "REMARK filter remarks.remark_id > 5 is new" in told(filtered)
    joined = with_entry(joins=[(Patrol, and_(Remark.patrol_id == Patrol.patrol_id, Patrol.patrol_status == "x"))])
    [line] = told(joined)
    assert line.startswith("REMARK join patrols …")
    assert line.endswith("patrols.patrol_id AND patrols.patrol_status = 'x'")


def test_an_event_type_that_comes_or_goes_is_named_without_all_that_it_reads() -> None:
    fewer = replace(SENTINEL, event_config={name: each for name, each in EVENT_CONFIG.items() if name != "FEEDBACK"})
    assert told(fewer) == ["event type FEEDBACK is gone"]
    assert "event type FEEDBACK is new" in told(SENTINEL, fewer)


def test_another_order_of_what_has_none_is_no_difference() -> None:
    entry = EVENT_CONFIG["REMARK"]
    turned = replace(
        SENTINEL,
        event_config={name: EVENT_CONFIG[name] for name in reversed(EVENT_CONFIG)}
        | {"REMARK": {**entry, "columns": [*entry["columns"]][::-1]}},
        bounds=dict(reversed(SENTINEL.bounds.items())),
    )
    assert [line for line in told(turned) if not line.startswith("order in details_json ")] == []


def test_an_order_that_rows_show_is_a_difference() -> None:
    turned = replace(SENTINEL, risk_weights=dict(reversed(SENTINEL.risk_weights.items())))
    [line] = told(turned)
    assert line.startswith("order in risk_reasons event_type, emergency_category, ")


def test_many_differences_are_told_shortly() -> None:
    documents = [describe_rules(SENTINEL), describe_rules(replace(SENTINEL, risk_weights={}))]
    line = describe_changes(compare_rules(*documents))
    assert line.endswith(" more")
    assert line.count("; ") == 5
