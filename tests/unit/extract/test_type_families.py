from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    Enum,
    Float,
    Integer,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB, REAL, TIMESTAMP

from sentinel_etl.config.parse_config import parse_event_config
from sentinel_etl.extract.check_source import declared_type, differences_of
from sentinel_etl.type_mapping.source_types import family_of_name


@pytest.mark.parametrize(
    ("model_type", "server_type"),
    [
        pytest.param(BigInteger(), "integer", id="big for small integer"),
        pytest.param(SmallInteger(), "bigint", id="small for big integer"),
        pytest.param(Integer(), "smallint", id="integer"),
        pytest.param(Float(), "double precision", id="float"),
        pytest.param(Double(), "real", id="double for real"),
        pytest.param(Float(53), "real", id="float with a precision"),
        pytest.param(Numeric(10, 2), "numeric", id="numeric"),
        pytest.param(Text(), "character", id="text for padded text"),
        pytest.param(Text(), "character varying", id="text"),
        pytest.param(String(20), "text", id="varchar with a length"),
        pytest.param(Text(), "enum", id="text for an enum"),
        pytest.param(DateTime(timezone=True), "timestamp with time zone", id="instant"),
        pytest.param(DateTime(), "timestamp without time zone", id="wall-clock time"),
        pytest.param(Date(), "date", id="date"),
        pytest.param(Boolean(), "boolean", id="boolean"),
        pytest.param(JSONB(), "json", id="JSONB for JSON"),
        pytest.param(JSON(), "jsonb", id="JSON for JSONB"),
        pytest.param(Uuid(), "uuid", id="UUID"),
        pytest.param(ARRAY(BigInteger), "integer[]", id="array"),
        pytest.param(ARRAY(Text), "character varying[]", id="array of text"),
        pytest.param(TIMESTAMP(timezone=True, precision=3), "timestamp with time zone", id="instant with a precision"),
        pytest.param(Enum("a", "b", name="mood"), "enum", id="native enum"),
    ],
)
def test_a_model_may_say_what_the_driver_reads_alike(model_type: Any, server_type: str) -> None:
    assert family_of_name(declared_type(Column("value", model_type).type)) == family_of_name(server_type)


@pytest.mark.parametrize(
    ("model_type", "server_type"),
    [
        pytest.param(BigInteger(), "text", id="integer is not text"),
        pytest.param(BigInteger(), "numeric", id="integer is not numeric"),
        pytest.param(BigInteger(), "oid", id="integer is not an object's number"),
        pytest.param(REAL(), "numeric", id="real is not numeric"),
        pytest.param(Numeric(10, 2), "double precision", id="numeric is not double"),
        pytest.param(Numeric(10, 2), "money", id="numeric is not money"),
        pytest.param(DateTime(timezone=True), "timestamp without time zone", id="instant is not wall-clock time"),
        pytest.param(DateTime(), "timestamp with time zone", id="wall-clock time is not an instant"),
        pytest.param(ARRAY(BigInteger), "bigint", id="an array is not its item"),
        pytest.param(ARRAY(BigInteger), "text[]", id="arrays of different items"),
        pytest.param(Date(), "timestamp with time zone", id="date is not an instant"),
        pytest.param(Text(), "jsonb", id="text is not JSON"),
        pytest.param(Boolean(), "integer", id="boolean is not integer"),
    ],
)
def test_a_model_may_not_say_what_the_driver_reads_otherwise(model_type: Any, server_type: str) -> None:
    assert family_of_name(declared_type(Column("value", model_type).type)) != family_of_name(server_type)


CALLS = Table(
    "calls",
    MetaData(),
    Column("call_id", BigInteger, primary_key=True),
    Column("at", DateTime(timezone=True)),
    Column("said", Text),
)
KIND = parse_event_config(
    {"CALL": {"model": CALLS, "timestamp": CALLS.c.at, "key": CALLS.c.call_id, "columns": [CALLS.c.said]}}
)["CALL"]


def live(**types: str) -> dict[tuple[str, str | None], dict[str, Any]]:
    """What the catalog would say of the table: column → type, the time filter indexed."""
    return {("calls", None): {name: {"type_name": kind} for name, kind in types.items()}}


def test_a_source_that_is_as_expected_has_no_differences() -> None:
    assert differences_of(KIND, live(call_id="integer", at="timestamp with time zone", said="character varying")) == []


def test_a_missing_table_a_missing_column_and_another_type_would_stop_a_run() -> None:
    found = [
        *differences_of(KIND, {}),
        *differences_of(KIND, live(call_id="bigint", at="timestamp with time zone", spoken="text")),
        *differences_of(KIND, live(call_id="bigint", at="timestamp without time zone", said="jsonb")),
    ]
    assert [(difference.blocking, str(difference)) for difference in found] == [
        (True, "CALL: expected a table calls; the source has none that we may see"),
        (True, "CALL: expected a column calls.said; the source has at, call_id, spoken: was it renamed to spoken?"),
        (True, "CALL: expected calls.at to be timestamp with time zone; the source has timestamp without time zone"),
        (True, "CALL: expected calls.said to be text; the source has jsonb"),
    ]
