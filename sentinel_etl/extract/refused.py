"""Reads the source's rows that no event can be made of, each with its reason and its raw form."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Date,
    DateTime,
    Select,
    Text,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    true,
)

from sentinel_etl.config.event_type import EventType, label_of
from sentinel_etl.extract.lost_rows import carriable_columns, loosen_joins
from sentinel_etl.extract.statements import happened_in, source_key
from sentinel_etl.type_mapping.source_types import source_type, unlabelled
from sentinel_etl.window import FIRST_NIGHT, LAST_NIGHT, Window

__all__ = ["select_nightless", "select_refused"]


# PostgreSQL's functions take 100 arguments at most.
PAIRS = 45


def select_refused(kind: EventType, window: Window) -> Select[Any]:
    """Build the statement that reads the window's rows which `count_events` counts and `select_events` leaves out.

    Columns out: ``event_type``, ``source_key`` (text), ``event_timestamp``, ``reason``, ``raw`` (JSON text).
    """
    rows = loosen_joins(kind)
    carriable = carriable_columns(kind)
    reasons = [*rows.reasons]
    reasons += [(~condition, f"{label_of(column)}: {why(column)}") for column, condition in carriable.items()]
    if not reasons:
        reasons = [(false(), "")]
    refused = and_(rows.counted, or_(rows.lost, *(~condition for condition in carriable.values())))
    return refusals(kind, kind.timestamp, reasons).select_from(rows.source).where(happened_in(kind, window), refused)


def select_nightless(kind: EventType) -> Select[Any]:
    """Build the statement that reads the type's rows that lie in no night: no time, or one beyond the calendar.

    The same columns as `select_refused`; ``event_timestamp`` is NULL.
    """
    rows = loosen_joins(kind)
    days = (FIRST_NIGHT, LAST_NIGHT + timedelta(days=1))
    first, last = (literal(datetime.combine(day, time(), UTC), DateTime(timezone=True)) for day in days)
    happened = kind.timestamp
    infinite = cast(happened, Text).in_([literal("infinity"), literal("-infinity")])
    reasons = [
        (happened.is_(None), "event_timestamp: no value, so it lies in no night"),
        (infinite, "event_timestamp: infinite, so it lies in no night"),
        (true(), f"event_timestamp: outside {FIRST_NIGHT} to {LAST_NIGHT}, so it lies in no night"),
    ]
    nowhen: ColumnElement[Any] = cast(null(), DateTime(timezone=True))
    beyond = or_(happened.is_(None), happened < first, happened >= last)
    return refusals(kind, nowhen, reasons).select_from(rows.source).where(beyond, rows.counted)


def refusals(kind: EventType, when: ColumnElement[Any], reasons: list[tuple[ColumnElement[bool], str]]) -> Select[Any]:
    return select(
        literal(kind.name, Text).label("event_type"),
        cast(source_key(kind), Text).label("source_key"),
        when.label("event_timestamp"),
        case(*((condition, literal(reason, Text)) for condition, reason in reasons)).label("reason"),
        raw_json(kind).label("raw"),
    )


def why(column: ColumnElement[Any]) -> str:
    element = unlabelled(column)
    if isinstance(element.type, DateTime | Date):
        return "infinite, or outside the years 1 to 9999"
    return "an array of arrays, one that begins at another index than 1, or one with an infinity"


def raw_json(kind: EventType) -> ColumnElement[str]:
    """Write the row's columns as JSON objects, one a line: label → value as the source has it."""
    named = [
        ("event_timestamp", cast(kind.timestamp, Text)),
        *((label_of(column), raw_value(column)) for column in kind.columns),
    ]
    objects = []
    for first in range(0, len(named), PAIRS):
        pairs = [part for label, value in named[first : first + PAIRS] for part in (literal(label, Text), value)]
        objects.append(cast(func.json_build_object(*pairs), Text))
    return func.concat_ws(literal_column("E'\\n'"), *objects)


def raw_value(column: ColumnElement[Any]) -> ColumnElement[Any]:
    element = unlabelled(column)
    # JSON inside JSON would be read again, and its depth or escapes may be more than a reader takes.
    return cast(element, Text) if source_type(element).family in ("json", "other") else element
