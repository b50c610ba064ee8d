"""Compares the peak resident memory of a run of ten million events with that of a run of one million.

Each run is a fresh process, and its peak is the operating system's own figure, interpreter and
libraries included. The databases are other processes, and not counted.

    python -m benchmarks.memory --nights 10 --times 10
"""

from __future__ import annotations

import json
from statistics import median
from typing import Any

from sqlalchemy import Engine

from benchmarks.stand import LAST_NIGHT, Stand, nights_until, open_stand, parse_arguments, start_run


def run_apart(source: Engine, warehouse: Engine, nights: int) -> dict[str, Any]:
    """Run the last nights in a process of its own."""
    run = start_run(source, warehouse, nights_until(LAST_NIGHT, nights))
    printed, said = run.communicate("")
    if run.returncode:
        raise SystemExit(said)
    figures: dict[str, Any] = json.loads(printed.removeprefix("ready"))
    return figures


def compare(stand: Stand, nights: int, times: int, events: int, runs: int) -> None:
    peaks: dict[int, list[float]] = {}
    rows: dict[int, int] = {}
    with stand.city(nights * times, events) as source:
        for _ in range(runs):
            for length in (nights, nights * times):
                with stand.warehouse() as warehouse:
                    figures = run_apart(source, warehouse, length)
                peaks.setdefault(length, []).append(figures["peak_mib"])
                rows[length] = figures["rows"]
                took = figures["timings"]["total"]
                print(f"{figures['rows']:>10,} rows  peak {figures['peak_mib']:.0f} MiB  {took:.1f} s", flush=True)
    small, large = (median(peaks[length]) for length in sorted(peaks))
    print(
        f"memory: {large:.0f} MiB at {max(rows.values()):,} rows over {small:.0f} MiB at {min(rows.values()):,}: "
        f"ratio {large / small:.2f}"
    )


def main(arguments: list[str] | None = None) -> None:
    given = parse_arguments(
        __doc__,
        arguments,
        runs=3,
        nights=(10, "nights of the smaller run"),
        times=(10, "how many times as many the larger run has"),
        events=(100_000, "events of an average night"),
    )
    with open_stand(given.state) as stand:
        compare(stand, given.nights, given.times, given.events, given.runs)


if __name__ == "__main__":
    main()
