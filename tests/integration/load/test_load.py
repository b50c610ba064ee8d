"""Both loaders leave the same table, whatever the rows hold."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from clickhouse_sqlalchemy import Table, engines, types
from sqlalchemy import Column, Engine, MetaData, create_engine, text

from sentinel_etl.arrow import as_frame
from sentinel_etl.config.fact_table import build_patrol_events
from sentinel_etl.errors import ConfigurationError, SchemaMismatch, SentinelError
from sentinel_etl.load.load import Loader, load_data
from sentinel_etl.warehouse.query import query_df, run_statement
from sentinel_etl.warehouse.tables import create_table
from sentinel_etl.warehouse.types import arrow_schema

LOADERS: list[Loader] = ["arrow", "to_sql"]

INSTANT = datetime(2026, 11, 21, 18, 30, 0, 123456, UTC)

# Every column of the fact table that takes no NULL, at its plainest.
PLAIN: dict[str, Any] = {
    "event_id": "REMARK:1",
    "patrol_id": 1,
    "officer_id": 2,
    "event_timestamp": INSTANT,
    "event_date": date(2026, 11, 22),
    "shift_date": date(2026, 11, 21),
    "event_type": "REMARK",
    "station_id": 3,
    "visited_hotspots": [],
    "hotspots_to_visit": [],
    "assigned_crew_ids": [],
    "base_risk_score": 0.0,
    "risk_reasons": [],
    "run_id": "run",
    "loaded_at": INSTANT,
}

# Every column that does.
FULL: dict[str, Any] = {
    "received_at": datetime(2026, 11, 22, 0, 31, 2, 5, UTC),
    "vehicle_id": 102,
    "latitude": 12.9716,
    "longitude": 77.5946,
    "accuracy": 5.5,
    "speed": 1.25,
    "heading": 359.9,
    "hotspot_id": 101,
    "remark_text": "seen",
    "remark_length": 4,
    "new_priority_ranking": 1,
    "vehicle_plate_number": "KA-01-AB-1234",
    "suspicious_activity": True,
    "suspicion_details": "no plate",
    "stranger_name": "Ravi",
    "stranger_purpose": "work",
    "stranger_id_type": "AADHAAR",
    "stranger_id_details": "1234",
    "emergency_category": "FIRE",
    "feedback_text": "good",
    "geofence_event_type": "ENTER",
    "patrol_status_at_event": "finished",
    "details_json": '{"a": 1}',
    "media_ref": "s3://bucket/key",
}

TEXTS = {
    "an empty text": "",
    "quotes": """it's "so" `so`""",
    "a doubled quote": "''",
    "backslashes": r"C:\new\table \\ \' \N",
    "a backslash at the end": "end\\",
    "tabs and newlines": "a\tb\nc\rd\r\ne",
    "a NUL": "a\x00b",
    "percent signs": "100% %s %(name)s %%",
    "colons": ":name ::text 12:30",
    "braces and dollars": "{x:String} $1 ${y}",
    "a question mark and a semicolon": "? ; -- /* */",
    "Kannada": "ಅಧಿಕಾರಿ ಬಂದರು",
    "emoji": "🚓👮🏽‍♀️",
    "right to left": "مرحبا שלום",
    "combining and wide": "e\u0301 漢字 \u200b\ufeff",
    "the words null": "NULL null \\N None nan",
}

