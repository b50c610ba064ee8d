"""Does one night again inside a month of six million rows, against deleting it and loading it anew.

Ours takes the night's rows out of a clone of the month and exchanges it for the table in one step, so readers see the
old night or the new. The rival is the plain way on the same table, with less work and no such promise: `ALTER TABLE …
DELETE` of the night, waited for, and an insert of its rows.

Two cases: the night's rows are merged into the month's one part, as the server does in time; or they still stand in a
part of their own, as on the morning after. Merging before each is not counted.

    python -m benchmarks.rerun --rows 6000000
"""

from __future__ import annotations

from datetime import date
from statistics import median

from sqlalchemy import Engine

from benchmarks.measure import ratio_line
from benchmarks.queries import month_statement
from benchmarks.stand import Stand, open_stand, parse_arguments, plain_settings
from benchmarks.throughput import timed
from sentinel_etl.config.fact_table import build_patrol_events
from sentinel_etl.load.load import load_data
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.result import RunResult
from sentinel_etl.run.run_window import run_window
from sentinel_etl.warehouse.provision import prepare_fact_table
from sentinel_etl.warehouse.query import query_df, run_statement
from sentinel_etl.window import Window

NIGHT = date(2026, 11, 14)


def fill_month(warehouse: Engine, rows: int) -> None:
    """Make the month's rows in the warehouse itself, all but the night's."""
    prepare_fact_table(warehouse, SENTINEL.fact_table)
    month = month_statement(NIGHT.replace(day=1), rows, 0).replace(":", "\\:")
    run_statement(warehouse, f"{month} WHERE night != toDate('{NIGHT}')")
    run_statement(warehouse, "OPTIMIZE TABLE patrol_events FINAL")


def redo(source: Engine, warehouse: Engine) -> RunResult:
    result = run_window(
        Window.night(NIGHT), source=source, warehouse=warehouse, pipeline=SENTINEL, settings=plain_settings()
    )
    result.raise_for_verdict()
    return result


def compare(stand: Stand, rows: int, events: int, runs: int) -> None:
    table = build_patrol_events()
    with stand.city(10, events) as source, stand.warehouse() as warehouse:
        fill_month(warehouse, rows)
        print(f"first time {timed(lambda: redo(source, warehouse)):.2f} s")
        night = query_df(warehouse, f"SELECT * FROM patrol_events WHERE shift_date = '{NIGHT}'")

        def delete_and_load() -> None:
            run_statement(
                warehouse, f"ALTER TABLE patrol_events DELETE WHERE shift_date = '{NIGHT}' SETTINGS mutations_sync = 2"
            )
            load_data(night, table, warehouse)

        for case, merged in (("merged into the month", True), ("in a part of its own", False)):
            ours, plain, publish = [], [], []
            for _ in range(runs):
                result: list[RunResult] = []
                arrange(warehouse, merged)
                ours.append(timed(lambda result=result: result.append(redo(source, warehouse))))
                publish.append(result[0].timings["publish"])
                arrange(warehouse, merged)
                plain.append(timed(delete_and_load))
            [[month]] = run_statement(warehouse, "SELECT count() FROM patrol_events")
            print(f"a night of {len(night):,} rows in a month of {month:,}, {case}:")
            print(f"again {median(ours):.2f} s, of which publish {median(publish):.2f} s")
            print(
                ratio_line(
                    "rerun, whole run", median(ours), "DELETE and INSERT, no reading and no audit", median(plain)
                )
            )


def arrange(warehouse: Engine, merged: bool) -> None:
    """Merge the month to one part; or let the night's rows stand in a part of their own."""
    run_statement(warehouse, "OPTIMIZE TABLE patrol_events FINAL")
    if not merged:
        run_statement(warehouse, "DROP TABLE IF EXISTS night SYNC")
        run_statement(warehouse, "CREATE TABLE night AS patrol_events")
        of_night = f"shift_date = '{NIGHT}'"
        run_statement(warehouse, f"INSERT INTO night SELECT * FROM patrol_events WHERE {of_night}")
        run_statement(warehouse, f"ALTER TABLE patrol_events DELETE WHERE {of_night} SETTINGS mutations_sync = 2")
        run_statement(warehouse, f"ALTER TABLE patrol_events ATTACH PARTITION ID '{NIGHT:%Y%m}' FROM night")


def main(arguments: list[str] | None = None) -> None:
    given = parse_arguments(
        __doc__,
        arguments,
        runs=3,
        rows=(6_000_000, "rows of the month around the night"),
        events=(100_000, "events of the night"),
    )
    with open_stand(given.state) as stand:
        compare(stand, given.rows, given.events, given.runs)


if __name__ == "__main__":
    main()
