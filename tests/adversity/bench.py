"""The bench of the crash tests: databases of their own, runs in processes, a reader that never rests."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from base64 import b64encode
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Engine, make_url

from adversity.child import Task, pipeline_of, settings_of, work
from adversity.oracle import READ_ROWS, READ_STATE, State, expected_rows, expected_states, sum_states
from sentinel_etl.local.stack import start_stack
from sentinel_etl.run.result import RunResult
from sentinel_etl.run.run_window import run_window
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

TESTS = Path(__file__).parents[1]
LAST = date(2026, 11, 21)
NIGHTS = [LAST - timedelta(days=n) for n in (2, 1, 0)]


def fork_server() -> Any:
    """Give a process that has imported everything once; each run is forked from it."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["adversity.child"])
    os.environ["PYTHONPATH"] = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    return context


@dataclass
class Run:
    """A run in a process of its own."""

    task: Task
    process: BaseProcess
    pipe: Connection

    def wait_for(self, word: str, seconds: float = 60) -> Any:
        """Wait until the process says this, and return what comes with it."""
        while True:
            assert self.pipe.poll(seconds), f"the run did not say {word!r} within {seconds} s: {self.task}"
            said, more = self.pipe.recv()
            if said == word:
                return more
            assert said == "started", f"expected the run to say {word!r}, found {said}: {more}"

    def go_on(self) -> None:
        with suppress(BrokenPipeError):  # what was killed beside it may have ended it, too
            self.pipe.send("go on")

    def end(self, seconds: float = 60) -> tuple[str, Any]:
        """Wait for the process and return its last word, ``killed`` where it was."""
        last: tuple[str, Any] = ("silent", None)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if self.pipe.poll(0.05):
                    last = self.pipe.recv()
                    if last[0] == "stopped":
                        self.go_on()
            except (EOFError, ConnectionResetError):
                break
        self.process.join(10)
        assert self.process.exitcode is not None, f"the run does not end: {self.task}"
        return ("killed", None) if self.process.exitcode == -signal.SIGKILL else last


