"""The statements that read and count an event type's rows of a window, and the conditions they are made of."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    Date,
    Double,
    Float,
    Interval,
    Numeric,
    Select,
    Text,
    Uuid,
    and_,
    cast,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import CIDR, INET, INTERVAL, JSON, MACADDR
from sqlalchemy.types import JSON as GenericJSON
from sqlalchemy.types import DateTime

from sentinel_etl.config.event_type import EventType, label_of
from sentinel_etl.extract.lost_rows import carriable_columns, loosen_joins
from sentinel_etl.window import NIGHT_STARTS, Window

__all__ = ["AS_TEXT", "count_events", "happened_in", "night_of", "select_events", "source_key"]

# Types that arrive as opaque extensions over ADBC; as text they arrive as themselves.
AS_TEXT = (JSON, GenericJSON, Uuid, INET, CIDR, MACADDR, Interval, INTERVAL)

HOURS_BEFORE_NIGHT = cast(literal(f"{NIGHT_STARTS.hour} hours"), Interval)


def select_events(kind: EventType, window: Window) -> Select[Any]:
    """Build the statement that reads the type's rows of the window.

    Columns out: ``source_key``, ``event_timestamp`` (timestamptz), then the entry's columns
    under their labels. Left out are rows with a value that no driver could hand over, such as
    an infinite time: `refused.select_refused` reads those.
    """
    source = kind.table
    for join in kind.joins:
        source = source.join(join.table, join.on, isouter=join.outer)
    return (
        select(
            source_key(kind).label("source_key"),
            kind.timestamp.label("event_timestamp"),
            *(readable(column) for column in kind.columns),
        )
        .select_from(source)
        .where(happened_in(kind, window), *kind.filters, *carriable_columns(kind).values())
    )


def count_events(kind: EventType, window: Window) -> Select[Any]:
    """Build the statement that counts the type's rows of the window: ``event_type, rows``.

    It counts more than `select_events` reads: also the rows that an inner join would lose because what
    they refer to is not there, and those with a value that cannot be handed over.
    """
    rows = loosen_joins(kind)
    return (
        select(func.count().label("rows"), literal(kind.name, Text).label("event_type"))
        .select_from(rows.source)
        .where(happened_in(kind, window), rows.counted)
    )


def happened_in(kind: EventType, window: Window) -> ColumnElement[bool]:
    """Build the condition that an event happened in the window, on the bare column, so that an index serves."""
    return and_(
        kind.timestamp >= literal(window.start, DateTime(timezone=True)),
        kind.timestamp < literal(window.end, DateTime(timezone=True)),
    )


def night_of(kind: EventType, zone: ZoneInfo) -> ColumnElement[Any]:
    """Build the event's operational night, a date on the zone's clocks."""
    return cast(func.timezone(zone.key, kind.timestamp) - HOURS_BEFORE_NIGHT, Date)


def source_key(kind: EventType) -> ColumnElement[Any]:
    """Build the row's key as one value."""
    return readable_key(kind.key[0]) if len(kind.key) == 1 else func.concat_ws(":", *kind.key)


def readable_key(column: ColumnElement[Any]) -> ColumnElement[Any]:
    opaque = isinstance(column.type, (*AS_TEXT, Numeric)) and not isinstance(column.type, Float)
    return cast(column, Text) if opaque else column


def readable(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Cast what ADBC cannot hand over as a plain Arrow type."""
    label = label_of(column)
    if isinstance(column.type, AS_TEXT):
        return cast(column, Text).label(label)
    if isinstance(column.type, Numeric) and not isinstance(column.type, Float):
        return cast(column, Double).label(label)
    return column.label(label)
