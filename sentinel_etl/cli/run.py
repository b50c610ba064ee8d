"""The commands that move nights: ``run``, ``demo``, ``backfill``, ``reconcile``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from sentinel_etl.cli.options import as_json, beside_the_verdict, display_path, event_types, print_frame, window_end
from sentinel_etl.cli.terminal import align_columns, colour_verdicts, fit_table
from sentinel_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from sentinel_etl.context import Context
    from sentinel_etl.notebook.notebook_run import NotebookRun
    from sentinel_etl.operations.groups import Group
    from sentinel_etl.settings import Settings

__all__ = ["backfill", "demo", "reconcile", "run"]


@click.command()
@window_end
@click.option("--window-hours", type=float, help="Length of the window.  [default: 24]")
@click.option(
    "--so-far", is_flag=True, help="The night under way, up to this minute; it stays open until it has ended."
)
@event_types
@click.option("--dry-run", is_flag=True, help="Stage and audit, publish nothing.")
@click.option("--allow-shrink", is_flag=True, help="Publish even if a night lost most of its rows.")
@click.option("--notebook", default="etl_nightly", show_default=True, help="Notebook to execute.")
@click.option(
    "-p", "--parameter", "parameters", type=(str, str), multiple=True, metavar="NAME VALUE", help="Any other parameter."
)
@as_json
def run(
    window_end: str,
    window_hours: float | None,
    so_far: bool,
    event_types: Sequence[str],
    dry_run: bool,
    allow_shrink: bool,
    notebook: str,
    parameters: Sequence[tuple[str, str]],
    as_json: bool,
) -> None:
    """Execute the nightly notebook headlessly and archive it under runs/."""
    from sentinel_etl.notebook.kernel_process import start_kernel_process

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
    with start_kernel_process() as kernel:  # which imports its part while this process does
        from sentinel_etl.notebook.execute import run_notebook
        from sentinel_etl.settings import load_settings

        settings = load_settings()
        if so_far:
            given |= parameters_so_far(given, settings)
        done = run_notebook(notebook, given, settings, progress=sys.stderr.isatty(), kernel=kernel)
    with beside_the_verdict():
        print_run(done, settings, as_json)


def parameters_so_far(given: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Write the window of the night under way as a notebook's parameters."""
    from sentinel_etl.ledger.commands import hours_of
    from sentinel_etl.settings import window_so_far

    if named := [name for name in ("window_end", "window_hours") if name in given]:
        raise ConfigurationError(
            f"--so-far: expected no other window, found {' and '.join(named)}; give one of the two"
        )
    window = window_so_far(settings)
    end = window.end.astimezone(settings.zone).isoformat()
    return {"window_end": end, "window_hours": hours_of(window, settings.zone)}


@click.command()
@as_json
def demo(as_json: bool) -> None:
    """Start the local stack, make a sample city, and run its last night."""
    from sentinel_etl.notebook.kernel_process import start_kernel_process

    with start_kernel_process() as kernel:
        from sentinel_etl.operations.demo import run_demo
        from sentinel_etl.settings import load_settings

        settings = load_settings()
        done = run_demo(settings, say=lambda line: click.echo(f"… {line}", err=True), kernel=kernel)
    with beside_the_verdict():
        print_run(done, settings, as_json)


