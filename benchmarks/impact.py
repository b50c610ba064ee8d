"""Measures what the live system feels: the latency of a small OLTP load while a million rows are read.

Clients insert and update at a steady pace; their 95th percentile is compared: idle, during a run at
full speed, and during one that is throttled. Pipeline and warehouse share the machine with PostgreSQL
here, which they do not in the field, so these figures are an upper bound.

    python -m benchmarks.impact --rows-per-second 20000
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from sqlalchemy import Engine

from benchmarks.stand import LAST_NIGHT, Stand, environment, nights_until, open_stand, parse_arguments
from sentinel_etl.window import Window

CLIENTS, A_SECOND = 4, 25


def latencies_during(source: Engine, action: Callable[[], object]) -> list[float]:
    """Return each transaction's seconds while the action goes on."""
    url = source.url.set(drivername="postgresql").render_as_string(hide_password=False)
    load = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "benchmarks.oltp", str(CLIENTS), str(A_SECOND)],
        env={"PATH": "", "SENTINEL_BENCH_SOURCE": url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        time.sleep(2)  # until its clients are connected
        action()
        answer, _ = load.communicate("")
    finally:
        load.kill()
    seconds: list[float] = json.loads(answer)
    return seconds


@contextmanager
def run_apart(
    source: Engine, warehouse: Engine, window: Window, nights: int, rate: int
) -> Iterator[Callable[[], object]]:
    """Make a run in a process of its own ready, which the function given starts and waits for.

    A run's imports read nothing, but take a core that the field's live system does not share with them.
    """
    settings = {"source_max_rows_per_second": rate, "statement_timeout_seconds": 3_600}
    run = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "benchmarks.one_run", window.end.isoformat(), str(24 * nights)],
        env=environment(source, warehouse, **settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def go() -> None:
        run.communicate("")
        if run.returncode:
            raise SystemExit("the run failed")

    try:
        if run.stdout is None or run.stdout.readline() != "ready\n":
            raise SystemExit("the run did not start")
        yield go
    finally:
        run.kill()


def p95(seconds: list[float]) -> float:
    return float(np.quantile(seconds, 0.95)) * 1000


def compare(stand: Stand, nights: int, events: int, rate: int, idle_seconds: int, runs: int) -> None:
    window = nights_until(LAST_NIGHT, nights)
    seen: dict[str, list[float]] = {}
    with stand.city(nights, events) as source:
        for _ in range(runs):
            seen.setdefault("idle", []).append(p95(latencies_during(source, lambda: time.sleep(idle_seconds))))
            for name, limit in (("full speed", 0), (f"{rate:,} rows/s", rate)):
                with stand.warehouse() as warehouse, run_apart(source, warehouse, window, nights, limit) as run:
                    seen.setdefault(name, []).append(p95(latencies_during(source, run)))
    idle = float(np.median(seen["idle"]))
    print(f"idle: p95 {idle:.2f} ms of {CLIENTS} clients, {A_SECOND} transactions a second each")
    for name, values in list(seen.items())[1:]:
        middle = float(np.median(values))
        print(f"impact, a run at {name}: p95 {middle:.2f} ms over {idle:.2f} ms when idle: ratio {middle / idle:.2f}")


def main(arguments: list[str] | None = None) -> None:
    given = parse_arguments(
        __doc__,
        arguments,
        runs=3,
        nights=(10, "nights read"),
        events=(100_000, "events of an average night"),
        rows_per_second=(20_000, "the throttle"),
        idle_seconds=(20, "seconds of idling measured"),
    )
    with open_stand(given.state) as stand:
        compare(stand, given.nights, given.events, given.rows_per_second, given.idle_seconds, given.runs)


if __name__ == "__main__":
    main()
