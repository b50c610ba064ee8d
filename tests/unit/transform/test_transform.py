from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel_etl.arrow import as_arrow, as_frame
from sentinel_etl.config.fact_table import build_patrol_events
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.transform.concatenate import concatenate
from sentinel_etl.transform.facts import coalesce_columns, transform_data
from sentinel_etl.warehouse.types import arrow_schema
from sentinel_etl.window import shift_date_of

KOLKATA = ZoneInfo("Asia/Kolkata")
WHEN = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
INSTANT = pa.timestamp("us", tz="UTC")


def events(**columns: Any) -> pd.DataFrame:
    """Raw events of one type, as extraction gives them: Arrow-backed, with what it adds to each row."""
    (rows,) = {len(values) for values in columns.values()}
    extracted = {
        "event_type": pa.array(["REMARK"] * rows),
        "source_key": pa.array(range(rows), pa.int64()),
        "event_timestamp": pa.array([WHEN] * rows, INSTANT),
    }
    return as_frame(pa.table({**extracted, **columns}))


def facts(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return as_arrow(transform_data(frame)).to_pylist()  # type: ignore[no-any-return]


def column(frame: pd.DataFrame, name: str) -> list[Any]:
    return [row[name] for row in facts(frame)]


def details(frame: pd.DataFrame) -> list[Any]:
    return [None if text is None else json.loads(text) for text in column(frame, "details_json")]


# --- coalesce_columns


def test_the_first_value_that_is_known_wins_and_the_sources_are_dropped() -> None:
    frame = as_frame(
        pa.table({"a": [1, None, None, None], "x": list("wxyz"), "b": [10, 20, None, None], "c": [7, 8, 9, None]})
    )
    result = coalesce_columns(frame, "t", ["a", "b", "c"])
    assert as_arrow(result).to_pydict() == {"t": [1, 20, 9, None], "x": ["w", "x", "y", "z"]}


def test_the_order_of_the_sources_decides_not_that_of_the_columns() -> None:
    frame = pd.DataFrame({"a": [1], "b": [2]})
    assert coalesce_columns(frame, "t", ["b", "a"])["t"].tolist() == [2]


def test_the_target_stands_in_the_place_of_the_first_source() -> None:
    frame = pd.DataFrame({"x": [0], "b": [1], "y": [0], "a": [2]})
    assert list(coalesce_columns(frame, "t", ["a", "b"]).columns) == ["x", "y", "t"]
    assert list(coalesce_columns(frame, "t", ["b", "a"]).columns) == ["x", "t", "y"]


def test_the_target_may_be_one_of_its_sources() -> None:
    frame = as_frame(pa.table({"officer_id": [None, 2], "created_by": [5, 6]}))
    result = coalesce_columns(frame, "officer_id", ["officer_id", "created_by"])
    assert as_arrow(result).to_pydict() == {"officer_id": [5, 2]}


def test_a_target_that_the_frame_has_beside_its_sources_is_replaced() -> None:
    result = coalesce_columns(pd.DataFrame({"t": [0], "a": [1], "x": [2]}), "t", ["a"])
    assert as_arrow(result).to_pylist() == [{"t": 1, "x": 2}]
    assert list(result.columns) == ["t", "x"]


def test_a_source_that_the_frame_lacks_counts_as_null() -> None:
    frame = as_frame(pa.table({"b": [None, 4]}))
    assert as_arrow(coalesce_columns(frame, "t", ["a", "b", "c"])).to_pydict() == {"t": [None, 4]}


def test_an_integer_column_with_gaps_stays_integer_to_its_last_digit() -> None:
    big = 2**53 + 1
    frame = as_frame(pa.table({"a": pa.array([big, None, None]), "b": pa.array([1, big, None])}))
    result = as_arrow(coalesce_columns(frame, "t", ["a", "b"]))
    assert result["t"].type == pa.int64()
    assert result["t"].to_pylist() == [big, big, None]


def test_plain_pandas_gaps_are_gaps() -> None:
    frame = pd.DataFrame({"a": [np.nan, 1.5, None], "b": [2.5, 3.5, np.nan]})
    result = as_arrow(coalesce_columns(frame, "t", ["a", "b"]))
    assert result["t"].to_pylist() == [2.5, 1.5, None]


def test_coalesce_without_any_source_is_refused_with_what_there_is() -> None:
    with pytest.raises(SchemaMismatch) as refused:
        coalesce_columns(pd.DataFrame({"x": [1], "y": [2]}), "t", ["a", "b"])
    assert str(refused.value) == "coalesce t: expected at least one of a, b, found x, y"


def test_sources_without_a_common_type_are_refused_with_their_types() -> None:
    frame = as_frame(pa.table({"a": ["x"], "b": pa.array([WHEN], INSTANT)}))
    with pytest.raises(SchemaMismatch) as refused:
        coalesce_columns(frame, "t", ["a", "b"])
    assert str(refused.value) == (
        "coalesce t: expected compatible types, found a string, b timestamp[us, tz=UTC]; "
        "cast one of them in EVENT_CONFIG"
    )


def test_a_number_that_came_as_text_stands_beside_one_that_came_as_a_number() -> None:
    frame = as_frame(pa.table({"a": [None, "9007199254740993"], "b": [9007199254740995, 1]}))
    coalesced = as_arrow(coalesce_columns(frame, "t", ["a", "b"]))
    assert coalesced["t"].to_pylist() == ["9007199254740995", "9007199254740993"]


def test_coalesce_does_not_change_its_input() -> None:
    frame = pd.DataFrame({"a": [1.0, np.nan], "b": [2.0, 3.0], "t": [0, 0]})
    before = frame.copy(deep=True)
    coalesce_columns(frame, "t", ["a", "b"])
    pd.testing.assert_frame_equal(frame, before)


# --- the shape of the output


def test_the_output_has_exactly_the_fact_tables_types_in_its_order() -> None:
    contract = arrow_schema(build_patrol_events())
    expected = [(field.name, field.type) for field in contract if field.name not in ("run_id", "loaded_at")]
    for frame in (events(remark_text=["a"]), events(remark_text=pa.array([], pa.string()))):
        result = transform_data(frame)
        assert [(field.name, field.type) for field in as_arrow(result).schema] == expected
        assert all(isinstance(dtype, pd.ArrowDtype) for dtype in result.dtypes)


def test_no_rows_give_no_rows() -> None:
    assert facts(events(remark_text=pa.array([], pa.string()))) == []


def test_a_remark_becomes_this_row() -> None:
    frame = events(
        patrol_id=pa.array([11]),
        station_id=pa.array([3]),
        created_by_officer_id=pa.array([101]),
        assigned_to_officer_id=pa.array([102]),
        remark_text=pa.array(["Quiet. सब ठीक"]),
        latitude=pa.array([12.97]),
        longitude=pa.array([77.59]),
    )
    known = {name: value for name, value in facts(frame)[0].items() if value not in (None, [])}
    assert known == {
        "event_id": "REMARK:0",
        "patrol_id": 11,
        "officer_id": 101,
        "event_timestamp": WHEN,
        "event_date": date(2026, 11, 22),
        "shift_date": date(2026, 11, 21),
        "event_type": "REMARK",
        "station_id": 3,
        "latitude": 12.97,
        "longitude": 77.59,
        "remark_text": "Quiet. सब ठीक",
        "remark_length": 13,
        "base_risk_score": 1.0,
        "risk_reasons": ["event_type=REMARK +1"],
    }


@pytest.mark.parametrize(
    ("keys", "ids"),
    [
        pytest.param(pa.array([7, 2**62]), ["REMARK:7", f"REMARK:{2**62}"], id="integers"),
        pytest.param(pa.array(["a:1", "b"]), ["REMARK:a:1", "REMARK:b"], id="text"),
    ],
)
def test_an_event_id_is_its_type_and_its_source_key(keys: pa.Array, ids: list[str]) -> None:
    assert column(events(x=pa.nulls(2)).assign(source_key=pd.array(keys, pd.ArrowDtype(keys.type))), "event_id") == ids


@pytest.mark.parametrize("name", ["source_key", "event_timestamp", "event_type"])
def test_what_extraction_adds_must_be_there(name: str) -> None:
    with pytest.raises(SchemaMismatch) as refused:
        transform_data(events(remark_text=["a"]).drop(columns=name))
    assert str(refused.value) == (
        f"transform: expected the columns source_key, event_timestamp, event_type; {name} is missing"
    )


@pytest.mark.parametrize(
    ("name", "values", "wanted"),
    [
        pytest.param("new_priority_ranking", pa.array([70_000]), "Int16, found int64", id="too large"),
        pytest.param("vehicle_id", pa.array([1.5]), "Int64, found double", id="a fraction"),
        pytest.param("hotspot_id", pa.array(["seven"]), "Int64, found string", id="words for a number"),
        pytest.param("suspicious_activity", pa.array(["maybe"]), "Bool, found string", id="words for a boolean"),
        pytest.param("visited_hotspots", pa.array(["1,2"]), "Array(Int64), found string", id="text for an array"),
        pytest.param("media_ref", pa.array([[1, 2]]), "String, found list<item: int64>", id="an array for text"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_its_column(name: str, values: pa.Array, wanted: str) -> None:
    with pytest.raises(SchemaMismatch) as refused:
        transform_data(events(**{name: values}))
    text = str(refused.value)
    assert text.startswith(f"transform: {name}: expected values that fit {wanted}: ")
    assert text.endswith("; cast the column in EVENT_CONFIG, or widen the fact table's")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        pytest.param("latitude", pa.array(["north"]), id="a position in words"),
        pytest.param("speed", pa.array([[1.0]]), id="an array of speeds"),
        pytest.param("remark_text", pa.array([[1, 2]]), id="an array for a text whose length is counted"),
    ],
)
def test_a_value_that_cannot_be_computed_with_is_refused_by_its_column(name: str, values: pa.Array) -> None:
    frame = events(**{name: values}, longitude=pa.array([1.0]))
    with pytest.raises(SchemaMismatch, match=rf"^transform: {name}: "):
        transform_data(frame)


def test_the_input_is_not_changed() -> None:
    frame = events(latitude=[0.0, np.nan], longitude=[0.0, 77.5], remark_text=["a", None], surprise=["b", None])
    before = frame.copy(deep=True)
    transform_data(frame)
    pd.testing.assert_frame_equal(frame, before)


# --- null hygiene


@pytest.mark.parametrize(
    ("name", "values", "known"),
    [
        pytest.param("remark_text", [None, "a"], "a", id="None"),
        pytest.param("accuracy", [np.nan, 4.5], 4.5, id="NaN"),
        pytest.param("hotspot_id", pd.array([pd.NA, 9], "Int64"), 9, id="NA"),
        pytest.param("suspicious_activity", pd.array([pd.NA, False], "boolean"), False, id="NA of a boolean"),
        pytest.param("vehicle_id", [np.nan, 5.0], 5, id="an integer that pandas made a float"),
        pytest.param("speed", pd.array([float("nan"), 2.5], "Float64"), 2.5, id="NaN in a masked array"),
        pytest.param("media_ref", pd.array([np.nan, "k"], "str"), "k", id="NaN of text"),
    ],
)
def test_whatever_means_unknown_arrives_as_null(name: str, values: Any, known: Any) -> None:
    frame = events(x=pa.nulls(2)).assign(**{name: values})
    assert column(frame, name) == [None, known]


def test_nat_arrives_as_null() -> None:
    frame = events(x=pa.nulls(2)).assign(event_timestamp=pd.array([pd.NaT, WHEN], "datetime64[us, UTC]"))
    assert [(row["event_timestamp"], row["event_date"], row["shift_date"]) for row in facts(frame)] == [
        (None, None, None),
        (WHEN, date(2026, 11, 22), date(2026, 11, 21)),
    ]


@pytest.mark.parametrize(
    ("latitude", "longitude", "position"),
    [
        pytest.param(0.0, 0.0, (None, None), id="no fix"),
        pytest.param(-0.0, 0.0, (None, None), id="no fix, with a sign"),
        pytest.param(0.0, 77.5, (0.0, 77.5), id="on the equator"),
        pytest.param(12.9, 0.0, (12.9, 0.0), id="on the meridian"),
        pytest.param(0.0, None, (0.0, None), id="half unknown"),
        pytest.param(None, 0.0, (None, 0.0), id="the other half"),
        pytest.param(12.9, 77.5, (12.9, 77.5), id="in the city"),
        pytest.param(1e-9, 0.0, (1e-9, 0.0), id="nearly"),
    ],
)
def test_only_a_position_of_0_0_is_unknown(
    latitude: float | None, longitude: float | None, position: tuple[float | None, float | None]
) -> None:
    frame = events(latitude=pa.array([latitude], pa.float64()), longitude=pa.array([longitude], pa.float64()))
    assert [(row["latitude"], row["longitude"]) for row in facts(frame)] == [position]


def test_a_position_sent_as_integers_is_judged_alike() -> None:
    frame = events(latitude=pa.array([0, 13]), longitude=pa.array([0, 77]))
    assert [(row["latitude"], row["longitude"]) for row in facts(frame)] == [(None, None), (13.0, 77.0)]


def test_a_decimal_position_is_judged_alike() -> None:
    frame = events(
        latitude=pa.array([Decimal("0.00"), Decimal("12.97")]), longitude=pa.array([Decimal("0.00"), Decimal("77.59")])
    )
    assert [(row["latitude"], row["longitude"]) for row in facts(frame)] == [(None, None), (12.97, 77.59)]


@pytest.mark.parametrize("name", ["speed", "heading"])
def test_minus_1_is_no_speed_and_no_heading_but_0_is(name: str) -> None:
    assert column(events(**{name: pa.array([-1.0, 0.0, 2.5, None])}), name) == [None, 0.0, 2.5, None]


def test_an_array_that_is_absent_or_null_is_empty() -> None:
    frame = events(visited_hotspots=pa.array([[3, 1], [], None], pa.list_(pa.int32())))
    assert column(frame, "visited_hotspots") == [[3, 1], [], []]
    assert column(frame, "hotspots_to_visit") == [[], [], []]


def test_an_integer_column_with_gaps_stays_integer() -> None:
    big = 2**53 + 1
    assert column(events(hotspot_id=pa.array([big, None])), "hotspot_id") == [big, None]


# --- derived columns


@pytest.mark.parametrize(
    ("local", "event_date", "shift_date"),
    [
        pytest.param("2026-11-22T05:59:59.999999", "2026-11-22", "2026-11-21", id="05:59"),
        pytest.param("2026-11-22T06:00:00", "2026-11-22", "2026-11-22", id="06:00"),
        pytest.param("2026-11-21T23:59:59", "2026-11-21", "2026-11-21", id="before midnight"),
        pytest.param("2026-11-22T00:00:00", "2026-11-22", "2026-11-21", id="midnight"),
        pytest.param("2024-03-01T05:00:00", "2024-03-01", "2024-02-29", id="leap day"),
        pytest.param("2027-01-01T02:00:00", "2027-01-01", "2026-12-31", id="new year"),
        pytest.param("1970-01-01T05:00:00", "1970-01-01", "1969-12-31", id="before the epoch"),
    ],
)
def test_the_night_is_the_local_date_six_hours_earlier(local: str, event_date: str, shift_date: str) -> None:
    when = datetime.fromisoformat(local).replace(tzinfo=KOLKATA)
    frame = events(x=pa.nulls(1)).assign(event_timestamp=pd.array([when], pd.ArrowDtype(INSTANT)))
    (row,) = facts(frame)
    assert row["event_timestamp"] == when
    assert (row["event_date"], row["shift_date"]) == (date.fromisoformat(event_date), date.fromisoformat(shift_date))


@pytest.mark.parametrize(
    "zone", ["Asia/Kolkata", "Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]
)
def test_the_night_agrees_with_the_windows_in_every_half_hour_of_a_year(zone: str) -> None:
    instants = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=30 * n) for n in range(2 * 24 * 366)]
    frame = events(x=pa.nulls(len(instants))).assign(event_timestamp=pd.array(instants, pd.ArrowDtype(INSTANT)))
    result = transform_data(frame, replace(SENTINEL, zone=ZoneInfo(zone)))
    assert result["shift_date"].tolist() == [shift_date_of(instant, ZoneInfo(zone)) for instant in instants]


@pytest.mark.parametrize(
    ("text", "length"),
    [("", 0), ("abc", 3), ("सब ठीक", 6), ("🚓", 1), ("e\u0301", 2), (None, None)],
    ids=["empty", "Latin", "Devanagari", "beyond the basic plane", "a combining accent", "NULL"],
)
def test_a_remarks_length_counts_characters_not_bytes(text: str | None, length: int | None) -> None:
    assert column(events(remark_text=pa.array([text], pa.string())), "remark_length") == [length]


@pytest.mark.parametrize(
    ("own", "created_by", "assigned_to", "officer"),
    [(1, 2, 3, 1), (None, 2, 3, 2), (None, None, 3, 3), (None, None, None, None)],
    ids=["own", "who did it", "who was sent", "nobody"],
)
def test_the_officer_is_who_did_it_or_else_who_was_sent(
    own: int | None, created_by: int | None, assigned_to: int | None, officer: int | None
) -> None:
    frame = events(
        assigned_to_officer_id=pa.array([assigned_to], pa.int64()),
        officer_id=pa.array([own], pa.int64()),
        created_by_officer_id=pa.array([created_by], pa.int64()),
    )
    assert column(frame, "officer_id") == [officer]


# --- details_json

HOSTILE = [
    pytest.param('say "no"', id="quotes"),
    pytest.param("back\\slash \\n \\u0041", id="backslashes"),
    pytest.param("two\nlines\r\n\tand a tab", id="newlines"),
    pytest.param("".join(chr(code) for code in range(0x20)), id="every control character"),
    pytest.param("\x7f\x80\u2028\u2029\ufeff", id="separators and the like"),
    pytest.param("नमस्ते 🚓 ‎اردو", id="unicode"),
    pytest.param("", id="empty"),
    pytest.param('{"a": [1]}', id="JSON itself"),
    pytest.param("null", id="the word null"),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_without_a_column_is_kept_as_json_to_the_letter(text: str) -> None:
    assert details(events(surprise=pa.array([text]))) == [{"surprise": text}]


@settings(max_examples=40, deadline=None, database=None)
@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1, max_size=8))
def test_any_text_comes_back_from_its_json(texts: list[str | None]) -> None:
    frame = events(surprise=pa.array(texts, pa.string()))
    assert details(frame) == [None if text is None else {"surprise": text} for text in texts]


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        pytest.param(pa.array([7, None]), 7, id="integer"),
        pytest.param(pa.array([2**62, None]), 2**62, id="big integer"),
        pytest.param(pa.array([True, None]), True, id="boolean"),
        pytest.param(pa.array([0.1, None]), 0.1, id="float"),
        pytest.param(pa.array([1e300, None]), 1e300, id="huge float"),
        pytest.param(pa.array([-0.5, np.nan]), -0.5, id="NaN is NULL"),
        pytest.param(pa.array([Decimal("1.50"), None]), "1.50", id="decimal"),
        pytest.param(pa.array([date(2026, 11, 21), None]), "2026-11-21", id="date"),
        pytest.param(pa.array([b"\x00\xff", None]), "\\x00ff", id="bytes"),
        pytest.param(pa.array([b"", None], pa.binary()), "\\x", id="no bytes"),
        pytest.param(pa.array([WHEN, None], INSTANT), "2026-11-21T20:00:00.000000Z", id="instant"),
        pytest.param(
            pa.array([np.inf, None]),
            "inf",
            id="infinity",
        ),
        pytest.param(
            pa.array([[1, 2], None]),
            [1, 2],
            id="array",
        ),
        pytest.param(
            pa.array([WHEN, None], pa.timestamp("us", "Asia/Kolkata")),
            "2026-11-21T20:00:00.000000Z",
            id="instant in the city's zone",
        ),
        pytest.param(
            pa.array([datetime(2026, 11, 21, 20), None], pa.timestamp("us")),
            "2026-11-21T20:00:00.000000",
            id="wall-clock time",
        ),
    ],
)
def test_a_value_without_a_column_is_kept_as_json_and_its_null_left_out(values: pa.Array, kept: Any) -> None:
    assert details(events(surprise=values)) == [{"surprise": kept}, None]


