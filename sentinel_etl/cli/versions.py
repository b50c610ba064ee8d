"""The commands about earlier states of the fact table: ``undo``."""

from __future__ import annotations

import json

import click

from sentinel_etl.cli.options import as_json
from sentinel_etl.context import open_context

__all__ = ["undo"]


@click.command()
@click.argument("run_id", default="")
@click.option("--discard-later", is_flag=True, help="Take back the runs after it, too.")
@as_json
def undo(run_id: str, discard_later: bool, as_json: bool) -> None:
    """Go back to the fact table as it was before a run; without RUN_ID, before the last one that published."""
    from sentinel_etl.operations.undo import undo_run

    with open_context() as context:
        done = undo_run(context, run_id, discard_later)
    click.echo(json.dumps(done.as_dict()) if as_json else str(done))
