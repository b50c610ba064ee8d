"""Reads what a live table is: its catalog and a bounded sample, in read-only transactions with a time limit."""

from __future__ import annotations

from sqlalchemy import Engine

from sentinel_etl.onboarding.live.live_table import LiveTable

__all__ = ["read_table"]


def read_table(source: Engine, name: str) -> LiveTable:
    """Read one table or view, ``TABLE`` or ``SCHEMA.TABLE``, with the tables that it refers to, two steps far.

    Every `Table` is reflected into one MetaData; its schema is None where the search path finds it.

    Raises:
        ConfigurationError: no table of that name, or several; near names are named.
        SourceUnreachable: no connection.
    """
    raise NotImplementedError
