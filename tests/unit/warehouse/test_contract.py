"""What a table can hold, over the rows that transformation returns."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pytest

from sentinel_etl.arrow import as_arrow
from sentinel_etl.audit.window_gates import check_ranges
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.transform.facts import transform_data
from sentinel_etl.warehouse.contract import count_outside, find_flaws, fit_table
from sentinel_etl.warehouse.types import arrow_schema

FACTS = SENTINEL.fact_table


def facts(**columns: list[object]) -> pa.Table:
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
    return as_arrow(transform_data(raw))


def with_column(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, values)


def test_what_transformation_returns_keeps_the_contract() -> None:
    rows = facts()
    assert fit_table(rows, FACTS).equals(rows)
    assert find_flaws(rows, FACTS, SENTINEL.bounds).tolist() == [None, None, None]
    assert count_outside(rows, FACTS) == Counter()
    fields = [field.with_nullable(True) for field in arrow_schema(FACTS) if field.name not in ("run_id", "loaded_at")]
    assert list(rows.schema) == fields


def test_values_out_of_their_columns_range_are_counted_by_column() -> None:
    outside = count_outside(facts(speed=[2.0, -0.5, -0.1], heading=[360.0, 361.0, None]), FACTS)
    assert outside == Counter(speed=2, heading=1)
    check = check_ranges(outside, FACTS, SENTINEL.bounds)
    assert (check.severity, check.passed, check.subjects) == ("warn", False, ("heading", "speed"))
    assert check.expected == "heading from 0 to 360, speed at least 0"
    assert check.observed == "heading in 1 row; speed in 2 rows"


def test_the_range_check_passes_where_nothing_is_outside() -> None:
    check = check_ranges(Counter(), FACTS, SENTINEL.bounds)
    assert (check.passed, check.expected, check.observed) == (True, "8 columns in range", "all within")


def test_a_column_that_has_bounds_states_no_range_because_nothing_beyond_is_left_to_count() -> None:
    assert not [column.name for column in FACTS.columns if "range" in column.info and column.name in SENTINEL.bounds]
    flaws = find_flaws(facts(latitude=[95.0, -90.0, -91.0]), FACTS, SENTINEL.bounds)
    assert flaws.tolist() == ["latitude: outside -90 to 90", None, "latitude: outside -90 to 90"]


def test_a_frame_with_a_column_that_the_table_does_not_have_is_refused_by_its_name() -> None:
    with pytest.raises(SchemaMismatch, match="patrol_events has no column rank"):
        fit_table(facts().append_column("rank", pa.array([1, 2, 3])), FACTS)


def test_a_frame_whose_column_has_a_type_that_does_not_fit_is_refused() -> None:
    with pytest.raises(SchemaMismatch, match="a value does not fit patrol_events"):
        fit_table(with_column(facts(), "officer_id", pa.array(["a", "b", "c"])), FACTS)


def test_a_null_that_may_not_be_is_a_row_s_flaw_and_a_frame_s_refusal() -> None:
    rows = with_column(facts(), "officer_id", pa.array([101, None, 102]))
    assert find_flaws(rows, FACTS, {}).tolist() == [None, "officer_id: no value, and the fact table needs one", None]
    with pytest.raises(SchemaMismatch, match=r"patrol_events\.officer_id must have a value; 1 row has none"):
        fit_table(rows, FACTS)


def test_the_rows_are_left_as_they_are() -> None:
    rows = facts(latitude=[95.0, 1.0, 2.0])
    copy = pa.table({name: rows[name].to_pylist() for name in rows.column_names}, schema=rows.schema)
    find_flaws(rows, FACTS, SENTINEL.bounds)
    count_outside(rows, FACTS)
    assert rows.equals(copy)


@pytest.mark.parametrize("most", [1.5, 1e9, 1e30])
def test_a_bound_that_the_column_itself_could_not_hold_is_one_all_the_same(most: float) -> None:
    rows = facts()
    column = pa.chunked_array([pa.array([1, 2] + [None] * (rows.num_rows - 2), pa.int16())])
    rows = with_column(rows, "new_priority_ranking", column)
    flaws = find_flaws(rows, FACTS, {"new_priority_ranking": (0.5, most)})
    assert list(flaws[:2]) == [None, "new_priority_ranking: outside 0.5 to 1.5" if most == 1.5 else None]
