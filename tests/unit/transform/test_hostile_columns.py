"""Whatever a column holds, what is said of it names the column; and a row that does not fit costs little."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from clickhouse_sqlalchemy import Table, engines, types
from pydantic import SecretStr
from sqlalchemy import Column, MetaData
from typed_values import Server

from sentinel_etl.arrow import as_frame
from sentinel_etl.config.event_config import EVENT_CONFIG
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.transform.concatenate import concatenate
from sentinel_etl.transform.facts import transform_data
from sentinel_etl.transform.misfits import sort_rows
from sentinel_etl.type_mapping.unfit import apply_where_it_fits, cast_values, refuse

MOMENT = datetime(2026, 11, 21, 17, tzinfo=UTC)
NO_TEXT = pa.array([b"fine", b"caf\xe9", None], pa.binary()).view(pa.string())
NO_JSON = pa.array([b"{}", b'{"a": "\xe9"}', None], pa.binary()).view(pa.string())

FACTS = Table(
    "facts",
    MetaData(),
    Column("event_id", types.String),
    Column("event_timestamp", types.DateTime64(6, "UTC")),
    Column("event_type", types.String),
    Column("shift_date", types.Date),
    Column("note", types.Nullable(types.String)),
    Column("note_length", types.Nullable(types.Int8)),
    Column("rank", types.Nullable(types.Int16)),
    Column("ranks", types.Array(types.Int16)),
    Column("document", Server("Nullable(JSON)")),
    Column("members", Server("Map(String, String)")),
    Column("host", Server("Nullable(IPv6)")),
    Column("great", Server("Nullable(Int128)")),
    Column("amount", Server("Nullable(Decimal(9, 2))")),
    Column("details_json", types.Nullable(types.String)),
    Column("run_id", types.String),
    Column("loaded_at", types.DateTime64(6, "UTC")),
    engines.MergeTree(order_by=("event_id",)),
)
PLAIN = Pipeline(EVENT_CONFIG, FACTS, text_lengths={"note_length": "note"})
HASHED = Pipeline(
    EVENT_CONFIG, FACTS, personal={"note": "", "scan": ""}, pii="hash", pii_key=SecretStr("0123456789abcdef")
)


def rows(**columns: Any) -> pd.DataFrame:
    count = len(next(iter(columns.values())))
    always = {
        "source_key": pa.array([str(n) for n in range(count)]),
        "event_timestamp": pa.array([MOMENT] * count, pa.timestamp("us", tz="UTC")),
    }
    return concatenate({"REMARK": as_frame(pa.table({**always, **columns}))})


@pytest.mark.parametrize(
    ("pipeline", "name", "values", "reason"),
    [
        pytest.param(PLAIN, "note", ["a", "b" * 200, None], "note_length: a value that does not fit Int8", id="length"),
        pytest.param(PLAIN, "note", NO_TEXT, "note: bytes that are no UTF-8", id="no UTF-8"),
        pytest.param(HASHED, "scan", [b"a", b"\xff", None], "scan: a value that does not fit text", id="hashed bytes"),
        pytest.param(HASHED, "note", NO_TEXT, "note: a value that does not fit text", id="hashed text"),
        pytest.param(
            PLAIN, "document", ['{"a": 1}', "[1]", None], "document: a value that does not fit JSON", id="JSON"
        ),
        pytest.param(
            PLAIN,
            "document",
            ["{}", '{"a": 1e99999999999999999999}', None],
            "document: a value that does not fit JSON",
            id="an exponent beyond Decimal's",
        ),
        pytest.param(PLAIN, "document", NO_JSON, "document: a value that does not fit JSON", id="JSON no UTF-8"),
        pytest.param(
            PLAIN,
            "members",
            ['{"a": "b"}', '{"a": 1}', None],
            "members: a value that does not fit Map(String, String)",
            id="map",
        ),
        pytest.param(PLAIN, "host", ["::1", "::x", None], "host: a value that does not fit IPv6", id="address"),
        pytest.param(PLAIN, "great", ["1", "9" * 60, None], "great: a value that does not fit Int128", id="128 bits"),
        pytest.param(PLAIN, "rank", ["1", "first", None], "rank: a value that does not fit Int16", id="words"),
        pytest.param(
            PLAIN, "ranks", [["1"], ["2", "x"], None], "ranks: a value that does not fit Array(Int16)", id="element"
        ),
        pytest.param(
            PLAIN,
            "amount",
            ["1.5", "0.005", None],
            "amount: a value that does not fit Decimal(9, 2)",
            id="a digit more",
        ),
    ],
)
def test_a_hostile_value_costs_its_row_alone_and_the_reason_names_the_column(
    pipeline: Pipeline, name: str, values: Any, reason: str
) -> None:
    frame = rows(**{name: values})
    facts, rejected = sort_rows(frame, pipeline)
    found = dict(zip(rejected["event_id"].to_pylist(), rejected["reason"].to_pylist(), strict=True))
    assert found == {"REMARK:1": reason}
    assert facts["event_id"].tolist() == ["REMARK:0", "REMARK:2"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        pytest.param("rank", pa.array([[1], [2]]), id="a list for a number"),
        pytest.param("rank", pa.array([{"a": 1}, None]), id="a struct for a number"),
        pytest.param("members", pa.array([1, 2]), id="a number for a map"),
        pytest.param("other", pa.array([{"a": 1}, None]), id="a struct for the details"),
        pytest.param("ranks", pa.array([1, 2]), id="a number for a list"),
        pytest.param("note", pa.array([{"a": 1}, None]), id="a struct for a text"),
    ],
)
def test_a_column_that_can_never_fit_is_refused_by_its_name_and_its_event_types(name: str, values: pa.Array) -> None:
    for attempt in (
        lambda: sort_rows(rows(**{name: values}), PLAIN),
        lambda: transform_data(rows(**{name: values}), PLAIN),
    ):
        with pytest.raises(SchemaMismatch, match=rf"^transform: {name}: expected .*, found .*\(REMARK\); cast "):
            attempt()


def test_a_frame_made_by_hand_is_refused_by_its_column() -> None:
    frame = pd.DataFrame({"source_key": ["1", "2"], "rank": [1, "x"], "odd": [object(), 1]}, dtype=object)
    with pytest.raises(
        SchemaMismatch, match=r"^concatenate: REMARK: rank: expected values of one type, found object: "
    ):
        concatenate({"REMARK": frame})


def test_keys_that_are_no_text_are_refused_by_their_event_type() -> None:
    with pytest.raises(SchemaMismatch, match=r"^concatenate: REMARK: source_key: expected values .* found struct"):
        concatenate({"REMARK": as_frame(pa.table({"source_key": pa.array([{"a": 1}])}))})


def test_a_thousand_misfits_take_a_column_two_looks_and_not_one_each() -> None:
    looks: list[int] = []
    values = pa.chunked_array([np.arange(10_000)])

    def step(some: pa.ChunkedArray) -> pa.ChunkedArray:
        looks.append(len(some))
        refuse(pa.compute.equal(pa.compute.bit_wise_and(some, 7), 7), "a multiple")
        return some

    result, wrong = apply_where_it_fits(step, values)
    assert int(wrong.sum()) == result.null_count == 1_250
    assert looks == [10_000, 10_000]


def test_what_arrow_itself_refuses_is_found_in_its_column_and_applied_without() -> None:
    texts = pa.chunked_array([["1", "x", None, "4"], ["y"]])
    result, wrong = apply_where_it_fits(lambda some: cast_values(some, pa.int8()), texts)
    assert result.to_pylist() == [1, None, None, 4, None]
    assert wrong.tolist() == [False, True, False, False, True]
