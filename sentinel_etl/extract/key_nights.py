"""The statement that asks the source in which nights it has given keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Select, Text, cast, not_, or_, select

from sentinel_etl.config.event_type import EventType
from sentinel_etl.extract.lost_rows import loosen_joins
from sentinel_etl.extract.statements import happened_in, night_of, source_key
from sentinel_etl.window import Window

__all__ = ["select_key_nights"]


def select_key_nights(
    kind: EventType, keys: Sequence[str], nights: Iterable[date], outside: Window, zone: ZoneInfo
) -> Select[Any]:
    """Build the statement that finds which of the keys the type has in those nights, but not in the window ``outside``.

    Columns out: ``source_key`` (text), ``shift_date``, each pair once. It looks among what `count_events` counts.
    """
    rows = loosen_joins(kind)
    key = cast(source_key(kind), Text)
    return (
        select(key.label("source_key"), night_of(kind, zone).label("shift_date"))
        .select_from(rows.source)
        .where(
            or_(*(happened_in(kind, stretch) for stretch in stretches(nights, zone))),
            not_(happened_in(kind, outside)),
            rows.counted,
            key.in_(keys),
        )
        .distinct()
    )


def stretches(nights: Iterable[date], zone: ZoneInfo) -> list[Window]:
    """Make one window of each run of nights, so that an index on the time is searched once for it."""
    found: list[tuple[date, date]] = []
    for night in sorted(set(nights)):
        if found and night - found[-1][1] == timedelta(days=1):
            found[-1] = (found[-1][0], night)
        else:
            found.append((night, night))
    return [Window.nights(first, last, zone) for first, last in found]
