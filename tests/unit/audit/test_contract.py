"""The contract of loaded frames, over the Arrow-backed frames that transformation returns."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pytest

from sentinel_etl.audit.contract import build_contract, check_contract, judge_ranges
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.transform.facts import transform_data

CONTRACT = build_contract(SENTINEL.fact_table)


def facts(**columns: list[object]) -> pd.DataFrame:
    """Three remarks as they are loaded, but for the given columns."""
    raw = pd.DataFrame(
        {
            "event_type": "REMARK",
            "source_key": ["1", "2", "3"],
            "event_timestamp": pd.to_datetime([datetime(2026, 11, 21, 20, tzinfo=UTC)] * 3),
            "patrol_id": [7, 7, 8],
            "officer_id": [101, 101, 102],
            "station_id": [3, 3, 3],
            "latitude": [12.9, 12.9, None],
            "longitude": [77.5, 77.5, None],
            **columns,
        }
    )
    return transform_data(raw)


def test_what_transformation_returns_keeps_the_contract() -> None:
    assert check_contract(facts(), CONTRACT) == Counter()


def test_values_out_of_their_columns_range_are_counted_by_column() -> None:
    outside = check_contract(facts(latitude=[95.0, -90.0, -91.0], heading=[360.0, 361.0, None]), CONTRACT)
    assert outside == Counter(latitude=2, heading=1)
    check = judge_ranges(outside, SENTINEL.fact_table)
    assert (check.severity, check.passed, check.subjects) == ("warn", False, ("heading", "latitude"))
    assert check.expected == "heading from 0 to 360, latitude from -90 to 90"
    assert check.observed == "heading in 1 rows; latitude in 2 rows"


def test_the_range_check_passes_where_nothing_is_outside() -> None:
    check = judge_ranges(Counter(), SENTINEL.fact_table)
    assert (check.passed, check.expected, check.observed) == (True, "8 columns in range", "all within")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(lambda frame: frame.drop(columns="speed"), "speed: expected column_in_dataframe", id="missing"),
        pytest.param(lambda frame: frame.assign(rank=1), "rank: expected column_in_schema", id="unknown"),
        pytest.param(
            lambda frame: frame.astype({"officer_id": pd.ArrowDtype(pa.string())}),
            "officer_id: expected dtype('int64[pyarrow]')",
            id="of another type",
        ),
        pytest.param(
            lambda frame: frame.assign(officer_id=frame["officer_id"].where(frame.index != 1)),
            "officer_id: expected not_nullable",
            id="a NULL that may not be",
        ),
    ],
)
def test_a_frame_that_breaks_the_contract_is_refused_by_column(change: object, words: str) -> None:
    with pytest.raises(SchemaMismatch) as raised:
        check_contract(change(facts()), CONTRACT)  # type: ignore[operator]
    assert words in str(raised.value)


def test_the_frame_is_left_as_it_is() -> None:
    frame = facts(latitude=[95.0, 1.0, 2.0])
    copy = frame.copy(deep=True)
    check_contract(frame, CONTRACT)
    pd.testing.assert_frame_equal(frame, copy)
