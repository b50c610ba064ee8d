"""``sentinel-etl runs``: the archive of reports and the index page."""

from __future__ import annotations

import json
import logging
import webbrowser
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import click
import pandas as pd

from sentinel_etl.audit.changes.changes import Changes
from sentinel_etl.audit.checks import Check, failures_first
from sentinel_etl.cli.options import as_json, display_path
from sentinel_etl.cli.terminal import colour_verdicts, fit_table
from sentinel_etl.errors import SentinelError
from sentinel_etl.ledger.archive import LATEST, ArchivedRun, find_page, list_runs, opened_archive, show_run
from sentinel_etl.ledger.commands import query_command
from sentinel_etl.ledger.report_files import prune_reports
from sentinel_etl.notebook.index import refresh_index, write_index
from sentinel_etl.settings import Settings, load_settings
from sentinel_etl.wording import list_some, plural

__all__ = ["runs"]

log = logging.getLogger(__name__)


@click.group()
def runs() -> None:
    """The archive: what every run did, and its report under runs/."""


@runs.command("list")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="How many, the newest first.")
@as_json
def list_command(limit: int, as_json: bool) -> None:
    """List runs: id, night, verdict, events, seconds, report."""
    with opened_archive() as archive:
        found = list_runs(archive, limit)
        runs_dir = archive.settings.runs_dir
    if as_json:
        click.echo(json.dumps([run.as_dict() for run in found]))
    else:
        table = fit_table(runs_table(found, runs_dir), ["report", "seconds"]) if found else "no runs"
        click.echo(colour_verdicts(table))


@runs.command()
@click.argument("run_id", default=LATEST)
@as_json
def show(run_id: str, as_json: bool) -> None:
    """Show one run: counts, failed checks with what was expected and observed, timings, and how to do it again.

    RUN_ID is a run's id, or `latest`, which is the default: the one that began last.
    """
    with opened_archive() as archive:
        run = show_run(run_id, archive)
        runs_dir = archive.settings.runs_dir
    click.echo(json.dumps(run.as_dict()) if as_json else colour_verdicts(describe_run(run, runs_dir)))


@runs.command("open")
@click.argument("run_id", required=False)
def open_command(run_id: str | None) -> None:
    """Open the page of a run's report in the browser: the newest report's, unless a run is named."""
    with opened_archive() as archive:
        page = find_page(run_id, archive)
    click.echo(display_path(page))
    webbrowser.open(page.as_uri())


@runs.command()
def index() -> None:
    """Write runs/index.html, the calendar of nights and the table of runs."""
    with opened_archive() as archive:
        click.echo(display_path(write_index(archive)))


@runs.command()
@click.option(
    "--keep-days", required=True, type=click.IntRange(1), metavar="N", help="Keep the reports of the last N days."
)
@click.option("--dry-run", is_flag=True, help="Print what would go, delete nothing.")
@as_json
def prune(keep_days: int, dry_run: bool, as_json: bool) -> None:
    """Delete the reports of nights more than N days ago. The ledger keeps its rows."""
    settings = load_settings()
    pruned = prune_reports(keep_days, settings, dry_run=dry_run)
    if pruned.files and not dry_run and (settings.runs_dir / "index.html").is_file():
        refresh_links(settings)
    if as_json:
        click.echo(json.dumps({**vars(pruned), "dry_run": dry_run}))
        return
    for name in (*pruned.files, *(f"{folder}/" for folder in pruned.folders)):
        click.echo(name)
    verb = "would be deleted" if dry_run else "deleted"
    click.echo(f"{len(pruned.files)} {plural(len(pruned.files), 'file')} {verb}, {pruned.size / 1e6:.1f} MB")


def refresh_links(settings: Settings) -> None:
    """Write the index again, whose links led to what went; a warehouse that does not answer is a warning."""
    try:
        with opened_archive(settings) as archive:
            refresh_index(archive)
    except SentinelError as error:
        log.warning("runs/index.html was not written: %s", error)


def runs_table(found: list[ArchivedRun], runs_dir: Path) -> pd.DataFrame:
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


def describe_run(run: ArchivedRun, runs_dir: Path) -> str:
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
    if run.first_night != run.last_night:
        parts.append(nights_table(run).to_string())
    if run.changes:
        parts.append(f"changes  {Changes.from_record(run.changes).describe()}")
    if run.checks:
        checks = failures_first([Check.from_dict(check) for check in run.checks])
        failed = [describe_check(check) for check in checks if not check.passed]
        parts.append("\n".join([*failed, *describe_passed([check for check in checks if check.passed])]))
    if run.timings:
        parts.append("\n".join(f"{phase:<10}{seconds:>9.3f} s" for phase, seconds in run.timings.items()))
    return "\n\n".join(parts)


def nights_table(run: ArchivedRun) -> pd.DataFrame:
    """Tabulate the nights of a run of several: their rows after it, and the failed checks that name them."""
    failed = [check for check in map(Check.from_dict, run.checks) if not check.passed]
    count = (run.last_night - run.first_night).days + 1
    nights = [str(run.first_night + timedelta(days=number)) for number in range(count)]
    checks = [list_some((check.name for check in failed if night in check.nights), 3) or "ok" for night in nights]
    left = [run.nights.get(night) for night in nights]
    rows = [f"{rows[0]:,}" if rows else "–" for rows in left]
    return pd.DataFrame({"rows": rows, "checks": checks}, index=nights)


def describe_passed(checks: Sequence[Check]) -> list[str]:
    """Write the checks that passed in one line, where there are some; `--json` and the report have them whole."""
    names = list_some((check.name for check in checks), 3, ", ")
    return [f"ok      {len(checks)} {plural(len(checks), 'check')}: {names}"] if checks else []


def describe_check(check: Check) -> str:
    line = f"FAILED  {check.severity:<5}  {check.name}"
    lines = [line, f"        expected  {check.expected}", f"        observed  {check.observed}"]
    if check.query:
        lines.append(f"        more      {query_command(check.query)}")
    if check.answers:
        lines.append(f"        answers   {check.answers}")
    return "\n".join(lines)
