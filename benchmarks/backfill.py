"""Times a backfill of 1, 10 and 60 nights with one worker, and of many nights with two.

Each is `sentinel-etl backfill` into an empty warehouse: planning, then a kernel and a report for each
partition's nights. The rivals are the same work with one worker, and the same number of rows at the
cost of the one-night backfill's. Two workers are measured where their shares are equal, two whole
months, and where they are not: the last 60 nights are of three months, so one worker has two groups.

    python -m benchmarks.backfill --small 5000 --large 100000
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from statistics import median

from sqlalchemy import Engine

from benchmarks.stand import CHECKOUT, LAST_NIGHT, Stand, environment, open_stand, parse_arguments
from sentinel_etl.warehouse.query import run_statement

CITY_NIGHTS = 100  # the same city as that of `memory`
LAST_NIGHTS = (1, 10, 60)
WHOLE_MONTHS, TWO_MONTHS = "2 months", (date(2026, 9, 1), date(2026, 10, 31))

Span = tuple[date, date]


def time_backfill(source: Engine, warehouse: Engine, span: Span, jobs: int) -> tuple[float, int]:
    """Backfill a span of nights, both ends included, and return seconds and rows."""
    command = [sys.executable, "-m", "sentinel_etl", "backfill"]
    command += ["--from", str(span[0]), "--to", str(span[1]), "--jobs", str(jobs)]
    with tempfile.TemporaryDirectory(prefix="sentinel-bench-") as home:
        settings = {"runs_dir": Path(home), "notebooks_dir": CHECKOUT / "notebooks"}
        started = time.perf_counter()
        done = subprocess.run(  # noqa: S603
            command, env=environment(source, warehouse, **settings), capture_output=True, text=True, check=False
        )
        took = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(done.stderr)
    [[rows]] = run_statement(warehouse, "SELECT count() FROM patrol_events")
    return took, int(rows)


def compare(stand: Stand, events: int, runs: int) -> None:
    spans: dict[str, Span] = {f"{n} nights": (LAST_NIGHT - timedelta(days=n - 1), LAST_NIGHT) for n in LAST_NIGHTS}
    few, *_, many = spans
    spans[WHOLE_MONTHS] = TWO_MONTHS
    shared = (many, WHOLE_MONTHS)
    plan = [*((name, 1) for name in spans), *((name, 2) for name in shared)]
    seconds: dict[tuple[str, int], list[float]] = {}
    rows: dict[str, int] = {}
    print(f"{events:,} events in an average night")
    with stand.city(CITY_NIGHTS, events) as source:
        for _ in range(runs):
            for name, jobs in plan:
                with stand.warehouse() as warehouse:
                    took, rows[name] = time_backfill(source, warehouse, spans[name], jobs)
                seconds.setdefault((name, jobs), []).append(took)
                print(f"{name:>9}, {jobs} worker(s): {took:6.1f} s  {rows[name]:>10,} rows", flush=True)
    middle = {key: median(values) for key, values in seconds.items()}
    cost = {name: middle[name, 1] / rows[name] * 1e6 for name in spans}
    for name, value in cost.items():
        print(f"{name:>9}, one worker: {value:.1f} s a million rows")
    print(f"backfill: a row of {many} over one of {few}: ratio {cost[many] / cost[few]:.2f}")
    for name in shared:
        one, two = middle[name, 1], middle[name, 2]
        print(f"backfill: {name}, one worker over two: {one:.1f} s over {two:.1f} s: ratio {one / two:.2f}")


def main(arguments: list[str] | None = None) -> None:
    given = parse_arguments(
        __doc__,
        arguments,
        runs=1,
        small=(5_000, "events of a small night"),
        large=(100_000, "events of a large night"),
    )
    with open_stand(given.state) as stand:
        for events in (given.small, given.large):
            compare(stand, events, given.runs)


if __name__ == "__main__":
    main()
