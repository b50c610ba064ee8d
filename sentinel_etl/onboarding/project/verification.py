"""Statements by which a person compares both sides: per type and night the count, sums and NULLs. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from clickhouse_sqlalchemy.drivers.base import ClickHouseDialect
from sqlalchemy import ColumnElement, Numeric, cast, func, literal_column, select

from sentinel_etl.config.event_type import EventType, label_of
from sentinel_etl.extract.statements import night_of
from sentinel_etl.source.sql import compile_sql
from sentinel_etl.type_mapping.fact_types import COMPARABLE, fact_type
from sentinel_etl.type_mapping.source_types import NUMBERS, source_type, unlabelled
from sentinel_etl.window import night_starts

__all__ = ["quote_fact", "source_statement", "warehouse_statement"]


def quote_fact(name: str) -> str:
    """Write a name of the warehouse's, in quotes where it needs them."""
    return str(ClickHouseDialect().identifier_preparer.quote(name))


def source_statement(kind: EventType, fact_columns: dict[str, str], zone: ZoneInfo, first: date) -> str:
    """Write what PostgreSQL counts: a row for each night from ``first`` on."""
    source = kind.table
    for join in kind.joins:
        source = source.join(join.table, join.on, isouter=join.outer)
    night = night_of(kind, zone)
    since: ColumnElement[Any] = literal_column(f"'{night_starts(first, zone).isoformat(sep=' ')}'")
    statement = (
        select(night.label("night"), func.count().label("rows"), *source_measures(kind, fact_columns))
        .select_from(source)
        .where(kind.timestamp >= since, *kind.filters)
        .group_by(literal_column("1"))
        .order_by(literal_column("1"))
    )
    return compile_sql(statement)


def source_measures(kind: EventType, fact_columns: dict[str, str]) -> Iterator[ColumnElement[Any]]:
    for column in kind.columns:
        label, value = label_of(column), unlabelled(column)
        if is_summed(fact_columns.get(label)):
            number = value if source_type(value).family in NUMBERS else cast(value, Numeric)
            yield func.sum(number).label(f"sum_{label}")
        if has_nulls(fact_columns.get(label)):
            yield func.count().filter(value.is_(None)).label(f"nulls_{label}")


def warehouse_statement(kind: EventType, fact_columns: dict[str, str], fact_table: str, first: date) -> str:
    """Write the same of the fact table, column by column in the same order."""
    measures = ["shift_date AS night", "count() AS rows"]
    for label in map(label_of, kind.columns):
        if is_summed(fact_columns.get(label)):
            measures.append(f"sum({quote_fact(label)}) AS {quote_fact(f'sum_{label}')}")
        if has_nulls(fact_columns.get(label)):
            measures.append(f"countIf({quote_fact(label)} IS NULL) AS {quote_fact(f'nulls_{label}')}")
    return (
        f"SELECT {', '.join(measures)}\nFROM {quote_fact(fact_table)}\n"
        f"WHERE event_type = '{kind.name}' AND shift_date >= '{first}'\nGROUP BY night\nORDER BY night"
    )


def is_summed(fact: str | None) -> bool:
    return fact is not None and fact_type(fact).kind in COMPARABLE


def has_nulls(fact: str | None) -> bool:
    return fact is not None and fact_type(fact).nullable
