"""Report and notebooks of other teams' pipelines, from the command line to the last page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import clinics
import nbformat
import pytest
from sqlalchemy import Engine

from sentinel_etl.settings import Settings

# The copy of an entry that the notebook has tried: rows in the source, staged, and in the warehouse.
TRIED = r"ADMISSION_COPY +120 +120 +0\b"


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


def test_a_pipeline_s_own_dimensions_are_followed_to_the_last_page(clinic: Settings) -> None:
    load("NAMED")
    nightly = show("NAMED", "etl_nightly", clinic)
    assert nightly.startswith("PUBLISHED\n")
    assert "By ward\n" in nightly
    assert "<b>C</b>      36" in nightly
    places = show("NAMED", "hotspot_risk", clinic)
    assert "Kind of bed WINDOW leads with " in places
    assert "left out" not in places
    explorer = show("NAMED", "risk_explorer", clinic)
    assert "By nurse's load" in explorer
    assert "urgency = RED      10.0   20.0" in explorer
    assert "ADMISSION     360  2026-11-19  2026-11-21" in explorer
    assert "left out" not in explorer
    assert "the pipeline does not say which event types are emergencies" in show("NAMED", "risk_backtest", clinic)


def test_a_fact_table_without_scores_or_dimensions_has_a_line_in_their_place(clinic: Settings) -> None:
    load("BARE")
    nightly = show("BARE", "etl_nightly", clinic)
    assert nightly.startswith("PUBLISHED\n")
    assert nightly.count("bare_events has no column base_risk_score") == 1
    assert "By station: left out, bare_events has no columns station_id, base_risk_score; a pipeline may" in nightly
    assert "Rank places: left out, bare_events has no columns hotspot_id" in show("BARE", "hotspot_risk", clinic)
    judged = show("BARE", "risk_backtest", clinic)
    assert "Evaluate ranking: left out, bare_events has no column base_risk_score" in judged
    assert "Measure presence: left out, bare_events has no columns hotspot_id, patrol_id" in judged
    assert "ADMISSION     360  2026-11-19  2026-11-21" in show("BARE", "risk_explorer", clinic)


def test_a_pipeline_without_weights_has_nothing_to_change_and_opens(clinic: Settings) -> None:
    load("UNWEIGHED")
    shown = show("UNWEIGHED", "risk_explorer", clinic)
    assert "What if the weights were others: the pipeline has none" in shown
    assert "By station: left out, unweighed_events has no column station_id; a pipeline may name its own" in shown
    assert re.search(TRIED, show("UNWEIGHED", "add_an_event_type", clinic))


def test_every_notebook_opens_on_an_empty_warehouse(clinic: Settings) -> None:
    quality = show("NAMED", "data_quality", clinic)
    assert "2026-11-21  ADMISSION     120          0        -120" in quality
    assert "What is unknown: left out, no night of named_events is loaded" in quality
    assert "left out, no table that is read has a column received_at" in quality
    for notebook in ("hotspot_risk", "risk_explorer", "risk_backtest"):
        assert "expected a published run of named_events" in show("NAMED", notebook, clinic)
    assert re.search(TRIED, show("NAMED", "add_an_event_type", clinic))


def test_a_page_that_breaks_off_takes_no_verdict_back(environment: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure that fails is named, and the rest is drawn; a cell that fails ends the page, and not the run."""
    folder = environment.runs_dir.parent / "notebooks"
    folder.mkdir()
    notebook = nbformat.read(environment.notebooks_dir / "etl_nightly.ipynb", as_version=4)
    sources = {"box": "section(report.risk_box_figure, result, result)", "audit": "{}['no such key']"}
    for cell in notebook.cells:
        cell.source = sources.get(cell.id, cell.source)
    nbformat.write(notebook, folder / "etl_nightly.ipynb")
    monkeypatch.setenv("SENTINEL_NOTEBOOKS_DIR", str(folder))
    done = subprocess.run(
        [sys.executable, "-m", "sentinel_etl", "backfill", "--from", "2026-11-21", "--to", "2026-11-21"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "PUBLISHED" in done.stdout
    assert "FAILED" not in done.stdout
    assert "Risk box figure: not drawn, " in done.stderr
    assert "KeyError: 'no such key'. The run's verdict stands: PUBLISHED" in done.stderr
    (report,) = environment.runs_dir.glob("2026-11-21/*.ipynb")
    shown = report.with_suffix(".html").read_text(encoding="utf-8")
    assert "PUBLISHED, but its report broke off" in shown
    assert "Risk box figure: not drawn, " in shown
    words = r'alt="Figure: By station\. Share of events [^"]* 12 stations\. There is nothing before to compare with"'
    assert re.search(words, shown)
