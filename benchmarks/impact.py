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
from dataclasses import dataclass
from statistics import median

import numpy as np
from sqlalchemy import Engine

from benchmarks.stand import LAST_NIGHT, Stand, nights_until, open_stand, parse_arguments, start_run
from sentinel_etl.window import Window

CLIENTS, A_SECOND = 4, 25


@dataclass(frozen=True)
class Latencies:
    """Seconds of each transaction: those begun while rows were being read, and all."""

    reading: list[float]
    whole: list[float]


def latencies_during(source: Engine, action: Callable[[], float]) -> Latencies:
    """Measure the live load during the action, which returns for how many of its first seconds it read rows."""
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
        began = time.monotonic()
        reading = action()
        ended = time.monotonic()
        answer, _ = load.communicate("")
    finally:
        load.kill()
    seen = [(start - began, seconds) for start, seconds in json.loads(answer)]
    return Latencies(
        reading=[seconds for start, seconds in seen if 0 <= start < reading],
        whole=[seconds for start, seconds in seen if 0 <= start < ended - began],
    )


@contextmanager
def run_apart(source: Engine, warehouse: Engine, window: Window, rate: int) -> Iterator[Callable[[], float]]:
    """Make a run in a process of its own ready, which the function given starts and waits for; see `latencies_during`.

    A run's imports read nothing, but take a core that the field's live system does not share with them.
    """
    settings = {"source_max_rows_per_second": rate, "statement_timeout_seconds": 3_600}
    run = start_run(source, warehouse, window, **settings)

    def go() -> float:
        figures, said = run.communicate("")
        if run.returncode:
            raise SystemExit(said)
        reading: float = json.loads(figures)["timings"]["extract"]
        return reading

    try:
        if run.stdout is None or run.stdout.readline() != "ready\n":
            raise SystemExit("the run did not start")
        yield go
    finally:
        run.kill()


def p95(seconds: list[float]) -> float:
    return float(np.quantile(seconds, 0.95)) * 1000


def idle(seconds: int) -> float:
    time.sleep(seconds)
    return seconds


def compare(stand: Stand, nights: int, events: int, rate: int, idle_seconds: int, runs: int) -> None:
    window = nights_until(LAST_NIGHT, nights)
    seen: dict[str, list[Latencies]] = {}
    with stand.city(nights, events) as source:
        for _ in range(runs):
            seen.setdefault("idle", []).append(latencies_during(source, lambda: idle(idle_seconds)))
            for name, limit in (("full speed", 0), (f"{rate:,} rows/s", rate)):
                with stand.warehouse() as warehouse, run_apart(source, warehouse, window, limit) as run:
                    seen.setdefault(name, []).append(latencies_during(source, run))
    resting = median(p95(each.whole) for each in seen.pop("idle"))
    print(f"idle: p95 {resting:.2f} ms of {CLIENTS} clients, {A_SECOND} transactions a second each")
    for name, values in seen.items():
        for span, felt in (
            ("while rows are read", median(p95(each.reading) for each in values)),
            ("to its end", median(p95(each.whole) for each in values)),
        ):
            print(
                f"impact, a run at {name}, {span}: p95 {felt:.2f} ms over {resting:.2f} ms when idle: "
                f"ratio {felt / resting:.2f}"
            )


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
