"""Suggests an entry of EVENT_CONFIG for a live table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, Table

from sentinel_etl.onboarding.live.live_table import LiveTable
from sentinel_etl.onboarding.suggestion.suggestion import Suggestion
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.window import Window

__all__ = ["suggest_entry"]


def suggest_entry(
    live: LiveTable,
    fact_table: Table | None,
    models: Mapping[str, Any],
    source: Engine,
    *,
    zone: ZoneInfo,
    window: Window,
    pipeline: Pipeline | None = None,
) -> Suggestion:
    """Suggest the entry whose rows are the table's.

    ``fact_table``: where the rows are to go; None: it is still to be made, of ``fact_columns``. ``models``: the names
    that the entry's source may use → mapped classes and Tables; a table that none of them stands for is named and
    given back in ``tables``. ``window``: what a dry run would load. ``pipeline``: where common columns, coalesced
    columns, personal columns, weights and labels in use are taken from.

    Raises:
        ConfigurationError: a table without any time that could be the event's.
        SourceUnreachable: no connection.
    """
    raise NotImplementedError
