"""Shows what a failed check speaks of: a SELECT for each gate, and its first rows, without personal data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pandas as pd
from clickhouse_sqlalchemy import Table
from sqlalchemy import ColumnElement, Engine, Select, and_, func, literal_column, not_, or_, select

from sentinel_etl.audit.checks import Check
from sentinel_etl.audit.contract import ranges_of
from sentinel_etl.audit.history import HISTORY_NIGHTS
from sentinel_etl.config.fact_table import SHOWN_COLUMNS
from sentinel_etl.warehouse.query import query_df
from sentinel_etl.warehouse.rows import instant, rows_of_window
from sentinel_etl.warehouse.types import is_nullable
from sentinel_etl.window import Window

__all__ = ["EVIDENCE", "Scene", "attach_evidence"]


EXAMPLES = 5


@dataclass(frozen=True)
class Scene:
    """Where a check's evidence stands: the rows of the window in ``rows``, the nights before in ``facts``.

    ``event_types``: those that the run was limited to; empty: all, which the query then need not name.
    ``rejected``: where the rows stand that the run rejected; none: it rejected none.
    """

    rows: Table
    facts: Table
    window: Window
    event_types: Sequence[str]
    first_night: str
    before_night: str
    rejected: Table | None = None

    @property
    def in_window(self) -> ColumnElement[bool]:
        return self.own(self.rows)

    def own(self, table: Table) -> ColumnElement[bool]:
        """Build the condition that a row of the table is the window's."""
        if self.event_types:
            return rows_of_window(table, self.window, self.event_types)
        time = table.c.event_timestamp
        return and_(time >= instant(self.window.start), time < instant(self.window.end))

    def nullable(self, subjects: Sequence[str]) -> list[Any]:
        return [self.rows.c[name] for name in subjects if name in self.rows.columns and is_nullable(self.rows.c[name])]

    def events(self, condition: ColumnElement[bool], *more: str) -> Select[Any]:
        """Select rows of the window, of the columns that may be shown."""
        names = dict.fromkeys([*SHOWN_COLUMNS, *more])
        columns = [self.rows.c[name] for name in names if name in self.rows.columns]
        return select(*columns).where(self.in_window, condition).order_by(self.rows.c.event_id)


