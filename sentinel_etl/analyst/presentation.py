"""The questions of `sentinel_etl.analyst.questions`, asked of the configured warehouse: no engine has to be given.

What each answers, its columns and what it raises stands there.
"""

from __future__ import annotations

from datetime import date, datetime

import pandas as pd

from sentinel_etl.analyst import questions
from sentinel_etl.analyst.bench import lend_bench
from sentinel_etl.warehouse.decay import DEFAULT_HALF_LIFE_HOURS
from sentinel_etl.warehouse.projections import CELL_RESOLUTION

__all__ = ["emerging_threats", "hotspot_risk", "incident_heatmap", "officer_activity", "station_activity"]


def hotspot_risk(
    as_of: datetime, half_life_hours: float = DEFAULT_HALF_LIFE_HOURS, *, since: date | None = None, as_of_run: str = ""
) -> pd.DataFrame:
    """Rank the hotspots by the risk that is left at ``as_of``: `questions.hotspot_risk`."""
    with lend_bench() as bench:
        return questions.hotspot_risk(
            bench.warehouse, as_of, half_life_hours, since=since, pipeline=bench.pipeline, as_of_run=as_of_run
        )


def station_activity(as_of: datetime, *, since: date | None = None, as_of_run: str = "") -> pd.DataFrame:
    """Count what each station did up to ``as_of``, the most risk points first: `questions.station_activity`."""
    with lend_bench() as bench:
        return questions.station_activity(
            bench.warehouse, as_of, since=since, pipeline=bench.pipeline, as_of_run=as_of_run
        )


def officer_activity(as_of: datetime, *, since: date | None = None, as_of_run: str = "") -> pd.DataFrame:
    """Count what each officer reported up to ``as_of``, the most events first: `questions.officer_activity`."""
    with lend_bench() as bench:
        return questions.officer_activity(
            bench.warehouse, as_of, since=since, pipeline=bench.pipeline, as_of_run=as_of_run
        )


def incident_heatmap(
    as_of: datetime, resolution: int = CELL_RESOLUTION, *, since: date | None = None, as_of_run: str = ""
) -> pd.DataFrame:
    """Count the incidents in each H3 cell, the most risk points first: `questions.incident_heatmap`."""
    with lend_bench() as bench:
        return questions.incident_heatmap(
            bench.warehouse, as_of, resolution, since=since, pipeline=bench.pipeline, as_of_run=as_of_run
        )


def emerging_threats(
    as_of: datetime,
    half_life_hours: float = DEFAULT_HALF_LIFE_HOURS,
    *,
    resolution: int = CELL_RESOLUTION,
    limit: int = 20,
    as_of_run: str = "",
) -> pd.DataFrame:
    """Name the H3 cells with more incidents than chance explains: `questions.emerging_threats`."""
    with lend_bench() as bench:
        return questions.emerging_threats(
            bench.warehouse,
            as_of,
            half_life_hours,
            resolution=resolution,
            limit=limit,
            pipeline=bench.pipeline,
            as_of_run=as_of_run,
        )
