"""Ends a notebook that is being executed where Ctrl-C, SIGTERM or another thread says so."""

from __future__ import annotations

import signal
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import papermill
from jupyter_core.utils import ensure_event_loop
from traitlets.config import Config

from sentinel_etl.notebook.interrupts import stopped_by
from sentinel_etl.notebook.kernel import send_signal

__all__ = ["StopSignal", "execute_stoppable"]

# A cell that is interrupted closes its run in well under a second. One that is not answered, as while the kernel
# starts, is sent again; and at last the kernel is killed, well before a service's stop would kill this process.
SECONDS_TO_ANSWER = 5.0
INTERRUPTS = 3

SECONDS_BETWEEN_LOOKS = 0.2


@dataclass
class StopSignal:
    """How one thread tells others to end their notebooks: by what ended it itself."""

    interrupt: KeyboardInterrupt | None = None


def execute_stoppable(config: Config, stop: StopSignal, **arguments: Any) -> None:
    """Execute a notebook with papermill, in a thread of its own, so that this one is free to be interrupted.

    Raises: what papermill raises, and
        Stopped: an interrupt of this thread, or ``stop``, has ended it. Whatever the notebook then ended in is its
            consequence.
    """
    with ThreadPoolExecutor(1, "notebook") as executor:
        done = executor.submit(execute, config, arguments)
        try:
            wait_for(done, stop)
        except KeyboardInterrupt as interrupt:
            end_kernel(done, config)
            if done.exception() is None:
                return
            raise stopped_by(interrupt, "the report tells how far it came; running it again is safe") from None
    done.result()


def execute(config: Config, arguments: dict[str, Any]) -> None:
    # nbclient would leave the loop that it opens in this thread open.
    with closing(ensure_event_loop()):
        papermill.execute_notebook(config=config, **arguments)


def wait_for(done: Future[None], stop: StopSignal) -> None:
    while not done.done():
        if stop.interrupt is not None:
            raise stop.interrupt
        wait([done], SECONDS_BETWEEN_LOOKS)


def end_kernel(done: Future[None], config: Config) -> None:
    """Interrupt the kernel's cell until the notebook has ended; kill a kernel that does not answer."""
    for signum in (*[signal.SIGINT] * INTERRUPTS, signal.SIGKILL):
        if done.done():
            return
        send_signal(config, signum)
        wait([done], SECONDS_TO_ANSWER)
