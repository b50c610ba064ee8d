"""The process that becomes a run's kernel: it is started first, and imports while the run is being prepared."""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from runpy import run_module
from typing import IO, Self, cast

from sentinel_etl.allocator import allocator_variables

__all__ = ["KernelProcess", "KernelsAhead", "start_kernel_process"]

# What a run needs first comes first: where the order to become a kernel comes before the end, the notebook imports
# the rest when it needs it.
IMPORTED = (
    "ipykernel.kernelapp",
    "sentinel_etl.run.run_window",
    "sentinel_etl.report.verdict",
    "sentinel_etl.report.risk",
    "sentinel_etl.analyst.ranking",
)

# What ipykernel chooses by itself where MPLBACKEND is not set. A server's ``Agg`` would show no figures:
# https://matplotlib.org/stable/users/explain/figure/backends.html
INLINE = "module://matplotlib_inline.backend_inline"

# Nothing is imported from the working directory, which `-c` puts first on the path, until the process is a kernel.
# `-P` would keep it from the kernel's path, too: https://docs.python.org/3/using/cmdline.html#cmdoption-P
BEGIN = f"import sys; sys.path[:1] == [''] and sys.path.pop(0); from {__name__} import be_kernel; be_kernel()"

LAST_WORDS = 4_000


@dataclass(frozen=True)
class KernelProcess:
    """A process that waits, as its own session, for the order to become a kernel."""

    process: subprocess.Popen[bytes]
    orders: IO[bytes]
    errors: IO[bytes]

    def become_kernel(self, command: Sequence[str], folder: str, environment: Mapping[str, str]) -> None:
        """Let the process go on as a kernel's command would, in this folder and environment; to be called once.

        ``command``: as a kernelspec has it, ``python -m module arguments``. What `start_kernel_process` says in the
        environment stays. A process that has died meanwhile is not told of here: it is found dead, as any kernel is.
        """
        order = {"command": list(command), "folder": folder, "environment": dict(environment)}
        with suppress(BrokenPipeError), self.orders:
            self.orders.write(json.dumps(order).encode())

    def send_signal(self, signum: signal.Signals) -> None:
        """Send a signal to the process; one that has ended gets none."""
        self.process.send_signal(signum)

    def last_words(self) -> str:
        """Read the end of what the process wrote past its notebook."""
        self.errors.seek(max(0, self.errors.seek(0, os.SEEK_END) - LAST_WORDS))
        return self.errors.read().decode(errors="replace").strip()


@contextmanager
def start_kernel_process() -> Iterator[KernelProcess]:
    """Start a process that can become a kernel, and end it at the latest when the block ends.

    It has this interpreter, and a session of its own, so that Ctrl-C at a terminal is for this process alone to
    answer. Where this process is killed, it reads the end of its standard input, and ends. What it writes past a
    notebook is kept apart.
    """
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603  # our own module
            [sys.executable, "-c", BEGIN],
            stdin=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **allocator_variables(), **read_at_import()},
            start_new_session=True,
        )
        try:
            yield KernelProcess(process, cast(IO[bytes], process.stdin), errors)
        finally:
            process.kill()
            with suppress(BrokenPipeError):
                process.communicate()


class KernelsAhead:
    """Lends kernel processes, the next of which imports while those before it are at work; for use with ``with``.

    Each process is lent once, so that nothing of one run is left for the next. ``runs``: how many there will be at
    most, as far as is known; ``ahead``: how many wait at a time.
    """

    def __init__(self, runs: int = 1, ahead: int = 1) -> None:
        self.left, self.ahead = runs, ahead
        self.waiting: deque[tuple[ExitStack, KernelProcess]] = deque()
        self.lock = threading.Lock()

    def __enter__(self) -> Self:
        with self.lock:
            self.start_ahead()
        return self

    def __exit__(self, *error: object) -> None:
        """End the processes that wait still; those that are lent end where they were lent."""
        with self.lock:
            self.left = 0
            while self.waiting:
                self.waiting.popleft()[0].close()

    def expect(self, runs: int) -> None:
        """Say how many runs are still to come, now that it is known."""
        with self.lock:
            self.left = max(0, runs - len(self.waiting))
            self.start_ahead()

    def start_ahead(self) -> None:
        while self.left and len(self.waiting) < self.ahead:
            self.left -= 1
            opened = ExitStack()
            self.waiting.append((opened, opened.enter_context(start_kernel_process())))

    @contextmanager
    def lend(self) -> Iterator[KernelProcess]:
        """Lend a process until the block ends, and start the next one."""
        with self.lock:
            self.left += not self.waiting and not self.left  # more runs than were foreseen
            self.start_ahead()
            opened, process = self.waiting.popleft()
            self.start_ahead()
        with opened:
            yield process


def read_at_import() -> dict[str, str]:
    """Name what matplotlib and ipykernel read in the environment when they are imported, and not later."""
    return {"MPLBACKEND": INLINE, "JPY_PARENT_PID": str(os.getpid())}


def spare_modules() -> None:
    """Keep what is imported out of the search for garbage, which would take a fifth of the time that imports take.

    The last search, as the process ends, spares all: of a process that ends nothing needs to be freed, and who waits
    for the end of the kernel would wait 0.4 s longer. https://docs.python.org/3/library/gc.html#gc.freeze
    """
    gc.freeze()
    atexit.register(gc.freeze)


def be_kernel() -> None:
    """Import what a run needs, wait for the order, and be the kernel; without an order, end.

    A service's stop sends SIGTERM to all its processes at once. A kernel that it ended would leave its run without an
    end; so it is taken as an interrupt, which a cell can answer, and which does nothing where none is under way.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as ipykernel has it between cells
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    gc.disable()
    for name in IMPORTED:
        if select.select([sys.stdin], [], [], 0)[0]:
            break
        import_module(name)
    spare_modules()
    gc.enable()
    told = sys.stdin.buffer.read()
    if not told:
        return
    order = json.loads(told)
    kept = {name: os.environ[name] for name in read_at_import()} | allocator_variables()
    os.environ.clear()
    os.environ.update(order["environment"] | kept)
    os.chdir(order["folder"])
    module = order["command"].index("-m") + 1
    sys.argv[1:] = order["command"][module + 1 :]
    sys.path.insert(0, "")  # what ipykernel's launcher expects first, takes away while it imports, and gives back
    run_module(order["command"][module], run_name="__main__", alter_sys=True)
