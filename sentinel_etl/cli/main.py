"""``sentinel-etl``: each command parses, calls one library function and prints what it returns."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click
import pandas as pd
import yaml
from tqdm import tqdm

from sentinel_etl.cli.options import as_json, display_path
from sentinel_etl.cli.runs import runs as runs_group
from sentinel_etl.cli.schema import schema as schema_group
from sentinel_etl.databases import open_databases
from sentinel_etl.errors import ConfigurationError, SchemaMismatch, SentinelError
from sentinel_etl.extract.check_source import check_source
from sentinel_etl.local.stack import ServiceStatus, stack_status, start_stack, stop_stack
from sentinel_etl.operations.schema import check_warehouse
from sentinel_etl.operations.status import read_status
from sentinel_etl.pipeline import load_pipeline
from sentinel_etl.settings import choose_window, load_settings, project_home
from sentinel_etl.warehouse.query import query_df

__all__ = ["cli", "main"]


# Notebooks and figures take two seconds to import: only the commands that need them wait for it.
if TYPE_CHECKING:
    from sentinel_etl.notebook.notebook_run import NotebookRun

window_end = click.option(
    "--window-end",
    default="",
    metavar="INSTANT",
    help="End of the window, ISO 8601 with offset. Default: the last 06:00.",
)
window_hours = click.option("--window-hours", default=24.0, show_default=True, help="Length of the window.")
event_types = click.option(
    "--event-type", "event_types", multiple=True, metavar="TYPE", help="Only this event type; may be repeated."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--verbose", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="sentinel-warehouse-etl")
def cli(verbose: bool) -> None:
    """Move a night of patrol events from PostgreSQL into ClickHouse, and report on it.

    Exit codes: 0 done; 1 unexpected; 2 usage or configuration; 3 source unreachable; 4 warehouse
    unreachable; 5 audit failed, nothing published; 6 another run holds the window; 7 notebook failed
    elsewhere.
    """


@cli.command()
@window_end
@click.option("--window-hours", type=float, help="Length of the window.  [default: 24]")
@event_types
@click.option("--dry-run", is_flag=True, help="Stage and audit, publish nothing.")
@click.option("--allow-shrink", is_flag=True, help="Publish even if the window lost most of its rows.")
@click.option("--notebook", default="etl_nightly", show_default=True, help="Notebook to execute.")
@click.option(
    "-p", "--parameter", "parameters", type=(str, str), multiple=True, metavar="NAME VALUE", help="Any other parameter."
)
@as_json
def run(
    window_end: str,
    window_hours: float | None,
    event_types: Sequence[str],
    dry_run: bool,
    allow_shrink: bool,
    notebook: str,
    parameters: Sequence[tuple[str, str]],
    as_json: bool,
) -> None:
    """Execute the nightly notebook headlessly and archive it under runs/."""
    from sentinel_etl.notebook.execute import run_notebook

    given = parse_parameters(parameters)
    if window_hours is not None:
        given["window_hours"] = window_hours
    options = {
        "window_end": window_end,
        "event_types": list(event_types),
        "dry_run": dry_run,
        "allow_shrink": allow_shrink,
    }
    given |= {name: value for name, value in options.items() if value}
    print_run(run_notebook(notebook, given, progress=sys.stderr.isatty()), as_json)


@cli.command()
@as_json
def demo(as_json: bool) -> None:
    """Start the local stack, make a sample city, and run its last night."""
    from sentinel_etl.operations.demo import run_demo

    print_run(run_demo(say=lambda line: click.echo(f"… {line}", err=True)), as_json)


@cli.command()
@click.option("--from", "first", required=True, type=click.DateTime(["%Y-%m-%d"]), help="First night.")
@click.option("--to", "last", required=True, type=click.DateTime(["%Y-%m-%d"]), help="Last night, included.")
@click.option("--missing-only", is_flag=True, help="Leave out the nights that are published.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="Partitions moved at a time.")
@click.option("--dask", metavar="ADDRESS", help="Run on this Dask cluster instead, such as tcp://host:8786.")
@click.option("--allow-shrink", is_flag=True, help="Publish even if a window lost most of its rows.")
@as_json
def backfill(
    first: datetime,
    last: datetime,
    missing_only: bool,
    jobs: int,
    dask: str | None,
    allow_shrink: bool,
    as_json: bool,
) -> None:
    """Move many nights, grouped by partition, with one report a group. Ctrl-C stops after the groups under way."""
    from sentinel_etl.operations.backfill import backfill_table, plan_backfill, raise_for_groups, run_backfill

    groups = plan_backfill(first.date(), last.date(), missing_only=missing_only)
    if not groups and not as_json:
        click.echo("nothing to do: every night is published")
        return
    with tqdm(total=sum(group.nights for group in groups), unit="night", disable=as_json) as bar:
        results = run_backfill(
            groups,
            jobs=jobs,
            dask=dask,
            parameters={"allow_shrink": allow_shrink},
            progress=lambda result: bar.update(result.group.nights),
        )
    print_frame(backfill_table(groups, results), as_json)
    raise_for_groups(groups, results)


@cli.command()
@window_end
@window_hours
@event_types
def plan(window_end: str, window_hours: float, event_types: Sequence[str]) -> None:
    """Print the statement that each event type sends to PostgreSQL. Connects to nothing."""
    from sentinel_etl.report import plan_page

    settings = load_settings()
    window = choose_window(window_end, window_hours, settings)
    click.echo(repr(plan_page(load_pipeline(settings), window, list(event_types))))


@cli.command()
@event_types
@as_json
def check(event_types: Sequence[str], as_json: bool) -> None:
    """Compare the code with both databases: the source's columns, types and indexes, the warehouse's tables."""
    settings = load_settings()
    pipeline, databases = load_pipeline(settings), open_databases(settings)
    chosen = pipeline.select_event_types(list(event_types))
    differences = check_source(chosen.values(), databases.source)
    differences += check_warehouse(pipeline, databases.warehouse, settings.warehouse_cluster)
    if as_json:
        click.echo(json.dumps([vars(difference) for difference in differences]))
    else:
        for difference in differences:
            click.echo(f"{'error' if difference.blocking else 'warning'}: {difference}")
        click.echo(f"{len(chosen)} event types checked, {len(differences)} differences")
    blocking = sum(difference.blocking for difference in differences)
    if blocking:
        raise SchemaMismatch(f"{blocking} differences would stop a run; correct EVENT_CONFIG or the source")


@cli.command()
@click.option("--nights", default=7, show_default=True, help="How many nights to look back over.")
@as_json
def status(nights: int, as_json: bool) -> None:
    """Tell whether last night is in, and which nights are missing; exit 5 where last night is not."""
    report = read_status(nights)
    click.echo(json.dumps(report.as_dict()) if as_json else str(report))
    report.raise_if_missing()


@cli.command()
@click.option("--days", default=7, show_default=True, type=click.IntRange(1), help="How many nights to compare.")
@click.option("--heal", is_flag=True, help="Do the nights that differ again, each with its report.")
@click.option("--allow-shrink", is_flag=True, help="With --heal: publish even if a night lost most of its rows.")
@as_json
def reconcile(days: int, heal: bool, allow_shrink: bool, as_json: bool) -> None:
    """Find loaded nights whose source has changed since: late rows, edits, deletions; exit 5 where one has."""
    from sentinel_etl.operations.heal import reconcile_nights

    found = reconcile_nights(days, heal=heal, allow_shrink=allow_shrink)
    click.echo(json.dumps(found.as_dict()) if as_json else str(found))
    found.raise_for_differences()


@cli.command()
@click.argument("sql")
@as_json
def query(sql: str, as_json: bool) -> None:
    """Run one SELECT in the warehouse and print its rows."""
    print_frame(query_df(open_databases().warehouse, sql), as_json)


@cli.group()
def local() -> None:
    """The local stack: PostgreSQL and ClickHouse under .sentinel/, for when no URLs are set."""


@local.command()
def up() -> None:
    """Start both services, or leave them running."""
    settings = load_settings()
    start_stack(settings.state_dir)
    print_services(stack_status(settings.state_dir), as_json=False)


@local.command()
def down() -> None:
    """Stop both services; their data stay."""
    settings = load_settings()
    stop_stack(settings.state_dir)
    print_services(stack_status(settings.state_dir), as_json=False)


@local.command("status")
@as_json
def local_status(as_json: bool) -> None:
    """Show whether both services run."""
    print_services(stack_status(load_settings().state_dir), as_json)


cli.add_command(runs_group)
cli.add_command(schema_group)


def parse_parameters(parameters: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Read each value as YAML, as papermill does: 6 is a number, [A, B] a list."""
    try:
        read = {name: (text, yaml.safe_load(text)) for name, text in parameters}
        # YAML has instants of its own; the notebooks take them as they are written.
        return {name: text if isinstance(value, date) else value for name, (text, value) in read.items()}
    except yaml.YAMLError as error:
        raise ConfigurationError(f"-p: expected a YAML value, found: {' '.join(str(error).split())}") from None


