"""A model that is reflected, or written as one reflects it, is no difference, however its types are nested."""

from __future__ import annotations

import pytest
from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Engine, Integer, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import DOMAIN, ENUM

from sentinel_etl.config.parse_config import parse_event_config
from sentinel_etl.extract.check_source import check_source

TYPES = """
CREATE SCHEMA "Odd";
CREATE TYPE "Odd"."Kind" AS ENUM ('a', 'b');
CREATE DOMAIN "Odd".code AS text;
CREATE DOMAIN "Odd".longer AS "Odd".code;
CREATE DOMAIN "Odd".kind AS "Odd"."Kind";
CREATE DOMAIN "Odd".kinds AS "Odd"."Kind"[];
CREATE TABLE events (
    id bigint PRIMARY KEY, at timestamptz, kind "Odd"."Kind", kinds "Odd"."Kind"[], code "Odd".code, codes "Odd".code[],
    longer "Odd".longer, of_kind "Odd".kind, of_kinds "Odd".kinds, grid integer[][], clock timetz
);
"""
ODD_KIND = ENUM("a", "b", name="Kind", schema="Odd", create_type=False)


def differences(table: Table, source: Engine) -> list[str]:
    columns = [column.label(f"{column.name}_read") for column in table.columns if column.name not in ("id", "at")]
    entry = {"model": table, "timestamp": table.c.at, "key": table.c.id, "columns": columns}
    return [each.message for each in check_source(parse_event_config({"ODD": entry}).values(), source) if each.blocking]


@pytest.fixture
def odd(source_engine: Engine) -> Engine:
    with source_engine.begin() as connection:
        connection.exec_driver_sql(TYPES)
    return source_engine


def test_a_reflected_table_is_no_difference(odd: Engine) -> None:
    assert differences(Table("events", MetaData(), autoload_with=odd), odd) == []


def test_a_domain_may_be_written_as_what_it_is_made_of(odd: Engine) -> None:
    columns = {
        "kinds": ARRAY(ODD_KIND),
        "code": Text(),
        "codes": ARRAY(Text()),
        "longer": DOMAIN("longer", Text(), schema="Odd"),
        "of_kind": ODD_KIND,
        "of_kinds": ARRAY(ODD_KIND),
        "grid": ARRAY(Integer(), dimensions=2),
    }
    written = [Column(name, kind) for name, kind in columns.items()]
    own = (Column("id", BigInteger, primary_key=True), Column("at", DateTime(timezone=True)))
    assert differences(Table("events", MetaData(), *own, *written), odd) == []


def test_another_type_of_elements_is_told(odd: Engine) -> None:
    own = (Column("id", BigInteger, primary_key=True), Column("at", DateTime(timezone=True)))
    table = Table("events", MetaData(), *own, Column("codes", ARRAY(Integer())), Column("of_kinds", ARRAY(Text())))
    assert differences(table, odd)[:1] == ["expected events.codes to be integer[]; the source has text[]"]
