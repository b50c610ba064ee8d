"""Times a backfill of 1, 10 and 60 nights with one worker, and of 60 with two.

Each is `sentinel-etl backfill` into an empty warehouse: planning, a kernel and a report for each
partition's nights. The rivals are the same work with one worker, and the same number of rows at the
cost of the ten-night backfill's.

    python -m benchmarks.backfill --events 100000
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from statistics import median

from sqlalchemy import Engine

from benchmarks.stand import CHECKOUT, LAST_NIGHT, Stand, environment, open_stand, parse_arguments
from sentinel_etl.warehouse import run_statement

PLAN = ((1, 1), (10, 1), (60, 1), (60, 2))


def time_backfill(source: Engine, warehouse: Engine, nights: int, jobs: int) -> tuple[float, int]:
    """Backfill the last nights and return seconds and rows."""
    first = LAST_NIGHT - timedelta(days=nights - 1)
    command = [sys.executable, "-m", "sentinel_etl", "backfill"]
    command += ["--from", str(first), "--to", str(LAST_NIGHT), "--jobs", str(jobs)]
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


def compare(stand: Stand, longest: int, events: int, runs: int) -> None:
    plan = [(min(nights, longest), jobs) for nights, jobs in PLAN]
    seconds: dict[tuple[int, int], list[float]] = {}
    rows: dict[int, int] = {}
    with stand.city(longest, events) as source:
        for _ in range(runs):
            for nights, jobs in plan:
                with stand.warehouse() as warehouse:
                    took, rows[nights] = time_backfill(source, warehouse, nights, jobs)
                seconds.setdefault((nights, jobs), []).append(took)
                print(f"{nights:3} nights, {jobs} worker(s): {took:6.1f} s  {rows[nights]:>10,} rows", flush=True)
    middle = {key: median(values) for key, values in seconds.items()}
    cost = {nights: middle[nights, 1] / rows[nights] * 1e6 for nights in rows}
    for nights, value in cost.items():
        print(f"{nights:3} nights, one worker: {value:.1f} s a million rows")
    few, many = sorted(cost)[0], sorted(cost)[-1]
    print(f"backfill: a row of {many} windows over a row of {few}: ratio {cost[many] / cost[few]:.2f}")
    gain = middle[many, 1] / middle[many, 2]
    print(
        f"backfill: {many} nights, one worker over two: {middle[many, 1]:.1f} s over {middle[many, 2]:.1f} s: "
        f"ratio {gain:.2f}"
    )


def main(arguments: list[str] | None = None) -> None:
    given = parse_arguments(
        __doc__,
        arguments,
        runs=1,
        longest=(60, "nights of the longest backfill"),
        events=(100_000, "events of an average night"),
    )
    with open_stand(given.state) as stand:
        compare(stand, given.longest, given.events, given.runs)


if __name__ == "__main__":
    main()
