"""Pipelines of a team that has nothing of the sample city's: fact tables with other dimensions, fewer, or none.

Kernels and commands import this module by its name: `SENTINEL_PIPELINE=clinics:NAMED`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from enum import Enum
from uuid import UUID

from clickhouse_sqlalchemy import Table as FactTable
from clickhouse_sqlalchemy import engines, types
from sqlalchemy import Column, DateTime, Engine, Integer, MetaData, Numeric, Table, Text, Uuid, insert, text

from sentinel_etl.config.dimensions import Dimensions
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.window import Window

CLINIC_SOURCE = MetaData(schema="clinic")
ADMISSIONS = Table(
    "admissions",
    CLINIC_SOURCE,
    Column("admission_id", Integer, primary_key=True),
    Column("admitted_at", DateTime(timezone=True), index=True),
    Column("ward_id", Text),
    Column("bed", Text),
    Column("nurse", Uuid),
    Column("shift", Uuid),
    Column("north", Numeric(8, 5)),
    Column("east", Numeric(8, 5)),
    Column("urgency", Text),
)
WARDS, BEDS = ("Ågren", "B'2", "<b>C</b>"), ("WINDOW", "DOOR")
NIGHTS = (date(2026, 11, 19), date(2026, 11, 20), date(2026, 11, 21))
EACH_NIGHT = 120


def fact_table(name: str, *columns: Column[object]) -> FactTable:
    return FactTable(
        name,
        MetaData(),
        Column("event_id", types.String),
        Column("event_timestamp", types.DateTime64(6, "UTC")),
        Column("event_type", types.String),
        Column("shift_date", types.Date),
        *columns,
        Column("run_id", types.String),
        Column("loaded_at", types.DateTime64(6, "UTC")),
        engines.MergeTree(partition_by=text("toYYYYMM(shift_date)"), order_by=("shift_date", "event_type", "event_id")),
    )


def scores() -> list[Column[object]]:
    return [Column("base_risk_score", types.Float64), Column("risk_reasons", types.Array(types.String))]


def pipeline(facts: FactTable, names: Sequence[str] = (), **more: object) -> Pipeline:
    entry = {
        "model": ADMISSIONS,
        "timestamp": ADMISSIONS.c.admitted_at,
        "key": ADMISSIONS.c.admission_id,
        "columns": [ADMISSIONS.c[name] for name in names],
    }
    return Pipeline(event_config={"ADMISSION": entry}, fact_table=facts, **more)  # type: ignore[arg-type]


class Bed(Enum):
    """Where a bed stands."""

    WINDOW = 1
    DOOR = 2


def ward() -> Column[object]:
    return Column("ward_id", types.Nullable(types.String))


NAMED = pipeline(
    fact_table(
        "named_events",
        ward(),
        Column("bed", types.Nullable(types.Enum8(Bed))),
        Column("nurse", types.Nullable(types.UUID)),
        Column("shift", types.UUID),
        Column("north", types.Nullable(types.Decimal(8, 5))),
        Column("east", types.Nullable(types.Float32)),
        Column("urgency", types.LowCardinality(types.String)),
        *scores(),
    ),
    ["ward_id", "bed", "nurse", "shift", "north", "east", "urgency"],
    risk_weights={"urgency": {"RED": 10.0, "GREEN": 1.0}, "bed": {"DOOR": 2.0}},
    dimensions=Dimensions("ward_id", "bed", "nurse", "shift", "north", "east", words={"bed": "kind of bed"}),
)
UNWEIGHED = pipeline(fact_table("unweighed_events", ward(), *scores()), ["ward_id"])
UNSCORED = pipeline(fact_table("unscored_events", ward()), ["ward_id"], dimensions=Dimensions(station="ward_id"))
WITH_STATION = fact_table("station_events", Column("station_id", types.Nullable(types.String)))
BARE = pipeline(fact_table("bare_events", Column("details_json", types.Nullable(types.String))), ["urgency"])


def fill_clinic(source: Engine) -> None:
    """Make three nights of admissions; in one of ten nobody knows where."""
    with source.begin() as connection:
        connection.execute(text("CREATE SCHEMA clinic"))
        CLINIC_SOURCE.create_all(connection)
        rows = []
        for night in NIGHTS:
            start: datetime = Window.night(night).start
            for number in range(EACH_NIGHT):
                known = number % 10 > 0
                row = {
                    "admission_id": 1000 * night.day + number,
                    "admitted_at": start + timedelta(minutes=7 * number),
                    "ward_id": WARDS[number % 3] if known else None,
                    "bed": BEDS[number % 2] if known else None,
                    "nurse": UUID(int=number % 4) if known else None,
                    "shift": UUID(int=7 * night.day + number % 2),
                    "north": 12.9 + number % 5 / 100 if known else None,
                    "east": 77.5 + number % 3 / 100 if known else None,
                    "urgency": "RED" if number % 4 == 0 else "GREEN",
                }
                rows.append(row)
        connection.execute(insert(ADMISSIONS), rows)
