"""``sentinel-etl schema``: the warehouse's tables against the code, and what mends them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from sentinel_etl.cli.options import as_json

if TYPE_CHECKING:
    from sentinel_etl.operations.schema import SchemaChange

__all__ = ["schema"]


@click.group()
def schema() -> None:
    """The warehouse's tables: how they differ from the code, and what can be added to them."""


@schema.command()
@as_json
def diff(as_json: bool) -> None:
    """List how the tables differ from the code; exit 2 where they do. Changes nothing."""
    from sentinel_etl.context import open_context
    from sentinel_etl.operations.schema import diff_schema, raise_for_refused

    with open_context() as context:
        changes = diff_schema(context.pipeline, context.warehouse)
    print_changes(changes, as_json)
    raise_for_refused(changes, applied=False)


@schema.command()
@as_json
def apply(as_json: bool) -> None:
    """Add the columns that are missing; drop, rename and retype nothing. Exit 2 where that is not enough."""
    from sentinel_etl.context import open_context
    from sentinel_etl.operations.schema import apply_schema, diff_schema, raise_for_refused

    with open_context() as context:
        changes = diff_schema(context.pipeline, context.warehouse)
        apply_schema(changes, context)
    print_changes(changes, as_json, applied=True)
    raise_for_refused(changes, applied=True)


@schema.command()
def recreate() -> None:
    """Drop the fact table and the rejected table, where they are empty and differ, and make them anew.

    Exit 2 where there are rows, or kept states hold some.
    """
    from sentinel_etl.context import open_context
    from sentinel_etl.operations.recreate import recreate_tables
    from sentinel_etl.operations.schema import diff_schema, raise_for_refused

    with open_context() as context:
        for name in recreate_tables(context):
            click.echo(f"made anew: {name}")
        changes = diff_schema(context.pipeline, context.warehouse)
    print_changes(changes, as_json=False)
    raise_for_refused(changes, applied=False)


def print_changes(changes: Sequence[SchemaChange], as_json: bool, *, applied: bool = False) -> None:
    if as_json:
        click.echo(json.dumps([change.as_dict() for change in changes]))
        return
    for change in changes:
        click.echo(change.describe(applied=applied))
        for statement in change.statements:
            click.echo(f"  {statement}")
        if change.remedy:
            click.echo(f"  {change.remedy}")
    if not changes:
        click.echo("the tables are as the code has them")
