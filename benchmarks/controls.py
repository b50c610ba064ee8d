"""Times the moves of the analyst's controls, from a changed widget to the new picture, on two sizes of history.

Each move is what the notebooks do: the questions of the map, or of the ranking under other weights, and the drawing.
What a row more costs follows from the two sizes, and what 50 M rows would from that; with --rows 50000000 they are
measured themselves. The instant moves a minute with each run, so that no answer can be one of before.

    python -m benchmarks.controls --rows 5000000
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from pathlib import Path

import pandas as pd
import psutil
from sqlalchemy import Engine

from benchmarks.measure import Timings, measure
from benchmarks.queries import AS_OF, PIPELINE, build, describe_size
from benchmarks.stand import open_stand, parse_arguments, url_of
from sentinel_etl.analyst import readings
from sentinel_etl.analyst.bench import choose_nights, open_bench
from sentinel_etl.analyst.controls import draw_map, draw_trial
from sentinel_etl.analyst.trial import Asked, rank_places_under
from sentinel_etl.config.risk_weights import RISK_WEIGHTS
from sentinel_etl.transform.what_if import change_weights
from sentinel_etl.warehouse.provision import prepare_fact_table
from sentinel_etl.warehouse.query import run_statement

TARGET_ROWS = 50_000_000
NIGHTS = 28
TYPES = ("REMARK", "PRIORITY_CHANGE")
OTHER = change_weights(RISK_WEIGHTS, {"event_type": {"REMARK": 3.0, "GEOFENCE": 1.0}}, PIPELINE.fact_table)
MOVES = {
    "72 h, the default": Asked(AS_OF, 72.0),
    "48 h": Asked(AS_OF, 48.0),
    "1,000 h": Asked(AS_OF, 1_000.0),
    "two event types": Asked(AS_OF, 72.0, TYPES),
    "a place": Asked(AS_OF, 72.0, place=101),
    "other weights": Asked(AS_OF, 72.0, before=RISK_WEIGHTS, after=OTHER),
    "other weights, 1,000 h": Asked(AS_OF, 1_000.0, before=RISK_WEIGHTS, after=OTHER),
}


def moments(asked: Asked) -> Iterator[Asked]:
    """Ask the same a minute later each time."""
    return (replace(asked, as_of=asked.as_of + timedelta(minutes=minutes)) for minutes in count())


@dataclass(frozen=True)
class Cost:
    """What a move takes: seconds from the widget to the picture, and CPU seconds of kernel and warehouse together."""

    wall: Timings
    cpu: float


def cpu_seconds(state: Path) -> float:
    """Add up the CPU time of this process and of the engine, which other work hardly raises."""
    engines = [
        each
        for each in psutil.process_iter(["cmdline"])
        if str(state.resolve()) in " ".join(each.info["cmdline"] or [])
    ]
    times = [each.cpu_times() for each in engines if each.pid != os.getpid()]
    return time.process_time() + sum(each.user + each.system for each in times)


def cost_of(action: Callable[[], object], runs: int, state: Path) -> Cost:
    action()
    before = cpu_seconds(state)
    wall = measure(action, runs, warm_up=0)
    return Cost(wall, (cpu_seconds(state) - before) / runs)


def time_moves(warehouse: Engine, runs: int, state: Path) -> dict[str, tuple[Cost, Cost]]:
    """Time each move, the whole of it and its ranking alone."""
    os.environ["SENTINEL_WAREHOUSE_URL"] = url_of(warehouse)
    open_bench.cache_clear()
    period = choose_nights(AS_OF.isoformat(), NIGHTS)
    places: pd.DataFrame = readings.locate_places(period)
    stations: pd.DataFrame = readings.locate_stations(period)
    found = {}
    for name, asked in MOVES.items():
        moves = moments(asked)

        def draw(moves: Iterator[Asked] = moves) -> str:
            asked = next(moves)
            return draw_trial(asked) if asked.before else draw_map(asked, period, 72.0, places, stations)

        def rank(moves: Iterator[Asked] = moves) -> pd.DataFrame:
            return rank_places_under(next(moves))

        found[name] = cost_of(draw, runs, state), cost_of(rank, runs, state)
    open_bench.cache_clear()
    return found


def compare(warehouses: dict[int, Engine], runs: int, state: Path) -> None:
    """Fill each warehouse where it is empty, and time every move in each."""
    timed = {}
    for rows, warehouse in sorted(warehouses.items()):
        prepare_fact_table(warehouse, PIPELINE.fact_table, PIPELINE.zone)
        if not run_statement(warehouse, "SELECT count() FROM patrol_events")[0][0]:
            print(f"built in {build(warehouse, rows):.0f} s")
        print(describe_size(warehouse))
        timed[rows] = time_moves(warehouse, runs, state)
    (few, small), (many, large) = min(timed.items()), max(timed.items())
    for name, (whole, ranking) in large.items():
        a_row = max(0.0, whole.cpu - small[name][0].cpu) / (many - few)
        reached = whole.cpu + a_row * (TARGET_ROWS - many)
        print(
            f"{name:24} best {whole.wall.best:.3f} s  p50 {whole.wall.median:.3f} s, CPU {whole.cpu:.3f} s, of "
            f"which the ranking {ranking.cpu:.3f} s; of {few:,} rows CPU {small[name][0].cpu:.3f} s; of 50 M about "
            f"{reached:.2f} s, a second of one core: ratio {1.0 / max(reached, 1e-9):.2f}"
        )


def main(arguments: list[str] | None = None) -> None:
    given = parse_arguments(__doc__, arguments, runs=10, rows=(5_000_000, "synthetic events over ten years"))
    few = given.rows // 5
    with (
        open_stand(given.state) as stand,
        stand.kept_warehouse(f"ten_years_{few}") as small,
        stand.kept_warehouse(f"ten_years_{given.rows}") as large,
    ):
        compare({few: small, given.rows: large}, given.runs, given.state)


if __name__ == "__main__":
    main()