VALUES: dict[str, dict[str, Any]] = {
    **{name: {"remark_text": text, "event_id": f"REMARK:{text}"} for name, text in TEXTS.items()},
    **{f"{name}, in a keyword": {"stranger_id_type": text, "event_type": text} for name, text in TEXTS.items()},
    **{f"{name}, in an array": {"risk_reasons": [text, "", text]} for name, text in TEXTS.items()},
    "every column": FULL,
    "every column NULL that may be": dict.fromkeys(FULL),
    "true": {"suspicious_activity": True},
    "false": {"suspicious_activity": False},
    "large integers": {"patrol_id": 2**63 - 1, "vehicle_id": 2**53 + 1, "remark_length": 2**31 - 1},
    "negative integers": {"patrol_id": -(2**63), "vehicle_id": -1, "new_priority_ranking": -(2**15)},
    "an array of integers": {"visited_hotspots": [1, -2, 2**63 - 1], "assigned_crew_ids": [0]},
    "a tiny number": {"latitude": 5e-324, "base_risk_score": 2.2250738585072014e-308},
    "a huge number": {"latitude": 1.7976931348623157e308, "longitude": -1e300},
    "numbers without a short form": {"latitude": 0.1 + 0.2, "longitude": 1 / 3, "speed": 1e22},
    "minus zero": {"latitude": -0.0},
    "no fraction of a second": {"event_timestamp": datetime(2026, 11, 21, 18, 30, tzinfo=UTC)},
    "one microsecond": {"event_timestamp": datetime(2026, 11, 21, 18, 30, 0, 1, tzinfo=UTC)},
    "the last microsecond": {"event_timestamp": datetime(2026, 11, 21, 23, 59, 59, 999999, tzinfo=UTC)},
    "before 1970": {"event_timestamp": datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)},
    "the first and last dates": {"event_date": date(1970, 1, 1), "shift_date": date(2149, 6, 6)},
}


@pytest.fixture(scope="module")
def both(make_warehouse: Any) -> Iterator[dict[Loader, tuple[Engine, Table]]]:
    """For each loader a warehouse with an empty fact table."""
    tables: dict[Loader, tuple[Engine, Table]] = {}
    for loader in LOADERS:
        tables[loader] = make_warehouse(), build_patrol_events()
        create_table(*tables[loader])
    yield tables
    for engine, _ in tables.values():
        engine.dispose()


@pytest.fixture(scope="module")
def loaded(both: dict[Loader, tuple[Engine, Table]]) -> dict[Loader, dict[str, dict[str, Any]]]:
    """What each loader left of each case, by the case's number in run_id; all in one load."""
    rows = [{**dict.fromkeys(FULL), **PLAIN, **case, "run_id": str(n)} for n, case in enumerate(VALUES.values())]
    table = build_patrol_events()
    frame = as_frame(pa.Table.from_pylist(rows, arrow_schema(table)))
    found: dict[Loader, dict[str, dict[str, Any]]] = {}
    for loader, (engine, target) in both.items():
        assert load_data(frame, target, engine, loader=loader) == len(rows)
        back = query_df(engine, "SELECT * FROM patrol_events ORDER BY toUInt32(run_id)")
        found[loader] = dict(zip(VALUES, pa.Table.from_pandas(back).to_pylist(), strict=True))
    return found


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("case", VALUES)
def test_every_value_comes_back_as_it_was_sent(
    loaded: dict[Loader, dict[str, dict[str, Any]]], loader: Loader, case: str
) -> None:
    sent = {**dict.fromkeys(FULL), **PLAIN, **VALUES[case]}
    found = {name: value for name, value in loaded[loader][case].items() if name != "run_id"}
    assert found == {name: value for name, value in sent.items() if name != "run_id"}
    assert [str(found[name]) for name in ("latitude", "longitude")] == [str(sent["latitude"]), str(sent["longitude"])]


def test_both_loaders_leave_the_same_bytes(
    both: dict[Loader, tuple[Engine, Table]], loaded: dict[Loader, dict[str, dict[str, Any]]]
) -> None:
    rows = "SELECT hex(groupBitXor(cityHash64(tuple(*)))), count() FROM patrol_events"
    arrow, to_sql = (run_statement(both[loader][0], rows) for loader in LOADERS)
    assert arrow == to_sql
    assert arrow[0][1] == len(VALUES)


def test_the_cases_cover_every_column() -> None:
    assert {*PLAIN, *FULL} == {column.name for column in build_patrol_events().columns}


