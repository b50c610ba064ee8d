"""Temporary folders that outlive no process for long: those of one that was killed go with the next that is made."""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

__all__ = ["scratch_folder"]

PREFIX = "sentinel-run-"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Lend a temporary folder, and sweep those whose process is gone.

    A folder's name says whose it is, by machine and process, because machines may share a temporary folder. One
    whose process was killed stays until the next folder is made on its machine.
    """
    mine = f"{PREFIX}{re.sub(r'[^A-Za-z0-9]', '_', socket.gethostname())}-"
    for folder in Path(tempfile.gettempdir()).glob(f"{mine}*-*"):
        process = folder.name.removeprefix(mine).partition("-")[0]
        if process.isdigit() and not psutil.pid_exists(int(process)):
            shutil.rmtree(folder, ignore_errors=True)  # another user's stays
    folder = Path(tempfile.mkdtemp(prefix=f"{mine}{os.getpid()}-"))
    try:
        yield folder
    finally:
        with suppress(OSError):
            shutil.rmtree(folder)
