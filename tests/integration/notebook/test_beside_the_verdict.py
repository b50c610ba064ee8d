"""Once the night is in, what fails beside it is a warning, and the exit code is the night's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from sqlalchemy import Engine

from sentinel_etl.ledger.ledger import read_runs
from sentinel_etl.warehouse.tables import ETL_RUNS

NIGHT = ("--event-type", "REMARK", "-p")


@dataclass(frozen=True)
class Desk:
    """A city, its warehouse, and a home to run from."""

    home: Path
    source: Engine
    warehouse: Engine

    def run(
        self, *arguments: str, stdout: int | IO[str] = subprocess.PIPE, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SENTINEL_")}
        urls = {
            f"SENTINEL_{name}_URL": engine.url.render_as_string(hide_password=False)
            for name, engine in (("SOURCE", self.source), ("WAREHOUSE", self.warehouse))
        }
        own = {"SENTINEL_HOME": str(self.home), "SENTINEL_NOW": "2026-11-22T06:10:00+05:30", **urls, **settings}
        command = [sys.executable, "-m", "sentinel_etl", "run", *arguments]
        return subprocess.run(
            command, cwd=self.home, env=kept | own, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
        )

    def state(self, run_id: str) -> str:
        [run] = read_runs(self.warehouse, ETL_RUNS.c.run_id == run_id)
        return str(run["state"])


@pytest.fixture(scope="module")
def desk(
    make_source: Callable[[str | None], Engine],
    make_warehouse: Callable[[], Engine],
    city_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Desk]:
    source, warehouse = make_source(city_template), make_warehouse()
    yield Desk(tmp_path_factory.mktemp("home"), source, warehouse)
    source.dispose()
    warehouse.dispose()


def test_a_terminal_without_the_letters_gets_their_codes(desk: Desk) -> None:
    done = desk.run(*NIGHT, "run_id", "plain", PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(r"PUBLISHED  2026-11-21 06:00 \u2192 2026-11-22 06:00")


def test_an_output_that_takes_nothing_is_a_warning(desk: Desk) -> None:
    with Path("/dev/full").open("w") as full:
        done = desk.run(*NIGHT, "run_id", "unprinted", stdout=full)
    assert done.returncode == 0
    assert done.stderr == (
        "warning: what was done could not be printed: No space left on device. The exit code tells of it\n"
    )
    assert desk.state("unprinted") == "PUBLISHED"


def test_a_pipe_that_is_closed_early_is_nothing_to_tell(desk: Desk) -> None:
    out, into = os.pipe()
    os.close(out)
    try:
        done = desk.run(*NIGHT, "run_id", "piped", stdout=into)
    finally:
        os.close(into)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_page_that_cannot_be_written_is_a_warning(desk: Desk) -> None:
    span = "20261121T0030Z-20261122T0030Z"
    page = desk.home / "runs" / "2026-11-21" / f"etl_nightly_{span}_unpaged.html"
    page.mkdir(parents=True)
    done = desk.run(*NIGHT, "run_id", "unpaged")
    assert done.returncode == 0
    assert "warning: the report is not whole: the report: expected to write" in done.stderr
    assert done.stderr.endswith("The run's verdict stands: PUBLISHED\n")
    assert desk.state("unpaged") == "PUBLISHED"


def break_template(folder: Path) -> dict[str, str]:
    """Put a template of the user's before nbconvert's own, as one that was edited badly."""
    template = folder / "nbconvert" / "templates" / "lab"
    template.mkdir(parents=True)
    (template / "conf.json").write_text('{"base_template": "base", "mimetypes": {"text/html": true}}')
    (template / "base.html.j2").write_text("{{ nothing.at.all }}")
    return {"JUPYTER_PATH": str(folder)}


def test_a_template_that_is_broken_is_a_warning(desk: Desk, tmp_path: Path) -> None:
    done = desk.run(*NIGHT, "run_id", "undrawn", **break_template(tmp_path))
    assert done.returncode == 0
    assert "expected to draw the page, found: UndefinedError: 'nothing' is undefined" in done.stderr
    assert desk.state("undrawn") == "PUBLISHED"
    assert "page    not written" in done.stdout


def test_of_a_notebook_without_a_verdict_the_report_is_the_work(desk: Desk, tmp_path: Path) -> None:
    cells = [new_code_cell("depth = 1", metadata={"tags": ["parameters"]}), new_code_cell("print(depth)")]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebooks = desk.home / "notebooks"
    notebooks.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata=kernel), notebooks / "mine.ipynb")
    done = desk.run("--notebook", "mine", **break_template(tmp_path))
    assert done.returncode == 7
    assert "expected to draw the page" in done.stderr
