"""The kernel of a headless run: which one it is, and what is told of its end."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from sentinel_etl.brief import Brief
from sentinel_etl.notebook.kernel import run_kernel

PYTHON = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def execute(folder: Path, code: str) -> str:
    """Run one cell in a kernel of a run, and give what the notebook has of it."""
    nbformat.write(new_notebook(cells=[new_code_cell(code)], metadata=PYTHON), folder / "in.ipynb")
    with run_kernel(Brief()) as config:
        done = papermill.execute_notebook(folder / "in.ipynb", folder / "out.ipynb", progress_bar=False, config=config)
    return "".join(output.text for output in done.cells[0].outputs)


def test_a_run_s_kernel_is_this_interpreter_s_whatever_kernelspecs_the_user_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "jupyter" / "kernels" / "python3"
    theirs.mkdir(parents=True)
    spec = {"argv": ["/nowhere/python", "-m", "x", "{connection_file}"], "display_name": "x", "language": "python"}
    (theirs / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    assert execute(tmp_path, "import sys; print(sys.executable)") == f"{sys.executable}\n"


def test_what_a_kernel_says_past_its_notebook_is_not_told_where_it_ends_well(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert execute(tmp_path, "import atexit, os; atexit.register(os.write, 2, b'Assertion failed'); print(1)") == "1\n"
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_why_a_kernel_did_not_start_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ipykernel_launcher.py").write_text("raise SystemExit('no room to start')", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with caplog.at_level(logging.WARNING), pytest.raises(RuntimeError, match="Kernel died"):
        execute(tmp_path, "1 + 1")
    told = [record.getMessage() for record in caplog.records if record.name == "sentinel_etl.notebook.kernel"]
    assert told == ["the kernel's last words: no room to start"]
