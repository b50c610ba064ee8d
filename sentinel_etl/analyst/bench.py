"""The analyst's bench: ask the warehouse from a notebook without opening anything oneself.

::

    from sentinel_etl.analyst import query_df, presentation, explain_risk

The warehouse that the settings name is opened once a kernel, by the first question; the source is not
needed, nor any right on it. Where the warehouse stops answering, the next question opens it anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
from clickhouse_sqlalchemy import Table
from sqlalchemy import ColumnElement, Engine, Select, and_, func, select

from sentinel_etl.analyst.as_of_run import query_as_of_run
from sentinel_etl.config.risk_weights import RiskWeights, weight_columns
from sentinel_etl.databases import warehouse_url
from sentinel_etl.errors import ConfigurationError, NothingThere, WarehouseUnreachable
from sentinel_etl.ledger.ledger import list_runs
from sentinel_etl.pipeline import Pipeline, load_pipeline
from sentinel_etl.report.explanation import explanation_page
from sentinel_etl.report.pages import Page
from sentinel_etl.report.sections import Sections, needs
from sentinel_etl.settings import load_settings
from sentinel_etl.transform.what_if import change_weights, suggest_changes
from sentinel_etl.warehouse.catalog import has_table
from sentinel_etl.warehouse.ddl import quote_identifier
from sentinel_etl.warehouse.engine import open_warehouse
from sentinel_etl.warehouse.key_columns import readable
from sentinel_etl.warehouse.query import query_df as query_warehouse
from sentinel_etl.warehouse.query import read_number, run_statement
from sentinel_etl.warehouse.rows import in_time_window
from sentinel_etl.window import Window, night_starts, parse_instant, shift_date_of

__all__ = [
    "choose_loaded_nights",
    "choose_nights",
    "count_nights",
    "explain_risk",
    "fact_table_name",
    "in_period",
    "lend_bench",
    "open_bench",
    "open_sections",
    "query_df",
    "read_scores",
    "sql_parameters",
    "try_weights",
]


@dataclass(frozen=True)
class Bench:
    """What a kernel asks: the warehouse, and the pipeline whose fact table it holds."""

    warehouse: Engine
    pipeline: Pipeline


@cache
def open_bench() -> Bench:
    settings = load_settings()
    pipeline = load_pipeline(settings)
    return Bench(open_warehouse(warehouse_url(settings), settings.connect_timeout_seconds), pipeline)


@contextmanager
def lend_bench() -> Iterator[Bench]:
    """Lend the kernel's bench, and forget it where the warehouse does not answer any more."""
    try:
        yield open_bench()
    except WarehouseUnreachable:
        open_bench.cache_clear()
        raise


def query_df(
    sql: str | Select[Any],
    parameters: Mapping[str, Any] | None = None,
    *,
    as_of_run: str = "",
    read_only: bool = True,
) -> pd.DataFrame:
    """Run one SELECT in the configured warehouse and return its rows.

    ``%(name)s`` in the text is replaced by the parameter of that name, escaped; with parameters, a
    percent sign of one's own is written ``%%``. Arrow-backed over HTTP, plain over the native protocol.
    ``as_of_run`` reads the fact table as that run has left it: see `as_of_run.query_as_of_run`. What would write is
    refused, unless ``read_only`` is false: then any statement is run, and the types are plain over HTTP, too.

    Raises:
        ConfigurationError: the statement does not only read; with ``as_of_run``: no such run, its state is not kept
            any more, or ``read_only`` is false.
        WarehouseUnreachable: the server does not answer.
        SentinelError: the server refuses the statement.
    """
    if as_of_run and not read_only:
        raise ConfigurationError("as_of_run: expected a SELECT, which only reads; found read_only=False")
    with lend_bench() as bench:
        if not read_only:
            return query_warehouse(bench.warehouse, sql, parameters, read_only=False)
        return query_as_of_run(bench.warehouse, sql, as_of_run, bench.pipeline, parameters)


