"""Times the whole nightly command at 5,000 and at 100,000 events, split from its start to its report.

`sentinel-etl run` is started as cron starts it, over a warehouse that holds the nights before. Start-up
is what passes until the run has its row in the ledger: interpreter, imports, kernel, checks. The report
is what passes after the run is over: figures, page, archive. The CPU seconds are the whole machine's, both databases
included, so nothing else may run on it. The rival is papermill on a notebook that does nothing.

    python -m benchmarks.nightly --runs 3
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from statistics import median

import nbformat
import psutil
from sqlalchemy import Engine

from benchmarks.measure import ratio_line
from benchmarks.stand import CHECKOUT, LAST_NIGHT, Stand, environment, nights_until, open_stand, parse_arguments
from benchmarks.throughput import move_by_us, timed
from sentinel_etl.ledger.ledger import read_runs
from sentinel_etl.window import Window

PHASES = ("extract", "transform", "load", "count", "audit", "publish", "reconcile")
BARS = {"pipeline": 2.5, "whole": 15.0}


def time_night(source: Engine, warehouse: Engine, window: Window, folder: Path) -> dict[str, float]:
    """Run one night's command and return seconds: start-up, each phase, pipeline, report, whole, CPU."""
    settings = {"runs_dir": folder, "notebooks_dir": CHECKOUT / "notebooks", "now": window.end.isoformat()}
    started, clock, spent = time.time(), time.perf_counter(), cpu_of_machine()
    done = subprocess.run(
        [sys.executable, "-m", "sentinel_etl", "run"],
        env=environment(source, warehouse, **settings),
        capture_output=True,
        text=True,
        check=False,
    )
    whole, spent = time.perf_counter() - clock, cpu_of_machine() - spent
    if done.returncode:
        raise SystemExit(done.stderr)
    record = read_runs(warehouse)[0]
    start_up = record["started_at"].timestamp() - started
    pipeline = record["timings"]["total"]
    busy = {phase: record["timings"].get(phase, 0.0) for phase in PHASES}
    split = {"start-up": start_up, **busy, "pipeline": pipeline, "report": whole - start_up - pipeline}
    return {"rows": float(record["published_rows"]), **split, "whole": whole, "CPU": spent}


def cpu_of_machine() -> float:
    """Give the CPU seconds that all processes have had since the machine started."""
    times = psutil.cpu_times()
    return float(times.user + times.system + getattr(times, "nice", 0.0))


def empty_papermill(folder: Path) -> None:
    """Execute a notebook of one cell that does nothing."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("pass")])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "empty.ipynb")
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", "empty.ipynb", "done.ipynb"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)  # noqa: S603


def compare(stand: Stand, history: int, events: int, runs: int) -> None:
    before = nights_until(LAST_NIGHT - timedelta(days=runs), history)
    figures: list[dict[str, float]] = []
    empty = []
    with (
        stand.city(history + runs, events) as source,
        stand.warehouse() as warehouse,
        tempfile.TemporaryDirectory(prefix="sentinel-bench-") as home,
    ):
        move_by_us(source, warehouse, before)
        for night in range(runs):
            window = Window.night(LAST_NIGHT - timedelta(days=runs - 1 - night))
            figures.append(time_night(source, warehouse, window, Path(home)))
            empty.append(timed(lambda: empty_papermill(Path(home))))
    middle = {name: median(figure[name] for figure in figures) for name in figures[0]}
    rows = int(middle.pop("rows"))
    judged = {name: f" (bar {bar}: {'met' if middle[name] <= bar else 'MISSED'})" for name, bar in BARS.items()}
    print(
        f"{rows:,} events: "
        + "  ".join(f"{name} {value:.2f} s{judged.get(name, '')}" for name, value in middle.items())
    )
    print(ratio_line(f"nightly, {rows:,} events", middle["whole"], "papermill on an empty notebook", median(empty)))


def main(arguments: list[str] | None = None) -> None:
    given = parse_arguments(
        __doc__,
        arguments,
        runs=3,
        history=(28, "nights in the warehouse before"),
        small=(5_000, "events of a small night"),
        large=(100_000, "events of a large night"),
    )
    with open_stand(given.state) as stand:
        for events in (given.small, given.large):
            compare(stand, given.history, events, given.runs)


if __name__ == "__main__":
    main()
