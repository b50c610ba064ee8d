"""Compares what the ledger says that runs have published with what the fact table holds, over all nights."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Engine, func, select

from sentinel_etl.context import Context
from sentinel_etl.extract.check_source import Difference
from sentinel_etl.ledger.ledger import list_runs
from sentinel_etl.ledger.policies import find_other_policy
from sentinel_etl.ledger.presence import LostRows, compare_counts, count_nights
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.settings import choose_window
from sentinel_etl.warehouse.catalog import has_table
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window
from sentinel_etl.wording import plural

__all__ = ["check_nights", "check_policy"]


def check_nights(pipeline: Pipeline, warehouse: Engine) -> list[Difference]:
    """List what is wrong with the fact table's rows.

    Told are nights that runs have published and that it has lost, event types that the configuration has not, and
    runs of another pipeline. None of it stops a run. Reads only, and counts: `sentinel-etl status` compares the last
    nights row by row.

    Raises:
        WarehouseUnreachable: no connection.
    """
    runs = list_runs(pipeline.fact_table, warehouse)
    strangers = {kind for run in foreign_runs(runs, pipeline) for kind in run["event_types"]}
    return [
        *lost_nights(runs, pipeline, warehouse),
        *unknown_types(strangers, pipeline, warehouse),
        *tell_foreign(foreign_runs(runs, pipeline), pipeline),
    ]


def check_policy(context: Context) -> list[Difference]:
    """Tell of nights that hold personal data under another policy than the one that is set. Reads only.

    Raises:
        WarehouseUnreachable: no connection.
    """
    pipeline, warehouse = context.pipeline, context.warehouse
    other = find_other_policy(list_runs(pipeline.fact_table, warehouse), pipeline)
    last = choose_window(settings=context.settings).shift_dates(pipeline.zone)[-1]
    return [Difference(pipeline.fact_table.name, False, other.describe(last))] if other else []


def foreign_runs(runs: Sequence[Mapping[str, Any]], pipeline: Pipeline) -> list[Mapping[str, Any]]:
    """Pick the published runs that share no event type with the configuration."""
    own = set(pipeline.event_types)
    return [run for run in runs if run["state"].is_published and run["event_types"] and not own & {*run["event_types"]}]


def tell_foreign(runs: Sequence[Mapping[str, Any]], pipeline: Pipeline) -> list[Difference]:
    if not runs:
        return []
    last = Window(runs[0]["window_start"], runs[0]["window_end"])
    kinds = ", ".join(sorted({kind for run in runs for kind in run["event_types"]}))
    message = (
        f"expected runs of one pipeline, which owns every row of its windows; found {len(runs)} "
        f"{plural(len(runs), 'run')} of {kinds}, the last one {runs[0]['run_id']} of {last}. "
        "Give the other pipeline a fact table of another name, because a run of all types takes its rows"
    )
    return [Difference(pipeline.fact_table.name, False, message)]


def unknown_types(strangers: Collection[str], pipeline: Pipeline, warehouse: Engine) -> list[Difference]:
    """Tell of event types that the table has and the configuration has not, but for those of ``strangers``."""
    table = pipeline.fact_table
    if not has_table(warehouse, table.name):
        return []
    night = table.c.shift_date
    counted = select(table.c.event_type, func.count(), func.toString(func.min(night)), func.toString(func.max(night)))
    unknown = table.c.event_type.not_in(sorted({*pipeline.event_types, *strangers}))
    rows = run_statement(warehouse, counted.where(unknown).group_by(table.c.event_type), repeatable=True)
    return [
        Difference(
            str(kind),
            False,
            f"expected {table.name} to have event types of EVENT_CONFIG alone, found {int(number):,} "
            f"{plural(int(number), 'row')} of this one in nights {first} to {last}. Where it was renamed or dropped, "
            f"`sentinel-etl backfill --from {first} --to {last}` loads those nights without it",
        )
        for kind, number, first, last in sorted(rows, key=lambda row: str(row[0]))
    ]


def lost_nights(runs: Sequence[Mapping[str, Any]], pipeline: Pipeline, warehouse: Engine) -> list[Difference]:
    name = pipeline.fact_table.name
    counted: Mapping[date, int] = count_nights(pipeline.fact_table, warehouse)
    lost: tuple[LostRows, ...] = compare_counts(runs, counted, pipeline, warehouse).lost
    there = has_table(warehouse, name)
    found = f"{sum(one.expected - one.found for one in lost):,} fewer" if there else "no table"
    published = any(run["published_rows"] for run in runs if run["state"].is_published)
    if not lost and (there or not published):
        return []
    where, mend = "the nights that they published", "`sentinel-etl backfill` loads them again"
    if lost:
        first, last = lost[0].shift_date, lost[-1].shift_date
        where = f"{len(lost)} {plural(len(lost), 'night')}, {first} to {last}"
        mend = f"`sentinel-etl backfill --from {first} --to {last} --missing-only` loads them again"
    return [Difference(name, False, f"expected the rows that runs have left in {where}; found {found}. {mend}")]
