"""A source with a table for each pair of a PostgreSQL type and a fact type, filled with values that hypothesis draws.

Each table has the type alone (``v``), in an array (``a``), and in a column that goes to ``details_json`` (``d``);
a second entry of the same table has it as the key.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from ipaddress import ip_address, ip_network
from typing import Any

from clickhouse_sqlalchemy import Table as FactTable
from clickhouse_sqlalchemy import engines, types
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from sqlalchemy import ARRAY, BigInteger, Boolean, Column, DateTime, Engine, MetaData, Table, Text, text
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.types import UserDefinedType

from sentinel_etl.pipeline import Pipeline
from sentinel_etl.window import Window

__all__ = ["CASES", "NIGHT", "Case", "build_pipeline", "fill_source", "micros"]

NIGHT = Window(datetime(2026, 11, 21, 0, 30, tzinfo=UTC), datetime(2026, 11, 22, 0, 30, tzinfo=UTC))


class Server(UserDefinedType[Any]):
    """A ClickHouse type by its name."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        return self.name


Read = Callable[[str], Any]


@dataclass(frozen=True)
class Case:
    """A pair of types, values as PostgreSQL reads them, and how each side's text becomes one comparable value."""

    name: str
    source: str
    model: Any
    fact: str
    values: st.SearchStrategy[str]
    read_source: Read = str
    read_fact: Read = str
    source_sql: str = "{}::text"
    fact_sql: str = "toString({})"
    arrays: bool = True

    @property
    def label(self) -> str:
        return self.name.lower()

    @property
    def nullable(self) -> str:
        plain = self.fact.startswith("Map")
        inner = self.fact.removeprefix("LowCardinality(").removesuffix(")") if "LowCard" in self.fact else ""
        return self.fact if plain else f"LowCardinality(Nullable({inner}))" if inner else f"Nullable({self.fact})"


def integers(low: int, high: int) -> st.SearchStrategy[str]:
    return (st.integers(low, high) | st.sampled_from([low, high, 0, 1, -1])).filter(lambda n: low <= n <= high).map(str)


def decimals(precision: int, digits: int) -> st.SearchStrategy[str]:
    most = 10**precision - 1
    return integers(-most, most).map(lambda n: f"{Decimal(n).scaleb(-digits):f}")


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | st.sampled_from(
    ["", " ", "NULL", "\\N", "'\"`\\", "a\tb\r\nc", "{}", "%s :x", "ಕ", "👩‍👩‍👧‍👦", "2001:db8:1:1::12", "NaN", "1" * 16]
)
ASCII = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=6)
MOMENTS = st.datetimes(datetime(1900, 1, 2), datetime(2299, 12, 30)) | st.sampled_from(
    [datetime(1970, 1, 1), datetime(2024, 11, 3, 5, 30), datetime(2024, 11, 3, 6, 30, 0, 1), datetime(2026, 11, 22, 20)]
)
EDGES = st.sampled_from(["infinity", "-infinity", "0001-01-01 00:00:00+00", "4713-01-01 00:00:00+00 BC"])
INSTANTS = MOMENTS.map(lambda moment: f"{moment.isoformat(' ')}+00")
SECONDS = MOMENTS.map(lambda moment: f"{moment.replace(microsecond=0).isoformat(' ')}+00")
DATES = st.dates(date(1, 1, 1), date(9999, 12, 31)).map(str) | st.sampled_from(
    ["1899-12-31", "1900-01-01", "1970-01-01", "2149-06-06", "2149-06-07", "2299-12-31", "infinity", "-infinity"]
)
DOUBLES = st.floats(allow_nan=True, allow_infinity=True).map(repr) | st.sampled_from(["-0.0", "1e300", "5e-324", "0.1"])
SINGLES = st.floats(width=32).map(repr)
HUGE = st.sampled_from(["1e400", "-1e400", "1e-400", "NaN", "0.0", "9007199254740993", "1.50", "100", "1e300"])
V4 = st.ip_addresses(v=4).map(str)
V6 = st.ip_addresses(v=6).map(str) | st.sampled_from(["::", "::1", "::ffff:1.2.3.4", "2001:db8:1:1::12"])
NETS = st.sampled_from(["10.0.0.0/8", "2001:db8::/32"])
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
MAPS = st.dictionaries(NAMES, NAMES, max_size=3) | st.sampled_from([{}, {"a": "1"}, {"": ""}, {"a": 1}, [1], "x", None])
LEAVES: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | NAMES
)
DOCUMENTS = st.dictionaries(
    NAMES,
    st.recursive(LEAVES, lambda each: st.lists(each, max_size=3) | st.dictionaries(NAMES, each, max_size=3)),
    max_size=4,
).filter(lambda document: "\\u0000" not in json.dumps(document))