def test_several_values_without_a_column_share_one_object() -> None:
    frame = events(first=pa.array([1, None, None]), second=pa.array(["a", "b", None]))
    assert details(frame) == [{"first": 1, "second": "a"}, {"second": "b"}, None]


def test_a_hostile_label_is_written_as_json_too() -> None:
    assert details(events(**{'a "b"\\': pa.array([1])})) == [{'a "b"\\': 1}]


def test_a_rows_own_details_are_kept_as_they_came_or_under_details() -> None:
    frame = events(details_json=pa.array(['{"units": 2}', '{"units": 3}', None]), surprise=pa.array([None, "a", "b"]))
    assert column(frame, "details_json")[0] == '{"units": 2}'
    assert details(frame) == [{"units": 2}, {"details": {"units": 3}, "surprise": "a"}, {"surprise": "b"}]


def test_a_column_called_details_does_not_hide_a_rows_own_details() -> None:
    frame = events(details_json=pa.array(['{"units": 2}']), details=pa.array(["a"]))
    (text,) = column(frame, "details_json")
    names = json.loads(text, object_pairs_hook=lambda pairs: [name for name, _ in pairs])
    assert len(set(names)) == len(names)


def test_what_extraction_adds_is_not_a_detail() -> None:
    assert details(events(remark_text=["a"])) == [None]


