"""Counts what a dry run of a window would load, by the entry's own statements."""

from __future__ import annotations

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import DBAPIError

from sentinel_etl.config.event_type import EventType
from sentinel_etl.extract.statements import count_events, select_events
from sentinel_etl.onboarding.live.read_only import connect_read_only
from sentinel_etl.onboarding.suggestion.suggestion import LastNight
from sentinel_etl.source.sql import compile_sql
from sentinel_etl.window import Window

__all__ = ["count_window"]


def count_window(kind: EventType, window: Window, source: Engine) -> LastNight | None:
    """Count a window's rows: those that the entry's statement reads, and those that are lost on the way.

    A value that its fact column cannot hold is seen by a run only. None where the source does not answer in time.

    Raises:
        SourceUnreachable: no connection.
    """
    read = select(func.count()).select_from(select_events(kind, window).subquery())
    with connect_read_only(source) as connection:
        plain = connection.execution_options(no_parameters=True)
        try:
            loaded = int(plain.exec_driver_sql(compile_sql(read)).scalar_one())
            counted = int(plain.exec_driver_sql(compile_sql(count_events(kind, window))).one().rows)
        except DBAPIError:
            return None
    return LastNight(loaded, max(counted - loaded, 0))
