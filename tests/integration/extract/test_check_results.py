"""`check` asks PostgreSQL what type an expression's result has, where the expression says another one or none."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, DateTime, Engine, Float, MetaData, Numeric, Table, Text, cast, func, text
from sqlalchemy.dialects.postgresql import ARRAY, DOMAIN, MONEY

from sentinel_etl.config.parse_config import parse_event_config
from sentinel_etl.extract.check_source import check_source

BILLS = Table(
    "bills",
    MetaData(),
    Column("bill_id", BigInteger, primary_key=True),
    Column("at", DateTime(timezone=True), index=True),
    Column("pounds", MONEY),
    Column("weight", Float),
    Column("amount", Numeric(10, 2)),
    Column("note", Text),
    Column("rank", DOMAIN("rank", BigInteger)),
)
C = BILLS.c


@pytest.fixture
def bills(source_engine: Engine) -> Engine:
    with source_engine.begin() as connection:
        connection.execute(text("CREATE DOMAIN rank AS bigint CHECK (VALUE > 0)"))
        connection.execute(
            text(
                "CREATE TABLE bills (bill_id bigint PRIMARY KEY, at timestamptz, pounds money, "
                "weight double precision, amount numeric(10, 2), note text, rank rank)"
            )
        )
        connection.execute(text("CREATE INDEX ON bills (at)"))
    return source_engine


def differences(source: Engine, column: Any) -> list[str]:
    entry = {"model": BILLS, "timestamp": C.at, "key": C.bill_id, "columns": [column.label("value")]}
    return [str(each) for each in check_source(parse_event_config({"BILL": entry}).values(), source)]


@pytest.mark.parametrize(
    "column",
    [
        pytest.param(C.rank, id="a domain over an integer"),
        pytest.param(func.upper(C.note), id="a text that says no type"),
        pytest.param(func.length(C.note), id="an integer that says no type"),
        pytest.param(cast(func.abs(C.pounds), MONEY), id="money that says so"),
        pytest.param(func.sum(C.amount).over(), id="a numeric that says so"),
        pytest.param(func.timezone("UTC", func.timezone("Asia/Kolkata", C.at)), id="there and back"),
        pytest.param(func.string_to_array(C.note, ",", type_=ARRAY(Text)), id="an array"),
    ],
)
def test_a_result_that_arrives_as_it_is_needs_no_word(bills: Engine, column: Any) -> None:
    assert differences(bills, column) == []


@pytest.mark.parametrize(
    ("column", "said", "given"),
    [
        pytest.param(func.greatest(C.pounds, C.pounds), "unknown", "money", id="money that says no type"),
        pytest.param(func.sum(C.bill_id).over(), "integer", "numeric", id="a sum of integers is no integer"),
        pytest.param(func.round(C.weight, type_=BigInteger), "integer", "double precision", id="a type that is wrong"),
    ],
)
def test_a_result_of_another_type_is_told_with_the_cast(bills: Engine, column: Any, said: str, given: str) -> None:
    [difference] = differences(bills, column)
    assert difference.startswith(f"BILL: expected value to be {said}; PostgreSQL gives {given}. Write cast(")
