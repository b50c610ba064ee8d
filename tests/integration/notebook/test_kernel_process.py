"""The process that waits to become a run's kernel: what it takes along, and that it never outlives who started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import papermill
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from sentinel_etl.brief import Brief
from sentinel_etl.notebook.kernel import run_kernel
from sentinel_etl.notebook.kernel_process import KernelProcess, KernelsAhead, start_kernel_process

PYTHON = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def execute(process: KernelProcess, folder: Path, code: str) -> str:
    """Run one cell in the kernel that the process becomes, in the folder, and give what it prints."""
    nbformat.write(new_notebook(cells=[new_code_cell(code)], metadata=PYTHON), folder / "in.ipynb")
    with run_kernel(Brief(), process) as config:
        done = papermill.execute_notebook(
            folder / "in.ipynb",
            folder / "out.ipynb",
            progress_bar=False,
            config=config,
            resources={"metadata": {"path": str(folder)}},
        )
    return "".join(output.text for output in done.cells[0].outputs)


def test_the_kernel_has_the_environment_and_the_folder_of_when_the_run_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL_DEADLINE", "05:00")
    with start_kernel_process() as process:
        monkeypatch.delenv("SENTINEL_DEADLINE")
        monkeypatch.setenv("SENTINEL_BATCH_ROWS", "7")
        code = "import os; print(os.getcwd(), os.environ.get('SENTINEL_DEADLINE'), os.environ['SENTINEL_BATCH_ROWS'])"
        assert execute(process, tmp_path, code) == f"{tmp_path} None 7\n"


def test_nothing_is_imported_from_the_folder_that_the_command_is_started_in_and_the_notebook_imports_from_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere, own = tmp_path / "elsewhere", tmp_path / "own"
    for folder, text in ((elsewhere, "raise SystemExit('the wrong one')"), (own, "WORDS = 'the right one'")):
        folder.mkdir()
        for name in ("json", "pandas", "beside"):
            (folder / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.chdir(elsewhere)
    with start_kernel_process() as process:
        assert execute(process, own, "import beside; print(beside.WORDS)") == "the right one\n"


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_to_all_processes_while_it_waits_leaves_the_kernel_to_its_run(signum: int, tmp_path: Path) -> None:
    with start_kernel_process() as process:
        wait_for_handlers(process)
        process.send_signal(signal.Signals(signum))
        assert execute(process, tmp_path, "print(1)") == "1\n"


def wait_for_handlers(process: KernelProcess) -> None:
    """Wait until the process has answers to signals: until then it is Python that starts."""
    status = Path(f"/proc/{process.process.pid}/status")
    deadline = time.monotonic() + 60
    while not mask_of(status, "SigCgt") & (1 << (signal.SIGTERM - 1)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def mask_of(status: Path, name: str) -> int:
    """Read a mask of signals. https://man7.org/linux/man-pages/man5/proc_pid_status.5.html"""
    lines = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines())
    return int(lines[name], 16)


def test_a_process_that_is_not_needed_ends_with_its_block() -> None:
    with start_kernel_process() as process:
        assert process.process.poll() is None
    assert process.process.returncode == -signal.SIGKILL


def test_a_process_whose_starter_is_killed_ends(tmp_path: Path) -> None:
    code = (
        "import time\nfrom sentinel_etl.notebook.kernel_process import start_kernel_process\n"
        "with start_kernel_process() as process:\n print(process.process.pid, flush=True)\n time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        waiting = psutil.Process(int(starter.stdout.readline()))
        starter.send_signal(signal.SIGKILL)
    psutil.wait_procs([waiting], timeout=120)
    assert not waiting.is_running() or waiting.status() == psutil.STATUS_ZOMBIE


def test_a_process_that_died_before_its_run_is_told_of_as_a_kernel_that_did_not_start(tmp_path: Path) -> None:
    with start_kernel_process() as process:
        os.kill(process.process.pid, signal.SIGKILL)
        process.process.wait()
        with pytest.raises(RuntimeError, match="Kernel died"):
            execute(process, tmp_path, "1 + 1")


def test_the_next_run_s_process_is_there_before_its_turn_and_each_is_lent_once(tmp_path: Path) -> None:
    with KernelsAhead(3) as kernels:
        [first] = [process for _, process in kernels.waiting]
        with kernels.lend() as lent:
            [second] = [process for _, process in kernels.waiting]
            assert lent is first
            assert execute(lent, tmp_path, "left = 1; print(left)") == "1\n"
        assert first.process.poll() is not None
        with kernels.lend() as lent:
            assert lent is second
            assert "NameError" in execute(
                lent, tmp_path, "try:\n left\nexcept NameError as error:\n print(repr(error))"
            )
        [third] = [process for _, process in kernels.waiting]
    assert third.process.poll() is not None


def test_no_more_processes_are_started_than_there_are_runs() -> None:
    with KernelsAhead(1) as kernels:
        with kernels.lend():
            assert not kernels.waiting
        with kernels.lend() as one_more:
            assert one_more.process.poll() is None
    with KernelsAhead(0) as kernels:
        assert not kernels.waiting


def test_where_the_runs_are_told_of_later_the_first_process_is_there_before() -> None:
    with KernelsAhead() as kernels:
        [first] = [process for _, process in kernels.waiting]
        kernels.expect(2)
        with kernels.lend() as lent:
            assert lent is first
            assert len(kernels.waiting) == 1
    with KernelsAhead() as kernels:
        kernels.expect(0)
        with kernels.lend():
            assert not kernels.waiting
