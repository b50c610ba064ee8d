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
from datetime import UTC, date, datetime, timedelta

import pytest

from sentinel_etl.context import Context, completed_context
from sentinel_etl.databases import Databases
from sentinel_etl.ledger.ledger import RunRecord, record_run
from sentinel_etl.ledger.states import RunState
from sentinel_etl.operations.groups import Group, GroupResult
from sentinel_etl.operations.progress import Progress, describe_progress, describe_result, measure_progress
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.tables import create_staging, drop_staging
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
    began = datetime.now(UTC) - timedelta(seconds=1)
    run_window(WINDOW, context=context)  # its rows are those that the staging table gets, bit by bit
    warehouse, facts = context.warehouse, SENTINEL.fact_table
    later = datetime.now(UTC)

    def measure() -> tuple[str, bool, float]:
        [one] = measure_progress([GROUP], context, later)
        return one.phase, one.rows > 0, round(one.nights, 2)

    assert measure() == ("starting", False, 0)
    record = RunRecord("r2", facts.name, WINDOW, tuple(SENTINEL.event_types))
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
    record_run(RunRecord(**{**vars(record), "switched_at": later, "how": "attach 202611"}), warehouse)
    assert measure() == ("publishing", False, 1.8)
    drop_staging(staging, warehouse)
    record_run(RunRecord(**{**vars(record), "state": RunState.PUBLISHED, "source_rows": 9}), warehouse)
    assert measure() == ("writing the report", True, 1.8)
    assert measure_progress([GROUP], context, began)[0].phase == "writing the report"


def test_a_warehouse_that_does_not_answer_tells_no_progress(context: Context) -> None:
    assert measure_progress([GROUP], context, datetime.now(UTC)) == []  # it has no ledger yet


def test_phases_and_results_are_a_few_words() -> None:
    both = [Progress(GROUP, "starting"), Progress(GROUP, "reading", 12_000, 0.4)]
    assert describe_progress(both) == "202611 starting; 202611 reading, 12,000 rows"
    failed = GroupResult(GROUP, RunState.FAILED, "two\nlines", "SentinelError", 0, "")
    assert describe_result(failed, 2, 9) == (
        "202611  2026-11-20T00:30:00Z..2026-11-22T00:30:00Z  FAILED  2 of 9 nights: two lines"
    )