@click.command()
@click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), help="First night.")
@click.option("--to", "last", type=click.DateTime(["%Y-%m-%d"]), help="Last night, included.")
@click.option("--missing-only", is_flag=True, help="Leave out the nights that are published.")
@click.option("--stale", is_flag=True, help="Nights loaded under other rules than today's; of all, without --from.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="Partitions moved at a time.")
@click.option("--dask", metavar="ADDRESS", help="Run on this Dask cluster instead, such as tcp://host:8786.")
@click.option("--allow-shrink", is_flag=True, help="Publish even if a night lost most of its rows.")
@as_json
def backfill(
    first: datetime | None,
    last: datetime | None,
    missing_only: bool,
    stale: bool,
    jobs: int,
    dask: str | None,
    allow_shrink: bool,
    as_json: bool,
) -> None:
    """Move many nights, grouped by partition, with one report a group. Ctrl-C stops after the groups under way."""
    from sentinel_etl.notebook.kernel_process import KernelsAhead

    stopped: list[KeyboardInterrupt] = []
    check_nights_asked_for(first, last, stale)
    with ExitStack() as opened:
        # The first kernel imports its part while this process does, and opens the databases.
        kernels = None if dask else opened.enter_context(KernelsAhead())
        from sentinel_etl.cli.progress import show_progress
        from sentinel_etl.context import open_context
        from sentinel_etl.operations.backfill import backfill_table, raise_for_groups, run_backfill

        context = opened.enter_context(open_context())
        groups = choose_groups(context, first, last, missing_only, stale)
        if not groups and not as_json:
            rules = "no night was loaded under other rules than today's"
            click.echo(f"nothing to do: {rules if stale else 'every night is published'}")
            return
        with show_progress(sum(group.nights for group in groups), quiet=as_json) as (progress, watch):
            results = run_backfill(
                groups,
                context,
                jobs=jobs,
                dask=dask,
                parameters={"allow_shrink": allow_shrink},
                progress=progress,
                watch=watch,
                stopped=stopped.append,
                kernels=kernels,
            )
    table = backfill_table(groups, results)
    with beside_the_verdict():
        if as_json:
            print_frame(table, as_json)
        else:
            click.echo(colour_verdicts(fit_table(table, ["report", "window"])))
            for result in results:
                if result.cause and not result.error:
                    click.echo(f"{result.group.partition}: {result.cause}")
    raise_for_groups(groups, results, stopped)


def check_nights_asked_for(first: datetime | None, last: datetime | None, stale: bool) -> None:
    """Refuse a backfill that names no nights, or half of them."""
    given = [name for name, night in (("--from", first), ("--to", last)) if night]
    if len(given) == 1 or not (given or stale):
        found = given[0] if given else "none"
        raise click.UsageError(f"Expected --from and --to, or --stale without both; found {found}.")


def choose_groups(
    context: Context, first: datetime | None, last: datetime | None, missing_only: bool, stale: bool
) -> list[Group]:
    from sentinel_etl.operations.backfill import plan_backfill, plan_stale

    if first is None or last is None:
        return plan_stale(context)
    return plan_backfill(context, first.date(), last.date(), missing_only=missing_only, stale_only=stale)


@click.command()
@click.option("--days", default=7, show_default=True, type=click.IntRange(1), help="How many nights to compare.")
@click.option("--heal", is_flag=True, help="Do the nights that differ again, each with its report.")
@click.option("--allow-shrink", is_flag=True, help="With --heal: publish even if a night lost most of its rows.")
@as_json
def reconcile(days: int, heal: bool, allow_shrink: bool, as_json: bool) -> None:
    """Find loaded nights whose source has changed since: late rows, edits, deletions; exit 5 where one has."""
    from sentinel_etl.context import open_context
    from sentinel_etl.operations.heal import reconcile_nights

    with open_context() as context:
        found = reconcile_nights(context, days, heal=heal, allow_shrink=allow_shrink)
    with beside_the_verdict():
        click.echo(json.dumps(found.as_dict()) if as_json else str(found))
    found.raise_for_differences()


def parse_parameters(parameters: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Read each value as YAML, as papermill does: 6 is a number, [A, B] a list."""
    import yaml

    try:
        read = {name: (text, yaml.safe_load(text)) for name, text in parameters}
        # YAML has instants of its own; the notebooks take them as they are written.
        return {name: text if isinstance(value, date) else value for name, (text, value) in read.items()}
    except yaml.YAMLError as error:
        raise ConfigurationError(f"-p: expected a YAML value, found: {' '.join(str(error).split())}") from None


def print_run(done: NotebookRun, settings: Settings, as_json: bool) -> None:
    """Print the verdict, counts per event type, what it changes of a loaded window, and the report's path."""
    record, report, page = done.record, display_path(done.report), display_path(done.page)
    changes = None
    if record.get("changes"):  # few nights are loaded twice
        from sentinel_etl.audit.changes.changes import Changes

        changes = Changes.from_record(record["changes"])
    if as_json:
        shown = ("state", "cause", "source_rows", "published_rows", "counts", "timings")
        facts = {"run_id": done.run_id, "window": str(done.window), **{key: record.get(key) for key in shown}}
        if changes:
            facts["changes"] = changes.as_dict()
        click.echo(json.dumps(facts | {"report": report, "page": page}))
        return
    if record:
        click.echo(f"{colour_verdicts(record['state'])}  {done.window.local(settings.zone)}")
        if record["cause"]:
            click.echo(record["cause"])
        click.echo(write_counts(record["counts"]))
    if changes:
        click.echo(f"changes {changes.describe()}")
    for name, path in (("report", done.report), ("page", done.page)):
        click.echo(f"{name:<8}{display_path(path) if path.exists() else 'not written'}")


def write_counts(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Write a row for each event type, and their sum: source, staged, published."""
    names = ("source", "staged", "published")
    rows = {kind: [of_kind[name] for name in names] for kind, of_kind in counts.items()}
    rows["total"] = [sum(row[column] for row in rows.values()) for column in range(len(names))]
    lines = [("", *names), *((kind, *map(str, row)) for kind, row in rows.items())]
    return align_columns(lines, [False, True, True, True])
