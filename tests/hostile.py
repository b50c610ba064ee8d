"""Rows as hostile as a database lets them be, each with what must become of it.

`gather` makes as many `HostileRow` as asked for, of values that hypothesis draws; `insert_rows` writes
them into tables of their own; `compare` tells what the pipeline made of them.
"""

from __future__ import annotations

import json
import math
import random
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Column, DateTime, Engine, Float, LargeBinary, MetaData, Numeric, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSON

from sentinel_etl.pipeline import SENTINEL, Pipeline
from sentinel_etl.warehouse.query import query_df
from sentinel_etl.window import Window

__all__ = ["NIGHT", "PIPELINE", "HostileRow", "Outcome", "compare", "gather", "insert_rows"]

NIGHT = Window(datetime(2026, 11, 21, 0, 30, tzinfo=UTC), datetime(2026, 11, 22, 0, 30, tzinfo=UTC))

METADATA = MetaData()
PATROLS = Table(
    "hostile_patrols",
    METADATA,
    Column("patrol_id", BigInteger, primary_key=True),
    Column("station_id", BigInteger),
)
# No key, no foreign key, no NOT NULL: whatever a phone sends is there.
EVENTS = Table(
    "hostile_events",
    METADATA,
    Column("row_id", BigInteger, primary_key=True),
    Column("event_key", Text),
    Column("happened_at", DateTime(timezone=True), index=True),
    Column("patrol_id", BigInteger),
    Column("officer_id", BigInteger),
    Column("latitude", Float(53)),
    Column("longitude", Float(53)),
    Column("hotspot_id", Numeric),
    Column("priority", BigInteger),
    Column("suspicious", Text),
    Column("visited", ARRAY(BigInteger)),
    Column("remark", Text),
    Column("suspicion", LargeBinary),
    Column("details", JSON),
    Column("seen_at", DateTime(timezone=True)),
)

PIPELINE: Pipeline = replace(
    SENTINEL,
    event_config={
        "HOSTILE": {
            "model": EVENTS,
            "timestamp": EVENTS.c.happened_at,
            "key": EVENTS.c.event_key,
            "joins": [(PATROLS, EVENTS.c.patrol_id == PATROLS.c.patrol_id)],
            "columns": [
                EVENTS.c.row_id,
                EVENTS.c.officer_id,
                EVENTS.c.latitude,
                EVENTS.c.longitude,
                EVENTS.c.hotspot_id,
                EVENTS.c.priority.label("new_priority_ranking"),
                EVENTS.c.suspicious.label("suspicious_activity"),
                EVENTS.c.visited.label("visited_hotspots"),
                EVENTS.c.remark.label("remark_text"),
                EVENTS.c.suspicion.label("suspicion_details"),
                EVENTS.c.details.label("details_json"),
                EVENTS.c.seen_at,
            ],
        }
    },
    risk_weights={"event_type": {"HOSTILE": 1.0}},
)

REJECTED = object()


@dataclass(frozen=True)
class Value:
    """What stands in the source, as PostgreSQL reads it; and what must stand in the fact table."""

    source: str | None
    fact: Any = REJECTED


@dataclass(frozen=True)
class HostileRow:
    values: dict[str, Value]

    @property
    def in_night(self) -> bool:
        return self.values["happened_at"].fact == "in the night"

    @property
    def nightless(self) -> bool:
        return self.values["happened_at"].fact is REJECTED

    @property
    def acceptable(self) -> bool:
        """Whether it is an event, unless another row has its key."""
        return self.in_night and all(value.fact is not REJECTED for value in self.values.values())


def same(text: str) -> Value:
    return Value(text, text)


ORDINARY_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
REMARKS = st.sampled_from(
    [
        *("مرحبا ‏بالعالم‎ abc", "👩‍👩‍👧‍👦🏽🇮🇳", "\ufeffBOM", "￿\U0010ffff", "", " ", "NULL", "\\ud800"),
        *("a\x01\x02\x1b[31m", "' \" \\ \\N \\t %s :x {} ;--", "\r\n\t", "<script>", "=1+1"),
    ]
)

DEEP = "[" * 5_000 + "]" * 5_000


def double(number: float) -> str:
    return repr(number) if math.isfinite(number) else {math.inf: "Infinity", -math.inf: "-Infinity"}.get(number, "NaN")


Kinds = tuple[st.SearchStrategy[Value], st.SearchStrategy[Value]]


def sampled(*values: Value) -> st.SearchStrategy[Value]:
    return st.sampled_from(values)


def as_bytes(value: Value) -> Value:
    return Value("\\x" + str(value.source).encode().hex(), value.fact)


def position(limit: float) -> Kinds:
    inside = st.floats(-limit, limit).filter(lambda number: number != 0).map(lambda n: Value(double(n), n))
    edges = st.sampled_from([limit, -limit]).map(lambda n: Value(double(n), n))
    unknown = st.sampled_from([Value(None, None), Value("NaN", None)])
    beyond = st.one_of(
        st.floats(min_value=limit, exclude_min=True, allow_infinity=True),
        st.floats(max_value=-limit, exclude_max=True, allow_infinity=True),
    ).map(lambda n: Value(double(n)))
    return inside, st.one_of(edges, unknown, beyond)


