"""One checked entry of EVENT_CONFIG: table, joins, filters, columns. `extract.statements` makes SQL of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Alias, Cast, Column, ColumnElement, Date, FromClause, Table, TypeCoerce
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import BooleanClauseList, Label
from sqlalchemy.sql.functions import Function

__all__ = ["EventType", "Join", "WallClock", "base_table", "clauses_of", "label_of", "wall_clock_of"]


@dataclass(frozen=True)
class WallClock:
    """A column that says what a zone's clocks showed, and that zone."""

    zone: ColumnElement[Any]
    column: ColumnElement[Any]


@dataclass(frozen=True)
class Join:
    """One joined table of an entry, with its condition."""

    table: FromClause
    on: ColumnElement[bool]
    outer: bool = False
    one_to_many: bool = False


@dataclass(frozen=True)
class EventType:
    """One checked entry of EVENT_CONFIG."""

    name: str
    table: FromClause
    timestamp: ColumnElement[Any]
    key: tuple[ColumnElement[Any], ...]
    columns: tuple[ColumnElement[Any], ...]
    joins: tuple[Join, ...] = ()
    filters: tuple[ColumnElement[bool], ...] = ()
    changes_later: tuple[str, ...] = ()

    @property
    def count_changes_later(self) -> bool:
        """Whether a filter or an inner join asks for what is filled in later, so that rows come and go by it."""
        later = {base for each in self.columns if label_of(each) in self.changes_later for base in base_columns(each)}
        asked = (*self.filters, *(join.on for join in self.joins if not join.outer))
        return not later.isdisjoint(base for condition in asked for base in base_columns(condition))

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the entry's own columns, in order."""
        return tuple(label_of(column) for column in self.columns)

    @property
    def wall_clock(self) -> WallClock | None:
        """The column without a time zone that the timestamp is made of; none for an instant."""
        return wall_clock_of(self.timestamp)

    @property
    def time_filter(self) -> tuple[Table, str] | None:
        """The table and column that the window is a filter on; none for an expression."""
        column = self.wall_clock.column if self.wall_clock else self.timestamp
        table = base_table(column.table) if isinstance(column, Column) else None
        return (table, str(column.name)) if table is not None and isinstance(column, Column) else None

    def expressions(self) -> tuple[ColumnElement[Any], ...]:
        """List all that the entry reads or asks, joins' conditions too."""
        return (self.timestamp, *self.key, *self.columns, *self.filters, *(join.on for join in self.joins))

    def table_columns(self) -> Iterator[tuple[Table, str]]:
        """List every column of a table that the statement touches, for checks against the source."""
        for column in dict.fromkeys(base for expression in self.expressions() for base in base_columns(expression)):
            yield column.table, column.name

    def key_holds(self, labels: Collection[str]) -> bool:
        """Tell whether the key, and so the event_id, is made of what the entry reads under one of these labels."""
        held = {base for column in self.columns if label_of(column) in labels for base in base_columns(column)}
        return any(label_of(part) in labels or not held.isdisjoint(base_columns(part)) for part in self.key)


def base_columns(expression: ColumnElement[Any]) -> Iterator[Column[Any]]:
    """List the columns of tables that an expression reads, those of an alias as its table's."""
    for element in visitors.iterate(expression):
        if isinstance(element, Column) and (table := base_table(element.table)) is not None:
            yield table.columns[element.key]


def wall_clock_of(timestamp: ColumnElement[Any]) -> WallClock | None:
    """Take ``timezone(zone, column)`` apart; none of anything else.

    A date is what the clocks showed as its first midnight.
    https://www.postgresql.org/docs/current/functions-datetime.html#FUNCTIONS-DATETIME-ZONECONVERT
    """
    if isinstance(timestamp, TypeCoerce):
        timestamp = timestamp.clause
    if not (isinstance(timestamp, Function) and timestamp.name == "timezone" and len(timestamp.clauses) == 2):
        return None
    zone, column = timestamp.clauses
    if isinstance(column, Cast) and isinstance(column.clause.type, Date):
        column = column.clause
    return WallClock(zone, column)


def base_table(selectable: FromClause | None) -> Table | None:
    """Find the table behind an alias; none behind a subquery."""
    while isinstance(selectable, Alias):
        selectable = selectable.element
    return selectable if isinstance(selectable, Table) else None


def label_of(column: ColumnElement[Any]) -> str:
    return column.name if isinstance(column, Label) else str(column.key)


def clauses_of(condition: ColumnElement[bool]) -> list[ColumnElement[Any]]:
    """Take a condition apart at its ANDs."""
    if isinstance(condition, BooleanClauseList) and condition.operator is operators.and_:
        return list(condition.clauses)
    return [condition]