@dataclass
class Bench:
    """One source and one warehouse on a stack that may be killed, and what readers have seen there."""

    state_dir: Path
    source: Engine
    warehouse: Engine
    partition_by: Any = "month"
    seen: set[State] = field(default_factory=set)
    polls: int = 0

    @property
    def warehouse_url(self) -> str:
        return self.warehouse.url.set(query={}).render_as_string(hide_password=False)

    def start(self, window: Window, point: str = "", **options: Any) -> Run:
        source_url = options.pop("source_url", self.source.url.render_as_string(hide_password=False))
        warehouse_url = options.pop("warehouse_url", self.warehouse_url)
        task = Task(source_url, warehouse_url, window, self.partition_by, point, **options)
        context = fork_server()
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(task, theirs), daemon=True)
        process.start()
        theirs.close()
        return Run(task, process, ours)

    def run(self, window: Window, **settings: Any) -> RunResult:
        """Run the window here, as the next morning's run would: the local stack is started if need be."""
        start_stack(self.state_dir)
        task = Task("", "", window, self.partition_by, settings=settings)
        return run_window(
            window,
            source=self.source,
            warehouse=self.warehouse,
            pipeline=pipeline_of(self.partition_by),
            allow_shrink=True,
            settings=settings_of(task),
        )

    def change(self, *statements: str) -> None:
        with self.source.begin() as connection:
            for statement in statements:
                assert connection.exec_driver_sql(statement).rowcount > 0, statement

    def endpoint(self) -> psutil.Process:
        return psutil.Process(json.loads((self.state_dir / "clickhouse.pid").read_text())["pid"])

    def backend(self, name: str) -> int:
        """Find the server process of one of the run's sessions, by its application name."""
        with self.source.connect() as connection:
            found = connection.exec_driver_sql(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid != pg_backend_pid() "
                "AND application_name LIKE %(name)s ORDER BY xact_start NULLS LAST, backend_start DESC",
                {"name": name},
            ).first()
        assert found is not None, f"no session of {name}"
        return int(found[0])

    def expected(self, nights: Collection[date] = ()) -> dict[date, State]:
        return expected_states(self.source, nights or NIGHTS)

    def drop_warehouse(self) -> None:
        """Drop the warehouse: each one that is there makes the endpoint's next start slower."""
        run_statement(self.warehouse, f"DROP DATABASE {self.warehouse.url.database} SYNC")

    def state(self) -> State:
        [(rows, checksum)] = run_statement(self.warehouse, READ_STATE)
        return State(int(rows), int(checksum))

    def differences(self, window: Window) -> list[str]:
        """Name the rows that are there and should not be, or the other way round."""
        wanted = {(event_id, row[1]) for event_id, row in expected_rows(self.source, window.start, window.end).items()}
        found = [(str(event_id), str(digest)) for event_id, digest in run_statement(self.warehouse, READ_ROWS)]
        twice = sorted({row[0] for row in found if found.count(row) > 1})
        return sorted(row[0] for row in wanted.symmetric_difference(found)) + twice

    def left_over(self) -> list[str]:
        """Name what a dead run has left: tables but the kept ones of before, locks, sessions."""
        tables = run_statement(
            self.warehouse,
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND startsWith(name, 'patrol_events__') "
            "AND NOT startsWith(name, 'patrol_events__before_')",
        )
        with self.source.connect() as connection:
            sessions = connection.exec_driver_sql(
                "SELECT DISTINCT a.application_name || coalesce(' ' || l.locktype, '') FROM pg_stat_activity a "
                "LEFT JOIN pg_locks l ON l.pid = a.pid AND l.locktype = 'advisory' "
                "WHERE a.datname = current_database() AND a.pid != pg_backend_pid() "
                "AND (a.application_name LIKE 'sentinel-etl run%%' OR a.xact_start IS NOT NULL OR l.pid IS NOT NULL)"
            )
            return sorted([str(name) for (name,) in tables] + [str(name) for (name,) in sessions])

    @contextmanager
    def polling(self, readers: int = 1, pause: float = 0.005) -> Iterator[None]:
        """Read the table's state over HTTP, over and over, while the block lasts."""
        stop = threading.Event()
        failures: list[BaseException] = []
        url = make_url(self.warehouse_url)
        login = b64encode(f"{url.username}:{url.password}".encode()).decode()

        def poll() -> None:
            while not stop.is_set():
                try:
                    with closing(http.client.HTTPConnection(str(url.host), url.port, timeout=10)) as connection:
                        path, headers = f"/?database={url.database}", {"Authorization": f"Basic {login}"}
                        connection.request("POST", path, READ_STATE, headers)
                        answer = connection.getresponse()
                        with closing(answer):
                            text = answer.read().decode()
                except (OSError, http.client.HTTPException):
                    time.sleep(0.02)  # the endpoint was killed
                    continue
                if answer.status == 200:
                    rows, checksum = text.split()
                    self.seen.add(State(int(rows), int(checksum)))
                    self.polls += 1
                    time.sleep(pause)
                elif "UNKNOWN_TABLE" not in text and "shutdown" not in text:
                    failures.append(AssertionError(f"a reader was refused: {text}"))
                    return

        threads = [threading.Thread(target=poll, name="reader") for _ in range(readers)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]


def whole_states(before: dict[date, State], then: dict[date, State]) -> set[State]:
    """Give the states that a reader may see: all old and all new."""
    return {sum_states(before), sum_states(then)}


def move_events(bench: Bench, later: timedelta) -> None:
    tables = "patrol_logs remarks vehicle_checks stranger_encounters emergency_incidents feedback geofence_logs"
    bench.change(
        *(f"UPDATE {table} SET created_at = created_at + interval '{later.days} days'" for table in tables.split())
    )


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime.fromisoformat(f"2026-11-{day:02}T{hour:02}:{minute:02}:00+00:00")