# --- batching

POOL = pa.Table.from_pylist(
    [
        {
            "source_key": key,
            "event_timestamp": WHEN + timedelta(minutes=97 * key),
            "created_by_officer_id": [None, 5, 2**53 + 1][key % 3],
            "assigned_to_officer_id": [7, None][key % 2],
            "latitude": [0.0, 12.9, None, float("nan")][key % 4],
            "longitude": [0.0, 77.5, 0.0][key % 3],
            "speed": [-1.0, 2.0, None][key % 3],
            "remark_text": [None, "सब ठीक", 'a "b"\n\x01', ""][key % 4],
            "visited_hotspots": [None, [1, 2], []][key % 3],
            "emergency_category": [None, "FIRE", "FLOOD"][key % 3],
            "details_json": [None, '{"a": 1}'][key % 2],
            "surprise": [None, "plain", "tab\there", "\\"][key % 4],
            "start_time": [None, WHEN][key % 2],
        }
        for key in range(24)
    ],
    pa.schema(
        [
            ("source_key", pa.int64()),
            ("event_timestamp", INSTANT),
            ("created_by_officer_id", pa.int64()),
            ("assigned_to_officer_id", pa.int64()),
            ("latitude", pa.float64()),
            ("longitude", pa.float64()),
            ("speed", pa.float64()),
            ("remark_text", pa.string()),
            ("visited_hotspots", pa.list_(pa.int64())),
            ("emergency_category", pa.string()),
            ("details_json", pa.string()),
            ("surprise", pa.string()),
            ("start_time", INSTANT),
        ]
    ),
)