def print_run(done: NotebookRun, as_json: bool) -> None:
    """Print the verdict, counts per event type and the report's path."""
    record, report, page = done.record, display_path(done.report), display_path(done.page)
    if as_json:
        shown = ("state", "cause", "source_rows", "published_rows", "counts", "timings")
        facts = {"run_id": done.run_id, "window": str(done.window), **{key: record.get(key) for key in shown}}
        click.echo(json.dumps(facts | {"report": report, "page": page}))
        return
    if record:
        zone = load_settings().zone
        click.echo(f"{record['state']}  {done.window.local(zone)}")
        if record["cause"]:
            click.echo(record["cause"])
        counts = pd.DataFrame.from_dict(record["counts"], orient="index")[["source", "staged", "published"]]
        counts.loc["total"] = counts.sum()
        click.echo(counts.to_string())
    click.echo(f"report  {report}")
    click.echo(f"page    {page}")


def print_frame(frame: pd.DataFrame, as_json: bool) -> None:
    if as_json:
        click.echo(frame.to_json(orient="records", date_format="iso", default_handler=str))
    else:
        click.echo(frame.to_string(index=False) if len(frame) else "no rows")


def print_services(services: Sequence[ServiceStatus], as_json: bool) -> None:
    print_frame(pd.DataFrame([vars(service) for service in services]), as_json)