NUMBERS = Table(
    "numbers_of_all_kinds",
    MetaData(),
    Column("row", types.UInt64),
    Column("i8", types.Int8),
    Column("u8", types.UInt8),
    Column("i16", types.Int16),
    Column("u16", types.UInt16),
    Column("i32", types.Int32),
    Column("u32", types.UInt32),
    Column("i64", types.Nullable(types.Int64)),
    Column("f32", types.Nullable(types.Float32)),
    Column("f64", types.Float64),
    Column("b", types.Boolean),
    Column("d32", types.Nullable(types.Date32)),
    Column("second", types.Nullable(types.DateTime("UTC"))),
    Column("milli", types.Nullable(types.DateTime64(3, "UTC"))),
    Column("nano", types.Nullable(types.DateTime64(9, "UTC"))),
    Column("texts", types.Array(types.Nullable(types.String))),
    Column("nested", types.Array(types.Array(types.Int64))),
    Column("flags", types.Array(types.Boolean)),
    Column("word", types.Nullable(types.String), server_default=text("'a default'")),
    engines.MergeTree(order_by=("row",)),
)


@pytest.fixture(params=LOADERS)
def loader(request: pytest.FixtureRequest) -> Loader:
    return request.param


@pytest.fixture
def numbers(warehouse: Engine) -> Engine:
    create_table(warehouse, NUMBERS)
    return warehouse


def number_row(row: int) -> dict[str, Any]:
    return {"row": row, "i8": 0, "u8": 0, "i16": 0, "u16": 0, "i32": 0, "u32": 0, "f64": 0.0, "b": False} | {
        "texts": [],
        "nested": [],
        "flags": [],
    }


def test_another_team_s_types_arrive_too(numbers: Engine, loader: Loader) -> None:
    row = {
        "row": 2**64 - 1,
        "i8": -128,
        "u8": 255,
        "i16": -32768,
        "u16": 65535,
        "i32": -(2**31),
        "u32": 2**32 - 1,
        "i64": -(2**63),
        "f32": 0.5,
        "f64": -1e-300,
        "b": True,
        "d32": date(1925, 1, 1),
        "second": datetime(2026, 11, 21, 18, 30, 5, tzinfo=UTC),
        "milli": datetime(2026, 11, 21, 18, 30, 5, 123000, tzinfo=UTC),
        "nano": datetime(2026, 11, 21, 18, 30, 5, 123456, tzinfo=UTC),
        "texts": ["a'b", None, "\\"],
        "nested": [[1], [], [2, 3]],
        "flags": [True, False],
        "word": None,
    }
    load_data(as_frame(pa.Table.from_pylist([row], arrow_schema(NUMBERS))), NUMBERS, numbers, loader=loader)
    statement = "SELECT * REPLACE (toString(second) AS second, toString(nano) AS nano) FROM numbers_of_all_kinds"
    [found] = pa.Table.from_pandas(query_df(numbers, statement)).to_pylist()
    assert found == row | {"second": "2026-11-21 18:30:05", "nano": "2026-11-21 18:30:05.123456000"}


def test_a_column_left_out_takes_its_default_and_a_null_stays_null(numbers: Engine, loader: Loader) -> None:
    load_data(pd.DataFrame([number_row(1)]), NUMBERS, numbers, loader=loader)
    load_data(pd.DataFrame([number_row(2) | {"word": None}]), NUMBERS, numbers, loader=loader)
    found = run_statement(numbers, "SELECT row, word FROM numbers_of_all_kinds ORDER BY row")
    assert [tuple(row) for row in found] == [(1, "a default"), (2, None)]


