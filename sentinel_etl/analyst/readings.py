"""What the analyst's notebooks read of a period, from whatever fact table the pipeline has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd
from sqlalchemy import Float, Integer, func, select

from sentinel_etl.analyst import presentation
from sentinel_etl.analyst.bench import in_period, lend_bench
from sentinel_etl.report.sections import needs
from sentinel_etl.warehouse.key_columns import readable
from sentinel_etl.warehouse.query import query_df
from sentinel_etl.window import Window

__all__ = [
    "count_hours",
    "count_person_nights",
    "find_emerging",
    "find_incidents",
    "locate_places",
    "locate_stations",
    "rank_places",
    "read_history",
]


@needs("place", "base_risk_score")
def rank_places(period: Window, half_lives: Iterable[float]) -> Mapping[float, pd.DataFrame]:
    """Rank the places by the risk that is left at the period's end: half-life (hours) → `questions.hotspot_risk`."""
    return {hours: presentation.hotspot_risk(period.end, hours) for hours in half_lives}


@needs("place", "base_risk_score")
def read_history(moments: Sequence[datetime], half_life_hours: float) -> Mapping[datetime, pd.DataFrame]:
    """Rank the places at each of the instants: instant → `questions.hotspot_risk`."""
    return {moment: presentation.hotspot_risk(moment, half_life_hours) for moment in moments}


@needs("latitude", "longitude", "base_risk_score")
def find_incidents(period: Window, resolution: int = 8) -> pd.DataFrame:
    """Count a period's incidents in each H3 cell: `questions.incident_heatmap`."""
    with lend_bench() as bench:
        first_night = period.shift_dates(bench.pipeline.zone)[0]
    return presentation.incident_heatmap(period.end, resolution, since=first_night)


@needs("latitude", "longitude", "base_risk_score")
def find_emerging(period: Window, half_life_hours: float, limit: int = 10) -> pd.DataFrame:
    """Name the cells that are worse than before, beyond chance, at the period's end: `questions.emerging_threats`."""
    return presentation.emerging_threats(period.end, half_life_hours, limit=limit)


@needs("place", "latitude", "longitude")
def locate_places(period: Window) -> pd.DataFrame:
    """Find where the places are: the median of the positions that were reported at each.

    Out: the place; ``latitude``, ``longitude`` (degrees, NULL where none was reported).
    """
    return locate(period, "place")


@needs("station", "latitude", "longitude")
def locate_stations(period: Window) -> pd.DataFrame:
    """Find where the stations are: the median of the positions with which their outings began.

    Where the fact table knows no outings, of all that were reported. Out: as `locate_places`, with the station.
    """
    return locate(period, "station", "outing")


def locate(period: Window, role: str, within: str = "") -> pd.DataFrame:
    """Find the median position of each value of a dimension; ``within``: of the first ones of each value of another."""
    with lend_bench() as bench:
        table, roles, zone = bench.pipeline.fact_table, bench.pipeline.roles, bench.pipeline.zone
        key, *degrees = (table.c[roles[name]] for name in (role, "latitude", "longitude"))
        north, east = (func.toFloat64(each, type_=Float) for each in degrees)
        reported = in_period(table, period, zone) & func.isNotNull(key)
        keys: list[Any] = [key]
        known: list[Any] = [reported]
        if within in roles:
            keys, known = [key, table.c[roles[within]]], [reported, *map(func.isNotNull, degrees)]
            north, east = (func.argMin(each, table.c.event_timestamp) for each in (north, east))
        shown = readable(key).label("key")
        rows = select(shown, north.label("north"), east.label("east")).where(*known)
        firsts = (rows.group_by(*keys) if within in roles else rows).subquery()
        middle = [func.quantileExact(firsts.c[name]) for name in ("north", "east")]
        found = select(firsts.c.key.label(roles[role]), middle[0].label("latitude"), middle[1].label("longitude"))
        return query_df(bench.warehouse, found.group_by(firsts.c.key).order_by(firsts.c.key))


@needs("base_risk_score")
def count_hours(period: Window) -> pd.DataFrame:
    """Add up the risk points of each hour of each night: ``shift_date``, ``hour`` (0 to 23, local), ``risk_points``."""
    with lend_bench() as bench:
        table, zone = bench.pipeline.fact_table, bench.pipeline.zone
        hour = func.toHour(func.toTimeZone(table.c.event_timestamp, zone.key), type_=Integer).label("hour")
        points = func.sum(table.c.base_risk_score).label("risk_points")
        counted = select(table.c.shift_date, hour, points).where(in_period(table, period, zone))
        return query_df(bench.warehouse, counted.group_by(table.c.shift_date, hour).order_by(table.c.shift_date, hour))


@needs("person", "base_risk_score")
def count_person_nights(period: Window) -> pd.DataFrame:
    """Count what each person reported in each night: ``shift_date``, ``events``, ``risk_points``; no names."""
    with lend_bench() as bench:
        table, zone = bench.pipeline.fact_table, bench.pipeline.zone
        person = table.c[bench.pipeline.roles["person"]]
        sums = (func.count().label("events"), func.sum(table.c.base_risk_score).label("risk_points"))
        rows = select(table.c.shift_date, *sums).where(in_period(table, period, zone), func.isNotNull(person))
        keys = (person, table.c.shift_date)
        return query_df(bench.warehouse, rows.group_by(*keys).order_by(*keys))