def main() -> None:
    """Run the command line; every error is one sentence and the exit code of its class."""
    os.environ.setdefault("SENTINEL_HOME", str(project_home()))  # a kernel runs elsewhere
    # nbformat's jsonschema would take a second to read the grammar of IRIs, where JupyterLab has brought it, and
    # does as well without: no notebook has any. What is None here cannot be imported (docs.python.org, sys.modules).
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    verbose = "--verbose" in sys.argv
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit("stopped")
    except click.ClickException as error:
        error.show()
        sys.exit(ConfigurationError.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except SentinelError as error:
        fail(error, error.exit_code, verbose)
    except Exception as error:  # noqa: BLE001 - the last resort, so that cron's mail is one sentence
        fail(error, SentinelError.exit_code, verbose)
    sys.exit(code if isinstance(code, int) else 0)


def fail(error: Exception, code: int, verbose: bool) -> None:
    if verbose:
        traceback.print_exception(error)
    else:
        hint = "" if isinstance(error, SentinelError) else "; run again with --verbose for the traceback"
        kind = "" if isinstance(error, SentinelError) else f"unexpected {type(error).__name__}: "
        click.echo(f"sentinel-etl: {kind}{error}{hint}", err=True)
        for note in getattr(error, "__notes__", ()):
            click.echo(note, err=True)
    sys.exit(code)
