"""Attempts to get out of the local warehouse: each beside its control, which gets out where nothing confines it."""

from __future__ import annotations

import json
import os
import random
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from local_warehouse import LocalWarehouse, serving

from adversity.bench import TESTS
from adversity.escapes import SETTINGS, Attempt, all_attempts, preparations
from adversity.soak import SOAK, count

ANSWER_SECONDS = 8.0
START_SECONDS = 180.0
CONNECTING_ATTEMPTS = 10
ATTEMPTS_OF_A_KIND = 6  # outside `make soak`, where all are made


@dataclass
class BareEngine:
    """A process of adversity/bare_engine.py, started again on new data where a statement has ended or held it."""

    how: str
    folder: Path
    starts: int = 0
    process: subprocess.Popen[str] | None = None

    def __call__(self, statements: list[str]) -> list[str]:
        if self.process is None:
            self.starts += 1
            data = self.folder / str(self.starts)
            data.mkdir()
            command = [sys.executable, "-m", "adversity.bare_engine", self.how, str(data)]
            self.process = subprocess.Popen(
                command,
                cwd=data,  # some names of hosts are taken for paths
                env={**os.environ, "PYTHONPATH": str(TESTS)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            assert self._answer(START_SECONDS) == "ready"
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(statements) + "\n")
            self.process.stdin.flush()
            said = self._answer(ANSWER_SECONDS)
        except (OSError, ValueError):
            said = None
        if said is None:
            self.end()
            return ["no answer"]
        assert isinstance(said, list)
        return said

    def _answer(self, seconds: float) -> object:
        assert self.process is not None
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            return None
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


@dataclass
class Listener:
    """Counts the connections that are made to it, says something to each, and closes it."""

    socket: socket.socket
    connections: int = 0

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            with client, suppress(OSError):
                client.settimeout(0.2)
                client.recv(65536)
                client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


@contextmanager
def listening() -> Iterator[Listener]:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        listener = Listener(bound)
        threading.Thread(target=listener.serve, daemon=True).start()
        yield listener
        with suppress(OSError):
            bound.shutdown(socket.SHUT_RDWR)


@dataclass
class Outside:
    """What is none of the engine's business, and what has come of it."""

    folder: Path
    listener: Listener
    token: str = "a secret of the city"
    found: dict[str, int] = field(default_factory=lambda: {"read": 0, "written": 0, "connected": 0})

    def try_out(self, attempt: Attempt, run: Callable[[list[str], dict[str, str]], list[str]]) -> set[str]:
        """Make an attempt; gives what came of it, and puts everything back."""
        secret, loot = self.folder / "secret.txt", self.folder / "loot"
        secret.write_text(self.token)
        self.clean()
        before, connections = self.state(), self.listener.connections
        statements, settings = attempt.filled(
            secret=str(secret),
            loot=str(loot),
            folder=str(self.folder),
            prepared=str(self.folder.parent / "prepared"),
            port=str(self.listener.port),
        )
        said = run(list(statements), settings)
        results = {
            "read": any(self.token in text for text in said),
            "written": self.state() != before,
            "connected": self.listener.connections > connections,
        }
        for what, happened in results.items():
            self.found[what] += happened
        self.clean()
        return {what for what, happened in results.items() if happened}

    def state(self) -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in sorted(self.folder.rglob("*"))}

    def clean(self) -> None:
        for path in sorted(self.folder.rglob("*"), reverse=True):
            if path.name != "secret.txt" or path.parent != self.folder:
                path.rmdir() if path.is_dir() else path.unlink()


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    top = tmp_path_factory.mktemp("outside")
    for name in ("watched", "prepared"):
        (top / name).mkdir()
    with listening() as listener:
        yield Outside(top / "watched", listener)


@pytest.fixture(scope="module")
def control(outside: Outside, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BareEngine]:
    engine = BareEngine("free", tmp_path_factory.mktemp("free"))
    for statement in preparations(asking(engine)):
        prepared = str(outside.folder.parent / "prepared")
        engine([statement.replace("{prepared}", prepared).replace("{token}", outside.token)])
    yield engine
    engine.end()


