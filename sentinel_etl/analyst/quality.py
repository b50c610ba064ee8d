"""Reads how complete and how sane the warehouse's nights are; each question is one bounded aggregate.

Nothing here reads single rows: PostgreSQL and ClickHouse count, over the time index and the sorting
key, and a handful of numbers a night comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pandas as pd
from sqlalchemy import Engine, Interval, Text, and_, cast, func, literal, select, union_all

from sentinel_etl.audit.completeness import Completeness
from sentinel_etl.config.event_type import EventType
from sentinel_etl.context import Context
from sentinel_etl.errors import NothingThere
from sentinel_etl.extract.statements import night_of, select_events
from sentinel_etl.ledger.archive import Archive, read_archive
from sentinel_etl.ledger.ledger import list_runs
from sentinel_etl.ledger.nights import NightCoverage, judge_nights
from sentinel_etl.ledger.presence import count_nights as count_stored
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.reconcile.arrivals import RECEIVED, count_arrivals, end_of_night, has_arrivals
from sentinel_etl.rules.stale import name_otherwise
from sentinel_etl.settings import Settings, choose_window
from sentinel_etl.source.snapshot import open_snapshot
from sentinel_etl.warehouse.catalog import has_table
from sentinel_etl.warehouse.query import query_df
from sentinel_etl.warehouse.types import is_nullable
from sentinel_etl.window import Window, night_starts

__all__ = [
    "LAG_BOUNDS",
    "check_forecasts",
    "compare_counts",
    "last_nights",
    "measure_lags",
    "measure_nulls",
    "read_coverage",
]


# Upper bounds of the classes of lag, and their names: from "at once" to "days later".
LAG_BOUNDS: tuple[tuple[str, timedelta], ...] = (
    ("10 s", timedelta(seconds=10)),
    ("1 min", timedelta(minutes=1)),
    ("10 min", timedelta(minutes=10)),
    ("1 h", timedelta(hours=1)),
    ("6 h", timedelta(hours=6)),
    ("1 day", timedelta(days=1)),
    ("3 days", timedelta(days=3)),
)


def last_nights(nights: int, settings: Settings) -> Window:
    """Make the window of the last ``nights`` operational nights, the last one included."""
    last = choose_window(settings=settings)
    first = last.shift_dates(settings.zone)[0] - timedelta(days=nights - 1)
    return Window(night_starts(first, settings.zone), last.end)


def read_coverage(window: Window, context: Context) -> list[NightCoverage]:
    """Judge each night of the window by the ledger and the fact table's rows: see `judge_nights`."""
    zone = context.settings.zone
    nights = window.shift_dates(zone)
    archive = Archive(context.settings, context.pipeline, context.warehouse, context.source)
    otherwise = name_otherwise(nights, count_stored(context.pipeline.fact_table, context.warehouse), archive)
    return judge_nights(nights, read_archive(archive, since=nights[0]), context.pipeline.event_types, zone, otherwise)


def compare_counts(window: Window, pipeline: Pipeline, source: Engine, warehouse: Engine) -> pd.DataFrame:
    """Count each night's events on both sides, each by its own engine.

    Out: shift_date (date), event_type, source, warehouse (int64), one row for each night and type
    that either side has.

    Raises:
        SourceUnreachable, WarehouseUnreachable: a side does not answer.
    """
    table = pipeline.fact_table
    nights = window.shift_dates(pipeline.zone)
    with open_snapshot(source) as snapshot:
        statements = (count_by_night(kind, window, pipeline) for kind in pipeline.event_types.values())
        counted = snapshot.read_whole(union_all(*statements)).to_pandas()
    keys = [table.c.shift_date, table.c.event_type]
    held = select(*keys, func.count().label("warehouse")).where(nights_of(table, nights)).group_by(*keys)
    stored = query_df(warehouse, held) if has_table(warehouse, table.name) else counted.iloc[:0]
    sides = (tabulate_counts(counted, "source"), tabulate_counts(stored, "warehouse"))
    both = sides[0].merge(sides[1], how="outer", on=["shift_date", "event_type"])
    both[["source", "warehouse"]] = both[["source", "warehouse"]].fillna(0).astype("int64")
    return both.sort_values(["shift_date", "event_type"], ignore_index=True)


def tabulate_counts(counted: pd.DataFrame, side: str) -> pd.DataFrame:
    """Give one side's counts in types of our own: a side without rows has none to tell."""
    nights = [pd.Timestamp(str(night)).date() for night in counted["shift_date"]]
    table = {
        "shift_date": pd.Series(nights, dtype=object),
        "event_type": pd.Series(list(counted["event_type"]), dtype="str"),
    }
    return pd.DataFrame({**table, side: pd.Series(list(counted[side]) if len(counted) else [], dtype="int64")})


def count_by_night(kind: EventType, window: Window, pipeline: Pipeline) -> Any:
    """Build the statement that counts a type's events per operational night: those that `select_events` reads."""
    night = cast(night_of(kind, pipeline.zone), Text)
    counted = select_events(kind, window).with_only_columns(
        night.label("shift_date"), func.count().label("source"), maintain_column_froms=True
    )
    return counted.add_columns(literal(kind.name, Text).label("event_type")).group_by(night)


