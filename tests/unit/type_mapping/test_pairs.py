"""The one table of type mapping: what it has is loaded, what it has not is refused before anything connects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from clickhouse_sqlalchemy import Table as FactTable
from clickhouse_sqlalchemy import engines, types
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Date,
    DateTime,
    Float,
    MetaData,
    Numeric,
    Table,
    Text,
    cast,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import MONEY, TSVECTOR

from sentinel_etl.errors import ConfigurationError
from sentinel_etl.pipeline import SENTINEL, Pipeline
from sentinel_etl.type_mapping.convert import READERS
from sentinel_etl.type_mapping.pairs import KIND_NAMES, PAIRS
from sentinel_etl.type_mapping.source_types import FAMILY_NAMES

THINGS = Table(
    "things",
    MetaData(),
    Column("thing_id", BigInteger, primary_key=True),
    Column("at", DateTime(timezone=True)),
    Column("value", Text),
)


def pipeline(source: Any, fact: Any, column: Any = None) -> Pipeline:
    """Build a pipeline of one entry with one column of a source type, and a fact column of a fact type."""
    table = Table("things", MetaData(), *(Column(c.name, c.type) for c in THINGS.columns[:2]), Column("value", source))
    facts = FactTable(
        "facts",
        MetaData(),
        Column("event_id", types.String),
        Column("event_timestamp", types.DateTime64(6, "UTC")),
        Column("event_type", types.String),
        Column("shift_date", types.Date),
        Column("value", fact),
        Column("run_id", types.String),
        Column("loaded_at", types.DateTime64(6, "UTC")),
        engines.MergeTree(partition_by=text("shift_date"), order_by=("shift_date",)),
    )
    read = table.c.value if column is None else column(table.c.value)
    entry = {"model": table, "timestamp": table.c.at, "key": table.c.thing_id, "columns": [read.label("value")]}
    return Pipeline({"THING": entry}, facts)


def test_every_family_and_every_kind_has_its_name() -> None:
    assert {*PAIRS} == {*FAMILY_NAMES, "other"}
    kinds = {kind for pairs in PAIRS.values() for kind in pairs}
    assert kinds == {*KIND_NAMES}
    assert {*READERS} <= kinds


@pytest.mark.parametrize(
    ("source", "fact", "found", "remedy"),
    [
        pytest.param(DateTime(), types.DateTime64(6), "timestamp without time zone", "func.timezone(", id="wall clock"),
        pytest.param(Date(), types.DateTime64(6), "date", "func.timezone(", id="date"),
        pytest.param(BigInteger(), types.DateTime64(6), "integer", "Cast the column", id="bigint for an instant"),
        pytest.param(BigInteger(), types.Boolean, "integer", "Cast the column", id="bigint for a truth"),
        pytest.param(Text(), types.Int64, "text", "Cast the column", id="text for a number"),
        pytest.param(Float(53), types.Int64, "float", "cast(column, Numeric)", id="double for an integer"),
        pytest.param(MONEY(), types.Int64, "money", "Cast the column", id="money for an integer"),
        pytest.param(TSVECTOR(), types.Int64, "other", "Cast the column", id="tsvector for an integer"),
        pytest.param(Numeric(), types.Array(types.Int64), "numeric", "Cast the column", id="no array"),
        pytest.param(ARRAY(Text), types.Array(types.Int64), "an array of text", "Cast the column", id="elements"),
        pytest.param(ARRAY(BigInteger), types.String, "an array of integer", "Cast the column", id="array for a text"),
    ],
)
def test_a_pair_that_would_lose_something_is_refused_with_the_remedy(
    source: Any, fact: Any, found: str, remedy: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        pipeline(source, fact).check()
    message = str(refused.value)
    assert message.startswith("EVENT_CONFIG.THING.columns: expected value to be of a type that goes into")
    assert f"found {found} (" in message
    assert remedy in message


def test_a_remedy_is_enough() -> None:
    pipeline(DateTime(), types.DateTime64(6), lambda value: func.timezone("Asia/Kolkata", value)).check()
    pipeline(Date(), types.DateTime64(6), lambda value: func.timezone("Asia/Kolkata", cast(value, DateTime))).check()
    pipeline(ARRAY(BigInteger), types.String, lambda value: cast(value, Text)).check()


def test_one_label_of_two_types_with_nothing_in_common_is_refused() -> None:
    one = pipeline(Text(), types.String)
    other = dict(one.event_config["THING"])
    when = THINGS.c.at.label("value")
    other |= {"model": THINGS, "timestamp": THINGS.c.at, "key": THINGS.c.thing_id, "columns": [when]}
    with pytest.raises(ConfigurationError, match="expected value to be of a type that goes into"):
        replace(one, event_config={**one.event_config, "OTHER": other}).check()


def test_the_city_s_own_pipeline_passes() -> None:
    SENTINEL.check()


@pytest.mark.parametrize(
    ("name", "column_type", "found"),
    [
        pytest.param("loaded_at", types.String, "String", id="a text for an instant"),
        pytest.param("event_timestamp", types.Date, "Date", id="a date for an instant"),
        pytest.param("event_id", types.UUID, "UUID", id="a UUID for a text"),
        pytest.param("shift_date", types.DateTime, "DateTime", id="an instant for a night"),
    ],
)
def test_a_column_that_the_engine_fills_must_hold_what_it_writes(name: str, column_type: Any, found: str) -> None:
    plain = pipeline(Text(), types.String)
    columns = [Column(c.name, column_type if c.name == name else c.type) for c in plain.fact_table.columns]
    with pytest.raises(ConfigurationError) as refused:
        replace(plain, fact_table=FactTable("facts", MetaData(), *columns)).check()
    assert str(refused.value).startswith(f"fact table: expected {name} to be ")
    assert str(refused.value).endswith(f"because the engine fills it; found {found}")