def happened_at() -> Kinds:
    def inside(microseconds: int) -> Value:
        moment = NIGHT.start + timedelta(microseconds=microseconds)
        return Value(f"{moment:%Y-%m-%d %H:%M:%S.%f}+00", "in the night")

    day = 24 * 3600 * 10**6
    edges = st.sampled_from([0, day - 1]).map(inside)
    elsewhere = st.sampled_from(
        ["2026-11-22 00:30:00+00", "2026-11-21 00:29:59.999999+00", "2031-01-01 00:00:00+00", "2149-06-04 23:59:59+00"]
    ).map(lambda text: Value(text, "another night"))
    nowhere = st.sampled_from(
        ["infinity", "-infinity", "0001-01-01 00:00:00+00", "4713-01-01 00:00:00+00 BC", "1969-12-31 23:59:59+00",
         "2300-01-01 00:00:00+00", "294276-12-31 23:59:59+00", None]
    ).map(Value)  # fmt: skip
    return st.integers(0, day - 1).map(inside), st.one_of(edges, elsewhere, nowhere)


def numbers(low: int, high: int, beyond: Sequence[str | None]) -> Kinds:
    inside = st.integers(low, high).map(lambda number: Value(str(number), number))
    edges = [Value(str(low), low), Value(str(high), high)] + ([] if None in beyond else [Value(None, None)])
    return inside, st.sampled_from(edges) | st.sampled_from(list(beyond)).map(Value)


def arrays() -> Kinds:
    inside = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4)
    nested = ["{{1,2},{3,4}}", "{{{1}}}", "[5:6]={7,8}", "{NULL}", "{1,NULL,3}"]
    odd = [Value(None, []), Value("{}", []), Value("[0:1]={7,8}", [7, 8]), *map(Value, nested)]
    return inside.map(lambda items: Value("{" + ",".join(map(str, items)) + "}", items)), st.sampled_from(odd)


def truths() -> Kinds:
    usual = {"true": True, "false": False, "1": True, "0": False, None: None}
    odd = ["maybe", "", "2", "ja", " true"]
    return sampled(*(Value(text, fact) for text, fact in usual.items())), sampled(*map(Value, odd))


def documents() -> Kinds:
    usual = st.dictionaries(ORDINARY_TEXT, st.integers() | ORDINARY_TEXT | st.none(), max_size=2)
    odd = [
        '"\\ud800"',
        '{"a": "\\udc00\\ud800"}',
        '{"a": "\\u0000"}',
        DEEP,
        "1e400",
        '{"a": 1, "a": 2}',
        "null",
        " [ ] ",
    ]
    return usual.map(lambda document: same(json.dumps(document, ensure_ascii=False))), st.sampled_from(odd).map(same)


TEXTS = ORDINARY_TEXT.map(same)
INSTANTS = st.datetimes(datetime(1000, 1, 1), datetime(9000, 1, 1)).map(
    lambda moment: same(f"{moment.isoformat(' ')}+00")
)

# Column → the usual values and the odd ones.
COLUMNS: dict[str, tuple[st.SearchStrategy[Value], st.SearchStrategy[Value]]] = {
    "event_key": (
        st.integers(0, 10**9).map(lambda n: same(str(n))),
        sampled(*map(same, ("a", "b", "a:b'\\")), Value(None)),
    ),
    "happened_at": happened_at(),
    "patrol_id": (st.integers(1, 5).map(lambda n: Value(str(n), n)), sampled(Value("6"), Value("-1"), Value(None))),
    "officer_id": numbers(-(2**63), 2**63 - 1, [None]),
    "latitude": position(90.0),
    "longitude": position(180.0),
    "hotspot_id": numbers(-(2**53), 2**53, ["2.5", "1e400", "-1e400", "1e-400", "Infinity", "1e300", str(2**63)]),
    "priority": numbers(-(2**15), 2**15 - 1, ["32768", "-32769", str(2**63 - 1)]),
    "suspicious": truths(),
    "visited": arrays(),
    "remark": (TEXTS, REMARKS.map(same) | st.just(Value(None, None))),
    "suspicion": (TEXTS.map(as_bytes), sampled(*map(Value, ("\\xff", "\\xc3", "\\xeda080", "\\x80")))),
    "details": documents(),
    "seen_at": (
        INSTANTS | st.just(Value(None, None)),
        sampled(*map(Value, ("infinity", "-infinity", "294276-01-01 00:00:00+00"))),
    ),
}

POOL = 400  # values of each kind that hypothesis draws
ODDS = 0.02  # share of odd values: with fourteen columns, a quarter of the rows have one


