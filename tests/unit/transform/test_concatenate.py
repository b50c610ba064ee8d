from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from sentinel_etl.arrow import as_arrow, as_frame
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.transform.concatenate import concatenate

WHEN = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)


def frame(**columns: pa.Array) -> pd.DataFrame:
    return as_frame(pa.table(columns))


def rows(result: pd.DataFrame) -> list[dict[str, Any]]:
    return as_arrow(result).to_pylist()  # type: ignore[no-any-return]


def test_the_union_of_columns_holds_null_where_a_type_has_no_such_column() -> None:
    result = concatenate(
        {
            "REMARK": frame(source_key=pa.array([1, 2]), remark_text=pa.array(["a", None])),
            "GEOFENCE": frame(source_key=pa.array([7]), speed=pa.array([1.5])),
        }
    )
    assert rows(result) == [
        {"event_type": "REMARK", "source_key": "1", "remark_text": "a", "speed": None},
        {"event_type": "REMARK", "source_key": "2", "remark_text": None, "speed": None},
        {"event_type": "GEOFENCE", "source_key": "7", "remark_text": None, "speed": 1.5},
    ]


def test_types_keep_the_order_in_which_they_came() -> None:
    one = frame(source_key=pa.array([1]))
    result = concatenate({"B": one, "C": one, "A": one})
    assert result["event_type"].tolist() == ["B", "C", "A"]


@pytest.mark.parametrize(
    ("left", "right", "widened"),
    [
        pytest.param(pa.array([1]), pa.array([1.5]), pa.float64(), id="integer and float"),
        pytest.param(pa.array([1], pa.int16()), pa.array([2], pa.int64()), pa.int64(), id="small and big integer"),
        pytest.param(pa.nulls(1), pa.array([2]), pa.int64(), id="nothing and integer"),
        pytest.param(pa.array([None], pa.int64()), pa.array([2]), pa.int64(), id="an integer column with gaps"),
        pytest.param(pa.array(["a"]), pa.array(["b"], pa.large_string()), pa.large_string(), id="both kinds of text"),
        pytest.param(
            pa.array([WHEN], pa.timestamp("ms", "UTC")),
            pa.array([WHEN], pa.timestamp("us", "UTC")),
            pa.timestamp("us", "UTC"),
            id="milli- and microseconds",
        ),
    ],
)
def test_types_are_widened_never_narrowed(left: pa.Array, right: pa.Array, widened: pa.DataType) -> None:
    result = as_arrow(concatenate({"A": frame(value=left), "B": frame(value=right)}))
    assert result.schema.field("value").type == widened
    assert result["value"].to_pylist() == [*left.to_pylist(), *right.to_pylist()]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        pytest.param(pa.array([True]), pa.array([1]), id="boolean and integer"),
        pytest.param(pa.array([WHEN], pa.timestamp("us", "UTC")), pa.array(["a"]), id="instant and text"),
        pytest.param(pa.array([[1]]), pa.array([1]), id="array and integer"),
    ],
)
def test_types_without_a_common_type_are_refused_with_the_event_types(left: pa.Array, right: pa.Array) -> None:
    with pytest.raises(SchemaMismatch) as refused:
        concatenate({"REMARK": frame(value=left), "GEOFENCE": frame(value=right)})
    text = str(refused.value)
    assert text.startswith("concatenate: value: expected compatible types in REMARK, GEOFENCE; found: ")
    assert f"{left.type} in REMARK, {right.type} in GEOFENCE" in text
    assert text.endswith("; cast one of them in EVENT_CONFIG")


@pytest.mark.parametrize(
    ("left", "right", "texts"),
    [
        pytest.param(pa.array([1]), pa.array(["1.50"]), ["1", "1.50"], id="integer and numeric, which comes as text"),
        pytest.param(pa.array([2**53 + 1]), pa.array([0.5]), ["9007199254740993", "0.5"], id="no double holds it"),
        pytest.param(
            pa.array([0.1, 1e15, 1e-5]), pa.array(["a"]), ["0.1", "1000000000000000", "1e-05", "a"], id="float"
        ),
        pytest.param(pa.array([[1, None]]), pa.array([["2.5"]]), [["1", None], ["2.5"]], id="elements of arrays"),
    ],
)
def test_numbers_without_a_common_type_keep_their_digits_as_text(left: pa.Array, right: pa.Array, texts: Any) -> None:
    result = as_arrow(concatenate({"A": frame(value=left), "B": frame(value=right)}))
    assert result["value"].to_pylist() == texts


def test_a_type_with_a_composite_key_is_stacked_on_one_with_a_single_key() -> None:
    result = concatenate({"A": frame(source_key=pa.array([1])), "B": frame(source_key=pa.array(["1:2"]))})
    assert [str(key) for key in result["source_key"]] == ["1", "1:2"]


def test_a_frame_without_rows_brings_its_columns() -> None:
    result = concatenate(
        {"REMARK": frame(hotspot_id=pa.array([], pa.int64())), "GEOFENCE": frame(speed=pa.array([1.5]))}
    )
    assert rows(result) == [{"event_type": "GEOFENCE", "hotspot_id": None, "speed": 1.5}]
    assert result.dtypes.astype(str).to_dict() == {
        "event_type": "string[pyarrow]",
        "hotspot_id": "int64[pyarrow]",
        "speed": "double[pyarrow]",
    }


def test_only_frames_without_rows_give_a_frame_without_rows() -> None:
    result = concatenate({"REMARK": frame(hotspot_id=pa.array([], pa.int64()))})
    assert result.empty
    assert list(result.columns) == ["event_type", "hotspot_id"]


def test_an_integer_column_with_gaps_stays_integer_to_its_last_digit() -> None:
    big = 2**53 + 1
    result = concatenate(
        {"A": frame(hotspot_id=pa.array([big, None])), "B": frame(source_key=pa.array([1]))},
    )
    assert as_arrow(result)["hotspot_id"].to_pylist() == [big, None, None]


def test_the_index_of_the_frames_is_forgotten() -> None:
    result = concatenate({"A": pd.DataFrame({"x": [1, 2]}, index=[5, 9]), "B": pd.DataFrame({"x": [3]}, index=[5])})
    assert result.index.tolist() == [0, 1, 2]
    assert result["x"].tolist() == [1, 2, 3]


def test_the_frames_are_not_changed() -> None:
    one, other = pd.DataFrame({"x": [1, 2]}), pd.DataFrame({"y": ["a"]})
    before = one.copy(deep=True), other.copy(deep=True)
    concatenate({"A": one, "B": other})
    pd.testing.assert_frame_equal(one, before[0])
    pd.testing.assert_frame_equal(other, before[1])
