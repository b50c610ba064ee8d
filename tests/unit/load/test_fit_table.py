from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import Engine, create_engine

from sentinel_etl.arrow import as_frame
from sentinel_etl.config.fact_table import build_patrol_events
from sentinel_etl.errors import ConfigurationError, SchemaMismatch
from sentinel_etl.load.load import load_data
from sentinel_etl.type_mapping.fact_types import fact_type
from sentinel_etl.warehouse.contract import fit_table
from sentinel_etl.warehouse.wire import literal_values

FACT_TABLE = build_patrol_events()
WHEN = datetime(2026, 11, 21, 20, 0, 0, 123_456, tzinfo=UTC)

# Engines connect when they are used; these never are.
HTTP = create_engine("clickhouse+http://nobody@nowhere/none")
NATIVE = create_engine("clickhouse+native://nobody@nowhere/none")


@pytest.mark.parametrize(
    ("name", "values", "fitted"),
    [
        pytest.param(
            "hotspot_id", pa.array([1, None], pa.int16()), pa.array([1, None], pa.int64()), id="wider integer"
        ),
        pytest.param("new_priority_ranking", pa.array([3]), pa.array([3], pa.int16()), id="narrower integer that fits"),
        pytest.param("latitude", pa.array([12]), pa.array([12.0]), id="integer for a float"),
        pytest.param("remark_text", pa.array(["a"], pa.large_string()), pa.array(["a"]), id="long text"),
        pytest.param(
            "event_timestamp",
            pa.array([WHEN], pa.timestamp("us", "Asia/Kolkata")),
            pa.array([WHEN], pa.timestamp("us", "UTC")),
            id="an instant in another zone",
        ),
        pytest.param(
            "visited_hotspots",
            pa.array([[1], []], pa.list_(pa.int32())),
            pa.array([[1], []], pa.list_(pa.int64())),
            id="array",
        ),
    ],
)
def test_a_column_is_cast_to_the_tables_type(name: str, values: pa.Array, fitted: pa.Array) -> None:
    result = fit_table(pa.table({name: values}), FACT_TABLE)
    assert result[name].combine_chunks().equals(fitted)


def test_columns_keep_the_frames_order() -> None:
    rows = pa.table({"speed": [1.0], "event_id": ["REMARK:1"], "patrol_id": [1]})
    assert fit_table(rows, FACT_TABLE).column_names == ["speed", "event_id", "patrol_id"]


