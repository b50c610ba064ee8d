"""A source of two weeks of nights that are alike, and ways to spoil one of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Double, Engine, MetaData, Table, Text, insert, text

from sentinel_etl.config.fact_table import build_patrol_events
from sentinel_etl.databases import Databases
from sentinel_etl.pipeline import SENTINEL, Pipeline
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

FIRST = date(2026, 11, 8)
NIGHTS = [FIRST + timedelta(days=number) for number in range(14)]
ODD = NIGHTS[10]
WHOLE = Window(Window.night(NIGHTS[0]).start, Window.night(NIGHTS[-1]).end)
AFTER = WHOLE.end + timedelta(minutes=10)
CALLS, VISITS = 240, 80  # of a night

EVENTS = Table(
    "events",
    MetaData(),
    Column("event_number", BigInteger, primary_key=True),
    Column("happened_at", DateTime(timezone=True), index=True),
    Column("kind", Text),
    Column("place", BigInteger),
    Column("note", Text),
    Column("category", Text),
    Column("latitude", Double),
    Column("longitude", Double),
)


def entry(kind: str) -> dict[str, Any]:
    columns = [EVENTS.c.place.label(name) for name in ("patrol_id", "officer_id", "station_id")]
    return {
        "model": EVENTS,
        "timestamp": EVENTS.c.happened_at,
        "filters": [EVENTS.c.kind == kind],
        "columns": [
            *columns,
            EVENTS.c.note.label("remark_text"),
            EVENTS.c.category.label("emergency_category"),
            EVENTS.c.latitude,
            EVENTS.c.longitude,
        ],
    }


PIPELINE: Pipeline = replace(
    SENTINEL,
    event_config={"CALL": entry("call"), "VISIT": entry("visit")},
    fact_table=build_patrol_events("month"),
    coalesce={},
    common_columns=(),
    risk_weights={"emergency_category": {"FIRE": 30.0, "MEDICAL": 10.0}},
)


def rows_of(night: date, place: int) -> list[dict[str, Any]]:
    start, first = Window.night(night).start, 1_000 * place
    return [
        {
            "event_number": first + number,
            "happened_at": start + timedelta(minutes=4 * number),
            "kind": "call" if number < CALLS else "visit",
            "place": number % 2 + 1,
            "note": None if number % 10 == 0 else "seen",
            "category": ("FIRE" if number % 4 == 0 else "MEDICAL") if number < CALLS else None,
            "latitude": 12.9,
            "longitude": 77.6,
        }
        for number in range(CALLS + VISITS)
    ]


def fill_nights(source: Engine) -> None:
    EVENTS.metadata.create_all(source)
    with source.begin() as connection:
        connection.execute(insert(EVENTS), [row for place, night in enumerate(NIGHTS) for row in rows_of(night, place)])


def in_night(night: date) -> str:
    window = Window.night(night)
    return f"happened_at >= '{window.start.isoformat()}' AND happened_at < '{window.end.isoformat()}'"


def spoil(source: Engine, statement: str, night: date = ODD) -> None:
    """Run a statement in which ``{night}`` is the condition that a row is of the night."""
    with source.begin() as connection:
        assert connection.execute(text(statement.format(night=in_night(night)))).rowcount


FAULTS = {
    "all events gone": "DELETE FROM events WHERE {night}",
    "most events gone": "DELETE FROM events WHERE {night} AND event_number % 10 < 7",
    "an event type gone": "DELETE FROM events WHERE {night} AND kind = 'visit'",
    "an event type trebled": (
        "INSERT INTO events SELECT event_number * 1000 + n, happened_at, kind, place, note, category, latitude, "
        "longitude FROM events, generate_series(1, 2) AS n WHERE {night} AND kind = 'visit'"
    ),
    "half of a column NULL": "UPDATE events SET note = NULL WHERE {night} AND kind = 'call' AND event_number % 2 = 0",
    "risk moved": "UPDATE events SET category = 'FIRE' WHERE {night} AND kind = 'call'",
    "most rows rejected": "UPDATE events SET latitude = 91 WHERE {night} AND kind = 'call'",
    "a few rows rejected": "UPDATE events SET latitude = 91 WHERE {night} AND event_number % 100 = 7",
}


def by_night(databases: Databases) -> tuple[dict[tuple[str, str], int], dict[tuple[str, str], int]]:
    """Count both sides by night and event type, each in SQL written by hand; rows that can be no event left out."""
    with databases.source.connect() as connection:
        counted = connection.execute(
            text(
                "SELECT CAST(happened_at AT TIME ZONE 'Asia/Kolkata' - interval '6 hours' AS date)::text, upper(kind), "
                "count(*) FROM events WHERE latitude <= 90 GROUP BY 1, 2"
            )
        )
        source = {(night, kind): int(rows) for night, kind, rows in counted}
    facts = run_statement(
        databases.warehouse, "SELECT toString(shift_date), event_type, count() FROM patrol_events GROUP BY 1, 2"
    )
    return source, {(str(night), str(kind)): int(rows) for night, kind, rows in facts}
