"""The kernel that a headless run starts: this interpreter's own, encrypted, its last words kept apart."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from traitlets import default
from traitlets.config import Config

from sentinel_etl.brief import Brief
from sentinel_etl.env_file import project_home
from sentinel_etl.notebook.kernel_process import KernelProcess, start_kernel_process

__all__ = ["run_kernel", "send_signal"]


log = logging.getLogger(__name__)


class RunKernel(AsyncKernelManager):
    """A kernel of this interpreter, whatever kernelspecs the user has, as JupyterLab of `make lab` has it."""

    # A run's own class names its process: traitlets' settings are copied, and a process cannot be.
    waiting: ClassVar[KernelProcess]
    told: ClassVar[Mapping[str, str]]

    @default("kernel_spec_manager")
    def _own_kernel_alone(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[], parent=self)

    async def _async_launch_kernel(self, kernel_cmd: list[str], **arguments: Any) -> None:
        """Let the process that waits become the kernel, which jupyter_client would start a new one for.

        The home is what a kernel cannot find out, as it may run elsewhere.
        """
        provisioner: Any = self.provisioner  # jupyter_client's own for a kernel on this machine
        environment = {**arguments["env"], "SENTINEL_HOME": str(project_home()), **self.told}
        provisioner.cwd = str(arguments.get("cwd") or Path.cwd())
        provisioner.process = self.waiting.process
        provisioner.pid = provisioner.pgid = self.waiting.process.pid  # it leads its own group
        self.waiting.become_kernel(kernel_cmd, provisioner.cwd, environment)


def send_signal(config: Config, signum: signal.Signals) -> None:
    """Send a signal to the kernel that is started with these settings; one that is not there gets none."""
    config.NotebookClient.kernel_manager_class.waiting.send_signal(signum)


@contextmanager
def run_kernel(brief: Brief, process: KernelProcess | None = None) -> Iterator[Config]:
    """Lend the settings of papermill's kernel, told its ``brief``; where it dies or does not start, log its last words.

    ``process`` waits to become the kernel; without, one is started now. What passes between this process and the
    kernel is encrypted: other users share the loopback.

    What a cell prints or raises is in the notebook. Past it a kernel writes as it starts and as it ends: why it could
    not start, which is told, and what its libraries say of an end that harmed nothing, which is not. Two are known:
    jupyter_client's shutdown begins with an interrupt, of which a kernel that has not quite finished its last message
    logs an error; and libzmq may abort over a socket that another thread has closed (zeromq/libzmq#3715).

    Raises:
        RuntimeError: the kernel died or did not start, as jupyter_client and nbclient say it.
    """
    with nullcontext(process) if process else start_kernel_process() as waiting:
        kept = {"waiting": waiting, "told": brief.variables()}
        try:
            yield Config(
                {
                    "NotebookClient": {
                        "kernel_manager_class": type("RunKernel", (RunKernel,), kept),
                        "extra_arguments": ["--log-level=CRITICAL"],
                    },
                    "RunKernel": {"transport_encryption": "required"},
                }
            )
        except RuntimeError:
            if words := waiting.last_words():
                log.warning("the kernel's last words: %s", words)
            raise