def micros(read: str) -> Any:
    try:
        moment = datetime.fromisoformat(read.replace(" ", "T", 1))
    except ValueError:
        return read
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def number(read: str) -> Any:
    return None if read == "NaN" else Decimal(read.replace("$", "").replace(",", ""))


def known_text(read: str) -> Any:
    return None if read == "NaN" else read


def single(read: str) -> Any:
    value = float(read)
    return None if value != value else struct.pack("f", value)


def double(read: str) -> Any:
    value = float(read)
    return None if value != value else struct.pack("d", value)


def host(read: str) -> Any:
    net = ip_network(read, strict=False) if "/" in read else None
    return ip_address(read.partition("/")[0]) if net is None or net.num_addresses == 1 else read


def loaded_json(read: str) -> Any:
    return json.loads(read, parse_int=Decimal, parse_float=lambda digits: Decimal(repr(float(digits))))


def source_json(read: str) -> Any:
    return json.loads(read, parse_int=Decimal, parse_float=Decimal)


MOOD = pg.ENUM("sad", "it's \\ odd", name="mood", create_type=False)
UTC_TEXT = "toString(toTimeZone({}, 'UTC'))"
NUMERIC = pg.NUMERIC()
CITY_DAY = "timezone('Asia/Kolkata', {})::date::text"


def instant_case(digits: int, zone: str) -> Case:
    spec = f"DateTime64({digits}, '{zone}')" if zone else f"DateTime64({digits})"
    values = SECONDS | INSTANTS | EDGES if digits < 6 else INSTANTS | EDGES
    return Case(
        f"INSTANT_{digits}",
        "timestamptz",
        DateTime(timezone=True),
        spec,
        values,
        micros,
        lambda read: micros(read[:26]),
        fact_sql=UTC_TEXT,
    )


STRINGS: dict[str, tuple[str, Any, st.SearchStrategy[str]]] = {
    "TEXT": ("text", Text(), TEXTS),
    "VARCHAR": ("varchar(12)", pg.VARCHAR(12), TEXTS.filter(lambda t: len(t) <= 12)),
    "CHAR": ("char(6)", pg.CHAR(6), ASCII),
    "NAME": ("name", Text(), ASCII),
    "NUMERIC": ("numeric", NUMERIC, decimals(40, 10) | HUGE),
    "MONEY": ("money", pg.MONEY(), integers(-(2**63), 2**63 - 1).map(lambda n: f"{Decimal(n).scaleb(-2):f}")),
    "UUID": ("uuid", pg.UUID(), st.uuids().map(str)),
    "INET": ("inet", pg.INET(), V4 | V6 | NETS),
    "CIDR": ("cidr", pg.CIDR(), NETS),
    "MACADDR": ("macaddr", pg.MACADDR(), st.just("08:00:2b:01:02:03")),
    "DATE": ("date", pg.DATE(), DATES.filter(lambda each: "inf" not in each)),
    "CLOCK": ("timestamp", pg.TIMESTAMP(), MOMENTS.map(str) | st.sampled_from(["infinity", "4713-01-01 BC"])),
    "TIME": ("time", pg.TIME(), st.times().map(str) | st.just("24:00")),
    "TIMETZ": ("timetz", pg.TIME(timezone=True), st.times().map(lambda each: f"{each}+05:30")),
    "INTERVAL": ("interval", pg.INTERVAL(), st.timedeltas().map(lambda d: f"{d.days} days {d.seconds} seconds")),
    "JSONB": ("jsonb", pg.JSONB(), DOCUMENTS.map(json.dumps)),
    "JSON": ("json", pg.JSON(), DOCUMENTS.map(json.dumps)),
    "INTEGER": ("bigint", BigInteger(), integers(-(2**63), 2**63 - 1)),
    "OID": ("oid", pg.OID(), integers(0, 2**32 - 1)),
    "BOOLEAN": ("boolean", Boolean(), st.sampled_from(["true", "false"])),
    "BITS": ("bit(8)", pg.BIT(8), st.integers(0, 255).map(lambda n: f"{n:08b}")),
    "RANGE": ("int4range", pg.INT4RANGE(), st.sampled_from(["empty", "[1,5)", "(,3)", "[7,)"])),
    "TSVECTOR": ("tsvector", pg.TSVECTOR(), ASCII.map(lambda t: "'" + t.replace("'", "''").replace("\\", "") + "x'")),
}

