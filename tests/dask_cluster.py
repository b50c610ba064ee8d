"""A real Dask scheduler and its workers, as processes of their own, in folders of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sentinel_etl.databases import Databases


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def without_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("SENTINEL_", "DASK_"))}


def urls(databases: Databases) -> dict[str, str]:
    return {
        "SENTINEL_SOURCE_URL": databases.source.url.render_as_string(hide_password=False),
        "SENTINEL_WAREHOUSE_URL": databases.warehouse.url.render_as_string(hide_password=False),
    }


@contextmanager
def dask_process(kind: str, *arguments: str, home: Path, settings: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``dask scheduler`` or ``dask worker`` in a folder of its own, and end it."""
    for folder in (home, home / "tmp"):
        folder.mkdir()
    places = {"HOME": str(home), "TMPDIR": str(home / "tmp"), "SENTINEL_HOME": str(home)}
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{kind}", *arguments],
            env={**without_settings(), **places, **settings},
            stdout=log,
            stderr=log,
            cwd=home,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for_workers(homes: list[Path]) -> None:
    deadline = time.monotonic() + 90
    while not all("Registered to:" in (home / "log").read_text() for home in homes):
        assert time.monotonic() < deadline, [(home / "log").read_text() for home in homes]
        time.sleep(0.2)
