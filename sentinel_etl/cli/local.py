"""``sentinel-etl local``: the databases under .sentinel/, for when no URLs are set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from sentinel_etl.cli.options import as_json, print_frame
from sentinel_etl.cli.terminal import colour_verdicts, fit_table

if TYPE_CHECKING:
    from sentinel_etl.local.stack import ServiceStatus

__all__ = ["local"]


@click.group()
def local() -> None:
    """The local stack: PostgreSQL and ClickHouse under .sentinel/, for when no URLs are set."""


@local.command()
def up() -> None:
    """Start both services, or leave them running."""
    from sentinel_etl.local.stack import stack_status, start_stack
    from sentinel_etl.settings import load_settings

    settings = load_settings()
    start_stack(settings.state_dir)
    print_services(stack_status(settings.state_dir), as_json=False)


@local.command()
def down() -> None:
    """Stop both services; their data stay."""
    from sentinel_etl.local.stack import stack_status, stop_stack
    from sentinel_etl.settings import load_settings

    settings = load_settings()
    stop_stack(settings.state_dir)
    print_services(stack_status(settings.state_dir), as_json=False)


@local.command("status")
@as_json
def local_status(as_json: bool) -> None:
    """Show whether both services run."""
    from sentinel_etl.local.stack import stack_status
    from sentinel_etl.settings import load_settings

    print_services(stack_status(load_settings().state_dir), as_json)


@local.command()
def city() -> None:
    """Make the sample city and its history in the local databases, where they are the ones in use."""
    from sentinel_etl.context import open_context
    from sentinel_etl.local.stack import start_stack
    from sentinel_etl.operations.demo import HISTORY_NIGHTS, prepare_city
    from sentinel_etl.settings import load_settings

    settings = load_settings()
    if settings.source_url is None and settings.warehouse_url is None:
        start_stack(settings.state_dir)
        click.echo(f"sample city: {HISTORY_NIGHTS} nights of history, and last night")
        with open_context(settings) as context:
            prepare_city(context)


def print_services(services: Sequence[ServiceStatus], as_json: bool) -> None:
    import pandas as pd

    if as_json:
        print_frame(pd.DataFrame([vars(service) for service in services]), as_json)
    else:
        table = pd.DataFrame([describe_service(service) for service in services]).fillna("–")
        click.echo(colour_verdicts(fit_table(table, ["pid", "since"])))


def describe_service(service: ServiceStatus) -> dict[str, str | None]:
    return {
        "name": service.name,
        "state": "running" if service.running else "stopped",
        "pid": str(service.pid) if service.pid else None,
        "port": str(service.port) if service.port else None,
        "version": service.version,
        "since": f"{service.since:%Y-%m-%d %H:%M} UTC" if service.since else None,
        "data": write_size(service.data_bytes),
    }


def write_size(size: int) -> str:
    """Write bytes for people, in powers of ten as disks are sold."""
    amount, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if round(amount) < 1_000:
            break
        amount, unit = amount / 1_000, larger
    return f"{amount:.1f} {unit}" if amount < 10 and unit not in ("B", "kB") else f"{amount:,.0f} {unit}"
