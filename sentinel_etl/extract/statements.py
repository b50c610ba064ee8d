"""The statements that read and count an event type's rows of a window, and the conditions they are made of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Date,
    Integer,
    Interval,
    LargeBinary,
    Numeric,
    Select,
    Text,
    Time,
    Uuid,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import INTERVAL, MACADDR, MACADDR8
from sqlalchemy.types import DateTime

from sentinel_etl.config.event_type import EventType, label_of
from sentinel_etl.extract.lost_rows import carriable_columns, loosen_joins
from sentinel_etl.source.sql import compile_sql
from sentinel_etl.type_mapping.source_types import carried, source_type
from sentinel_etl.window import NIGHT_STARTS, Window

__all__ = ["count_events", "happened_in", "list_statements", "night_of", "select_events", "source_key"]

# Types whose values have no colon, or theirs always in the same places: written side by side they stay apart.
SELF_DELIMITING = (
    *(Integer, Numeric, Boolean, Uuid, Date, DateTime, Time, Interval, INTERVAL, LargeBinary, MACADDR, MACADDR8),
)

HOUR = timedelta(hours=1)
# The clocks of Samoa have leapt over a day, and no others further.
# https://data.iana.org/time-zones/tzdb/australasia
LARGEST_CHANGE = 25 * HOUR

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
            *(carried(column).label(label_of(column)) for column in kind.columns),
        )
        .select_from(source)
        .where(happened_in(kind, window), *kind.filters, *carriable_columns(kind).values())
    )


def list_statements(kinds: Mapping[str, EventType], window: Window) -> dict[str, str]:
    """Write what `select_events` builds as PostgreSQL gets it: event type → SQL."""
    return {name: compile_sql(select_events(kind, window)) for name, kind in kinds.items()}


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
    """Build the condition that an event happened in the window, on the bare column, so that an index serves.

    Where the column is on a zone's clocks, which may show an hour twice or never, bounds on the column that
    are wide enough for the index come first, and the instant decides.
    """
    exact = and_(kind.timestamp >= instant(window.start), kind.timestamp < instant(window.end))
    if (clock := kind.wall_clock) is None:
        return exact
    return and_(
        clock.column >= func.least(*shown_around(clock.zone, window.start)),
        clock.column < func.greatest(*shown_around(clock.zone, window.end)),
        exact,
    )


def instant(moment: datetime) -> ColumnElement[Any]:
    """Write an instant as what it is compared with has its type."""
    return literal_column(f"'{moment.isoformat(sep=' ')}'")


def shown_around(zone: ColumnElement[Any], moment: datetime) -> list[ColumnElement[Any]]:
    """Build what the zone's clocks show at an instant by the offset in force then, before and after.

    With one change of the clocks in that time, whatever offset PostgreSQL gives to a time that
    is shown twice or never is one of these.
    https://www.postgresql.org/docs/current/datetime-invalid-input.html
    """
    return [
        func.timezone(zone, literal(moment + shift, DateTime(timezone=True)), type_=DateTime())
        - cast(literal(f"{shift // HOUR} hours"), Interval)
        for shift in (-LARGEST_CHANGE, 0 * HOUR, LARGEST_CHANGE)
    ]


def night_of(kind: EventType, zone: ZoneInfo) -> ColumnElement[Any]:
    """Build the event's operational night, a date on the zone's clocks."""
    return cast(func.timezone(zone.key, kind.timestamp) - HOURS_BEFORE_NIGHT, Date)


def source_key(kind: EventType) -> ColumnElement[Any]:
    """Build the row's key as one value; NULL where all of it is NULL.

    The parts of a composite key are joined by colons, such that no two keys give the same value.
    """
    if len(kind.key) == 1:
        return readable_key(kind.key[0])
    known = or_(*(part.is_not(None) for part in kind.key))
    return case((known, func.concat_ws(":", *map(key_part, kind.key))))


def key_part(part: ColumnElement[Any]) -> ColumnElement[Any]:
    """Write one part of a composite key as text: ``\\N`` for NULL, and a backslash before a text's ``:`` and ``\\``."""
    # Not a cast, which writes a boolean and a CHAR(n) otherwise than concat_ws does.
    written: ColumnElement[Any] = func.concat(part)
    if not isinstance(part.type, SELF_DELIMITING):
        written = func.replace(func.replace(written, "\\", "\\\\"), ":", "\\:")
    return case((part.is_(None), "\\N"), else_=written)


def readable_key(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Write a key as PostgreSQL's text; an integer's digits are that in any case."""
    return column if source_type(column).family == "integer" else cast(column, Text)
