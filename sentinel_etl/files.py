"""Writes files whole: readers see the old one or the new one."""

from __future__ import annotations

import os
import threading
from pathlib import Path

__all__ = ["write_atomically"]


def write_atomically(path: Path, text: str, *, private: bool = False) -> None:
    """Write a text beside its name and rename it into place; a ``private`` file is its owner's alone, and on the disk.

    Threads and processes may write one name at the same time. An interruption leaves the old file, and a hidden
    one that ends in ``.part``.
    """
    part = path.with_name(f".{path.name}.{threading.get_native_id()}.part")
    part.unlink(missing_ok=True)
    mode = 0o600 if private else 0o666
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as stream:
        stream.write(text)
        if private:
            stream.flush()
            os.fsync(stream.fileno())
    part.replace(path)
