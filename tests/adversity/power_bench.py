"""A warehouse on a disk that forgets, whose machine may lose power at any instant."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, make_url

from adversity.bench import TESTS
from adversity.volatile_disk import Cut
from sentinel_etl.local.clickhouse.launch import http_get
from sentinel_etl.warehouse.engine import open_warehouse
from sentinel_etl.warehouse.query import run_statement

START_SECONDS = 30.0


def why_not_mountable() -> str:
    """Say why no FUSE file system can be mounted here; empty where it should be possible."""
    try:
        import pyfuse3  # noqa: F401
    except ImportError:
        return "pyfuse3 is not installed: pip install 'sentinel-warehouse-etl[power]', which needs libfuse3-dev"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse is not there, or is not ours to open"
    return ""


@dataclass
class MountedDisk:
    """The process that serves a `VolatileDisk`, and where it is mounted."""

    folder: Path
    process: subprocess.Popen[str]

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the disk's process has ended"
        said: dict[str, Any] = json.loads(line)
        return said

    def ask(self, *command: str | int) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return self.hear()

    def settle(self) -> None:
        """Make everything durable, as a minute's rest does."""
        self.ask("settle")

    def cut(self, kind: Cut, seed: int) -> str:
        """Forget what is not durable, mount what is left, and say how much that was."""
        said = self.ask("cut", kind, seed)
        return f"{said['lost']} of {said['of']} changes of directories lost"


@contextmanager
def mounted_disk(folder: Path) -> Iterator[MountedDisk]:
    """Mount an empty disk; skip the test where this machine does not let us."""
    if reason := why_not_mountable():
        pytest.skip(reason)
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "adversity.mounted_disk", str(folder)],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    disk = MountedDisk(folder, process)
    try:
        if refused := disk.hear().get("refused"):
            pytest.skip(f"this machine does not let us mount a FUSE file system: {refused}")
        yield disk
    finally:
        process.communicate(timeout=30)  # the end of its input unmounts


@dataclass
class PoweredWarehouse:
    """The local endpoint on a disk that forgets; it keeps its port over power cuts."""

    disk: MountedDisk
    log: Path
    port: int = 0
    server: subprocess.Popen[str] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"clickhouse+http://sentinel:word@127.0.0.1:{self.port}/sentinel"

    def new_database(self) -> Engine:
        """Make a database and open it."""
        name = f"test_{uuid4().hex[:12]}"
        maintenance = open_warehouse(self.url, retry_seconds=START_SECONDS)
        run_statement(maintenance, f"CREATE DATABASE {name} ENGINE = Atomic")
        maintenance.dispose()
        url = make_url(self.url).set(database=name).render_as_string(hide_password=False)
        return open_warehouse(url, retry_seconds=START_SECONDS)

    def start(self) -> None:
        data = str(self.disk.folder)
        command = [sys.executable, "-m", "sentinel_etl.local.clickhouse.server", "--data", data]
        with self.log.open("a") as sink:
            self.server = subprocess.Popen(
                [*command, "--port", str(self.port)],
                env={**os.environ, "SENTINEL_LOCAL_PASSWORD": "word"},
                stdout=subprocess.PIPE,
                stderr=sink,
                text=True,
            )
        assert self.server.stdout is not None
        said = self.server.stdout.readline()
        assert said, f"the warehouse does not start again: {self.log.read_text()[-3000:]}"
        self.port = int(said.rsplit(":", 1)[1])
        deadline = time.monotonic() + START_SECONDS
        while http_get(self.port, "/ping") is None:
            assert time.monotonic() < deadline, f"the warehouse does not answer: {self.log.read_text()[-3000:]}"
            time.sleep(0.02)

    def kill(self) -> None:
        if self.server is not None:
            with self.server:  # closes its pipe
                self.server.kill()
            self.server = None

    def cut_power(self, kind: Cut, seed: int) -> str:
        """Kill the warehouse, forget what is not durable, start it again, and say how much was lost."""
        self.kill()
        lost = self.disk.cut(kind, seed)
        self.start()
        return lost
