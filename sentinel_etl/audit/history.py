"""Reads what the nights before a window were like, as the yardstick for it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Self

import numpy as np
import pandas as pd
from clickhouse_sqlalchemy import Table
from sqlalchemy import ColumnElement, Engine, Select, and_, func, select

from sentinel_etl.audit.chance import scatter_of_shares
from sentinel_etl.config.dimensions import CITY, Dimensions
from sentinel_etl.warehouse.key_columns import readable
from sentinel_etl.warehouse.query import query_df
from sentinel_etl.warehouse.types import is_nullable

__all__ = ["HISTORY_NIGHTS", "Measures", "add_up", "measure_before", "measure_rows"]


HISTORY_NIGHTS = 28  # four of each weekday


@dataclass(frozen=True)
class Measures:
    """Three views of a set of rows.

    ``counts``  shift_date, event_type, events
    ``nulls``   event_type, column, share of the type's events in which it is NULL, events; of nights that were added
                up also scatter, by how much their shares scatter beyond the binomial variance
    ``scores``  event_type, the station where there is one, base_risk_score where there is one, events

    Measured by night, the last two have a shift_date (date), too; `of_nights` gives the measures of some nights.
    """

    counts: pd.DataFrame
    nulls: pd.DataFrame
    scores: pd.DataFrame

    def of_nights(self, nights: Collection[date]) -> Self:
        """Add up the measures of these nights; only of what was measured by night."""
        counts, nulls, scores = (
            frame[frame["shift_date"].isin(list(nights))] for frame in (self.counts, self.nulls, self.scores)
        )
        return type(self)(counts, add_up_nulls(nulls), add_up_scores(scores))

    def beside(self, other: Self) -> Self:
        """Put the measures of other nights beside these."""
        if self.counts.empty or other.counts.empty:
            return other if self.counts.empty else self
        pairs = ((self.counts, other.counts), (self.nulls, other.nulls), (self.scores, other.scores))
        return type(self)(*(pd.concat([one, two], ignore_index=True) for one, two in pairs))


def add_up(measured: Measures) -> Measures:
    """Add up what was measured by night; what was not stays as it is."""
    by_night = "shift_date" in measured.scores.columns
    return measured.of_nights(set(measured.counts["shift_date"])) if by_night else measured


def add_up_nulls(nulls: pd.DataFrame) -> pd.DataFrame:
    columns, names = pd.factorize(nulls["column"])
    kinds, types = pd.factorize(nulls["event_type"])
    nights, _ = pd.factorize(nulls["shift_date"], sort=True)
    groups = columns * len(types) + kinds
    in_order = np.lexsort((nights, groups))
    there, groups = np.unique(groups[in_order], return_inverse=True)
    shares, events = (nulls[name].to_numpy("float64")[in_order] for name in ("share", "events"))
    added = np.bincount(groups, events, len(there))
    column, kind = np.divmod(there, max(1, len(types)))
    return pd.DataFrame(
        {
            "event_type": types.take(kind),
            "column": names.take(column),
            "events": added.astype("int64"),
            "share": np.bincount(groups, shares * events, len(there)) / added,
            "scatter": scatter_of_shares(groups, shares, events),
        }
    )


def add_up_scores(scores: pd.DataFrame) -> pd.DataFrame:
    keys = [name for name in scores.columns if name not in ("shift_date", "events")]
    return scores.groupby(keys, as_index=False, dropna=False, observed=True)[["events"]].sum()


def measure_before(
    first_night: date,
    table: Table,
    warehouse: Engine,
    nights: int = HISTORY_NIGHTS,
    dimensions: Dimensions = CITY,
    *,
    by_night: bool = False,
) -> Measures:
    """Measure the fact table's nights before a window's first."""
    past = and_(
        table.c.shift_date >= str(first_night - timedelta(days=nights)),
        table.c.shift_date < str(first_night),
    )
    return measure_rows(table, warehouse, past, dimensions, by_night=by_night)


def measure_rows(
    table: Table,
    warehouse: Engine,
    condition: ColumnElement[bool] | None = None,
    dimensions: Dimensions = CITY,
    *,
    by_night: bool = False,
) -> Measures:
    """Measure a table's rows, or those that meet the condition; a score column that it lacks counts as none.

    The queries are the same few for a window of one night and of many: ``by_night`` adds the night to their keys.
    """

    def where(statement: Select[tuple[object, ...]]) -> Select[tuple[object, ...]]:
        return statement if condition is None else statement.where(condition)

    events = func.count().label("events")
    night = [table.c.shift_date] if by_night else []
    keys = [table.c.shift_date, table.c.event_type]
    counts = query_df(warehouse, where(select(*keys, events)).group_by(*keys).order_by(*keys))
    names = dict.fromkeys(("event_type", dimensions.station, "base_risk_score"))
    scored = [*night, *(table.c[name] for name in names if name in table.columns)]
    shown = map(readable, scored)
    scores = query_df(warehouse, where(select(*shown, events)).group_by(*scored).order_by(*scored))
    nullable = [column for column in table.columns if is_nullable(column)]
    shares = [func.avg(func.isNull(column)).label(column.name) for column in nullable]
    # By night in any case: how far shares scatter from one to the next says what chance does.
    kinds = [table.c.shift_date, table.c.event_type]
    wide = query_df(warehouse, where(select(*kinds, events, *shares)).group_by(*kinds).order_by(*kinds))
    names_of_keys = [column.name for column in kinds]
    nulls = wide.melt([*names_of_keys, "events"], [column.name for column in nullable], "column", "share")
    nulls = nulls.astype({"events": "int64", "share": "float64"})
    if by_night:
        return Measures(*map(with_dates, (counts, nulls, scores)))
    return Measures(counts, add_up_nulls(nulls), scores)


def with_dates(frame: pd.DataFrame) -> pd.DataFrame:
    """Give the nights as dates, whatever the driver gives."""
    days = {night: pd.Timestamp(str(night)).date() for night in frame["shift_date"].unique()}
    return frame.assign(shift_date=frame["shift_date"].astype(object).map(days).astype(object))
