"""The commands about earlier runs: ``undo``, ``diff``, ``replay``."""

from __future__ import annotations

import json

import click

from sentinel_etl.cli.options import as_json, beside_the_verdict

__all__ = ["diff", "replay", "undo"]


@click.command()
@click.argument("run_id", default="")
@click.option("--discard-later", is_flag=True, help="Take back the runs after it, too.")
@as_json
def undo(run_id: str, discard_later: bool, as_json: bool) -> None:
    """Go back to the fact table as it was before a run; without RUN_ID, before the last one that published."""
    from sentinel_etl.context import open_context
    from sentinel_etl.operations.undo import undo_run

    with open_context() as context:
        done = undo_run(context, run_id, discard_later)
    with beside_the_verdict():
        click.echo(json.dumps(done.as_dict()) if as_json else str(done))


@click.command()
@click.argument("run_a", default="")
@click.argument("run_b", default="")
@as_json
def diff(run_a: str, run_b: str, as_json: bool) -> None:
    """Show how the fact table as RUN_B left it differs from how RUN_A did; without RUN_B, what RUN_A changed."""
    from sentinel_etl.context import open_context
    from sentinel_etl.operations.diff import diff_runs
    from sentinel_etl.report import changes_page

    with open_context() as context:
        changes = diff_runs(context, run_a, run_b)
    title = f"What changed from {run_a} to {run_b}" if run_b else f"What {run_a or 'the last run'} changed"
    click.echo(json.dumps(changes.as_dict()) if as_json else repr(changes_page(changes, title)))


@click.command()
@click.argument("run_id", default="")
@as_json
def replay(run_id: str, as_json: bool) -> None:
    """Make a run's rows again in staging, under the rules that it had; without RUN_ID, the last one's.

    Exit code 5 where their hash is another one; what made it so is told: source, configuration or code.
    """
    from sentinel_etl.context import open_context
    from sentinel_etl.operations.replay import replay_run

    with open_context() as context:
        found = replay_run(context, run_id)
    click.echo(json.dumps(found.as_dict()) if as_json else str(found))
    found.raise_for_difference()
