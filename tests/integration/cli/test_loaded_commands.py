"""Which packages the commands that read databases load: a budget by names, which no slow machine changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from loaded_packages import OF_NOTEBOOKS, loaded_by

from sentinel_etl.databases import Databases
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.tables import ETL_RUNS, create_table

NOTEBOOK = Path(__file__).resolve().parents[3] / "notebooks" / "etl_nightly.ipynb"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        pytest.param(["status"], 5, id="status"),
        pytest.param(["runs", "list"], 0, id="runs list"),
        pytest.param(["query", "SELECT 1"], 0, id="query"),
    ],
)
def test_who_asks_how_things_stand_waits_for_nothing_of_the_notebooks(
    words: list[str], code: int, environment: Settings, databases: Databases
) -> None:
    create_table(databases.warehouse, ETL_RUNS)
    assert loaded_by(*words, environment=os.environ, code=code) & OF_NOTEBOOKS == set()


@pytest.mark.parametrize(("words", "code"), [(["status"], 5), (["query", "SELECT 1"], 0)], ids=["status", "query"])
def test_a_few_rows_are_read_without_pandas(
    words: list[str], code: int, environment: Settings, databases: Databases
) -> None:
    create_table(databases.warehouse, ETL_RUNS)
    assert "pandas" not in loaded_by(*words, environment=os.environ, code=code)


def test_a_night_is_moved_and_its_verdict_shown_before_anything_that_draws_is_loaded(
    environment: Settings, databases: Databases
) -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    parameters, run = ("".join(cell["source"]) for cell in [cell for cell in cells if cell["cell_type"] == "code"][:2])
    listed = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([parameters, run, "assert result.verdict", listed])],
        env=os.environ | {"SENTINEL_NOW": "2026-11-22T06:10:00+05:30"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    # The audit compares distributions with scipy.
    assert set(done.stdout.splitlines()[-1].split()) & OF_NOTEBOOKS <= {"scipy"}
