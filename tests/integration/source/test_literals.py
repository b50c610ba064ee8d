"""Literals of filters and columns: each means to PostgreSQL what SQLAlchemy would have bound."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import ip_address, ip_network
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    Engine,
    Enum,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    Time,
    TypeDecorator,
    Uuid,
    any_,
    bindparam,
    case,
    func,
    insert,
    literal,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects import postgresql as pg

from sentinel_etl.source.snapshot import Snapshot, open_snapshot
from sentinel_etl.source.sql import compile_sql

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
TOKEN = UUID("6f2c0c6e-3f0e-4a9e-8d5e-0a1b2c3d4e5f")
TEXTS = ["it's", 'a "quote"', "back\\slash", "100%", "12:30 :name", "$1 ${HOME}", "नमस्ते", "", "NULL", "{a,b}"]


class Mood(enum.Enum):
    CALM = "calm"
    TENSE = "it's tense"


class Shouted(TypeDecorator[str]):
    """A type of a config's own, which changes what it is given."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return value.upper() if value is not None else None


THINGS = Table(
    "things",
    MetaData(),
    Column("id", BigInteger, primary_key=True),
    Column("words", Text),
    Column("shouted", Shouted),
    Column("amount", Numeric(12, 2)),
    Column("ratio", Double),
    Column("is_open", Boolean),
    Column("content", LargeBinary),
    Column("token", Uuid),
    Column("token_text", Uuid(as_uuid=False)),
    Column("payload", pg.JSONB),
    Column("address", pg.INET),
    Column("network", pg.CIDR),
    Column("card", pg.MACADDR),
    Column("day", Date),
    Column("clock", Time),
    Column("at", DateTime(timezone=True)),
    Column("wall", DateTime),
    Column("lasted", Interval),
    Column("mood", Enum(Mood, name="mood_of_things")),
    Column("kind", pg.ENUM("a", "b", name="kind_of_things")),
    Column("numbers", pg.ARRAY(BigInteger)),
    Column("tags", pg.ARRAY(Text)),
    Column("contents", pg.ARRAY(LargeBinary)),
    Column("addresses", pg.ARRAY(pg.INET)),
    Column("span", pg.INT4RANGE),
    Column("period", pg.TSTZRANGE),
    Column("spans", pg.INT4MULTIRANGE),
)
c = THINGS.c
FULL: dict[str, Any] = {
    "id": 100,
    "words": "calm",
    "shouted": "loud",
    "amount": Decimal("1.10"),
    "ratio": 0.1,
    "is_open": True,
    "content": b"\x00\xff'\\",
    "token": TOKEN,
    "token_text": str(TOKEN),
    "payload": {"a": "it's \\ 100%", "list": [1, None]},
    "address": "10.0.0.1",
    "network": "10.0.0.0/8",
    "card": "08:00:2b:01:02:03",
    "day": date(2026, 11, 21),
    "clock": time(12, 30, 0, 5),
    "at": NOON,
    "wall": datetime(2026, 11, 21, 12),
    "lasted": timedelta(days=1, microseconds=1),
    "mood": Mood.TENSE,
    "kind": "a",
    "numbers": [1, 2],
    "tags": TEXTS,
    "contents": [b"\x00\xff'\\", b"a"],
    "addresses": ["10.0.0.1"],
    "span": pg.Range(1, 5),
    "period": pg.Range(NOON, None),
    "spans": [pg.Range(1, 2), pg.Range(5, 9)],
}
KOLKATA = timezone(timedelta(hours=5, minutes=30))

