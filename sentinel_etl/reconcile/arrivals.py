"""Counts, in the source, how many rows of a night had arrived by a moment after its end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pandas as pd
from sqlalchemy import ColumnElement, DateTime, Engine, Interval, Select, Text, cast, func, literal, select, union_all

from sentinel_etl.config.event_type import EventType
from sentinel_etl.extract.lost_rows import loosen_joins
from sentinel_etl.extract.statements import happened_in, night_of
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.source.snapshot import open_snapshot
from sentinel_etl.window import NIGHT_STARTS, Window

__all__ = ["RECEIVED", "count_arrivals", "end_of_night", "has_arrivals"]

# The column of an event type's own table that says when a row arrived.
RECEIVED = "received_at"


def has_arrivals(kind: EventType, received: str = RECEIVED) -> bool:
    """Tell whether the type's table says when a row arrived."""
    return received in kind.table.columns and isinstance(kind.table.columns[received].type, DateTime)


def end_of_night(kind: EventType, pipeline: Pipeline) -> ColumnElement[Any]:
    """Build the end of the event's night on the city's clocks, as an instant."""
    to_morning = cast(literal(f"1 day {NIGHT_STARTS.hour} hours"), Interval)
    return func.timezone(pipeline.zone.key, cast(night_of(kind, pipeline.zone), DateTime) + to_morning)


def count_arrivals(
    nights: Sequence[date],
    early: timedelta,
    late: timedelta,
    pipeline: Pipeline,
    source: Engine,
    statement_timeout_seconds: int = 900,
) -> pd.DataFrame:
    """Count each night's rows that had arrived ``early`` after its end, and those that came after that until ``late``.

    Out: a row for each night (index: date, in order), ``known`` and ``came`` (int64). Event types whose table does not
    say when a row arrived are left out; where none does, the frame is empty.

    Raises:
        SourceUnreachable: it does not answer.
    """
    kinds = [kind for kind in pipeline.event_types.values() if has_arrivals(kind)]
    if not kinds or not nights:
        return pd.DataFrame({"known": [], "came": []}, dtype="int64")
    window = Window.nights(nights[0], nights[-1], pipeline.zone)
    statements = [count_by_lag(kind, window, early, late, pipeline) for kind in kinds]
    with open_snapshot(source, statement_timeout_seconds) as snapshot:
        rows = snapshot.read_whole(union_all(*statements)).to_pylist()
    counts = {night: [0, 0] for night in nights}
    for row in rows:
        night = date.fromisoformat(row["shift_date"])
        if night in counts:
            counts[night][0] += int(row["known"])
            counts[night][1] += int(row["came"])
    return pd.DataFrame.from_dict(counts, orient="index", columns=["known", "came"], dtype="int64")


def count_by_lag(kind: EventType, window: Window, early: timedelta, late: timedelta, pipeline: Pipeline) -> Select[Any]:
    """Build the statement that counts a type's rows of each night by when they came: ``shift_date, known, came``."""
    events = loosen_joins(kind)
    night = cast(night_of(kind, pipeline.zone), Text).label("shift_date")
    after = kind.table.columns[RECEIVED] - end_of_night(kind, pipeline)
    known, by_late = (after <= literal(lag, Interval()) for lag in (early, late))
    counts = (func.count().filter(known).label("known"), func.count().filter(by_late, ~known).label("came"))
    return (
        select(night, *counts)
        .select_from(events.source)
        .where(happened_in(kind, window), events.counted)
        .group_by(night)
    )
