"""``sentinel-etl local``: the databases under .sentinel/, for when no URLs are set."""

from __future__ import annotations

from collections.abc import Sequence

import click
import pandas as pd

from sentinel_etl.cli.options import as_json, print_frame
from sentinel_etl.context import open_context
from sentinel_etl.local.stack import ServiceStatus, stack_status, start_stack, stop_stack
from sentinel_etl.settings import load_settings

__all__ = ["local"]


@click.group()
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


@local.command()
def city() -> None:
    """Make the sample city and its history in the local databases, where they are the ones in use."""
    from sentinel_etl.operations.demo import HISTORY_NIGHTS, prepare_city

    settings = load_settings()
    if settings.source_url is None and settings.warehouse_url is None:
        start_stack(settings.state_dir)
        click.echo(f"sample city: {HISTORY_NIGHTS} nights of history, and last night")
        with open_context(settings) as context:
            prepare_city(context)


def print_services(services: Sequence[ServiceStatus], as_json: bool) -> None:
    print_frame(pd.DataFrame([vars(service) for service in services]), as_json)
