"""Settles what the run of a notebook does, before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sentinel_etl.env_file import project_home
from sentinel_etl.ledger.commands import redo_command
from sentinel_etl.notebook.folder import choose_report_folder
from sentinel_etl.notebook.parameters import check_parameters, notebook_parameters, notebook_path
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.run.run_ids import check_run_id, new_run_id
from sentinel_etl.settings import Settings, choose_window
from sentinel_etl.window import Window, check_ended

__all__ = ["Plan", "kernel_folder", "plan_run", "redo_of"]


@dataclass(frozen=True)
class Plan:
    """A notebook about to be executed: the parameters as they are settled, and where its report will be.

    ``recorded``: whether it takes a run id, so that a run of it has a row in the ledger. ``backfill``: the id of the
    backfill that it is a part of.
    """

    source: Path
    parameters: Mapping[str, Any]
    window: Window
    run_id: str
    report: Path
    recorded: bool
    backfill: str = ""

    @property
    def page(self) -> Path:
        return self.report.with_suffix(".html")

    @property
    def part(self) -> Path:
        """Where it is executed, until it is done."""
        return self.report.with_name(f".{self.report.stem}.part.ipynb")


def plan_run(name: str, parameters: dict[str, Any], pipeline: Pipeline, settings: Settings, backfill: str = "") -> Plan:
    """Settle what a run does before it begins."""
    source = notebook_path(name, settings)
    given = check_parameters(source, parameters)
    known = notebook_parameters(source)
    window = choose_window(given.get("window_end", ""), given.get("window_hours", 24), settings)
    if "window_end" in known:
        check_ended(window, settings.now or datetime.now(UTC), settings.zone)
    pipeline.select_event_types(given.get("event_types"))
    run_id = check_run_id(str(given.get("run_id") or new_run_id()))
    settled = {"window_end": window.end.astimezone(settings.zone).isoformat(), "run_id": run_id}
    given |= {key: value for key, value in settled.items() if key in known}
    folder = choose_report_folder(str(window.shift_dates(settings.zone)[-1]), settings)
    span = f"{window.start:%Y%m%dT%H%MZ}-{window.end:%Y%m%dT%H%MZ}"
    report = folder / f"{source.stem}_{span}_{run_id}.ipynb"
    return Plan(source, given, window, run_id, report, recorded="run_id" in known, backfill=backfill)


def kernel_folder(source: Path, settings: Settings) -> Path:
    """Choose where the kernel runs: beside a notebook of the home; for one of the package in the home itself."""
    return source.parent if source.is_relative_to(settings.notebooks_dir) else project_home()


def redo_of(plan: Plan, settings: Settings) -> str:
    """Write the command that does the planned run again."""
    given = plan.parameters
    return redo_command(
        plan.window,
        settings.zone,
        given.get("event_types", ()),
        dry_run=bool(given.get("dry_run", False)),
        notebook=plan.source.stem,
    )