def rows_by_type(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    kind = scene.rows.c.event_type
    some = kind.in_(subjects) if subjects else literal_column("1") == 1
    return select(kind, func.count().label("rows")).where(scene.in_window, some).group_by(kind).order_by(kind)


def repeated_keys(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    key, times = scene.rows.c.event_id, func.count().label("times")
    first = func.min(scene.rows.c.event_timestamp).label("first")
    return select(key, times, first).where(scene.in_window).group_by(key).having(func.count() > 1).order_by(key)


def unknown_values(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    return scene.events(or_(literal_column("0") == 1, *(func.isNull(column) for column in scene.nullable(subjects))))


def outside_window(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    columns = [scene.rows.c[name] for name in SHOWN_COLUMNS if name in scene.rows.columns]
    return select(*columns).where(not_(scene.in_window)).order_by(scene.rows.c.event_id)


def bad_scores(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    score = scene.rows.c.base_risk_score
    return scene.events(or_(func.isFinite(score) == 0, score < 0))


def outside_ranges(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    ranges = ranges_of(scene.facts)
    beyond = [scene.rows.c[name] < ranges[name][0] for name in subjects if ranges[name][0] is not None]
    beyond += [scene.rows.c[name] > ranges[name][1] for name in subjects if ranges[name][1] is not None]
    return scene.events(or_(literal_column("0") == 1, *beyond), *subjects)


def loaded_rows(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    facts = scene.facts.c
    here = scene.own(scene.facts)
    return (
        select(facts.event_type, func.count().label("loaded"))
        .where(here)
        .group_by(facts.event_type)
        .order_by(literal_column("loaded").desc(), facts.event_type)
    )


def nights_of_types(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    facts = scene.facts.c
    past = and_(facts.shift_date >= scene.before_night, facts.shift_date < scene.first_night)
    some = facts.event_type.in_(subjects) if subjects else literal_column("1") == 1
    keys = [facts.shift_date, facts.event_type]
    return (
        select(*keys, func.count().label("events")).where(past, some).group_by(*keys).order_by(keys[0].desc(), keys[1])
    )


def places_of_types(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    names = [name for name in ("event_type", "station_id") if name in scene.rows.columns]
    keys = [scene.rows.c[name] for name in names]
    events = func.count().label("events")
    some = scene.rows.c.event_type.in_(subjects)
    return select(*keys, events).where(scene.in_window, some).group_by(*keys).order_by(events.desc(), *keys)


def riskiest_of_types(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    some = scene.rows.c.event_type.in_(subjects)
    return scene.events(some).order_by(None).order_by(scene.rows.c.base_risk_score.desc(), scene.rows.c.event_id)


def riskiest_of_stations(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    some = scene.rows.c.station_id.in_([int(station) for station in subjects])
    return scene.events(some).order_by(None).order_by(scene.rows.c.base_risk_score.desc(), scene.rows.c.event_id)


def rejected_rows(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    """Select rejected rows with their reasons, and not what they hold."""
    if scene.rejected is None:
        return select(literal_column("'none'").label("reason")).where(literal_column("0") == 1)
    columns = scene.rejected.c
    shown = select(columns.event_id, columns.event_type, columns.event_timestamp, columns.reason)
    time = columns.event_timestamp
    mine = and_(time >= instant(scene.window.start), time < instant(scene.window.end))
    return shown.where(columns.event_type.in_(subjects), or_(func.isNull(time), mine)).order_by(
        columns.event_type, columns.event_id
    )


EVIDENCE: Mapping[str, Callable[[Scene, Sequence[str]], Select[Any]]] = {
    "rows are accepted": rejected_rows,
    "staged rows equal the source's": rows_by_type,
    "keys are unique": repeated_keys,
    "NULLs arrived as NULLs": unknown_values,
    "rows lie in the window": outside_window,
    "scores are finite and not negative": bad_scores,
    "the window has not collapsed": loaded_rows,
    "the window has events": nights_of_types,
    "values lie in their ranges": outside_ranges,
    "every event type is there": nights_of_types,
    "volumes are as usual": places_of_types,
    "NULLs are as usual": unknown_values,
    "risk is distributed as usual": riskiest_of_types,
    "risk is distributed as usual at each station": riskiest_of_stations,
}


def attach_evidence(
    checks: Sequence[Check],
    staging: Table,
    facts: Table,
    window: Window,
    event_types: Sequence[str],
    nights: Sequence[Any],
    warehouse: Engine,
    rejected: tuple[Table, Table] | None = None,
) -> list[Check]:
    """Give each failed check its first rows, read from staging, and the query that shows more of them.

    The query reads where the rows will be: the fact table, or staging where a check blocks.
    ``rejected`` names where the rejected rows are and will be. Reads only.
    """
    blocked = any(not check.passed and check.severity == "block" for check in checks)
    first = nights[0]
    past = str(first - timedelta(days=HISTORY_NIGHTS))
    now, then = rejected or (None, None)
    scene = Scene(staging, facts, window, event_types, str(first), past, now)
    later = scene if blocked else replace(scene, rows=facts, rejected=then)
    explained = []
    for check in checks:
        if not check.passed and check.name in EVIDENCE:
            build = EVIDENCE[check.name]
            rows = query_df(warehouse, build(scene, check.subjects).limit(EXAMPLES))
            query = build(later, check.subjects).compile(
                dialect=warehouse.dialect, compile_kwargs={"literal_binds": True}
            )
            check = replace(check, examples=examples_of(rows), query=" ".join(str(query).split()))
        explained.append(check)
    return explained


def examples_of(rows: pd.DataFrame) -> tuple[dict[str, str], ...]:
    return tuple({str(name): as_text(value) for name, value in row.items()} for row in rows.to_dict("records"))


def as_text(value: Any) -> str:
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%d %H:%M:%SZ")
    if hasattr(value, "__len__") and not isinstance(value, str):
        return "; ".join(map(str, value))
    if value is None or value is pd.NA or value != value:
        return "NULL"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
