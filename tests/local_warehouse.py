"""A process of the local warehouse's server for a test, with a client for it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

PASSWORD = "pass word"


@dataclass(frozen=True)
class LocalWarehouse:
    """A server that runs: ``said`` are the lines that it began with."""

    http: httpx.Client
    process: subprocess.Popen[str]
    said: list[str]

    @property
    def confined(self) -> bool:
        return self.said[1] == "confined by the kernel: files and network"

    def run(self, sql: str | bytes, **params: str | int) -> str:
        answer = self.http.post("/", params=params, content=sql)
        assert answer.status_code == 200, answer.text
        return answer.text

    def code(self, sql: str | bytes, **params: str | int) -> int:
        """Send what is to be refused; gives ClickHouse's code, 0 where it was not refused."""
        answer = self.http.post("/", params=params, content=sql)
        return int(answer.headers.get("X-ClickHouse-Exception-Code", "0"))


@contextlib.contextmanager
def serving(folder: Path, *options: str) -> Iterator[LocalWarehouse]:
    command = [sys.executable, "-m", "sentinel_etl.local.clickhouse.server", "--data", str(folder), "--port", "0"]
    process = subprocess.Popen(
        [*command, "--user", "officer", *options],
        env={**os.environ, "SENTINEL_LOCAL_PASSWORD": PASSWORD},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = [process.stdout.readline().strip() for _ in range(2)]
    address = f"http://{said[0].removeprefix('listening on ')}"
    transport = httpx.HTTPTransport(retries=5)
    try:
        with httpx.Client(base_url=address, auth=("officer", PASSWORD), timeout=60, transport=transport) as http:
            yield LocalWarehouse(http, process, said)
    finally:
        process.terminate()
        process.communicate(timeout=30)
