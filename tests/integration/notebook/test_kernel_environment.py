"""What a run's kernel does not take from the environment of who started it: the way figures are shown, the home."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from sentinel_etl.brief import Brief
from sentinel_etl.notebook.kernel import run_kernel

PYTHON = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
OURS = "from sentinel_etl.report.figure_style import draw_plain, finish_figure\nfinish_figure(draw_plain()[0])"
OF_PYPLOT = "import matplotlib.pyplot as plt\nplt.plot([1, 2]);"


def outputs_of(folder: Path, code: str, config: Any = None) -> list[Any]:
    """Run one cell and give what it shows."""
    nbformat.write(new_notebook(cells=[new_code_cell(code)], metadata=PYTHON), folder / "in.ipynb")
    done = papermill.execute_notebook(folder / "in.ipynb", folder / "out.ipynb", progress_bar=False, config=config)
    return list(done.cells[0].outputs)


@pytest.mark.parametrize("backend", ["Agg", "TkAgg", "svg", "nonsense"])
@pytest.mark.parametrize("code", [OURS, OF_PYPLOT], ids=["a figure of the package", "a figure of a team's own"])
def test_a_run_shows_its_figures_whatever_backend_the_environment_names(
    code: str, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPLBACKEND", backend)
    with run_kernel(Brief()) as config:
        (shown,) = outputs_of(tmp_path, code, config)
    assert shown["data"]["image/png"].startswith("iVBORw0KGgo")
    assert shown["data"]["text/plain"].startswith("<Figure size ")


@pytest.mark.parametrize("backend", ["Agg", "TkAgg"])
def test_plain_papermill_shows_the_package_s_figures_too(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPLBACKEND", backend)
    (shown,) = outputs_of(tmp_path, OURS)
    assert shown["data"]["image/png"].startswith("iVBORw0KGgo")


@pytest.mark.parametrize("named", [".", ""], ids=["relative", "not named"])
def test_a_run_s_kernel_has_the_home_of_who_started_it(
    named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("SENTINEL_LOADER=arrow\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SENTINEL_HOME", named)
    elsewhere = "import os; os.chdir('/')\nfrom sentinel_etl import load_settings; print(load_settings().runs_dir)"
    with run_kernel(Brief()) as config:
        (printed,) = outputs_of(tmp_path, elsewhere, config)
    assert printed.text == f"{tmp_path / 'runs'}\n"