# Which rows each finds is not written here: they are those that SQLAlchemy's own parameters find.
CONDITIONS: dict[str, Any] = {
    **{f"a text {words!r}": c.words == words for words in TEXTS},
    "a text with a wildcard": c.words.contains("100%", autoescape=True),
    "a regular expression": c.words.regexp_match(r"\\s|^\d"),
    "a list of texts": c.words.in_(TEXTS[:4]),
    "a list of nothing": c.words.in_([]),
    "not in a list of nothing": c.words.not_in([]),
    "a list with NULL": c.words.in_(["calm", None]),
    "pairs": tuple_(c.id, c.words).in_([(100, "calm"), (1, "it's")]),
    "NULL": c.ratio == None,  # noqa: E711
    "a truth value": c.is_open.is_(True),
    "a truth value compared": c.is_open == True,  # noqa: E712
    "a type of one's own": c.shouted == "loud",
    "a whole number": c.id == 100,
    "a negative number": c.id - -1 == 101,
    "a decimal": c.amount == Decimal("1.10"),
    "a decimal that is none": c.amount == Decimal("NaN"),
    "a float": c.ratio == 0.1,
    "a float that is none": c.ratio == float("nan"),
    "an infinite float": c.ratio < float("inf"),
    "bytes": c.content == b"\x00\xff'\\",
    "a list of bytes": c.content.in_([b"\x00\xff'\\", b"a"]),
    "a UUID": c.token == TOKEN,
    "a UUID as text": c.token_text == str(TOKEN),
    "a list of UUIDs": c.token.in_([TOKEN]),
    "JSON": c.payload == FULL["payload"],
    "JSON that is contained": c.payload.contains({"a": "it's \\ 100%"}),
    "a list of JSON": c.payload.in_([FULL["payload"], None]),
    "JSON's null": c.payload["list"][1] == pg.JSON.NULL,
    "JSON by a path": c.payload[("list", "0")].astext == "1",
    "JSON by a key": c.payload["a"].astext == "it's \\ 100%",
    "a key of JSON": c.payload.has_any(pg.array(["a", "z"])),
    "an address": c.address == ip_address("10.0.0.1"),
    "an address as text": c.address == "10.0.0.1",
    "an address in a network": c.address.op("<<", is_comparison=True)(ip_network("10.0.0.0/8")),
    "a list of addresses": c.address.in_(["10.0.0.1", "::1"]),
    "a network": c.network == ip_network("10.0.0.0/8"),
    "a card": c.card == "08:00:2b:01:02:03",
    "a date": c.day == date(2026, 11, 21),
    "dates": c.day.between(date(2026, 11, 20), date(2026, 11, 21)),
    "a time": c.clock == time(12, 30, 0, 5),
    "an instant": c.at == NOON.astimezone(KOLKATA),
    "an instant on a wall clock": c.wall == NOON.astimezone(KOLKATA),
    "a part of an instant": func.date_part("hour", NOON) == 12,
    "an interval": c.lasted == timedelta(days=1, microseconds=1),
    "an interval's days": func.date_part("day", literal(timedelta(days=1))) == 1,
    "before an interval": c.at - timedelta(days=400) < datetime(2026, 1, 1, tzinfo=UTC),
    "an enum's member": c.mood == Mood.TENSE,
    "a list of members": c.mood.in_([Mood.TENSE, Mood.CALM]),
    "an enum's text": c.kind == "a",
    "an array": c.numbers == [1, 2],
    "an array of nothing": c.numbers != [],
    "an array that is contained": c.numbers.contains([1]),
    "an array of texts": c.tags == TEXTS,
    "an array with NULL": c.tags.overlap([None, "100%"]),
    "an array of bytes": c.contents == [b"\x00\xff'\\", b"a"],
    "an array of addresses": c.addresses == ["10.0.0.1"],
    "any of an array": c.id == any_([100, 2]),
    "a range": c.span == pg.Range(1, 5),
    "a range that is contained": c.span.contains(pg.Range(2, 3)),
    "a range without an end": c.period == pg.Range(NOON, None),
    "ranges": c.spans == [pg.Range(1, 2), pg.Range(5, 9)],
    "a case": case((c.is_open.is_(True), "it's"), else_="100%") == "it's",
    "a text with a parameter": text("words = :words").bindparams(words="it's"),
    "a text with an instant": text('"at" = :at').bindparams(at=NOON),
    "a text with an address": text("address = :address").bindparams(address=ip_address("10.0.0.1")),
    "a text with bytes": text("content = :content").bindparams(content=b"\x00\xff'\\"),
    "a text with a list": text("id = ANY(:ids)").bindparams(ids=[100, 2]),
    "a text with an expanding list": text("id IN :ids").bindparams(bindparam("ids", [100, 2], expanding=True)),
    "a text with casts and colons": text("words <> '12:30 \\:name' AND id::text LIKE '1%'"),
}
FINDING_NOTHING = ["a list of nothing", "a decimal that is none", "a float that is none"]
# A text has no type of its own here, and takes the one that is asked for.
COMPARED = [name for name in FULL if name not in ("id", "words", "shouted")]


@pytest.fixture(scope="module")
def things(make_source: Any) -> Iterator[Engine]:
    """A table with a row of every type, and a row of each text."""
    engine = make_source(None)
    THINGS.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(THINGS), [{"id": number, "words": words} for number, words in enumerate(TEXTS)])
        connection.execute(insert(THINGS), [FULL])
    yield engine
    engine.dispose()


@pytest.fixture
def snapshot(things: Engine) -> Iterator[Snapshot]:
    """A snapshot of one's own: a statement that fails ends it."""
    with open_snapshot(things) as snapshot:
        yield snapshot


@pytest.mark.parametrize("case", CONDITIONS)
def test_a_condition_finds_the_rows_that_it_finds_with_parameters(
    things: Engine, snapshot: Snapshot, case: str
) -> None:
    statement = select(c.id).where(CONDITIONS[case]).order_by(c.id)
    with things.connect() as connection:
        expected = list(connection.scalars(statement))
    assert snapshot.read_whole(statement)["id"].to_pylist() == expected
    assert expected or case in FINDING_NOTHING


@pytest.mark.parametrize("name", COMPARED)
def test_a_literal_is_of_the_type_that_a_parameter_has(things: Engine, snapshot: Snapshot, name: str) -> None:
    value = literal(FULL[name], c[name].type)
    statement = select(func.pg_typeof(func.coalesce(value, c[name])).cast(Text).label("type")).where(c.id == 100)
    with things.connect() as connection:
        expected = connection.scalar(statement)
    assert snapshot.read_whole(statement)["type"].to_pylist() == [expected]


def test_a_literal_is_one_statement_whatever_it_holds(snapshot: Snapshot) -> None:
    for words in TEXTS:
        assert snapshot.read_whole(select(literal(words).label("words")))["words"].to_pylist() == [words]
    assert compile_sql(select(literal("a:b%c"))).startswith("SELECT 'a:b%c'")
