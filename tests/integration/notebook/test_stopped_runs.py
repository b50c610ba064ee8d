"""A run or a backfill that is told to stop: the ledger is closed, what was done is archived, one sentence is said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from loopback_server import LoopbackServer
from nbformat.v4 import new_code_cell, new_notebook

from sentinel_etl.config.fact_table import build_patrol_events
from sentinel_etl.databases import Databases
from sentinel_etl.ledger.ledger import read_runs
from sentinel_etl.ledger.states import RunState
from sentinel_etl.source.locks import SessionLocks, hold_locks
from sentinel_etl.warehouse.tables import ETL_RUNS, create_table

KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
PARAMETERS = 'window_end: str = ""\nwindow_hours: float = 24\nrun_id: str = ""\nallow_shrink: bool = False'
RUN = (
    "from sentinel_etl import choose_window, run_window\n"
    "run_window(choose_window(window_end, window_hours), run_id=run_id).raise_for_verdict()"
)


@dataclass(frozen=True)
class Place:
    """A home whose runs wait for a lock that somebody else holds."""

    databases: Databases
    environment: dict[str, str]
    runs: Path

    def lock(self) -> AbstractContextManager[SessionLocks]:
        partitions = [f"patrol_events partition {day}" for day in ("20261119", "20261120", "20261121")]
        return hold_locks(self.databases.source, partitions, "somebody else", 0)

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "sentinel_etl", *words],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_for_run(self, process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + 240
        while not read_runs(self.databases.warehouse):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "no run began"
            time.sleep(0.1)


@pytest.fixture
def place(databases: Databases, tmp_path: Path, server: LoopbackServer) -> Place:
    cells = [new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}), new_code_cell(RUN)]
    nbformat.write(new_notebook(cells=cells, metadata=KERNEL), tmp_path / "etl_nightly.ipynb")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SENTINEL_")}
    environment |= {
        "SENTINEL_HOME": str(tmp_path),
        "SENTINEL_NOW": "2026-11-22T06:10:00+05:30",
        "SENTINEL_NOTEBOOKS_DIR": str(tmp_path),
        "SENTINEL_NOTIFY_URL": server.url,
        "SENTINEL_PARTITION_BY": "day",
        "SENTINEL_LOCK_WAIT_SECONDS": "600",
        "SENTINEL_SOURCE_URL": databases.source.url.render_as_string(hide_password=False),
        "SENTINEL_WAREHOUSE_URL": databases.warehouse.url.render_as_string(hide_password=False),
    }
    create_table(databases.warehouse, ETL_RUNS)
    create_table(databases.warehouse, build_patrol_events("day"))
    return Place(databases, environment, tmp_path / "runs")


def children_of(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            parent = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1]
        except (OSError, IndexError):
            continue
        if entry.name.isdigit() and int(parent) == pid:
            found.append(int(entry.name))
    return found


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    try:
        printed, said = process.communicate(timeout=200)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    return process.returncode, printed, said.strip()


def to_the_process(pid: int, signum: int) -> None:
    os.kill(pid, signum)


def to_the_kernel_too(pid: int, signum: int) -> None:
    """As systemd does it to all processes of a service at once."""
    for each in (pid, *children_of(pid)):
        os.kill(each, signum)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
@pytest.mark.parametrize(
    ("signum", "code", "send"),
    [
        pytest.param(signal.SIGTERM, 143, to_the_process, id="SIGTERM"),
        pytest.param(signal.SIGTERM, 143, to_the_kernel_too, id="SIGTERM to all processes"),
        pytest.param(signal.SIGINT, 130, to_the_process, id="Ctrl-C"),
    ],
)
def test_a_run_that_is_stopped_closes_the_ledger_archives_its_report_and_says_so(
    place: Place, server: LoopbackServer, signum: int, code: int, send: Callable[[int, int], None]
) -> None:
    with place.lock():
        process = place.start("run")
        place.wait_for_run(process)
        send(process.pid, signum)
        ended = end(process)
    [run] = read_runs(place.databases.warehouse)
    assert (run["state"], run["cause"]) == (RunState.FAILED, "stopped by Ctrl-C or SIGTERM")
    report = place.runs / run["report_path"]
    assert ended == (
        code,
        "",
        "sentinel-etl: stopped: the report tells how far it came; running it again is safe\n"
        f"report of the failed run: {report}",
    )
    assert "the run was stopped" in report.with_suffix(".html").read_text("utf-8")
    assert not list(place.runs.glob("*/.*"))
    [posted] = server.documents
    assert (posted["verdict"], posted["exit_code"]) == ("FAILED", code)


def test_a_run_that_sigterm_ends_is_told_to_the_collector_of_lineage(place: Place, server: LoopbackServer) -> None:
    place.environment["SENTINEL_OPENLINEAGE_URL"] = server.url
    with place.lock():
        process = place.start("run")
        place.wait_for_run(process)
        process.send_signal(signal.SIGTERM)
        code, _, _ = end(process)
    assert code == 143
    events = [json.loads(body) for path, body in server.posted if path == "/api/v1/lineage"]
    assert [event["eventType"] for event in events] == ["START", "FAIL"]
    assert events[1]["run"]["facets"]["errorMessage"]["message"] == "stopped by Ctrl-C or SIGTERM"
    assert len({event["run"]["runId"] for event in events}) == 1


def test_a_backfill_that_is_stopped_ends_the_group_under_way_and_leaves_the_rest(place: Place) -> None:
    with place.lock():
        process = place.start("backfill", "--from", "2026-11-19", "--to", "2026-11-21", "--json")
        place.wait_for_run(process)
        process.send_signal(signal.SIGTERM)
        code, printed, said = end(process)
    assert (code, [group["verdict"] for group in json.loads(printed)]) == (143, ["FAILED", "LEFT", "LEFT"])
    assert said == "sentinel-etl: stopped: 2 of 3 groups are left; run it again with --missing-only"
    [run] = read_runs(place.databases.warehouse)
    assert run["state"] is RunState.FAILED
    assert (place.runs / run["report_path"]).is_file()


def test_a_command_that_is_stopped_before_it_runs_anything_says_so(place: Place) -> None:
    code = "import sys, time, click\nfrom sentinel_etl.cli import main\n"
    code += "main.cli.add_command(click.command('waits')(lambda: (print('waiting', flush=True), time.sleep(60))))\n"
    code += "sys.argv = ['sentinel-etl', 'waits']\nmain.main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=place.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.terminate()
    assert end(process) == (143, "", "sentinel-etl: stopped: run it again")
