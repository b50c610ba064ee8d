"""Where the rows stand that a check speaks of, and the SELECTs that several gates show them by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Self

from clickhouse_sqlalchemy import Table
from sqlalchemy import ColumnElement, Select, and_, func, literal_column, or_, select

from sentinel_etl.config.dimensions import CITY, Dimensions
from sentinel_etl.warehouse.key_columns import readable
from sentinel_etl.warehouse.rows import in_time_window
from sentinel_etl.warehouse.types import is_nullable
from sentinel_etl.window import Window

__all__ = ["Scene", "rows_of_past", "select_unknown"]


@dataclass(frozen=True)
class Scene:
    """Where a check's evidence stands: the rows of the window in ``rows``, the nights before in ``facts``.

    ``event_types``: those that the run was limited to; empty: all, which the query then need not name.
    ``first_night``: the window's first; ``past_from``: the first of the nights that it is compared with.
    ``shown``: the columns that may be shown; ``dimensions``: what the pipeline calls its own.
    ``rejected``: where the rows stand that the run rejected; none: it rejected none.
    ``is_one_night``: whether the window is the first night, no more and no less.
    ``nights``: those of the window that a check speaks of; empty: all.
    """

    rows: Table
    facts: Table
    window: Window
    event_types: Sequence[str]
    first_night: str
    past_from: str
    rejected: Table | None = None
    shown: Sequence[str] = ()
    dimensions: Dimensions = CITY
    is_one_night: bool = False
    nights: Sequence[str] = ()

    def narrow(self, nights: Sequence[str]) -> Self:
        """Narrow the scene to these nights of the window, and the past to that of the first of them; none: to none."""
        if not nights:
            return self
        past = date.fromisoformat(self.first_night) - date.fromisoformat(self.past_from)
        past_from = str(date.fromisoformat(nights[0]) - past)
        return replace(self, nights=tuple(nights), first_night=nights[0], past_from=past_from)

    @property
    def in_window(self) -> ColumnElement[bool]:
        return self.owned(self.rows)

    def owned(self, table: Table) -> ColumnElement[bool]:
        """Build the condition that a row of the table is the window's, as short as it can be typed."""
        some = [table.c.event_type.in_(list(self.event_types))] if self.event_types else []
        return and_(self.in_time(table), *some)

    def in_time(self, table: Table) -> ColumnElement[bool]:
        if self.is_one_night:
            night: ColumnElement[bool] = table.c.shift_date == self.first_night
            return night
        some = [table.c.shift_date.in_(list(self.nights))] if self.nights else []
        return and_(in_time_window(table, self.window), *some)

    def show(self, table: Table, *more: str) -> list[ColumnElement[Any]]:
        """Select the columns that may be shown, and ``more``, as people can read them."""
        return [readable(table.c[name]) for name in dict.fromkeys([*self.shown, *more]) if name in table.columns]

    def select_events(self, condition: ColumnElement[bool], *more: str) -> Select[Any]:
        """Select rows of the window, of the columns that may be shown."""
        return select(*self.show(self.rows, *more)).where(self.in_window, condition).order_by(self.rows.c.event_id)

    def select_riskiest(self, condition: ColumnElement[bool]) -> Select[Any]:
        """Select rows of the window, those with the highest scores first."""
        rows, score = self.select_events(condition).order_by(None), self.rows.c.get("base_risk_score")
        return rows.order_by(*([] if score is None else [score.desc()]), self.rows.c.event_id)


def select_unknown(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    """Select the window's rows in which one of the columns ``subjects`` is NULL."""
    there = [scene.rows.c[name] for name in subjects if name in scene.rows.columns]
    nulls = [func.isNull(column) for column in there if is_nullable(column)]
    return scene.select_events(or_(literal_column("0") == 1, *nulls))


def rows_of_past(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    """Count the events of the nights before, by night and event type, the latest first."""
    facts = scene.facts.c
    past = and_(facts.shift_date >= scene.past_from, facts.shift_date < scene.first_night)
    some = facts.event_type.in_(subjects) if subjects else literal_column("1") == 1
    keys = [facts.shift_date, facts.event_type]
    counted = select(*keys, func.count().label("events")).where(past, some)
    return counted.group_by(*keys).order_by(keys[0].desc(), keys[1])