CASES: list[Case] = [
    Case("SMALL", "smallint", pg.SMALLINT(), "Int16", integers(-(2**15), 2**15 - 1)),
    Case("INTO_BYTE", "integer", pg.INTEGER(), "UInt8", integers(-10, 300)),
    Case("BIG", "bigint", BigInteger(), "Int64", integers(-(2**63), 2**63 - 1)),
    Case("UNSIGNED", "bigint", BigInteger(), "UInt64", integers(-(2**63), 2**63 - 1)),
    Case("BIG_128", "bigint", BigInteger(), "Int128", integers(-(2**63), 2**63 - 1)),
    Case("BIG_DECIMAL", "bigint", BigInteger(), "Decimal(19, 2)", integers(-(2**63), 2**63 - 1), number, number),
    Case(
        "BIG_DOUBLE",
        "bigint",
        BigInteger(),
        "Float64",
        integers(-(2**63), 2**63 - 1),
        number,
        number,
        fact_sql="toString(toDecimal128({}, 0))",
    ),
    Case("OID_64", "oid", pg.OID(), "Int64", integers(0, 2**32 - 1)),
    Case("NUMERIC_64", "numeric(19)", pg.NUMERIC(19), "Int64", decimals(19, 0), number, number),
    Case("NUMERIC_U64", "numeric", NUMERIC, "UInt64", decimals(20, 0) | HUGE, number, number),
    Case("NUMERIC_128", "numeric", NUMERIC, "Int128", decimals(39, 0) | HUGE, number, number),
    Case("NUMERIC_U256", "numeric", NUMERIC, "UInt256", decimals(78, 0) | HUGE, number, number),
    Case("NUMERIC_256", "numeric", NUMERIC, "Int256", decimals(77, 0) | decimals(20, 2), number, number),
    Case("DECIMAL_9", "numeric(9, 2)", pg.NUMERIC(9, 2), "Decimal(9, 2)", decimals(9, 2), number, number),
    Case("DECIMAL_20", "numeric(20, 4)", pg.NUMERIC(20, 4), "Decimal(20, 4)", decimals(20, 4), number, number),
    Case("DECIMAL_76", "numeric", NUMERIC, "Decimal(76, 10)", decimals(60, 12) | HUGE, number, number),
    Case("NUMERIC_DOUBLE", "numeric", NUMERIC, "Float64", decimals(30, 10) | HUGE, double, double),
    Case("NUMERIC_SINGLE", "numeric(4, 1)", pg.NUMERIC(4, 1), "Float32", decimals(4, 1), single, single),
    Case("MONEY_DECIMAL", "money", pg.MONEY(), "Decimal(19, 2)", STRINGS["MONEY"][2], number, number),
    Case("REAL", "real", pg.REAL(), "Float32", SINGLES, single, single),
    Case(
        "REAL_DOUBLE", "real", pg.REAL(), "Float64", st.floats(width=32).map(repr), double, double, "({})::float8::text"
    ),
    Case("DOUBLE", "double precision", pg.DOUBLE_PRECISION(), "Float64", DOUBLES, double, double),
    Case("BOOL", "boolean", Boolean(), "Bool", st.sampled_from(["true", "false"])),
    Case("UUID_UUID", "uuid", pg.UUID(), "UUID", st.uuids().map(str)),
    Case(
        "ENUM_8",
        "mood",
        pg.ENUM("sad", "it's \\ odd", name="mood", create_type=False),
        "Enum8('sad' = 1, 'it\\'s \\\\ odd' = 2)",
        st.sampled_from(["sad", "it's \\ odd"]),
    ),
    Case("ENUM_16", "text", Text(), "Enum16('sad' = 1, '' = 300)", st.sampled_from(["sad", "", "glad"])),
    Case("FIXED", "text", Text(), "FixedString(4)", TEXTS | st.sampled_from(["abcd", "ಕa"])),
    Case("KEYWORD", "text", Text(), "LowCardinality(String)", TEXTS),
    Case("IP_4", "inet", pg.INET(), "IPv4", V4 | V6 | NETS, host, host),
    Case("IP_6", "inet", pg.INET(), "IPv6", V6 | V4 | NETS, host, host),
    Case("DAY", "date", pg.DATE(), "Date", DATES),
    Case("DAY_32", "date", pg.DATE(), "Date32", DATES),
    Case("CITY_DAY", "timestamptz", DateTime(timezone=True), "Date32", INSTANTS | EDGES, source_sql=CITY_DAY),
    Case(
        "SECOND",
        "timestamptz",
        DateTime(timezone=True),
        "DateTime('Asia/Kolkata')",
        SECONDS | INSTANTS,
        micros,
        micros,
        fact_sql=UTC_TEXT,
    ),
    *(instant_case(*each) for each in ((0, "UTC"), (1, ""), (2, "Asia/Kolkata"), (3, "America/New_York"), (4, ""))),
    *(instant_case(*each) for each in ((5, "UTC"), (6, "America/New_York"), (7, "UTC"), (8, ""), (9, "Asia/Kolkata"))),
    Case(
        "MAP",
        "jsonb",
        pg.JSONB(),
        "Map(String, String)",
        MAPS.map(json.dumps),
        json.loads,
        json.loads,
        fact_sql="toJSONString({})",
    ),
    Case("DOCUMENT", "jsonb", pg.JSONB(), "JSON", DOCUMENTS.map(json.dumps), source_json, loaded_json),
    Case(
        "BYTES",
        "bytea",
        pg.BYTEA(),
        "String",
        st.binary(max_size=6).map(lambda b: "\\x" + b.hex()),
        source_sql="encode({}, 'hex')",
        fact_sql="lower(hex({}))",
    ),
    *(
        Case(f"{name}_STRING", source, model, "String", values, known_text if name == "NUMERIC" else str)
        for name, (source, model, values) in STRINGS.items()
    ),
]


