"""Report and notebooks of other teams' pipelines, from the command line to the last page."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import clinics
import nbformat
import pytest
from sqlalchemy import Engine

from sentinel_etl.settings import Settings

NOTEBOOKS = ("data_quality", "hotspot_risk", "risk_explorer", "add_an_event_type")


@pytest.fixture
def clinic(source_engine: Engine, environment: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A clinic's database, and an environment in which its pipelines can be imported."""
    clinics.fill_clinic(source_engine)
    monkeypatch.setenv("SENTINEL_SOURCE_URL", source_engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("PYTHONPATH", str(Path(clinics.__file__).parent))
    return environment


def command(pipeline: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sentinel_etl", *words],
        env={**os.environ, "SENTINEL_PIPELINE": f"clinics:{pipeline}"},
        capture_output=True,
        text=True,
        check=False,
    )


def show(pipeline: str, notebook: str, settings: Settings) -> str:
    """Execute a notebook from the command line and give the text of all that it shows."""
    done = command(pipeline, "run", "--notebook", notebook)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "section of the report" not in done.stderr, done.stderr
    (report,) = settings.runs_dir.glob(f"2026-11-21/{notebook}_*.ipynb")
    cells = nbformat.read(report, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    text = "\n".join(output.get("data", {}).get("text/plain", "") for output in outputs)
    report.rename(report.with_suffix(".seen"))
    return text


def load(pipeline: str) -> None:
    done = command(pipeline, "backfill", "--from", "2026-11-19", "--to", "2026-11-20")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "FAILED" not in done.stdout


@pytest.mark.parametrize("pipeline", ["NAMED", "UNWEIGHED", "UNSCORED", "BARE"])
def test_explore(pipeline: str, clinic: Settings) -> None:
    load(pipeline)
    for notebook in ("etl_nightly", *NOTEBOOKS):
        print("=====", pipeline, notebook)
        try:
            print(show(pipeline, notebook, clinic))
        except AssertionError as e:
            print("FAIL", str(e)[:1500])
    out = Path("/tmp/pages") / pipeline
    out.mkdir(parents=True, exist_ok=True)
    import shutil

    for page in clinic.runs_dir.glob("*/*.html"):
        shutil.copy(page, out / (page.name.split("_2026")[0] + ".html"))


def test_explore_empty(clinic: Settings) -> None:
    for notebook in NOTEBOOKS:
        print("=====", "EMPTY", notebook)
        try:
            print(show("NAMED", notebook, clinic))
        except AssertionError as e:
            print("FAIL", str(e)[:1500])
