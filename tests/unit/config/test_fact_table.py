from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from clickhouse_sqlalchemy import Table, types
from content_hash import content_hash
from sqlalchemy import Column, MetaData, Text, create_engine
from sqlalchemy.schema import CreateTable

from sentinel_etl.config.fact_table import (
    ENGINE_COLUMNS,
    PARTITION_KEYS,
    PartitionBy,
    build_patrol_events,
    content_columns,
)
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.type_mapping.fact_types import LOADED_TYPES, fact_type
from sentinel_etl.warehouse.types import arrow_schema, fact_types, is_nullable

# The contract: name, server type, Arrow type, may be NULL.
CONTRACT = [
    ("event_id", "String", pa.string(), False),
    ("patrol_id", "Int64", pa.int64(), False),
    ("officer_id", "Int64", pa.int64(), False),
    ("event_timestamp", "DateTime64(6, 'UTC')", pa.timestamp("us", tz="UTC"), False),
    ("received_at", "Nullable(DateTime64(6, 'UTC'))", pa.timestamp("us", tz="UTC"), True),
    ("event_date", "Date", pa.date32(), False),
    ("shift_date", "Date", pa.date32(), False),
    ("event_type", "LowCardinality(String)", pa.string(), False),
    ("station_id", "Int64", pa.int64(), False),
    ("vehicle_id", "Nullable(Int64)", pa.int64(), True),
    ("latitude", "Nullable(Float64)", pa.float64(), True),
    ("longitude", "Nullable(Float64)", pa.float64(), True),
    ("accuracy", "Nullable(Float64)", pa.float64(), True),
    ("speed", "Nullable(Float64)", pa.float64(), True),
    ("heading", "Nullable(Float64)", pa.float64(), True),
    ("hotspot_id", "Nullable(Int64)", pa.int64(), True),
    ("remark_text", "Nullable(String)", pa.string(), True),
    ("remark_length", "Nullable(Int32)", pa.int32(), True),
    ("new_priority_ranking", "Nullable(Int16)", pa.int16(), True),
    ("visited_hotspots", "Array(Int64)", pa.list_(pa.int64()), False),
    ("hotspots_to_visit", "Array(Int64)", pa.list_(pa.int64()), False),
    ("assigned_crew_ids", "Array(Int64)", pa.list_(pa.int64()), False),
    ("vehicle_plate_number", "Nullable(String)", pa.string(), True),
    ("suspicious_activity", "Nullable(Bool)", pa.bool_(), True),
    ("suspicion_details", "Nullable(String)", pa.string(), True),
    ("stranger_name", "Nullable(String)", pa.string(), True),
    ("stranger_purpose", "Nullable(String)", pa.string(), True),
    ("stranger_id_type", "LowCardinality(Nullable(String))", pa.string(), True),
    ("stranger_id_details", "Nullable(String)", pa.string(), True),
    ("emergency_category", "LowCardinality(Nullable(String))", pa.string(), True),
    ("feedback_text", "Nullable(String)", pa.string(), True),
    ("geofence_event_type", "LowCardinality(Nullable(String))", pa.string(), True),
    ("patrol_status_at_event", "LowCardinality(Nullable(String))", pa.string(), True),
    ("base_risk_score", "Float64", pa.float64(), False),
    ("risk_reasons", "Array(String)", pa.list_(pa.string()), False),
    ("details_json", "Nullable(String)", pa.string(), True),
    ("media_ref", "Nullable(String)", pa.string(), True),
    ("run_id", "String", pa.string(), False),
    ("loaded_at", "DateTime64(6, 'UTC')", pa.timestamp("us", tz="UTC"), False),
]

# An engine that is never connected: it only knows how to write ClickHouse's SQL.
DIALECT = create_engine("clickhouse+http://nobody@nowhere/none").dialect


def ddl(partition_by: PartitionBy) -> str:
    return str(CreateTable(build_patrol_events(partition_by)).compile(dialect=DIALECT))


def test_the_columns_are_those_of_the_contract_in_order() -> None:
    table = build_patrol_events()
    assert [
        (column.name, str(column.type.compile(dialect=DIALECT)), is_nullable(column)) for column in table.columns
    ] == [(name, server_type, nullable) for name, server_type, _, nullable in CONTRACT]


def test_the_arrow_schema_is_that_of_the_contract() -> None:
    expected = pa.schema([pa.field(name, arrow, nullable=nullable) for name, _, arrow, nullable in CONTRACT])
    assert arrow_schema(build_patrol_events()) == expected


@pytest.mark.parametrize(
    ("partition_by", "key"),
    [("month", "toYYYYMM(shift_date)"), ("week", "toMonday(shift_date)"), ("day", "shift_date")],
    ids=["month", "week", "day"],
)
def test_the_ddl_has_the_designs_engine_partition_and_order(partition_by: PartitionBy, key: str) -> None:
    _, _, engine = ddl(partition_by).partition(") ENGINE = ")
    assert [line.strip() for line in engine.strip().splitlines()] == [
        "MergeTree()",
        f"PARTITION BY {key}",
        "ORDER BY (shift_date, station_id, event_type, event_timestamp, event_id)",
    ]


def test_a_month_is_the_partition_unless_another_is_asked_for() -> None:
    assert str(CreateTable(build_patrol_events()).compile(dialect=DIALECT)) == ddl("month")
    assert list(PARTITION_KEYS) == ["month", "week", "day"]


def test_the_ddl_names_every_column_with_its_type_and_comment() -> None:
    lines = [line.strip() for line in ddl("month").splitlines()]
    for name, server_type, _, _ in CONTRACT:
        (line,) = [line for line in lines if line.startswith(f"{name} ")]
        assert line.startswith(f"{name} {server_type} ")
        assert " COMMENT '" in line


