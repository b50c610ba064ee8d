"""One trial of publishing: a bench, the model of its fact table, and how the two are compared."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from two_months import move_to_two_months

from adversity.bench import Bench, Run
from adversity.child import BESIDE, POINTS, Task, pipeline_of, settings_of
from adversity.expected_facts import Facts, differences, partitions_of, read_noted, read_source, state_of
from adversity.soak import count
from sentinel_etl.context import Context
from sentinel_etl.databases import Databases
from sentinel_etl.local.stack import start_stack
from sentinel_etl.publish.partitions import partition_ids
from sentinel_etl.warehouse.provision import prepare_tables
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import CITY_ZONE, Window

# The source has rows of the three nights in the middle, across a month's end; those around them get moved rows alone.
DAYS = [datetime.fromisoformat("2026-11-28T00:30:00+00:00") + timedelta(days=n) for n in range(5)]
NIGHTS = [Window(day, day + timedelta(days=1)) for day in DAYS]
HOURS_6 = timedelta(hours=6)
ALL = Window(NIGHTS[0].start, NIGHTS[4].end)
WINDOWS = [
    ALL,
    *NIGHTS[1:4],
    *NIGHTS[1:4],
    *(Window(night.start + n * HOURS_6, night.start + (n + 1) * HOURS_6) for night in NIGHTS[1:4] for n in range(4)),
    *(Window(night.start + 2 * HOURS_6, night.end + 2 * HOURS_6) for night in NIGHTS[:4]),
    Window(NIGHTS[1].start, NIGHTS[2].end),
    Window(NIGHTS[2].start, NIGHTS[3].end),
]
MORNING_AFTER = NIGHTS[-1].end + timedelta(minutes=10)
KEEP = 3
SETTINGS = {"lookback_nights": 0, "lock_wait_seconds": 0.3, "keep_versions": KEEP, "now": MORNING_AFTER}

ORDER = [point for point in POINTS if point != BESIDE]
READ = ORDER.index("rows staged")  # from this point on the source has been read
CHECKED = ORDER.index("locks checked")
SWITCHED = ORDER.index("switch done")
TABLE_HELD = range(ORDER.index("clone made"), ORDER.index("all published"))
FREE = ORDER.index("ledger written")  # no lock is held any more


@dataclass
class Held:
    """A run that has stopped at a point, and what it will publish if it goes on.

    ``cut``     its session is gone, and its locks with it
    ``shaken``  the warehouse was killed under it, so that it may fail wherever it is
    """

    run: Run
    point: int
    staged: Facts | None
    partitions: set[str]
    cut: bool = False
    shaken: bool = False

    @property
    def window(self) -> Window:
        return self.run.task.window

    @property
    def locks(self) -> set[str]:
        return set() if self.cut or self.point >= FREE else self.partitions

    @property
    def locks_table(self) -> bool:
        return not self.cut and self.point in TABLE_HELD


def partitions_touched(window: Window) -> set[str]:
    return set(partition_ids(window, "month", CITY_ZONE))


class Trial:
    """Databases of one's own, and what their fact table is to hold."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        move_to_two_months(bench.source)
        settings = settings_of(Task("", "", NIGHTS[0], settings=SETTINGS))
        self.context = Context(settings, pipeline_of("month"), Databases(bench.source, bench.warehouse))
        prepare_tables(bench.warehouse, self.context.pipeline.fact_table, CITY_ZONE)
        self.facts: Facts = {}
        self.before: dict[str, Facts] = {}  # a run that has switched the table → the table's rows before
        self.held: dict[str, Held] = {}
        self.littered = False  # a run that did not end well may have left tables
        self.number = 0  # so that no run and no edit is like an earlier one
        self.polling = bench.polling()
        self.polling.__enter__()

    def close(self) -> None:
        try:
            for name in [*self.held]:
                self.end_held(name)
        finally:
            self.polling.__exit__(None, None, None)
        self.bench.drop_warehouse()

    def read_source(self, window: Window, event_types: tuple[str, ...] = ()) -> Facts:
        return read_source(self.bench.source, window, event_types)

    def start(self, window: Window, point: str) -> tuple[Run, str, Any]:
        """Start a run, and wait until it has stopped at the point or ended before it; return its word, too."""
        self.number += 1
        run = self.bench.start(window, point, run_id=f"started_{self.number}", settings=SETTINGS)
        word, more = next_word(run)
        if word == "stopped" and point == ORDER[FREE] and self.has_failed(run):
            run.go_on()  # it has written that it was refused
            word, more = next_word(run)
        return run, word, more

    def has_failed(self, run: Run) -> bool:
        statement = "SELECT state FROM etl_runs FINAL WHERE run_id = :run_id"
        [[state]] = run_statement(self.bench.warehouse, statement, {"run_id": run.task.run_id})
        return str(state) == "FAILED"

    def may_refuse(self, window: Window, staged: Facts) -> bool:
        """Tell whether a held run has one of the locks that a run of the window may want."""
        return self.holds(self.wanted(window, staged)) or any(held.locks_table for held in self.held.values())

    def must_refuse(self, window: Window) -> bool:
        wanted = partitions_touched(window)
        return any(wanted & held.locks & partitions_touched(held.window) for held in self.held.values())

    def wanted(self, window: Window, staged: Facts) -> set[str]:
        """Name the partitions of the window, and of its events that stand elsewhere."""
        standing = {name: event for name, event in self.facts.items() if name in staged}
        return partitions_touched(window) | partitions_of(standing)

    def holds(self, partitions: set[str]) -> bool:
        return any(partitions & held.locks for held in self.held.values())

    def kill(self, run: Run) -> None:
        assert run.process.pid is not None
        os.kill(run.process.pid, signal.SIGKILL)
        assert run.end() == ("killed", None)
        self.wait_for(lambda: not self.sessions(str(run.task.run_id)), "the killed run's session to end")

    def end_shaken(self, run: Run, new: Facts) -> str:
        """Let a run end that has lost its session, or whose warehouse was killed: it publishes all or nothing."""
        how, more = run.end()
        codes = (1, 3, 4, 6) if self.held else (1, 3, 4)  # it may find a held run's lock before it finds its own loss
        assert how == "done" or (how == "failed" and more[1] in codes), (how, more)
        if how == "done" or self.bench.state() == state_of(new):
            self.facts = new
        return how

    def end_held(self, name: str) -> None:
        self.kill(self.held.pop(name).run)
        self.littered = True

    def sessions(self, run_id: str) -> list[int]:
        with self.bench.source.connect() as connection:
            statement = "SELECT pid FROM pg_stat_activity WHERE application_name = %(name)s"
            return list(connection.exec_driver_sql(statement, {"name": f"sentinel-etl run {run_id}"}).scalars())

    def end_session(self, run_id: str) -> None:
        [pid] = self.sessions(run_id)
        with self.bench.source.connect() as connection:
            connection.exec_driver_sql("SELECT pg_terminate_backend(%(pid)s)", {"pid": pid})
        self.wait_for(lambda: not self.sessions(run_id), "the session to end")

    def restart_warehouse(self) -> None:
        count(restarts=1)
        endpoint = self.bench.endpoint()
        endpoint.kill()
        endpoint.wait(10)
        start_stack(self.bench.state_dir)
        for held in self.held.values():
            held.shaken = True

    def wait_for(self, condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"expected {what} within {seconds} s"
            time.sleep(0.02)

    def check(self, old: Facts) -> None:
        """Compare the table, what readers have seen of it, and what is left over with the model."""
        for run in read_noted(self.bench.warehouse):
            self.before.setdefault(run.run_id, old)
        polls = self.bench.polls
        # A reading that has begun before the step may end after it.
        self.wait_for(lambda: self.bench.polls > polls + 1, "a reader to read on")
        found, expected = self.bench.state(), state_of(self.facts)
        seen, self.bench.seen = self.bench.seen, set()
        strange = set(seen) - {state_of(old), expected}
        count(steps=1, reads=self.bench.polls - polls, step_mismatches=len(strange) + (found != expected))
        assert found == expected, f"{found} instead of {expected}: {differences(self.bench.warehouse, self.facts)}"
        assert not strange, f"a reader saw {[*map(str, strange)]}, neither {state_of(old)} nor {expected}"
        if not self.held and not self.littered:
            with suppress(AssertionError):
                self.wait_for(lambda: not self.bench.left_over(), "nothing to be left over", 5)
            assert self.bench.left_over() == []


def next_word(run: Run) -> tuple[str, Any]:
    """Wait until the run says that it has stopped, or how it ended."""
    word, more = "started", None
    while word == "started":
        assert run.pipe.poll(600), f"the run says nothing: {run.task}"
        word, more = run.pipe.recv()
    if word != "stopped":
        run.process.join(10)
    return word, more
