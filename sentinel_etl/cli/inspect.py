"""The commands that look and change nothing: ``plan``, ``check``, ``status``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

import click

from sentinel_etl.cli.options import as_json, event_types, window_end, window_hours
from sentinel_etl.cli.terminal import colour_verdicts
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.wording import plural

if TYPE_CHECKING:
    from sentinel_etl.context import Context
    from sentinel_etl.run.result import RunResult

__all__ = ["check", "plan", "status"]

SECONDS_BETWEEN_LOOKS = 2.0


@click.command()
@window_end
@window_hours
@event_types
@click.option(
    "--effect",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="NIGHT",
    help="Compare a dry run of this night.",
)
@as_json
def plan(
    window_end: str, window_hours: float, event_types: Sequence[str], effect: datetime | None, as_json: bool
) -> None:
    """Print the statement of each event type, and how today's rules differ from those of the nights that are loaded.

    The statements need no database. The rules are compared where the warehouse answers; nothing is started.
    """
    from sentinel_etl.pipeline import load_pipeline
    from sentinel_etl.report import plan_page
    from sentinel_etl.settings import choose_window, load_settings

    settings = load_settings()
    pipeline = load_pipeline(settings)
    window = choose_window(window_end, window_hours, settings)
    kinds = pipeline.select_event_types(list(event_types))
    if not as_json:
        click.echo(repr(plan_page(pipeline, window, list(event_types))))
    from sentinel_etl.operations.plan import compare_with_last

    compared = compare_with_last(settings, pipeline)
    if not as_json:
        click.echo(as_comment(f"\n{compared}"))
    tried = try_effect(effect.date()) if effect else None
    if as_json:
        from sentinel_etl.extract.statements import list_statements

        found = {"statements": list_statements(kinds, window), **compared.as_dict()}
        click.echo(json.dumps(found | ({"effect": tried.changes.as_dict()} if tried and tried.changes else {})))
    elif effect and tried and tried.changes:
        from sentinel_etl.report import changes_page

        title = f"What today's rules would change of the night {effect.date()}"
        click.echo(as_comment(f"\n{changes_page(tried.changes, title)!r}"))
        if tried.cause:
            click.echo(as_comment(f"a run of it would warn: {tried.cause}"))


def try_effect(night: date) -> RunResult:
    from sentinel_etl.context import open_context
    from sentinel_etl.operations.effect import try_night

    with open_context() as context:
        return try_night(context, night)


def as_comment(text: str) -> str:
    """Write text so that what is printed stays SQL."""
    return "\n".join(f"-- {line}" if line else "" for line in text.splitlines())


@click.command()
@event_types
@as_json
def check(event_types: Sequence[str], as_json: bool) -> None:
    """Compare the code with both databases: the source's columns, types, indexes, keys, the warehouse's tables."""
    from sentinel_etl.context import open_context
    from sentinel_etl.extract.check_keys import check_keys
    from sentinel_etl.extract.check_source import check_source
    from sentinel_etl.operations.check_nights import check_nights, check_policy
    from sentinel_etl.operations.schema import check_warehouse

    with open_context() as context:
        chosen = context.pipeline.select_event_types(list(event_types))
        differences = check_source(chosen.values(), context.source)
        differences += check_keys(chosen.values(), context.source)
        differences += check_warehouse(context.pipeline, context.warehouse)
        differences += check_nights(context.pipeline, context.warehouse) + check_policy(context)
        asked = name_databases(context)
    if as_json:
        click.echo(json.dumps([vars(difference) for difference in differences]))
    else:
        for difference in differences:
            click.echo(f"{'error' if difference.blocking else 'warning'}: {difference}")
        types, found = len(chosen), len(differences)
        click.echo(f"{types} event {plural(types, 'type')} checked, {found} {plural(found, 'difference')}")
        click.echo(f"asked {asked}")
    blocking = sum(difference.blocking for difference in differences)
    if blocking:
        raise SchemaMismatch(
            f"{blocking} {plural(blocking, 'difference')} would stop a run; correct EVENT_CONFIG or the source"
        )


def name_databases(context: Context) -> str:
    """Name both databases, without their passwords; one without a URL is the local stack's."""
    from sentinel_etl.source.connection import describe_source
    from sentinel_etl.warehouse.address import describe_warehouse

    settings, local = context.settings, "{} of the local stack, database {}"
    source, warehouse = context.source.url, context.warehouse.url
    names = [
        describe_source(source) if settings.source_url else local.format("PostgreSQL", source.database),
        describe_warehouse(warehouse) if settings.warehouse_url else local.format("ClickHouse", warehouse.database),
    ]
    return " and ".join(names)


@click.command()
@click.option("--nights", default=7, show_default=True, help="How many nights to look back over.")
@click.option("--watch", is_flag=True, help="First follow the runs and backfills that are under way, until they end.")
@as_json
def status(nights: int, watch: bool, as_json: bool) -> None:
    """Tell whether last night is in, and which nights are missing; exit 5 where last night is not."""
    from sentinel_etl.context import open_context
    from sentinel_etl.operations.status import read_status

    with open_context() as context:
        if watch:
            follow(context)
        report = read_status(context, nights)
    click.echo(json.dumps(report.as_dict()) if as_json else colour_verdicts(str(report)))
    report.raise_if_missing()


def follow(context: Context) -> None:
    """Write a line every few seconds of each backfill and run that is under way; at a terminal in place of the last."""
    from sentinel_etl.operations.progress import find_under_way

    shown = 0
    while under_way := find_under_way(context):
        if sys.stderr.isatty() and shown:
            click.echo(f"\x1b[{shown}A\x1b[J", nl=False, err=True)
        for one in under_way:
            click.echo(one.describe(), err=True)
        shown = len(under_way)
        time.sleep(SECONDS_BETWEEN_LOOKS)