def measure_nulls(window: Window, pipeline: Pipeline, warehouse: Engine) -> pd.DataFrame:
    """Measure each night's share of NULLs in each column that may be NULL, over all its events.

    Out: a row per night (index: date), a column per column of the fact table, shares from 0 to 1.

    Raises:
        NothingThere: no such night is loaded, or no column may be NULL.
    """
    table = pipeline.fact_table
    nullable = [column for column in table.columns if is_nullable(column)]
    if not nullable:
        raise NothingThere(f"What is unknown: left out, {table.name} has no column that may be NULL")
    if not has_table(warehouse, table.name):
        raise NothingThere(f"What is unknown: left out, no night of {table.name} is loaded")
    night = table.c.shift_date
    shares = [func.avg(func.isNull(column)).label(column.name) for column in nullable]
    some = nights_of(table, window.shift_dates(pipeline.zone))
    frame = query_df(warehouse, select(night, *shares).where(some).group_by(night).order_by(night))
    if frame.empty:
        raise NothingThere(f"What is unknown: left out, none of these nights of {table.name} is loaded")
    wide = frame.assign(shift_date=pd.to_datetime(frame["shift_date"]).dt.date).set_index("shift_date")
    return pd.DataFrame(wide.astype("float64"))


def check_forecasts(window: Window, pipeline: Pipeline, source: Engine, warehouse: Engine) -> pd.DataFrame:
    """Compare what each night's run forecast of the rows still to come with those that came, counted in the source.

    Out: a row for each night whose forecast is due (index: date), the first forecast of each: ``known`` (rows then),
    ``expected`` (float64), ``low``, ``high``, ``came`` (int64), and ``within``, whether that lies in the interval.

    Raises:
        NothingThere: no night's forecast is due.
        SourceUnreachable, WarehouseUnreachable: a side does not answer.
    """
    forecasts: dict[date, Completeness] = {}
    for run in list_runs(pipeline.fact_table, warehouse):  # the newest first: the first one of a night stays
        if run["completeness"] and window.start <= run["window_start"] < window.end:
            night = Window(run["window_start"], run["window_end"]).shift_dates(pipeline.zone)[0]
            forecasts[night] = Completeness.from_dict(run["completeness"])
    due = {night: one for night, one in sorted(forecasts.items()) if one.until <= window.end}
    if not due:
        raise NothingThere("How good the forecast of late rows is: left out, no night's forecast is due yet")
    rows = []
    for night, one in due.items():
        end = Window.night(night, pipeline.zone).end
        [came] = count_arrivals([night], one.at - end, one.until - end, pipeline, source)["came"]
        rows.append((night, one.known, one.expected, int(one.low), int(one.high), int(came), one.contains(int(came))))
    names = ["shift_date", "known", "expected", "low", "high", "came", "within"]
    return pd.DataFrame(rows, columns=names).set_index("shift_date")


def measure_lags(window: Window, pipeline: Pipeline, source: Engine, received: str = RECEIVED) -> pd.DataFrame:
    """Count each type's events by how long they took from happening to standing in the source.

    Out: event_type, lag (a class of `LAG_BOUNDS`, or "later"), events, and after_night, the
    type's events received after their night's 06:00, which a run at 06:00 could not see. A type whose
    table has no column ``received`` has no rows.
    """
    kinds = [kind for kind in pipeline.event_types.values() if has_arrivals(kind, received)]
    if not kinds:
        return pd.DataFrame(columns=["event_type", "lag", "events", "after_night"])
    with open_snapshot(source) as snapshot:
        statements = (count_lags(kind, window, pipeline, received) for kind in kinds)
        wide = snapshot.read_whole(union_all(*statements)).to_pandas().set_index("event_type")
    names = [name for name, _ in LAG_BOUNDS]
    within = wide[[f"within_{place}" for place in range(len(names))]].set_axis(names, axis=1)
    counts = within.diff(axis=1).fillna(within).assign(later=wide["events"] - within[names[-1]])
    tall = counts.reset_index().melt("event_type", var_name="lag", value_name="events")
    tall["after_night"] = tall["event_type"].map(wide["after_night"])
    return pd.DataFrame(tall.astype({"event_type": "str", "lag": "str", "events": "int64", "after_night": "int64"}))


def count_lags(kind: EventType, window: Window, pipeline: Pipeline, received: str) -> Any:
    arrived = kind.table.columns[received]
    lag = arrived - kind.timestamp
    late = arrived >= end_of_night(kind, pipeline)
    within = [
        func.count()
        .filter(lag <= cast(literal(f"{int(bound.total_seconds())} seconds"), Interval))
        .label(f"within_{n}")
        for n, (_, bound) in enumerate(LAG_BOUNDS)
    ]
    counted = select_events(kind, window).with_only_columns(
        func.count().label("events"),
        func.count().filter(late).label("after_night"),
        *within,
        maintain_column_froms=True,
    )
    return counted.add_columns(literal(kind.name, Text).label("event_type"))


def nights_of(table: Any, nights: Sequence[date]) -> Any:
    return and_(table.c.shift_date >= str(nights[0]), table.c.shift_date <= str(nights[-1]))
