"""A source whose key is unique only together with its time: a till that counts its payments from 0 again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from sqlalchemy import BigInteger, Column, DateTime, Engine, MetaData, PrimaryKeyConstraint, Table, Text, insert

from sentinel_etl.config.fact_table import PartitionBy, build_patrol_events
from sentinel_etl.pipeline import SENTINEL, Pipeline
from sentinel_etl.window import Window

FIRST, SECOND, THIRD = date(2026, 11, 30), date(2026, 12, 1), date(2026, 12, 2)
NIGHTS = (FIRST, SECOND, THIRD)
ROWS = 20
AFTER = Window.night(THIRD).end

PAYMENTS = Table(
    "payments",
    MetaData(),
    Column("payment_id", BigInteger),
    Column("paid_at", DateTime(timezone=True), index=True),
    Column("place", BigInteger),
    Column("note", Text),
    PrimaryKeyConstraint("payment_id", "paid_at"),
)


def payments(*key: str, partition_by: PartitionBy = "month") -> Pipeline:
    columns = [PAYMENTS.c.place.label(name) for name in ("patrol_id", "officer_id", "station_id")]
    entry = {
        "model": PAYMENTS,
        "timestamp": PAYMENTS.c.paid_at,
        "key": tuple(PAYMENTS.c[name] for name in key),
        "columns": [*columns, PAYMENTS.c.note.label("remark_text")],
    }
    return replace(
        SENTINEL,
        event_config={"PAYMENT": entry},
        fact_table=build_patrol_events(partition_by),
        coalesce={},
        common_columns=(),
        risk_weights={},
    )


BY_NUMBER, BY_BOTH = payments("payment_id"), payments("payment_id", "paid_at")


def start(night: date) -> datetime:
    return Window.night(night).start


def fill_payments(source: Engine) -> None:
    """Make three nights of payments, each with numbers of its own, in two months."""
    PAYMENTS.metadata.create_all(source)
    rows = [
        {"payment_id": number + 100 * place, "paid_at": start(night) + timedelta(minutes=number), "place": number}
        for place, night in enumerate(NIGHTS)
        for number in range(ROWS)
    ]
    with source.begin() as connection:
        connection.execute(insert(PAYMENTS), rows)


def put_payments(source: Engine, night: date, numbers: Sequence[int]) -> None:
    """Put payments with numbers that another night has into a night."""
    rows = [
        {"payment_id": number, "paid_at": start(night) + timedelta(hours=2, minutes=place), "place": 1}
        for place, number in enumerate(numbers)
    ]
    with source.begin() as connection:
        connection.execute(insert(PAYMENTS), rows)