@needs("base_risk_score", "risk_reasons")
def explain_risk(event_id: str) -> Page:
    """Show the parts of one event's score: column, value and points of each weight, and their sum.

    The parts are those that made the score when the event was loaded. Where the weights of today would
    make another one, the last line says so.

    Raises:
        ConfigurationError: no such event in the warehouse.
        WarehouseUnreachable: the server does not answer.
    """
    with lend_bench() as bench:
        table = bench.pipeline.fact_table
        wanted = ["event_id", "event_timestamp", "event_type", *find_places(bench.pipeline)]
        wanted += ["base_risk_score", "risk_reasons", *weight_columns(bench.pipeline.risk_weights)]
        names = [name for name in dict.fromkeys(wanted) if name in table.columns]
        event = select(*(readable(table.c[name]) for name in names)).where(table.c.event_id == event_id).limit(1)
        found = query_warehouse(bench.warehouse, event)
    if found.empty:
        raise ConfigurationError(
            f"expected the event_id of an event in {table.name}, such as REMARK:1234, found {event_id!r}, which is "
            "not there; query_df lists them"
        )
    return explanation_page(found, bench.pipeline.risk_weights, bench.pipeline.zone, bench.pipeline.breakdown)


def choose_nights(as_of: str = "", nights: int = 28) -> Window:
    """Make the window of so many operational nights, of which ``as_of`` ends the last.

    An empty ``as_of`` is the end of what is loaded: the latest end of a published run in the ledger.

    Raises:
        WindowError: ``as_of`` is no instant with a time zone.
        ConfigurationError: fewer than one night.
        NothingThere: no ``as_of``, and nothing is published yet.
    """
    if isinstance(nights, bool) or not isinstance(nights, int) or nights < 1:
        raise ConfigurationError(f"nights: expected a number of at least 1, found {nights!r}")
    with lend_bench() as bench:
        end = parse_instant(as_of) if as_of else read_loaded_until(bench)
        zone = bench.pipeline.zone
    last = shift_date_of(end - timedelta(microseconds=1), zone)
    return Window(night_starts(last - timedelta(days=nights - 1), zone), end)


def read_loaded_until(bench: Bench) -> datetime:
    """Read when the latest published window ends."""
    table = bench.pipeline.fact_table
    runs = list_runs(table, bench.warehouse)
    ends: list[datetime] = [run["window_end"] for run in runs if run["state"].is_published]
    if not ends:
        raise NothingThere(
            f"as_of: expected a published run of {table.name} in the warehouse's ledger, whose end it would be; found "
            "none. Run `sentinel-etl run`, or give an instant such as 2026-11-22T06:00:00+05:30"
        )
    return max(ends)


def fact_table_name() -> str:
    """Give the name of the pipeline's fact table, quoted, to be put into the text of a SELECT."""
    with lend_bench() as bench:
        return quote_identifier(bench.pipeline.fact_table.name)


def open_sections() -> Sections:
    """Give what calls a notebook's functions: what the pipeline has no columns for is left out, and says so."""
    with lend_bench() as bench:
        return Sections(bench.pipeline)


def find_places(pipeline: Pipeline) -> list[str]:
    """Name the columns of the station and the place, of those that the fact table has."""
    return [pipeline.roles[role] for role in ("station", "place") if role in pipeline.roles]


def sql_parameters(period: Window) -> dict[str, str]:
    """Write a period as parameters of `query_df`: ``first_night``, ``start``, ``end`` (UTC), ``zone``.

    ``WHERE shift_date >= %(first_night)s AND event_timestamp < %(end)s`` reads those nights and no others.
    """
    with lend_bench() as bench:
        zone = bench.pipeline.zone
    return {
        "first_night": str(period.shift_dates(zone)[0]),
        "start": f"{period.start:%Y-%m-%d %H:%M:%S.%f}",
        "end": f"{period.end:%Y-%m-%d %H:%M:%S.%f}",
        "zone": zone.key,
    }


