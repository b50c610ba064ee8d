"""``sentinel-etl suggest``: an entry of EVENT_CONFIG for a live table."""

from __future__ import annotations

import json

import click

from sentinel_etl.cli.options import as_json

__all__ = ["suggest"]


@click.command()
@click.argument("table", metavar="[SCHEMA.]TABLE")
@as_json
def suggest(table: str, as_json: bool) -> None:
    """Print an entry of EVENT_CONFIG for a live table, as Python source, and what a dry run would load.

    It reads the catalog and a sample of at most 10,000 rows, and changes nothing.
    """
    from sentinel_etl.databases import opened_source
    from sentinel_etl.onboarding.live.read_table import read_table
    from sentinel_etl.onboarding.suggestion.models import find_models
    from sentinel_etl.onboarding.suggestion.suggest_entry import suggest_entry
    from sentinel_etl.onboarding.suggestion.suggestion_page import as_dict, write_page
    from sentinel_etl.pipeline import load_pipeline
    from sentinel_etl.settings import choose_window, load_settings

    settings = load_settings()
    pipeline, window = load_pipeline(settings), choose_window(settings=settings)
    with opened_source(settings) as source:
        suggestion = suggest_entry(
            read_table(source, table),
            pipeline.fact_table,
            find_models(pipeline),
            source,
            zone=settings.zone,
            window=window,
            pipeline=pipeline,
        )
    click.echo(json.dumps(as_dict(suggestion, window)) if as_json else write_page(suggestion, window, settings.zone))
