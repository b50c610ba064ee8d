"""``sentinel-etl runs``: the archive of reports and the index page."""

from __future__ import annotations

import json
import webbrowser
from collections.abc import Mapping
from typing import Any

import click
import pandas as pd

from sentinel_etl.cli.options import as_json, display_path
from sentinel_etl.ledger.archive import ArchivedRun, find_page, list_runs, prune_reports, show_run
from sentinel_etl.ledger.commands import query_command
from sentinel_etl.notebook.index import refresh_index, write_index
from sentinel_etl.settings import load_settings

__all__ = ["runs"]


@click.group()
def runs() -> None:
    """The archive: what every run did, and its report under runs/."""


@runs.command("list")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="How many, the newest first.")
@as_json
def list_command(limit: int, as_json: bool) -> None:
    """List runs: id, night, verdict, events, seconds, report."""
    found = list_runs(limit)
    if as_json:
        click.echo(json.dumps([run.as_dict() for run in found]))
    else:
        click.echo(runs_table(found).to_string(index=False) if found else "no runs")


@runs.command()
@click.argument("run_id")
@as_json
def show(run_id: str, as_json: bool) -> None:
    """Show one run: counts, checks with what was expected and observed, timings, and how to do it again."""
    run = show_run(run_id)
    click.echo(json.dumps(run.as_dict()) if as_json else describe_run(run))


@runs.command("open")
@click.argument("run_id", required=False)
def open_command(run_id: str | None) -> None:
    """Open the page of a run's report in the browser: the newest report's, unless a run is named."""
    page = find_page(run_id)
    click.echo(display_path(page))
    webbrowser.open(page.as_uri())


@runs.command()
def index() -> None:
    """Write runs/index.html, the calendar of nights and the table of runs."""
    click.echo(display_path(write_index()))


@runs.command()
@click.option(
    "--keep-days", required=True, type=click.IntRange(1), metavar="N", help="Keep the reports of the last N days."
)
@click.option("--dry-run", is_flag=True, help="Print what would go, delete nothing.")
@as_json
def prune(keep_days: int, dry_run: bool, as_json: bool) -> None:
    """Delete the reports of nights more than N days ago. The ledger keeps its rows."""
    pruned = prune_reports(keep_days, dry_run=dry_run)
    if pruned.files and not dry_run and (load_settings().runs_dir / "index.html").is_file():
        refresh_index()  # its links to what went
    if as_json:
        click.echo(json.dumps({**vars(pruned), "dry_run": dry_run}))
        return
    for name in (*pruned.files, *(f"{folder}/" for folder in pruned.folders)):
        click.echo(name)
    verb = "would be deleted" if dry_run else "deleted"
    click.echo(f"{len(pruned.files)} files {verb}, {pruned.size / 1e6:.1f} MB")


def runs_table(found: list[ArchivedRun]) -> pd.DataFrame:
    runs_dir = load_settings().runs_dir
    rows = [
        (
            run.run_id,
            run.night,
            run.state,
            "–" if run.published_rows is None else f"{run.published_rows:,}",
            "–" if run.seconds is None else f"{run.seconds:.1f}",
            display_path(runs_dir / (run.page or run.report)) if run.page or run.report else "no file",
        )
        for run in found
    ]
    return pd.DataFrame(rows, columns=["run_id", "night", "verdict", "events", "seconds", "report"])


def describe_run(run: ArchivedRun) -> str:
    runs_dir = load_settings().runs_dir
    facts = {
        "run": run.run_id,
        "verdict": run.state,
        "cause": run.cause,
        "night": run.night,
        "window": str(run.window),
        "started": f"{run.started_at:%Y-%m-%d %H:%M:%S} UTC",
        "config": run.config_hash,
        "version": run.code_version,
        "report": display_path(runs_dir / run.report) if run.report else "no file",
        "page": display_path(runs_dir / run.page) if run.page else "no file",
        "again": run.redo,
    }
    parts = ["\n".join(f"{name:<9}{value}" for name, value in facts.items() if value)]
    if run.counts:
        counts = pd.DataFrame.from_dict(dict(run.counts), orient="index")
        parts.append(pd.concat([counts, counts.sum().to_frame("total").T]).to_string())
    if run.checks:
        failures_first = sorted(run.checks, key=lambda check: (check["passed"], check["severity"] != "block"))
        parts.append("\n".join(describe_check(check) for check in failures_first))
    if run.timings:
        parts.append("\n".join(f"{phase:<10}{seconds:>9.3f} s" for phase, seconds in run.timings.items()))
    return "\n\n".join(parts)


def describe_check(check: Mapping[str, Any]) -> str:
    result = "ok    " if check["passed"] else "FAILED"
    line = f"{result}  {check['severity']:<5}  {check['name']}"
    lines = [line, f"        expected  {check['expected']}", f"        observed  {check['observed']}"]
    return "\n".join([*lines, f"        more      {query_command(check['query'])}"] if check.get("query") else lines)
