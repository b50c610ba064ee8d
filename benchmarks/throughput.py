"""Moves a million events end to end, against the literal pandas path, raw COPY and two Rust movers.

Ours is `run_window` into an empty warehouse: prepared table, staging, transform, risk, audit, publish
and reconciliation. The rivals do less: see `rivals`. Runs of all of them alternate, so that a busy
machine is busy for each. The literal path moves one night and is multiplied: reading and writing go
row by row, so its time is proportional, and its memory would not allow much more.

    python -m benchmarks.throughput --nights 10 --events 100000
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from importlib.util import find_spec
from statistics import median

from sqlalchemy import Engine

from benchmarks.measure import ratio_line
from benchmarks.rivals import RUST_MOVERS, drain_copy, joined_view, move_by_pandas, move_by_rust
from benchmarks.stand import LAST_NIGHT, Stand, nights_until, open_stand, parse_arguments, plain_settings
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.result import RunResult
from sentinel_etl.run.run_window import run_window
from sentinel_etl.window import Window

os.environ.setdefault("RUST_LOG", "warn")  # the movers', which log each step


def move_by_us(source: Engine, warehouse: Engine, window: Window) -> RunResult:
    result = run_window(window, source=source, warehouse=warehouse, pipeline=SENTINEL, settings=plain_settings())
    result.raise_for_verdict()
    return result


def timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def compare(stand: Stand, nights: int, events: int, runs: int, literal_runs: int) -> None:
    window, one_night = nights_until(LAST_NIGHT, nights), Window.night(LAST_NIGHT)
    seconds: dict[str, list[float]] = {}
    moved: dict[str, int] = {}
    timings: list[dict[str, float]] = []
    movers = [name for name in RUST_MOVERS if find_spec(name)]
    with stand.city(nights, events) as source, joined_view(source, window):

        def ours(warehouse: Engine) -> int:
            result = move_by_us(source, warehouse, window)
            timings.append(dict(result.timings))
            return int(result.counts["published"].sum())

        ways: dict[str, Callable[[Engine], int]] = {
            "ours": ours,
            "raw COPY": lambda warehouse: drain_copy(source, window),
            **{name: lambda warehouse, name=name: move_by_rust(name, source, warehouse) for name in movers},
        }
        for run in range(runs + 1):
            for name, way in ways.items():
                with stand.warehouse() as warehouse:
                    started = time.perf_counter()
                    moved[name] = way(warehouse)
                    took = time.perf_counter() - started
                if run:  # the first of each warms caches, imports and the server up
                    seconds.setdefault(name, []).append(took)
        for _ in range(literal_runs):
            with stand.warehouse() as warehouse:
                took = timed(
                    lambda warehouse=warehouse: moved.update(literal=move_by_pandas(source, warehouse, one_night))
                )
            seconds.setdefault("literal", []).append(took)
    rows = moved["ours"]
    wrong = [name for name in movers if moved[name] != rows]
    if wrong:
        raise SystemExit(f"expected {rows} rows from each; found {moved}")
    report(rows, moved, seconds, timings[1:])


def report(rows: int, moved: dict[str, int], seconds: dict[str, list[float]], timings: list[dict[str, float]]) -> None:
    medians = {name: median(values) for name, values in seconds.items()}
    for name, values in seconds.items():
        spread = ", ".join(f"{value:.2f}" for value in sorted(values))
        print(f"{name:12} {moved[name] if name != 'raw COPY' else rows:>10,} rows  median of {spread} s")
    phases = {name: median(timing[name] for timing in timings) for name in timings[0]}
    print("ours, busy:  " + "  ".join(f"{name} {value:.2f} s" for name, value in phases.items()))
    print(f"ours: {rows / medians['ours']:,.0f} rows/s")
    per_million = {name: value / moved[name] * 1e6 for name, value in medians.items() if name in ("ours", "literal")}
    if "literal" in per_million:
        name = f"the literal path, its {moved['literal']:,} rows taken times {rows / moved['literal']:.1f}"
        print(ratio_line("throughput, a million rows", per_million["ours"], name, per_million["literal"]))
    rust = [name for name in RUST_MOVERS if name in medians]
    for name in sorted(rust, key=medians.__getitem__):
        print(ratio_line("throughput", medians["ours"], f"{name}, which transforms nothing", medians[name]))
    floor = medians["raw COPY"]
    print(f"throughput: {medians['ours']:.4g} s over {floor:.4g} s of raw COPY: ratio {medians['ours'] / floor:.2f}")


def main(arguments: list[str] | None = None) -> None:
    given = parse_arguments(
        __doc__,
        arguments,
        runs=5,
        nights=(10, "nights moved"),
        events=(100_000, "events of an average night"),
        literal_runs=(1, "measured runs of the literal path"),
    )
    with open_stand(given.state) as stand:
        compare(stand, given.nights, given.events, given.runs, given.literal_runs)


if __name__ == "__main__":
    main()