def test_frames_of_numpy_dtypes_are_loaded_and_nan_is_null(numbers: Engine, loader: Loader) -> None:
    frame = pd.DataFrame(
        {
            **{name: [value, value] for name, value in number_row(0).items()},
            "row": np.array([1, 2], dtype="uint64"),
            "i8": np.array([1, -1], dtype="int8"),
            "i64": np.array([1.0, np.nan]),
            "f32": np.array([1.5, np.nan], dtype="float32"),
            "b": np.array([True, False]),
            "milli": pd.to_datetime(["2026-11-21T18:30:00.250", None]).tz_localize("UTC"),
            "word": np.array(["a", None], dtype=object),
        }
    )
    before = frame.copy(deep=True)
    assert load_data(frame, NUMBERS, numbers, loader=loader) == 2
    found = run_statement(
        numbers, "SELECT row, i8, i64, f32, toString(b), toString(milli), word FROM numbers_of_all_kinds"
    )
    assert sorted(tuple(row) for row in found) == [
        (1, 1, 1, 1.5, "true", "2026-11-21 18:30:00.250", "a"),
        (2, -1, None, None, "false", None, None),
    ]
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("chunk_rows", [1, 7, 19, 20, 21])
def test_no_chunk_boundary_loses_or_repeats_a_row(numbers: Engine, loader: Loader, chunk_rows: int) -> None:
    frame = pd.DataFrame([number_row(n) for n in range(20)])
    assert load_data(frame, NUMBERS, numbers, chunk_rows=chunk_rows, loader=loader) == 20
    found = run_statement(numbers, "SELECT row FROM numbers_of_all_kinds ORDER BY row")
    assert [row for (row,) in found] == list(range(20))


def test_equal_blocks_are_two_blocks(numbers: Engine, loader: Loader) -> None:
    frame = pd.DataFrame([number_row(1)])
    load_data(frame, NUMBERS, numbers, loader=loader)
    load_data(frame, NUMBERS, numbers, loader=loader)
    assert run_statement(numbers, "SELECT count() FROM numbers_of_all_kinds") == [(2,)]


def test_no_rows_are_no_work(numbers: Engine, loader: Loader) -> None:
    assert load_data(pd.DataFrame([number_row(1)]).iloc[:0], NUMBERS, numbers, loader=loader) == 0


def test_an_unknown_column_is_refused_by_its_name_and_nothing_is_written(numbers: Engine, loader: Loader) -> None:
    frame = pd.DataFrame([number_row(1) | {"colour": "red"}])
    with pytest.raises(SchemaMismatch, match="numbers_of_all_kinds has no column colour"):
        load_data(frame, NUMBERS, numbers, loader=loader)
    assert run_statement(numbers, "SELECT count() FROM numbers_of_all_kinds") == [(0,)]


@pytest.mark.parametrize(
    "row",
    [
        pytest.param({"i8": 128}, id="a number too large"),
        pytest.param({"u8": -1}, id="a number below zero"),
        pytest.param({"i64": 1.5}, id="a fraction"),
        pytest.param({"i64": "one"}, id="a word"),
        pytest.param({"nested": [1]}, id="an array of the wrong depth"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_and_nothing_is_written(
    numbers: Engine, loader: Loader, row: dict[str, Any]
) -> None:
    with pytest.raises(SchemaMismatch, match="a value does not fit numbers_of_all_kinds"):
        load_data(pd.DataFrame([number_row(1) | row]), NUMBERS, numbers, loader=loader)
    assert run_statement(numbers, "SELECT count() FROM numbers_of_all_kinds") == [(0,)]


def test_a_null_where_none_may_be_is_refused_and_nothing_is_written(numbers: Engine, loader: Loader) -> None:
    frame = pd.DataFrame([number_row(1) | {"i32": None}])
    with pytest.raises(SentinelError):
        load_data(frame, NUMBERS, numbers, loader=loader)
    assert run_statement(numbers, "SELECT count() FROM numbers_of_all_kinds") == [(0,)]


def test_a_table_that_is_not_there_is_one_sentence(warehouse: Engine, loader: Loader) -> None:
    with pytest.raises(SentinelError, match="numbers_of_all_kinds"):
        load_data(pd.DataFrame([number_row(1)]), NUMBERS, warehouse, loader=loader)


def test_arrow_over_the_native_protocol_is_refused_before_anything_connects() -> None:
    nowhere = create_engine("clickhouse+native://officer:secret@127.0.0.1:1/sentinel")
    with pytest.raises(ConfigurationError, match=r"expected clickhouse\+http:// for the Arrow loader") as caught:
        load_data(pd.DataFrame([number_row(1)]), NUMBERS, nowhere, loader="arrow")
    assert "secret" not in str(caught.value)
