"""Publishes a fresh night, does it again and takes it back, in tables of ten years by month, by week and by day.

What is measured is the publishing alone, from the audit's end to the switched table. An attached night costs the same
in any table; a clone costs by the part.

    python -m benchmarks.switch --rows 2400000
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from statistics import median

from sqlalchemy import Engine

from benchmarks.measure import ratio_line
from benchmarks.queries import FIRST_MONTH, MONTHS, month_statement
from benchmarks.stand import Stand, open_stand, parse_arguments, plain_settings
from benchmarks.throughput import timed
from sentinel_etl.config.fact_table import PARTITION_KEYS, PartitionBy, build_patrol_events
from sentinel_etl.context import Context
from sentinel_etl.databases import Databases
from sentinel_etl.operations.undo import undo_run
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.run_window import run_window
from sentinel_etl.warehouse.catalog import count_parts
from sentinel_etl.warehouse.provision import prepare_fact_table
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

NIGHT = date(2026, 11, 14)


def fill(warehouse: Engine, context: Context, rows: int) -> None:
    """Make ten years of rows, but for the night."""
    prepare_fact_table(warehouse, context.pipeline.fact_table)
    for number in range(MONTHS):
        years, offset = divmod(FIRST_MONTH.month - 1 + number, 12)
        month = date(FIRST_MONTH.year + years, offset + 1, 1)
        statement = month_statement(month, rows // MONTHS, rows // MONTHS * number).replace(":", "\\:")
        run_statement(warehouse, f"{statement} WHERE night != toDate('{NIGHT}')")


def measure_switches(source: Engine, warehouse: Engine, scheme: PartitionBy, rows: int, runs: int) -> float:
    """Measure one table, print a line, and return the seconds of doing a night again."""
    pipeline = replace(SENTINEL, fact_table=build_patrol_events(scheme))
    context = Context(plain_settings(), pipeline, Databases(source, warehouse))
    fill(warehouse, context, rows)
    partitions = len(count_parts(warehouse, "patrol_events"))

    def publish() -> float:
        result = run_window(Window.night(NIGHT), context=context)
        result.raise_for_verdict()
        return float(result.timings["publish"])

    ways: dict[str, Callable[[], float]] = {
        "fresh": publish,
        "again": publish,
        "undo": lambda: timed(lambda: undo_run(context)),
        "undo of the first": lambda: timed(lambda: undo_run(context)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for run in range(runs + 1):
        for name, way in ways.items():
            took = way()
            if run:
                seconds[name].append(took)
    medians = {name: median(values) for name, values in seconds.items()}
    print(f"by {scheme}, {partitions:,} partitions: " + ", ".join(f"{name} {s:.2f} s" for name, s in medians.items()))
    return medians["again"]


def compare(stand: Stand, rows: int, events: int, runs: int) -> None:
    again: dict[str, float] = {}
    with stand.city(10, events) as source:
        for scheme in PARTITION_KEYS:
            with stand.warehouse() as warehouse:
                again[scheme] = measure_switches(source, warehouse, scheme, rows, runs)
    print(ratio_line("a night again, by day", again["day"], "by month", again["month"]))


def main(arguments: list[str] | None = None) -> None:
    given = parse_arguments(
        __doc__,
        arguments,
        runs=5,
        rows=(2_400_000, "rows of the ten years around the night"),
        events=(100_000, "events of the night"),
    )
    with open_stand(given.state) as stand:
        compare(stand, given.rows, given.events, given.runs)


if __name__ == "__main__":
    main()
