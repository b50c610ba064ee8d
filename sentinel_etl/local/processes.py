"""Processes that outlive the command that started them: found, waited for, ended."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["RunningService", "command_line", "end_process", "last_lines", "live_process", "wait_until_ready"]


@dataclass(frozen=True)
class RunningService:
    """A process of the stack that is alive; ``ready`` once it accepts connections on ``port``."""

    process: psutil.Process
    port: int
    ready: bool


def live_process(pid: int) -> psutil.Process | None:
    """Find the process, unless it is gone or a zombie that nobody has reaped."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except psutil.NoSuchProcess:
        return None


def command_line(process: psutil.Process) -> list[str]:
    """Read the process's command line; empty where it is gone, or not ours to read."""
    try:
        return list(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


def wait_until_ready(find: Callable[[], RunningService | None], seconds: float) -> RunningService | None:
    """Wait for a service that is there to answer; None as soon as it is not, or no longer, there."""
    deadline = time.monotonic() + seconds
    while (service := find()) and not service.ready and time.monotonic() < deadline:
        time.sleep(0.02)
    return service


def end_process(process: psutil.Process, signals: tuple[signal.Signals, ...], seconds: float) -> None:
    """Send the signals in turn, each when the one before has not ended the process in time."""
    for step in signals:
        try:
            process.send_signal(step)
        except psutil.NoSuchProcess:
            return
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if live_process(process.pid) != process:
                return
            time.sleep(0.02)


def last_lines(log: Path, offset: int = 0) -> str:
    """Read the end of what was logged after the offset, as one line."""
    with log.open("rb") as stream:
        stream.seek(offset)
        return " | ".join(stream.read().decode(errors="replace").splitlines()[-6:])[-900:]
