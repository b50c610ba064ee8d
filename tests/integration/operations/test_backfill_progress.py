"""How a backfill shows that it moves: a bar at a terminal, from the first seconds on; plain lines in a file."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from dask_cluster import urls

from sentinel_etl.context import Context, completed_context
from sentinel_etl.databases import Databases
from sentinel_etl.ledger.ledger import RunRecord, read_runs, record_run
from sentinel_etl.ledger.states import RunState
from sentinel_etl.operations.groups import Group, GroupResult
from sentinel_etl.operations.progress import (
    BackfillProgress,
    GroupProgress,
    describe_result,
    measure_backfill,
    name_backfill,
)
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.catalog import has_table
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.tables import ETL_RUNS, create_staging, drop_staging
from sentinel_etl.window import Window

FIRST, LAST = date(2026, 11, 20), date(2026, 11, 21)
WINDOW = Window(Window.night(FIRST).start, Window.night(LAST).end)
GROUP = Group("202611", WINDOW, 2)
COMMAND = [sys.executable, "-m", "sentinel_etl", "backfill", "--from", str(FIRST), "--to", str(LAST)]


@pytest.mark.usefixtures("environment")
def test_a_log_gets_a_line_for_each_group_and_no_carriage_return(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_PARTITION_BY", "day")
    done = subprocess.run(COMMAND, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert b"\r" not in done.stdout + done.stderr
    lines = [re.sub(r"[\d,]+ rows", "N rows", line) for line in done.stderr.decode().splitlines()]
    assert lines == [
        "20261120  2026-11-20T00:30:00Z..2026-11-21T00:30:00Z  PUBLISHED, N rows  1 of 2 nights",
        "20261121  2026-11-21T00:30:00Z..2026-11-22T00:30:00Z  PUBLISHED, N rows  2 of 2 nights",
    ]


@pytest.mark.usefixtures("environment")
def test_the_bar_moves_before_the_first_group_ends_and_names_its_phase() -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 140, 0, 0))
    with subprocess.Popen(COMMAND, stdout=subprocess.DEVNULL, stderr=theirs):
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65_536):
                shown += part
        except OSError:  # Linux ends a terminal that nobody holds so
            pass
        os.close(ours)
    frames = shown.decode().split("\r")
    moved = [float(found[1]) for frame in frames if (found := re.search(r"\| ([\d.]+)/2 ", frame))]
    assert moved[0] == 0
    assert moved[-1] == 2
    assert any(0 < value < 2 for value in moved)
    assert moved == sorted(moved)
    assert any("202611 starting" in frame for frame in frames)


@pytest.fixture
def context(databases: Databases, settings: Settings) -> Context:
    with completed_context(settings, None, databases.source, databases.warehouse, None) as context:
        return context


def test_progress_is_told_by_the_ledger_and_by_what_is_staged(context: Context) -> None:
    run_window(WINDOW, context=context)  # its rows are those that the staging table gets, bit by bit
    warehouse, facts = context.warehouse, SENTINEL.fact_table
    backfill = name_backfill([GROUP, GROUP])

    def measure() -> tuple[str, bool, float]:
        progress = measure_backfill(backfill, context, [GROUP])
        [one] = progress.groups
        assert (progress.total, progress.done, progress.rows) == (4, one.nights, one.rows)
        return one.phase, one.rows > 0, round(one.nights, 2)

    assert measure() == ("starting", False, 0)
    record = RunRecord("r2", facts.name, WINDOW, tuple(SENTINEL.event_types), backfill=backfill)
    record_run(record, warehouse)
    assert measure() == ("starting", False, 0)
    staging = create_staging(facts, "r2", warehouse)
    assert measure() == ("reading", False, 0)
    columns = ", ".join(facts.c.keys())
    run_statement(
        warehouse, f"INSERT INTO {staging.name} SELECT {columns} FROM {facts.name} WHERE shift_date = '{FIRST}'"
    )
    phase, has_rows, nights = measure()
    assert (phase, has_rows) == ("reading", True)
    assert 0.5 < nights <= 0.9
    run_statement(
        warehouse, f"INSERT INTO {staging.name} SELECT {columns} FROM {facts.name} WHERE shift_date = '{LAST}'"
    )
    assert nights < measure()[2] <= 1.8
    record_run(replace(record, switched_at=datetime.now(UTC), how="attach 202611"), warehouse)
    assert measure() == ("publishing", False, 1.8)
    drop_staging(staging, warehouse)
    record_run(replace(record, state=RunState.PUBLISHED, source_rows=9), warehouse)
    assert measure() == ("writing the report", True, 1.8)
    told = measure_backfill(backfill, context)  # as another terminal sees it: the group has ended
    assert (told.done, told.rows, told.groups) == (2, 9, ())
    assert told.rows_per_second > 0
    assert told.seconds_left == pytest.approx(told.seconds, rel=0.1)


def test_a_warehouse_that_does_not_answer_tells_no_progress(context: Context) -> None:
    backfill = name_backfill([GROUP])
    told = measure_backfill(backfill, context, [GROUP])  # it has no ledger yet
    assert told.describe() == "0.0 of 2 nights; 202611 starting"


def test_phases_and_results_are_a_few_words() -> None:
    both = (GroupProgress(GROUP, "starting"), GroupProgress(GROUP, "reading", 12_000, 0.5))
    assert BackfillProgress(4, 0.5, 12_000, 60, both).describe() == (
        "0.5 of 4 nights, 12,000 rows, 200 a second, about 0:07:00 left; 202611 starting; 202611 reading, 12,000 rows"
    )
    failed = GroupResult(GROUP, RunState.FAILED, "two\nlines", "SentinelError", 0, "")
    assert describe_result(failed, 2, 9) == (
        "202611  2026-11-20T00:30:00Z..2026-11-22T00:30:00Z  FAILED  2 of 9 nights: two lines"
    )


def test_a_second_terminal_follows_a_backfill_to_its_end(context: Context) -> None:
    """With the source held back, the nights take some seconds; ``status --watch`` shows them from another process."""
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SENTINEL_")},
        **urls(context.databases),
        "SENTINEL_HOME": str(context.settings.runs_dir.parent),
        "SENTINEL_NOW": "2026-11-22T06:10:00+05:30",
        "SENTINEL_NOTEBOOKS_DIR": str(context.settings.notebooks_dir),
    }
    slow = variables | {"SENTINEL_SOURCE_MAX_ROWS_PER_SECOND": "50", "SENTINEL_PARTITION_BY": "day"}
    watch = [sys.executable, "-m", "sentinel_etl", "status", "--watch"]
    with subprocess.Popen(COMMAND, env=slow, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as backfill:
        deadline = time.monotonic() + 120
        while not has_table(context.warehouse, ETL_RUNS.name) or not read_runs(context.warehouse):
            assert backfill.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        done = subprocess.run(watch, env=variables, capture_output=True, text=True, timeout=300)
        backfill.communicate(timeout=120)
    lines = done.stderr.splitlines()
    first, second = "; 20261120 (starting|reading)", "; 20261121 (starting|reading)"
    assert any(re.match(rf"0\.\d of 2 nights.*{first}", line) for line in lines), lines
    told = rf"1\.\d of 2 nights, [\d,]+ rows, [\d,]+ a second, about 0:\d\d:\d\d left{second}"
    assert any(re.match(told, line) for line in lines), lines
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("night 2026-11-21: in")
