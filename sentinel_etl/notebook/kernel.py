"""The kernel that a headless run starts: this interpreter's own, encrypted, its last words kept apart."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from traitlets import Dict, Int, default
from traitlets.config import Config

from sentinel_etl.brief import Brief
from sentinel_etl.settings import project_home

__all__ = ["run_kernel", "send_signal"]


log = logging.getLogger(__name__)

LAST_WORDS = 4_000

# What ipykernel chooses by itself where MPLBACKEND is not set.
INLINE = "module://matplotlib_inline.backend_inline"


class RunKernel(AsyncKernelManager):
    """A kernel of this interpreter, whatever kernelspecs the user has, as JupyterLab of `make lab` has it."""

    stderr = Int(help="the file that takes what the process writes past its notebook").tag(config=True)
    pid_file = Int(help="the file that takes the process's id, for who stops it").tag(config=True)
    told = Dict(help="what this process tells it, as environment variables").tag(config=True)

    @default("kernel_spec_manager")
    def _own_kernel_alone(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[], parent=self)

    async def start_kernel(self, **arguments: Any) -> None:
        environment = arguments.pop("env", os.environ)
        await super().start_kernel(
            stderr=self.stderr, env={**environment, **kernel_variables(), **self.told}, **arguments
        )
        os.write(self.pid_file, str(getattr(self.provisioner, "pid", "")).encode())


def kernel_variables() -> dict[str, str]:
    """Name what a kernel cannot find out: the home, as it may run elsewhere, and how its figures come to be shown.

    A server's ``MPLBACKEND=Agg`` would show none: https://matplotlib.org/stable/users/explain/figure/backends.html
    """
    return {"SENTINEL_HOME": str(project_home()), "MPLBACKEND": INLINE}


# A service's stop sends SIGTERM to all its processes at once. A kernel that it ended would leave its run without an
# end; so it is taken as an interrupt, which a cell can answer, and which does nothing where none is under way.
TERM_AS_INTERRUPT = "import signal as _signal; _signal.signal(15, lambda *_: _signal.raise_signal(2))"


def send_signal(config: Config, signum: signal.Signals) -> None:
    """Send a signal to the kernel that was started with these settings; one that is not there gets none."""
    pid = os.pread(config.RunKernel.pid_file, 20, 0)
    if pid:
        with suppress(ProcessLookupError):
            os.kill(int(pid), signum)


@contextmanager
def run_kernel(brief: Brief) -> Iterator[Config]:
    """Lend the settings of papermill's kernel, told its ``brief``; where it dies or does not start, log its last words.

    What passes between this process and the kernel is encrypted: other users share the loopback.

    What a cell prints or raises is in the notebook. Past it a kernel writes as it starts and as it ends: why it could
    not start, which is told, and what its libraries say of an end that harmed nothing, which is not. Two are known:
    jupyter_client's shutdown begins with an interrupt, of which a kernel that has not quite finished its last message
    logs an error; and libzmq may abort over a socket that another thread has closed (zeromq/libzmq#3715).

    Raises:
        RuntimeError: the kernel died or did not start, as jupyter_client and nbclient say it.
    """
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as pid_file:
        try:
            yield Config(
                {
                    "NotebookClient": {
                        "kernel_manager_class": RunKernel,
                        "extra_arguments": ["--log-level=CRITICAL", f"--IPKernelApp.exec_lines={TERM_AS_INTERRUPT}"],
                    },
                    "RunKernel": {
                        "stderr": errors.fileno(),
                        "pid_file": pid_file.fileno(),
                        "told": brief.variables(),
                        "transport_encryption": "required",
                    },
                }
            )
        except RuntimeError:
            words = last_words(errors)
            if words:
                log.warning("the kernel's last words: %s", words)
            raise


def last_words(errors: IO[bytes]) -> str:
    """Read the end of what a kernel wrote past its notebook."""
    errors.seek(max(0, errors.seek(0, 2) - LAST_WORDS))
    return errors.read().decode(errors="replace").strip()