@pytest.fixture(scope="module")
def caught(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BareEngine]:
    engine = BareEngine("confined", tmp_path_factory.mktemp("confined"))
    yield engine
    engine.end()


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWarehouse]:
    with serving(tmp_path_factory.mktemp("served")) as one:
        if not one.confined:
            pytest.skip(f"this kernel does not confine: {one.said[1]}")
        yield one


def asking(engine: BareEngine) -> Callable[[str], list[str]]:
    return lambda sql: engine([sql])[0].splitlines()


def on_engine(engine: BareEngine) -> Callable[[list[str], dict[str, str]], list[str]]:
    def run(statements: list[str], settings: dict[str, str]) -> list[str]:
        def quoted(value: str) -> str:
            return value.replace("\\", "\\\\").replace("'", "\\'")

        sets = [f"SET {name} = '{quoted(value)}'" for name, value in settings.items() if name != "default_format"]
        pasted = f" FORMAT {settings['default_format']}" if "default_format" in settings else ""
        return engine([SETTINGS, *sets, *statements[:-1], statements[-1] + pasted])

    return run


def on_warehouse(warehouse: LocalWarehouse) -> Callable[[list[str], dict[str, str]], list[str]]:
    def run(statements: list[str], settings: dict[str, str]) -> list[str]:
        return [warehouse.http.post("/", params=settings, content=statement).text for statement in statements]

    return run


def chosen(attempts: list[Attempt]) -> list[Attempt]:
    """All attempts in `make soak`, else some of each kind; those that are known to get out are among them."""
    if SOAK:
        return attempts
    kinds = {attempt.kind for attempt in attempts}
    first = [attempt for attempt in attempts if attempt.name in CERTAIN]
    by_kind = {kind: [attempt for attempt in attempts if attempt.kind == kind] for kind in sorted(kinds)}
    return [*first, *(one for kind in by_kind.values() for one in random.sample(kind, ATTEMPTS_OF_A_KIND))]


CERTAIN = {
    *("file", "lambda", "data of VALUES", "trimBoth", "toString", "arrayMap(file, …)", "any, aggregate"),
    *("CSV, insert into file()", "TSV, into outfile", "TSV, pasted", "JSONEachRow, engine File", "CSV, read"),
    *("CSV, from infile", "file, 2", "url, 5", "into sqlite, 4", "database Filesystem, 0", "name of a file"),
    *("output_format_schema, 0, 1", "input_format_record_errors_file_path, 0, 3"),
}


def test_nothing_that_gets_out_where_nothing_confines_it_gets_out_of_the_warehouse(
    outside: Outside, control: BareEngine, caught: BareEngine, warehouse: LocalWarehouse
) -> None:
    attempts = all_attempts(asking(control))
    assert {attempt.name for attempt in attempts} >= CERTAIN
    results = {attempt.name: (attempt, outside.try_out(attempt, on_engine(control))) for attempt in chosen(attempts)}
    got_out = [attempt for attempt, came in results.values() if came]
    assert {attempt.name for attempt in got_out} >= CERTAIN
    controls, outside.found = outside.found, dict.fromkeys(outside.found, 0)
    # A client that the kernel refuses tries again for a long time.
    connecting = [attempt for attempt in got_out if results[attempt.name][1] == {"connected"}]
    at_once = [attempt for attempt in got_out if attempt not in connecting]
    to_kernel = [*at_once, *random.sample(connecting, min(CONNECTING_ATTEMPTS, len(connecting)))]
    by_kernel = [attempt.name for attempt in to_kernel if outside.try_out(attempt, on_engine(caught))]
    by_warehouse = [attempt.name for attempt in got_out if outside.try_out(attempt, on_warehouse(warehouse))]
    count(
        escapes=len(got_out),
        escapes_by_kernel=len(to_kernel),
        escapes_that_read=controls["read"],
        escapes_that_wrote=controls["written"],
        escapes_that_connected=controls["connected"],
        got_out_to_read=outside.found["read"],
        got_out_to_write=outside.found["written"],
        got_out_to_connect=outside.found["connected"],
    )
    assert (by_kernel, by_warehouse) == ([], [])
    assert not SOAK or len(got_out) >= 300
