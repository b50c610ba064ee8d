"""The sample city's three nights, ten days later, so that they lie in two months; and what is left of them."""

from __future__ import annotations

from datetime import UTC, datetime

from content_hash import content_hash
from sqlalchemy import Engine, func, select

from sentinel_etl.config.source_models import SourceBase
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

ALL_NIGHTS = Window(datetime(2026, 11, 29, 0, 30, tzinfo=UTC), datetime(2026, 12, 2, 0, 30, tzinfo=UTC))
MORNING_AFTER = datetime(2026, 12, 2, 0, 40, tzinfo=UTC)  # 06:10 in the city


def move_to_two_months(source: Engine) -> None:
    with source.begin() as connection:
        for table in (table for table in SourceBase.metadata.tables.values() if "created_at" in table.columns):
            connection.exec_driver_sql(f"UPDATE {table.name} SET created_at = created_at + interval '10 days'")


def fingerprint(warehouse: Engine) -> tuple[int, str]:
    """Give the fact table's rows and the checksum of their content."""
    facts = SENTINEL.fact_table
    [row] = run_statement(warehouse, select(func.count(), content_hash(facts)).select_from(facts))
    return int(row[0]), str(row[1])
