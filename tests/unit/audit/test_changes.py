"""What a comparison of rows says of itself: in one sentence, in the ledger, as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf, nan

import pandas as pd
import pytest
from change_samples import CHANGED, UNCHANGED

from sentinel_etl.audit.changes.changes import Changes, sum_counts


def test_what_changes_is_one_sentence() -> None:
    assert CHANGED.describe() == (
        "rows: 2 added, 1 removed, 1,203 changed, 5 as they were; risk points 1,200 → 1,302.5 (+102.5)"
    )


def test_nothing_changes_is_one_sentence() -> None:
    assert UNCHANGED.describe() == "nothing changes: all 9 rows are as they were"
    assert (UNCHANGED.is_empty, CHANGED.is_empty) == (True, False)


@pytest.mark.parametrize(
    ("before", "after", "ending"),
    [
        pytest.param(1200.1, 1200.1 + 1e-9, "; risk points stay 1,200.1", id="the sum's last digits"),
        pytest.param(0.0, 12.0, "; risk points 0 → 12 (+12)", id="more"),
        pytest.param(12.0, 0.5, "; risk points 12 → 0.5 (-11.5)", id="less"),
        pytest.param(nan, nan, " as they were", id="a table without a score"),
        pytest.param(12.0, nan, " as they were", id="a score that is no number"),
        pytest.param(12.0, inf, " as they were", id="a score without end"),
    ],
)
def test_risk_points_are_told_where_they_are_numbers(before: float, after: float, ending: str) -> None:
    counts = CHANGED.counts.assign(points_before=[before, 0.0], points_after=[after, 0.0])
    changes = replace(CHANGED, counts=counts)
    assert changes.describe().endswith(ending)
    json.dumps(changes.as_dict(), allow_nan=False)


def test_what_the_ledger_holds_is_read_as_it_was_written() -> None:
    for changes in (CHANGED, UNCHANGED):
        read = Changes.from_record(json.loads(json.dumps(changes.as_record())))
        for name in ("counts", "columns", "examples"):
            pd.testing.assert_frame_equal(getattr(read, name), getattr(changes, name))


def test_json_has_the_totals_and_the_event_types_that_changed() -> None:
    found = json.loads(json.dumps(CHANGED.as_dict()))
    assert {name: value for name, value in found.items() if name != "event_types"} == {
        "before": 1209,
        "after": 1210,
        "added": 2,
        "removed": 1,
        "changed": 1203,
        "points_before": 1200.0,
        "points_after": 1302.5,
    }
    assert found["event_types"] == {
        "REMARK": {
            "before": 1205,
            "after": 1206,
            "added": 2,
            "removed": 1,
            "changed": 1203,
            "points_before": 1200.0,
            "points_after": 1302.5,
            "columns": {
                "base_risk_score": 1203,
                "risk_reasons": 1203,
                "remark_text": 4,
                "station_id": 2,
                "speed": 1,
                "heading": 1,
            },
            "examples": [
                {"event_id": "REMARK:1", "change": "changed", "values": "station_id 3 → 4; remark_text"},
                {"event_id": "", "change": "removed", "values": ""},
            ],
        }
    }
    assert UNCHANGED.as_dict()["event_types"] == {}


def test_a_comparison_of_nothing_has_no_rows() -> None:
    columns = ["event_type", "before", "after", "added", "removed", "changed", "points_before", "points_after"]
    nothing = replace(UNCHANGED, counts=sum_counts([pd.DataFrame(columns=columns)], scored=True))
    assert nothing.describe() == "nothing changes: all 0 rows are as they were"
    assert nothing.totals["points_before"] is None
