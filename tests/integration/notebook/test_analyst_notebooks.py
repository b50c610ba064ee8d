"""The analyst's notebooks over another period and with other parameters than their own."""

from __future__ import annotations

import subprocess
import sys
from datetime import date

import nbformat
import pytest

from sentinel_etl.databases import Databases
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import query_df
from sentinel_etl.window import Window


@pytest.fixture
def loaded(databases: Databases, environment: Settings) -> Settings:
    """Settings of a warehouse that holds the sample city's last two nights."""
    for night in ("2026-11-20", "2026-11-21"):
        window = Window.night(date.fromisoformat(night), environment.zone)
        run_window(window, source=databases.source, warehouse=databases.warehouse, settings=environment)
    return environment


def execute(name: str, **parameters: str) -> subprocess.CompletedProcess[str]:
    options = [word for parameter in parameters.items() for word in ("-p", *parameter)]
    command = [sys.executable, "-m", "sentinel_etl", "run", "--notebook", name, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def show(name: str, settings: Settings, **parameters: str) -> str:
    """Execute a notebook from the command line and give the text of all that it shows."""
    done = execute(name, **parameters)
    assert done.returncode == 0, done.stderr
    (report,) = settings.runs_dir.glob(f"*/{name}_*.ipynb")
    cells = nbformat.read(report, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    return "\n".join(output.get("data", {}).get("text/plain", "") for output in outputs)


def test_changed_weights_move_scores_in_the_notebook_and_none_in_the_warehouse(
    loaded: Settings, databases: Databases
) -> None:
    sums = "SELECT sum(base_risk_score) AS points, countIf(event_type = 'REMARK') AS remarks FROM patrol_events"
    ((points, remarks),) = query_df(databases.warehouse, sums).to_numpy()
    # 28 nights are asked for and two are there: averages are taken over the two.
    shown = show("risk_explorer", loaded, weight_changes="{event_type: {REMARK: 3}, new_priority_ranking: {1: 8}}")
    assert "2 of 28 nights have events" in shown
    assert f"{remarks:,.0f} of " in shown
    assert f"{points / 2:,.0f} → {(points + 2 * remarks) / 2:,.0f} risk points a night" in shown
    assert query_df(databases.warehouse, sums).to_numpy().tolist() == [[points, remarks]]


def test_hotspot_risk_answers_in_the_middle_of_the_first_night_that_there_is(loaded: Settings) -> None:
    shown = show("hotspot_risk", loaded, as_of="2026-11-21T02:00:00+05:30", compared_hours="[6]", nights="3")
    assert "2026-11-21 02:00 IST, half-life 72 h" in shown
    assert "leads with" in shown
    assert "6 h: rank" in shown
    assert "No cell has more incidents than chance explains" in shown