def batches(table: pa.Table, cuts: Iterable[int]) -> list[pa.Table]:
    edges = [0, *sorted(cuts), table.num_rows]
    return [table.slice(start, end - start) for start, end in pairwise(edges)]


@settings(max_examples=25, deadline=None, database=None)
@given(
    keys=st.lists(st.integers(0, POOL.num_rows - 1), max_size=30),
    cuts=st.lists(st.integers(0, 30), max_size=5),
)
def test_any_batching_gives_the_same_rows(keys: list[int], cuts: list[int]) -> None:
    rows = POOL.take(pa.array(keys, pa.int64()))
    whole = transform_data(concatenate({"REMARK": as_frame(rows)}))
    parts = [
        as_arrow(transform_data(concatenate({"REMARK": as_frame(batch)})))
        for batch in batches(rows, (min(cut, len(keys)) for cut in cuts))
    ]
    assert pa.concat_tables(parts).combine_chunks().equals(as_arrow(whole).combine_chunks())


@settings(max_examples=20, deadline=None, database=None)
@given(st.sets(st.integers(0, POOL.num_rows - 1)), st.sets(st.sampled_from(POOL.column_names[2:])))
def test_a_types_rows_do_not_depend_on_what_other_types_bring(keys: set[int], dropped: set[str]) -> None:
    """The other types' columns are NULL in these rows, which is what they are when those types are away."""
    rows = POOL.take(pa.array(sorted(keys), pa.int64())).drop_columns(sorted(dropped))
    alone = transform_data(concatenate({"FEEDBACK": as_frame(rows)}))
    together = transform_data(concatenate({"FEEDBACK": as_frame(rows), "REMARK": as_frame(POOL)}))
    assert as_arrow(together).slice(0, len(keys)).combine_chunks().equals(as_arrow(alone).combine_chunks())