def test_what_the_run_stamps_has_a_default_in_the_server() -> None:
    lines = [line.strip() for line in ddl("month").splitlines()]
    assert [line.partition(" COMMENT")[0] for line in lines if " DEFAULT " in line] == [
        "run_id String DEFAULT ''",
        "loaded_at DateTime64(6, 'UTC') DEFAULT now64(6)",
    ]


def test_content_leaves_out_what_the_run_stamps() -> None:
    assert content_columns(build_patrol_events()) == [name for name, *_ in CONTRACT[:-2]]


def test_the_content_hash_reads_every_content_column_and_no_other() -> None:
    text = str(content_hash(build_patrol_events()).compile(dialect=DIALECT))
    columns = ", ".join(f'"{name}"' for name, *_ in CONTRACT[:-2])
    assert text == f"hex(sumWithOverflow(cityHash64(tuple({columns}))))"


def test_the_fact_table_has_what_the_engine_needs() -> None:
    assert set(ENGINE_COLUMNS) <= {name for name, *_ in CONTRACT}


@pytest.mark.parametrize(
    ("server_type", "arrow"),
    [
        ("String", pa.string()),
        ("Bool", pa.bool_()),
        ("Int8", pa.int8()),
        ("Int16", pa.int16()),
        ("Int32", pa.int32()),
        ("Int64", pa.int64()),
        ("UInt8", pa.uint8()),
        ("UInt16", pa.uint16()),
        ("UInt32", pa.uint32()),
        ("UInt64", pa.uint64()),
        ("Float32", pa.float32()),
        ("Float64", pa.float64()),
        ("Date", pa.date32()),
        ("Date32", pa.date32()),
        ("DateTime", pa.timestamp("s", tz="UTC")),
        ("DateTime('Asia/Kolkata')", pa.timestamp("s", tz="Asia/Kolkata")),
        ("DateTime64(0)", pa.timestamp("s", tz="UTC")),
        ("DateTime64(3)", pa.timestamp("ms", tz="UTC")),
        ("DateTime64(6, 'UTC')", pa.timestamp("us", tz="UTC")),
        ("DateTime64(6,'Asia/Kolkata')", pa.timestamp("us", tz="Asia/Kolkata")),
        ("DateTime64(9, 'UTC')", pa.timestamp("ns", tz="UTC")),
        ("Nullable(Int64)", pa.int64()),
        ("LowCardinality(String)", pa.string()),
        ("LowCardinality(Nullable(String))", pa.string()),
        ("Array(Int64)", pa.list_(pa.int64())),
        ("Array(Nullable(String))", pa.list_(pa.string())),
        ("Array(Array(UInt8))", pa.list_(pa.list_(pa.uint8()))),
        ("DateTime64(2)", pa.timestamp("ms", tz="UTC")),
        ("DateTime64(4)", pa.timestamp("us", tz="UTC")),
        ("Decimal(10, 2)", pa.decimal128(10, 2)),
        ("Nullable(Decimal(76,10))", pa.decimal256(76, 10)),
        ("UUID", pa.string()),
        ("Array(Nullable(UUID))", pa.list_(pa.string())),
        ("Enum8('a' = 1, 'b' = 2)", pa.string()),
        ("LowCardinality(FixedString(3))", pa.string()),
        ("IPv4", pa.string()),
        ("IPv6", pa.string()),
        ("Int128", pa.string()),
        ("UInt256", pa.string()),
        ("Map(String, String)", pa.map_(pa.string(), pa.string())),
        ("JSON", pa.string()),
    ],
)
def test_a_server_type_maps_to_the_arrow_type_that_carries_it(server_type: str, arrow: pa.DataType) -> None:
    assert fact_type(server_type).arrow == arrow


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        pytest.param(types.Enum8("calm", "loud"), "such as String() or Enum8(a Python enum", id="words"),
        pytest.param(Text(), "expected a type among", id="a type of SQL"),
        pytest.param(types.Nullable(types.Decimal(99, 2)), "found Decimal(99, 2)", id="too long a decimal"),
    ],
)
def test_a_column_of_a_type_that_is_none_is_named(kind: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        fact_types(Table("visits", MetaData(), Column("mood", kind)))
    assert str(refused.value).startswith("visits.mood: expected a type ")
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("server_type", "found"),
    [
        ("Decimal(77, 2)", "Decimal(77, 2)"),
        ("Decimal(2, 3)", "Decimal(2, 3)"),
        ("Nullable(Tuple(Int8))", "Tuple(Int8)"),
        ("Map(String, UInt8)", "Map(String, UInt8)"),
        ("Array(BFloat16)", "BFloat16"),
        ("FixedString(0)", "FixedString(0)"),
        ("", ""),
    ],
)
def test_a_server_type_that_would_lose_something_is_refused(server_type: str, found: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        fact_type(server_type)
    assert str(refused.value) == f"expected a type among {LOADED_TYPES}; found {found}"


@pytest.mark.parametrize(
    ("column_type", "nullable"),
    [
        (types.Nullable(types.Int64), True),
        (types.LowCardinality(types.Nullable(types.String)), True),
        (types.Int64, False),
        (types.Array(types.Nullable(types.Int64)), False),
    ],
    ids=["nullable", "keyword", "plain", "array of nullable"],
)
def test_a_column_is_nullable_where_its_own_value_may_be_missing(column_type: object, nullable: bool) -> None:
    table = Table("other", MetaData(), Column("value", column_type))
    assert is_nullable(table.c.value) is nullable