def test_columns_that_the_table_does_not_have_are_all_named() -> None:
    with pytest.raises(SchemaMismatch) as refused:
        fit_table(pa.table({"event_id": ["x"], "surprise": [1], "shock": [2]}), FACT_TABLE)
    assert str(refused.value) == "[load] patrol_events has no column surprise, shock"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        pytest.param("new_priority_ranking", pa.array([70_000]), id="too large"),
        pytest.param("vehicle_id", pa.array([1.5]), id="a fraction"),
        pytest.param("hotspot_id", pa.array(["seven"]), id="words for a number"),
        pytest.param("visited_hotspots", pa.array(["1,2"]), id="text for an array"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_before_anything_is_sent(name: str, values: pa.Array) -> None:
    with pytest.raises(
        SchemaMismatch, match=rf"^\[load\] a value does not fit patrol_events: {name}: expected "
    ) as refused:
        fit_table(pa.table({name: values}), FACT_TABLE)
    assert refused.value.stage == "load"


UTC_MICROS = "DateTime64(6, 'UTC')"


@pytest.mark.parametrize(
    ("driver", "server_type", "values", "rendered"),
    [
        pytest.param(
            "http",
            UTC_MICROS,
            pa.array([WHEN], pa.timestamp("us", "UTC")),
            ["2026-11-21 20:00:00.123456"],
            id="HTTP, UTC",
        ),
        pytest.param(
            "http",
            UTC_MICROS,
            pa.array([WHEN, None], pa.timestamp("us", "Asia/Kolkata")),
            ["2026-11-21 20:00:00.123456", None],
            id="HTTP",
        ),
        pytest.param(
            "http",
            "DateTime64(6, 'Asia/Kolkata')",
            pa.array([WHEN], pa.timestamp("us", "Asia/Kolkata")),
            ["2026-11-21 20:00:00.123456Z"],
            id="an instant for a column of another zone says its own",
        ),
        pytest.param(
            "http",
            "DateTime64(6)",
            pa.array([WHEN], pa.timestamp("us", "UTC")),
            ["2026-11-21 20:00:00.123456Z"],
            id="and for one of the server's zone",
        ),
        pytest.param(
            "http",
            "DateTime('UTC')",
            pa.array([WHEN.replace(microsecond=0)], pa.timestamp("s", "UTC")),
            ["2026-11-21 20:00:00"],
            id="seconds",
        ),
        pytest.param(
            "http",
            "Array(DateTime64(3, 'UTC'))",
            pa.array([[WHEN.replace(microsecond=123_000)]], pa.list_(pa.timestamp("ms", "UTC"))),
            [["2026-11-21 20:00:00.123"]],
            id="instants of an array",
        ),
        pytest.param(
            "http", "Decimal(20, 2)", pa.array([Decimal("9007199254740993.10")]), ["9007199254740993.10"], id="decimal"
        ),
        pytest.param(
            "http",
            "Map(String, String)",
            pa.array([[("a", "b")], []], pa.map_(pa.string(), pa.string())),
            [{"a": "b"}, {}],
            id="map",
        ),
        pytest.param("native", "Int128", pa.array(["-5", None]), [-5, None], id="big integer"),
        pytest.param(
            "native", UTC_MICROS, pa.array([WHEN, None], pa.timestamp("us", "UTC")), [WHEN, None], id="native"
        ),
        pytest.param("http", "Int64", pa.array([1, None]), [1, None], id="an integer with gaps stays integer"),
        pytest.param("native", "Int64", pa.array([2**53 + 1, None]), [2**53 + 1, None], id="to its last digit"),
        pytest.param("native", "Bool", pa.array([True, None]), [True, None], id="boolean"),
        pytest.param("http", "Date", pa.array([date(2026, 11, 21), None]), [date(2026, 11, 21), None], id="date"),
        pytest.param("native", "Array(String)", pa.array([["a"], []]), [["a"], []], id="array"),
        pytest.param(
            "http", "Array(String)", pa.array([["a"], None]), [["a"], []], id="an absent array is an empty one"
        ),
        pytest.param("native", "Int64", pa.array([], pa.int64()), [], id="no rows"),
    ],
)
def test_values_go_to_the_driver_as_it_renders_them_without_loss(
    driver: str, server_type: str, values: pa.Array, rendered: list[Any]
) -> None:
    written = literal_values(pa.chunked_array([values]), fact_type(server_type), driver)
    assert written == rendered
    assert [type(value) for value in written] == [type(value) for value in rendered]


def test_the_arrow_loader_is_refused_over_the_native_protocol() -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_data(as_frame(pa.table({"event_id": ["x"]})), FACT_TABLE, NATIVE, loader="arrow")
    assert str(refused.value) == (
        "loader: expected clickhouse+http:// for the Arrow loader, found clickhouse+native://; "
        "use to_sql, or the HTTP URL"
    )


@pytest.mark.parametrize("warehouse", [HTTP, NATIVE], ids=["HTTP", "native"])
def test_no_rows_are_loaded_without_connecting(warehouse: Engine) -> None:
    assert load_data(as_frame(pa.table({"event_id": pa.array([], pa.string())})), FACT_TABLE, warehouse) == 0


def test_a_null_where_none_may_be_is_refused_by_its_column() -> None:
    with pytest.raises(SchemaMismatch, match=r"\[load\] patrol_events\.patrol_id must have a value; 1 row has none"):
        fit_table(pa.table({"patrol_id": pa.array([7, None], pa.int64())}), build_patrol_events())
