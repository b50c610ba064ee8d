"""``sentinel-etl runs``: the archive of reports and the index page."""

from __future__ import annotations

import json
import logging
import webbrowser
from typing import TYPE_CHECKING

import click

from sentinel_etl.cli.options import as_json, display_path
from sentinel_etl.cli.terminal import colour_verdicts, fit_table
from sentinel_etl.errors import SentinelError
from sentinel_etl.ledger.commands import LATEST
from sentinel_etl.wording import plural

if TYPE_CHECKING:
    from sentinel_etl.settings import Settings

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
    from sentinel_etl.cli.archived_runs import runs_table
    from sentinel_etl.ledger.archive import list_runs, opened_archive

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
    from sentinel_etl.cli.archived_runs import describe_run
    from sentinel_etl.ledger.archive import opened_archive, show_run

    with opened_archive() as archive:
        run = show_run(run_id, archive)
        runs_dir = archive.settings.runs_dir
    click.echo(json.dumps(run.as_dict()) if as_json else colour_verdicts(describe_run(run, runs_dir)))


@runs.command("open")
@click.argument("run_id", required=False)
def open_command(run_id: str | None) -> None:
    """Open the page of a run's report in the browser: the newest report's, unless a run is named."""
    from sentinel_etl.ledger.archive import find_page, opened_archive

    with opened_archive() as archive:
        page = find_page(run_id, archive)
    click.echo(display_path(page))
    webbrowser.open(page.as_uri())


@runs.command()
def index() -> None:
    """Write runs/index.html, the calendar of nights and the table of runs."""
    from sentinel_etl.ledger.archive import opened_archive
    from sentinel_etl.notebook.index import write_index

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
    from sentinel_etl.ledger.report_files import prune_reports
    from sentinel_etl.settings import load_settings

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
    from sentinel_etl.ledger.archive import opened_archive
    from sentinel_etl.notebook.index import refresh_index

    try:
        with opened_archive(settings) as archive:
            refresh_index(archive)
    except SentinelError as error:
        log.warning("runs/index.html was not written: %s", error)
