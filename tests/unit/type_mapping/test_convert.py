"""What is carried becomes a fact type's value without a change, or is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.type_mapping.convert import convert, find_misfits
from sentinel_etl.type_mapping.fact_types import fact_type

CITY = ZoneInfo("Asia/Kolkata")
MICROS = pa.timestamp("us", "UTC")
EVENING = datetime(2026, 11, 21, 20, 0, 0, 1, tzinfo=UTC)


def converted(values: pa.Array, server_type: str) -> list[Any]:
    return convert(pa.chunked_array([values]), fact_type(server_type), CITY).to_pylist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("values", "server_type", "kept"),
    [
        pytest.param(pa.array(["9007199254740993", "-1.00"]), "Int64", [2**53 + 1, -1], id="digits no double holds"),
        pytest.param(pa.array(["NaN"]), "Nullable(Int64)", [None], id="NaN is NULL"),
        pytest.param(pa.array(["NaN"]), "String", ["NaN"], id="but the text NaN in a text"),
        pytest.param(
            pa.array(["$1,234.56", "-$0.05"]), "Decimal(19, 2)", [Decimal("1234.56"), Decimal("-0.05")], id="money"
        ),
        pytest.param(pa.array([7]), "Decimal(9, 2)", [Decimal("7.00")], id="an integer"),
        pytest.param(pa.array(["1.5000"]), "Decimal(9, 2)", [Decimal("1.50")], id="zeros at the end are no digits"),
        pytest.param(pa.array([str(2**127 - 1)]), "Int128", [str(2**127 - 1)], id="the greatest of 128 bits"),
        pytest.param(pa.array(["0.1", "-Infinity"]), "Float64", [0.1, float("-inf")], id="a numeric's double"),
        pytest.param(pa.array(["10.0.0.1/32"]), "IPv4", ["10.0.0.1"], id="a host"),
        pytest.param(pa.array([EVENING], MICROS), "Date", [date(2026, 11, 22)], id="an instant's date is the city's"),
        pytest.param(
            pa.array([[EVENING]], pa.list_(MICROS)), "Array(Date32)", [[date(2026, 11, 22)]], id="in an array"
        ),
        pytest.param(pa.array([["1", None]]), "Array(Nullable(Int64))", [[1, None]], id="an array with a NULL"),
        pytest.param(pa.array(['{"a": "b"}', None]), "Map(String, String)", [[("a", "b")], None], id="a map"),
        pytest.param(
            pa.array(['{"a": [1, 2], "b": {"c": "x"}}']), "JSON", ['{"a": [1, 2], "b": {"c": "x"}}'], id="JSON"
        ),
    ],
)
def test_a_value_that_fits_is_kept(values: pa.Array, server_type: str, kept: list[Any]) -> None:
    assert converted(values, server_type) == kept


@pytest.mark.parametrize(
    ("values", "server_type"),
    [
        pytest.param(pa.array(["1.5"]), "Int64", id="a fraction"),
        pytest.param(pa.array(["9223372036854775808"]), "Int64", id="beyond 64 bits"),
        pytest.param(pa.array([str(2**127)]), "Int128", id="beyond 128 bits"),
        pytest.param(pa.array(["-1"]), "UInt256", id="below zero"),
        pytest.param(pa.array(["0.005"]), "Decimal(9, 2)", id="a digit too many"),
        pytest.param(pa.array(["1" + "0" * 400]), "Decimal(76, 10)", id="hundreds of digits"),
        pytest.param(pa.array(["1e400"]), "Float64", id="beyond a double"),
        pytest.param(pa.array(["1e-400"]), "Float64", id="nearer to zero than a double"),
        pytest.param(pa.array([1e300]), "Float32", id="beyond a single"),
        pytest.param(pa.array(["1e39"]), "Float32", id="a numeric beyond a single"),
        pytest.param(pa.array([2**53 + 1]), "Float64", id="an integer that no double holds"),
        pytest.param(pa.array(["abc"]), "FixedString(4)", id="a shorter text"),
        pytest.param(pa.array(["ಕ"]), "FixedString(1)", id="a longer text, in bytes"),
        pytest.param(pa.array(["c"]), "Enum8('a' = 1, 'b' = 2)", id="no member"),
        pytest.param(pa.array(["::1"]), "IPv4", id="an address of the other version"),
        pytest.param(pa.array(["10.0.0.0/8"]), "IPv4", id="a network"),
        pytest.param(pa.array([EVENING], MICROS), "DateTime64(3)", id="microseconds for milliseconds"),
        pytest.param(pa.array([EVENING.replace(microsecond=120)], MICROS), "DateTime64(4)", id="a digit between"),
        pytest.param(pa.array([EVENING], MICROS), "DateTime", id="a fraction of a second"),
        pytest.param(pa.array([["1", "x"]]), "Array(Int64)", id="an element"),
        pytest.param(pa.array(['{"a": null}']), "JSON", id="a member without a value"),
        pytest.param(pa.array(['{"a": 9007199254740993.5}']), "JSON", id="digits that a double rounds"),
        pytest.param(pa.array(['{"a.b": 1}']), "JSON", id="a name that would be a path"),
        pytest.param(pa.array(["[1]"]), "JSON", id="no object"),
        pytest.param(pa.array(['{"a": 1}']), "Map(String, String)", id="a value that is no text"),
    ],
)
def test_a_value_that_would_change_is_refused_and_found(values: pa.Array, server_type: str) -> None:
    column = pa.chunked_array([pa.concat_arrays([pa.nulls(3, values.type), values, pa.nulls(2, values.type)])])
    with pytest.raises(pa.ArrowInvalid):
        convert(column, fact_type(server_type), CITY)
    assert find_misfits(column, fact_type(server_type), CITY) == [3]


@pytest.mark.parametrize(
    ("values", "server_type"),
    [
        pytest.param(pa.array([1_700_000_000]), "DateTime64(6)", id="a number is no instant"),
        pytest.param(pa.array([date(2026, 11, 21)]), "DateTime64(6)", id="nor is a date"),
        pytest.param(pa.array([datetime(2026, 11, 21)], pa.timestamp("us")), "DateTime64(6)", id="nor a wall clock"),
        pytest.param(pa.array([9]), "Bool", id="a number is no truth"),
        pytest.param(pa.array([[1]]), "Int64", id="an array is no number"),
        pytest.param(pa.array([1]), "Array(Int64)", id="a number is no array"),
    ],
)
def test_a_column_no_value_of_which_could_be_one_is_refused_whole(values: pa.Array, server_type: str) -> None:
    with pytest.raises(SchemaMismatch):
        convert(pa.chunked_array([values.slice(0, 0)]), fact_type(server_type), CITY)