def count_nights(period: Window) -> int:
    """Count the nights of a period that have events: what an average a night is taken over.

    Raises:
        ConfigurationError: there is none; the message says which nights there are.
        NothingThere: there are none at all.
        WarehouseUnreachable: the server does not answer.
    """
    with lend_bench() as bench:
        table = bench.pipeline.fact_table
        if not has_table(bench.warehouse, table.name):
            raise NothingThere(f"as_of: expected a table {table.name} in the warehouse, found none. Load a night first")
        nights = func.uniqExact(table.c.shift_date)
        inside = select(nights).where(in_period(table, period, bench.pipeline.zone))
        if found := read_number(bench.warehouse, inside):
            return found
        # The whole table is read only where there is something to explain.
        span = (func.toString(func.min(table.c.shift_date)), func.toString(func.max(table.c.shift_date)))
        [(first, last)] = run_statement(bench.warehouse, select(*span), repeatable=True) or [("", "")]
        anything = run_statement(bench.warehouse, select(table.c.event_id).limit(1), repeatable=True)
        span_text = f"{first} to {last}" if anything else "none"
        raise (ConfigurationError if anything else NothingThere)(
            f"as_of: expected events in {table.name} in {period.local(bench.pipeline.zone)}, found none there; its "
            f"nights are {span_text}. Give another as_of, or load the nights with `sentinel-etl backfill`"
        )


def choose_loaded_nights(as_of: str = "", nights: int = 28) -> tuple[Window, int]:
    """Make the window of `choose_nights`, and count its nights that have events.

    Raises: as `choose_nights` and `count_nights`.
    """
    period = choose_nights(as_of, nights)
    return period, count_nights(period)


def in_period(table: Table, period: Window, zone: ZoneInfo) -> ColumnElement[bool]:
    """Build the condition for a period's rows; the night comes first, because the table is in its order."""
    nights = period.shift_dates(zone)
    return and_(
        table.c.shift_date >= str(nights[0]),
        table.c.shift_date <= str(nights[-1]),
        in_time_window(table, period),
    )


def try_weights(changes: Mapping[Any, Any] | str) -> tuple[RiskWeights, RiskWeights]:
    """Give the pipeline's weights, and the same with changes, as `change_weights` reads them.

    No changes are some to begin with: see `suggest_changes`.

    Raises:
        NothingThere: no changes, of a pipeline that has no weights.
        ConfigurationError: changes that cannot be read, or that are no weights of the fact table.
    """
    with lend_bench() as bench:
        weights = bench.pipeline.risk_weights
        changes = changes or suggest_changes(weights)
        return weights, change_weights(weights, changes, bench.pipeline.fact_table, bench.pipeline.event_types)


@needs("base_risk_score")
def read_scores(period: Window, weighted: Collection[str] | RiskWeights = ()) -> pd.DataFrame:
    """Count the events of a period that agree in everything that a score follows from.

    Out, one row for each combination: ``event_type``, the station and the place where there are such, the columns
    that the pipeline's weights and ``weighted``, other weights or names, name, ``base_risk_score`` (risk points);
    ``events`` (int64); ``example`` (the least event_id among them).

    Raises:
        ConfigurationError: a column that the fact table does not have.
        WarehouseUnreachable: the server does not answer.
    """
    with lend_bench() as bench:
        table = bench.pipeline.fact_table
        more = weight_columns(weighted) if isinstance(weighted, Mapping) else weighted
        scored = weight_columns(bench.pipeline.risk_weights)
        names = list(dict.fromkeys(["event_type", *find_places(bench.pipeline), *scored, *more]))
        if strangers := [name for name in names if name not in table.columns]:
            raise ConfigurationError(f"scores: expected columns of {table.name}, found {', '.join(strangers)}")
        keys = [table.c[name] for name in [*names, "base_risk_score"]]
        statement = (
            select(*map(readable, keys), func.count().label("events"), func.min(table.c.event_id).label("example"))
            .where(in_period(table, period, bench.pipeline.zone))
            .group_by(*keys)
            .order_by(*keys)
        )
        return query_warehouse(bench.warehouse, statement)
