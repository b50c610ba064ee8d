"""``sentinel-etl init``: a project for another team's database, from the live source to a first dry run."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from sentinel_etl.cli.inspect import check
from sentinel_etl.cli.options import display_path
from sentinel_etl.cli.run import run
from sentinel_etl.errors import ConfigurationError, SentinelError

__all__ = ["init"]


# What the project's .env says. The environment goes before it, so it is taken out of that for the first trial.
SAID_BY_THE_PROJECT = ("SENTINEL_SOURCE_URL", "SENTINEL_WAREHOUSE_URL", "SENTINEL_TIMEZONE", "SENTINEL_PIPELINE")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--source", envvar="SENTINEL_SOURCE_URL", metavar="URL", help="PostgreSQL to read from.")
@click.option("--warehouse", envvar="SENTINEL_WAREHOUSE_URL", metavar="URL", help="ClickHouse to load into.")
@click.option("--zone", envvar="SENTINEL_TIMEZONE", metavar="ZONE", help="IANA zone in which nights are reckoned.")
@click.option("--tables", multiple=True, metavar="NAMES", help="Tables whose rows are events, with commas between.")
@click.pass_context
def init(
    context: click.Context,
    folder: Path,
    source: str | None,
    warehouse: str | None,
    zone: str | None,
    tables: Sequence[str],
) -> None:
    """Write a project for your own database into FOLDER, check it, and try last night without publishing.

    The URLs and the zone may stand in SENTINEL_SOURCE_URL, SENTINEL_WAREHOUSE_URL and SENTINEL_TIMEZONE instead,
    where no list of processes shows a password.
    """
    from pydantic import SecretStr

    from sentinel_etl.onboarding.project.start_project import start_project
    from sentinel_etl.onboarding.project.write_project import Place
    from sentinel_etl.settings import load_settings

    names = split_names(tables)
    given = {"--source": source, "--warehouse": warehouse, "--zone": zone, "--tables": names}
    if source is None or warehouse is None or zone is None or not names:
        missing = ", ".join(option for option, value in given.items() if not value)
        raise ConfigurationError(f"init: expected {missing}, found none. `sentinel-etl init --help` says what they are")
    folder = folder.expanduser().resolve()
    os.environ |= dict(zip(SAID_BY_THE_PROJECT, (source, warehouse, zone), strict=False), SENTINEL_HOME=str(folder))
    os.environ.pop("SENTINEL_PIPELINE", None)
    settings = load_settings(for_new_home=True)
    place = Place(folder, settings.source_url or SecretStr(""), settings.warehouse_url or SecretStr(""))
    draft = start_project(place, names, settings)
    click.echo(f"{display_path(folder)}: a project for {', '.join(each.name for each in draft.suggestions)}")
    try_project(context, folder)


def split_names(tables: Sequence[str]) -> list[str]:
    """Split lists of names at their commas, but for those within double quotes."""
    found = re.findall(r'(?:"(?:[^"]|"")*"|[^,"])+', ",".join(tables))
    return [name.strip() for name in found if name.strip()]


def try_project(context: click.Context, folder: Path) -> None:
    """Check the project and run last night without publishing, as its own commands would."""
    for name in SAID_BY_THE_PROJECT:
        os.environ.pop(name, None)
    shown = shlex.quote(display_path(folder))
    try:
        context.invoke(check)
        context.invoke(run, dry_run=True)
    except SentinelError as error:
        error.add_note(f"the project is in {shown}; when that is mended: cd {shown} && sentinel-etl run --dry-run")
        raise
    click.echo(f"next: cd {shown} && sentinel-etl run")
