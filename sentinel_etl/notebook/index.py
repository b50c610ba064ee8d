"""Writes ``runs/index.html`` from the ledger, the report files and the fact table."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from clickhouse_sqlalchemy import Table
from sqlalchemy import Engine, func, select

from sentinel_etl.files import write_atomically
from sentinel_etl.ledger.archive import Archive, read_archive
from sentinel_etl.ledger.nights import NightState, judge_nights
from sentinel_etl.report.index_page import Measure, render_index
from sentinel_etl.rules.stale import name_otherwise
from sentinel_etl.settings import choose_window
from sentinel_etl.warehouse.catalog import has_table
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import nights_between

__all__ = ["measure_nights", "refresh_index", "write_index"]


log = logging.getLogger(__name__)

NIGHTS_SHOWN = 371  # 53 weeks: a year, and the same night a year ago


def write_index(archive: Archive, nights: int = NIGHTS_SHOWN) -> Path:
    """Write ``index.html`` in the runs folder from the ledger, the report files and the fact table.

    The page is written beside its name and renamed into place: readers, and runs that write it at
    the same time, see a whole page. An interruption leaves the old one and a hidden ``.part`` file.
    """
    settings, pipeline = archive.settings, archive.pipeline
    now = settings.now or datetime.now(UTC)
    last = choose_window(settings=settings).shift_dates(settings.zone)[-1]
    since = last - timedelta(days=nights - 1)
    runs = read_archive(archive, since=since)
    # Where every run is of a night to come, as under a frozen clock, the calendar is last night alone.
    first = min(last, max(since, min((run.first_night for run in runs), default=last)))
    calendar = nights_between(first, last, settings.zone)
    there = has_table(archive.warehouse, pipeline.fact_table.name)
    measures = measure_nights(pipeline.fact_table, first, archive.warehouse) if there else {}
    otherwise = name_otherwise(calendar, {night: measure.events for night, measure in measures.items()}, archive)
    under_way = judge_nights([last + timedelta(days=1)], runs, pipeline.event_types, settings.zone)
    page = render_index(
        runs,
        judge_nights(calendar, runs, pipeline.event_types, settings.zone, otherwise),
        measures,
        now,
        settings.zone,
        under_way=[night for night in under_way if night.state is NightState.OPEN],
    )
    path = settings.runs_dir / "index.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, page)
    return path


def refresh_index(archive: Archive) -> Path | None:
    """Write the index after something else that counts more: what goes wrong is a warning."""
    try:
        return write_index(archive)
    except Exception as error:  # noqa: BLE001 - a page of links must not fail the night
        log.warning("runs/index.html was not written: %s", error)
        return None


def measure_nights(fact_table: Table, first: date, warehouse: Engine) -> dict[date, Measure]:
    """Count events and average the scores of each night from ``first`` on, in one query.

    The mean and not the median: scores are sums of few weights, so the median of a night is the
    same weight night after night and shows nothing. Events without a score (positions, geofence
    crossings) are left out: their number says how much a city moves, not how risky it is.
    A fact table without scores has no risk.
    """
    columns = [fact_table.c.shift_date, func.count()]
    score = fact_table.c.get("base_risk_score")
    if score is not None:
        columns += [func.avgIf(score, score > 0)]
    statement = select(*columns).where(fact_table.c.shift_date >= str(first)).group_by(fact_table.c.shift_date)
    return {
        row[0]: Measure(int(row[1]), mean_or_none(row)) for row in run_statement(warehouse, statement, repeatable=True)
    }


def mean_or_none(row: Sequence[float | None]) -> float | None:
    mean = row[2] if len(row) > 2 else None
    return None if mean is None or mean != mean else float(mean)  # the mean of no event is NaN
