"""Chooses the nights that a ranking is judged over: whole ones, from the first that is loaded."""

from __future__ import annotations

from datetime import date

from sqlalchemy import func, select

from sentinel_etl.analyst.bench import choose_loaded_nights, in_period, lend_bench
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window, night_starts, shift_date_of

__all__ = ["choose_mornings"]


def choose_mornings(as_of: str = "", nights: int = 120) -> Window:
    """Make the period of the nights before ``as_of``, from the first that has events to the last that has ended.

    An empty ``as_of`` is the end of what is loaded.

    Raises:
        WindowError: ``as_of`` is no instant with a time zone.
        ConfigurationError: fewer than one night, or no events in them.
        NothingThere: nothing is loaded yet.
    """
    period, _ = choose_loaded_nights(as_of, nights)
    with lend_bench() as bench:
        table, zone = bench.pipeline.fact_table, bench.pipeline.zone
        first = select(func.toString(func.min(table.c.shift_date))).where(in_period(table, period, zone))
        [(night,)] = run_statement(bench.warehouse, first, repeatable=True)
    end = night_starts(shift_date_of(period.end, zone), zone)
    start = night_starts(date.fromisoformat(str(night)), zone)
    if start >= end:
        raise ConfigurationError(
            f"as_of: expected a night with events that has ended by then, found none before {period.end:%Y-%m-%d %H:%M}"
        )
    return Window(start, end)