def gather(rows: int, seed_number: int = 0) -> list[HostileRow]:
    """Make rows of values that hypothesis draws; the same ones for the same seed."""
    choose = random.Random(seed_number)
    usual = {name: pool(strategies[0], seed_number) for name, strategies in COLUMNS.items()}
    odd = {name: pool(strategies[1], seed_number) for name, strategies in COLUMNS.items()}
    gathered = []
    for place in range(rows):
        values = {name: choose.choice((odd if choose.random() < ODDS else usual)[name]) for name in COLUMNS}
        if values["event_key"] in usual["event_key"]:
            values["event_key"] = same(str(place))  # keys repeat where they are meant to
        gathered.append(HostileRow(values))
    return gathered


def pool(strategy: st.SearchStrategy[Value], seed_number: int) -> list[Value]:
    drawn: list[Value] = []

    @seed(seed_number)
    @settings(
        max_examples=POOL // 50,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(strategy, min_size=50, max_size=50))
    def draw(values: list[Value]) -> None:
        drawn.extend(values)

    draw()
    return drawn


def insert_rows(source: Engine, rows: Sequence[HostileRow]) -> None:
    """Write the rows, their place in the list as ``row_id``, and the five patrols that there are."""
    METADATA.create_all(source)
    columns = [column for column in EVENTS.columns if column.name != "row_id"]
    names = ", ".join(column.name for column in columns)
    places = ", ".join(f"CAST(%s AS text)::{column.type.compile(source.dialect)}" for column in columns)
    with source.begin() as connection:
        connection.exec_driver_sql("INSERT INTO hostile_patrols SELECT n, n FROM generate_series(1, 5) n")
        if not rows:
            return
        driver = connection.connection.driver_connection
        assert driver is not None
        with driver.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO hostile_events (row_id, {names}) VALUES (%s, {places})",
                [(place, *(row.values[c.name].source for c in columns)) for place, row in enumerate(rows)],
            )


@dataclass(frozen=True)
class Outcome:
    """What became of rows. ``lost``: neither loaded nor rejected, or both; ``changed``: loaded otherwise
    than the source has them; ``misjudged``: rejected though acceptable, or loaded though not."""

    tried: int
    loaded: int
    rejected: int
    lost: list[int]
    changed: list[tuple[int, str, Any, Any]]
    misjudged: list[int]


def compare(rows: Sequence[HostileRow], warehouse: Engine) -> Outcome:
    """Look each row up in both tables, by its ``row_id``."""
    facts = query_df(warehouse, "SELECT * FROM patrol_events").astype(object).to_dict("records")
    loaded = {int(json_member(row["details_json"])): row for row in facts}
    raw = [json.loads(text) for text in query_df(warehouse, "SELECT raw FROM patrol_events_rejected")["raw"]]
    # A row whose key another has is kept as the fact that it would have been.
    refused = Counter(int(row["row_id"] if "row_id" in row else json_member(row["details_json"])) for row in raw)
    tried = [place for place, row in enumerate(rows) if row.in_night or row.nightless]
    lost = [place for place in tried if (place in loaded) + refused[place] != 1]
    lost += [place for place in {*loaded, *refused} if not (rows[place].in_night or rows[place].nightless)]
    by_key: dict[str | None, list[int]] = {}
    for place, row in enumerate(rows):
        if row.acceptable:
            by_key.setdefault(row.values["event_key"].source, []).append(place)
    misjudged = [place for place in loaded if not rows[place].acceptable]
    misjudged += [
        place for same_key in by_key.values() for place in same_key if sum(p in loaded for p in same_key) != 1
    ]
    changed = [(place, *change) for place, row in loaded.items() for change in differences(rows[place], row)]
    return Outcome(len(tried), len(facts), len(raw), lost, changed, misjudged)


def json_member(text: str) -> str:
    """Read row_id from the end of details_json, whose rest may be deeper than a reader goes."""
    return text.rpartition('"row_id":')[2].partition(",")[0].rstrip("}")


def differences(row: HostileRow, fact: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    values = {name: value.fact for name, value in row.values.items()}
    remark = values["remark"]
    expected = {
        "event_id": f"HOSTILE:{values['event_key']}",
        "patrol_id": values["patrol_id"],
        "station_id": values["patrol_id"],
        "officer_id": values["officer_id"],
        "latitude": values["latitude"],
        "longitude": values["longitude"],
        "hotspot_id": values["hotspot_id"],
        "new_priority_ranking": values["priority"],
        "suspicious_activity": values["suspicious"],
        "visited_hotspots": values["visited"],
        "remark_text": remark,
        "remark_length": None if remark is None else len(remark),
        "suspicion_details": values["suspicion"],
        "event_timestamp": row.values["happened_at"].source,
    }
    found = {name: plain(fact[name]) for name in expected}
    different = [(name, expected[name], found[name]) for name in expected if bits(expected[name]) != bits(found[name])]
    # The document as the source holds it, letter by letter, beside the columns without a place of their own.
    if f'{{"details":{values["details"]},"row_id":' not in fact["details_json"]:
        different.append(("details_json", values["details"], fact["details_json"]))
    return different


def plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S.%f}+00"
    return None if value is None or value != value or str(value) == "<NA>" else value


def bits(value: Any) -> Any:
    return struct.pack("d", value) if isinstance(value, float) else value
