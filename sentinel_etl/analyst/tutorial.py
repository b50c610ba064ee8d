"""What the tutorial of a new event type needs: an entry to try, of whatever pipeline there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from sqlalchemy import func, select

from sentinel_etl.context import Context
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.warehouse.catalog import has_table
from sentinel_etl.warehouse.query import query_df

__all__ = ["choose_entry", "count_events"]


def choose_entry(pipeline: Pipeline, name: str, entry: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Give the entry, where the pipeline reads its model; else a copy of the pipeline's first, under another name."""
    if any(each["model"] is entry["model"] for each in pipeline.event_config.values()):
        return name, entry
    first = next(iter(pipeline.event_config))
    copied = f"{first}_COPY"
    while copied in pipeline.event_config:
        copied += "_COPY"
    return copied, dict(pipeline.event_config[first])


def count_events(context: Context, event_type: str) -> pd.DataFrame:
    """Count the events that readers see, and those of one type: ``events``, ``of_this_type``."""
    facts = context.pipeline.fact_table
    if not has_table(context.warehouse, facts.name):
        return pd.DataFrame({"events": [0], "of_this_type": [0]})
    mine = func.countIf(facts.c.event_type == event_type).label("of_this_type")
    return query_df(context.warehouse, select(func.count().label("events"), mine).select_from(facts))
