"""Reads what the nights before a window were like, as the yardstick for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd
from clickhouse_sqlalchemy import Table
from sqlalchemy import ColumnElement, Engine, Select, and_, func, select

from sentinel_etl.config.dimensions import CITY, Dimensions
from sentinel_etl.warehouse.key_columns import readable
from sentinel_etl.warehouse.query import query_df
from sentinel_etl.warehouse.types import is_nullable

__all__ = ["HISTORY_NIGHTS", "Measures", "measure_before", "measure_rows"]


HISTORY_NIGHTS = 28  # four of each weekday


@dataclass(frozen=True)
class Measures:
    """Three views of a set of rows.

    ``counts``  shift_date, event_type, events
    ``nulls``   event_type, column, share of the type's events in which it is NULL, events
    ``scores``  event_type, the station where there is one, base_risk_score where there is one, events
    """

    counts: pd.DataFrame
    nulls: pd.DataFrame
    scores: pd.DataFrame


def measure_before(
    first_night: date,
    table: Table,
    warehouse: Engine,
    nights: int = HISTORY_NIGHTS,
    dimensions: Dimensions = CITY,
) -> Measures:
    """Measure the fact table's nights before a window's first."""
    past = and_(
        table.c.shift_date >= str(first_night - timedelta(days=nights)),
        table.c.shift_date < str(first_night),
    )
    return measure_rows(table, warehouse, past, dimensions)


def measure_rows(
    table: Table,
    warehouse: Engine,
    condition: ColumnElement[bool] | None = None,
    dimensions: Dimensions = CITY,
) -> Measures:
    """Measure a table's rows, or those that meet the condition; a score column that it lacks counts as none."""

    def where(statement: Select[tuple[object, ...]]) -> Select[tuple[object, ...]]:
        return statement if condition is None else statement.where(condition)

    events = func.count().label("events")
    keys = [table.c.shift_date, table.c.event_type]
    counts = query_df(warehouse, where(select(*keys, events)).group_by(*keys).order_by(*keys))
    names = dict.fromkeys(("event_type", dimensions.station, "base_risk_score"))
    scored = [table.c[name] for name in names if name in table.columns]
    shown = map(readable, scored)
    scores = query_df(warehouse, where(select(*shown, events)).group_by(*scored).order_by(*scored))
    nullable = [column for column in table.columns if is_nullable(column)]
    shares = [func.avg(func.isNull(column)).label(column.name) for column in nullable]
    kind = table.c.event_type
    wide = query_df(warehouse, where(select(kind, events, *shares)).group_by(kind).order_by(kind))
    nulls = wide.melt(["event_type", "events"], [column.name for column in nullable], "column", "share")
    return Measures(counts, nulls.astype({"events": "int64", "share": "float64"}), scores)
