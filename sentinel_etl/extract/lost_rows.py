"""Which of the source's rows a plain statement would lose: two conditions that PostgreSQL evaluates.

A row is *lost in a join* when an inner join finds no row with the key that it refers to; a join that
also filters, such as on ``patrol_status = 'COMPLETED'``, leaves rows out on purpose, and those are not
lost. A row *cannot be carried* when one of its values has no place in an Arrow batch, and would break
off the reading of all the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    FromClause,
    all_,
    and_,
    false,
    func,
    literal_column,
    or_,
    true,
)
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BinaryExpression

from sentinel_etl.config.event_type import EventType, Join, clauses_of
from sentinel_etl.type_mapping.source_types import SourceType, source_type, unlabelled

__all__ = ["LooseRows", "carriable_columns", "loosen_joins"]


# Instants that a person can have meant; PostgreSQL's own go from 4713 BC to 294276 and ±infinity, of
# which the driver's microseconds since 1970 hold not all.
FIRST_INSTANT: ColumnElement[Any] = literal_column("'0001-01-01 00:00:00+00'")
LAST_INSTANT: ColumnElement[Any] = literal_column("'9999-12-31 00:00:00+00'")

INSTANTS = (SourceType("date"), SourceType("timestamp with time zone"))


@dataclass(frozen=True)
class LooseRows:
    """An entry's tables, joined so that no row is lost, and what can be told of each row then.

    ``lost``     the row is lost by an inner join
    ``reasons``  condition → why it is lost; the first that holds counts
    ``counted``  the row is an event of this type, or would be one if it were not lost
    """

    source: FromClause
    lost: ColumnElement[bool]
    reasons: tuple[tuple[ColumnElement[bool], str], ...]
    counted: ColumnElement[bool]


def loosen_joins(kind: EventType) -> LooseRows:
    """Join the entry's tables so that no row is lost.

    A lost row is judged by those of the entry's filters that need no row which is not there; an event
    meets them all, and what the inner joins ask beyond a key.
    """
    source, filters, reasons, loosened = kind.table, list(kind.filters), [], set()
    for join in kind.joins:
        keys, rest = split_condition(join)
        if join.outer or join.one_to_many or not keys:
            source = source.join(join.table, join.on, isouter=join.outer)
            continue
        source = source.join(join.table, and_(*keys.values()), isouter=True)
        filters += rest
        loosened.add(join.table)
        found = next(iter(keys))
        names = ", ".join(sorted({str(key.name) for key in keys}))
        reasons.append((found.is_(None), f"no row of {named(join.table)} has its {names}"))
    if not reasons:
        return LooseRows(source, false(), (), and_(true(), *filters))
    lost = or_(false(), *(condition for condition, _ in reasons))
    judged = [each for each in kind.filters if not loosened.intersection(each._from_objects)]
    counted = or_(and_(lost, and_(true(), *judged)), and_(~lost, *filters))
    return LooseRows(source, lost, tuple(reasons), counted)


def named(table: FromClause) -> str:
    return str(getattr(table, "name", None) or table)


def split_condition(join: Join) -> tuple[dict[ColumnElement[Any], ColumnElement[bool]], list[ColumnElement[bool]]]:
    """Part the equalities between the joined table's columns and other tables' from the rest."""
    keys, rest = {}, []
    for clause in clauses_of(join.on):
        mine = None
        if isinstance(clause, BinaryExpression) and clause.operator is operators.eq:
            for side, other in ((clause.left, clause.right), (clause.right, clause.left)):
                others = [table for table in other._from_objects if table is not join.table]
                if getattr(side, "table", None) is join.table and others and join.table not in other._from_objects:
                    mine = side
        if mine is None:
            rest.append(clause)
        else:
            keys[mine] = clause
    return keys, rest


def carriable_columns(kind: EventType) -> dict[ColumnElement[Any], ColumnElement[bool]]:
    """For each of the type's columns that may hold a value the driver cannot carry: that it does not."""
    conditions = {column: carriable(unlabelled(column)) for column in kind.columns}
    return {column: condition for column, condition in conditions.items() if condition is not None}


def carriable(column: ColumnElement[Any]) -> ColumnElement[bool] | None:
    """Build the condition that a value can be carried, true for NULL; none where every value can."""
    kind = column.type
    if isinstance(kind, ARRAY):
        # The type bigint[] says nothing about dimensions and where they begin; each value has its own.
        flat = and_(func.array_ndims(column) == 1, func.array_lower(column, 1).in_([0, 1])).is_not(false())
        if source_type(column).item in INSTANTS:
            ends = all_(column) >= FIRST_INSTANT, all_(column) <= LAST_INSTANT
            return and_(flat, *(end.is_not(false()) for end in ends))
        return flat
    if source_type(column) in INSTANTS:
        return and_(column >= FIRST_INSTANT, column <= LAST_INSTANT).is_not(false())
    return None