def source_table(case: Case, metadata: MetaData) -> Table:
    return Table(
        f"t_{case.label}",
        metadata,
        Column("id", BigInteger, primary_key=True),
        Column("at", DateTime(timezone=True), index=True),
        Column("first", Boolean),
        Column("v", case.model),
        Column("a", ARRAY(case.model)),
        Column("d", case.model),
    )


def build_pipeline(cases: Sequence[Case] = CASES, **options: Any) -> Pipeline:
    """Build a pipeline with two entries a case: the value as a column, and as the key."""
    metadata = MetaData()
    config: dict[str, dict[str, Any]] = {}
    for case in cases:
        table = source_table(case, metadata)
        columns = [table.c.v.label(f"v_{case.label}"), table.c.d.label(f"d_{case.label}")]
        columns += [table.c.a.label(f"a_{case.label}")] if case.arrays else []
        config[case.name] = {"model": table, "timestamp": table.c.at, "key": table.c.id, "columns": columns}
        config[f"K_{case.name}"] = {
            "model": table,
            "timestamp": table.c.at,
            "key": table.c.v,
            "columns": [table.c.id.label("source_id")],
            "filters": [table.c.first],
        }
    return Pipeline(event_config=config, fact_table=fact_table(cases), **options)


def fact_table(cases: Sequence[Case]) -> FactTable:
    columns = []
    for case in cases:
        columns.append(Column(f"v_{case.label}", Server(case.nullable)))
        item = case.fact if case.fact.startswith("Map") else case.nullable
        columns += [Column(f"a_{case.label}", Server(f"Array({item})"))] if case.arrays else []
    return FactTable(
        "typed_events",
        MetaData(),
        Column("event_id", types.String),
        Column("event_timestamp", types.DateTime64(6, "UTC")),
        Column("event_type", types.LowCardinality(types.String)),
        Column("shift_date", types.Date),
        Column("base_risk_score", types.Float64),
        Column("source_id", types.Nullable(types.Int64)),
        *columns,
        Column("details_json", types.Nullable(types.String)),
        Column("run_id", types.String),
        Column("loaded_at", types.DateTime64(6, "UTC")),
        engines.MergeTree(partition_by=text("toYYYYMM(shift_date)"), order_by=("shift_date", "event_type", "event_id")),
    )


def draw(values: st.SearchStrategy[str], rows: int, seed_number: int) -> list[tuple[Any, Any, Any]]:
    """Draw rows of (value, array, detail)."""
    drawn: list[tuple[Any, Any, Any]] = []
    arrays = st.none() | st.lists(st.none() | values, max_size=4)
    row = st.tuples(st.none() | values, arrays, st.none() | values)

    @seed(seed_number)
    @settings(
        max_examples=max(1, rows // 20),
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(row, min_size=20, max_size=20))
    def fill(some: list[tuple[Any, Any, Any]]) -> None:
        drawn.extend(some)

    fill()
    return drawn[:rows]


def fill_source(source: Engine, rows: int, cases: Sequence[Case] = CASES, seed_number: int = 0) -> None:
    """Make the tables, and fill each with about ``rows`` rows of the night."""
    with source.begin() as connection:
        connection.exec_driver_sql("CREATE TYPE mood AS ENUM ('sad', 'it''s \\ odd')")
        for case in cases:
            connection.exec_driver_sql(
                f"CREATE TABLE t_{case.label} (id bigint PRIMARY KEY, at timestamptz, first boolean, "
                f"v {case.source}, a {case.source}[], d {case.source})"
            )
            driver = connection.connection.driver_connection
            assert driver is not None
            with driver.cursor() as cursor:
                cursor.executemany(
                    f"INSERT INTO t_{case.label} (id, at, v, a, d) VALUES (%s, %s, %s::text::{case.source}, "
                    f"%s::text[]::{case.source}[], %s::text::{case.source})",
                    [
                        (place, NIGHT.start + timedelta(seconds=place % 86_000), *row)
                        for place, row in enumerate(draw(case.values, rows, seed_number))
                    ],
                )
            connection.exec_driver_sql(
                f"UPDATE t_{case.label} SET first = id IN (SELECT min(id) FROM t_{case.label} GROUP BY v::text)"
            )
