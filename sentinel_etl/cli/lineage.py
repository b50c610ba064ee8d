"""``sentinel-etl lineage``: where each fact column comes from."""

from __future__ import annotations

import json
import sys

import click

from sentinel_etl.cli.options import as_json
from sentinel_etl.errors import without_control_characters

__all__ = ["lineage"]


@click.command()
@click.argument("column", required=False)
@click.option("--format", "how", type=click.Choice(["table", "json"]), default="table", show_default=True)
@as_json
def lineage(column: str | None, how: str, as_json: bool) -> None:
    """Tell where each fact column, or COLUMN alone, comes from in the source. Connects to nothing."""
    from sentinel_etl.lineage.trace import trace_lineage
    from sentinel_etl.lineage.write import write_lineage
    from sentinel_etl.pipeline import load_pipeline
    from sentinel_etl.settings import load_settings

    found = trace_lineage(load_pipeline(load_settings()))
    if column is not None:
        found = found.of_column(column)
    if as_json or how == "json":
        click.echo(json.dumps(found.as_dict(), ensure_ascii=False))
    else:
        text = write_lineage(found)
        click.echo(without_control_characters(text) if sys.stdout.isatty() else text)
