"""Starts a project for another team's database: reads the source, writes the folder."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from sentinel_etl.databases import open_databases
from sentinel_etl.onboarding.project.draft_project import Draft, draft_project
from sentinel_etl.onboarding.project.write_project import Place, check_folder, write_project
from sentinel_etl.settings import Settings, choose_window

__all__ = ["start_project"]


def start_project(place: Place, tables: Sequence[str], settings: Settings) -> Draft:
    """Write a project whose events are the rows of these tables; reads both databases, and writes to neither.

    Raises:
        ConfigurationError: the folder holds something, or a table cannot be read as events.
        SourceUnreachable, WarehouseUnreachable: a database does not answer; nothing is written then.
    """
    check_folder(place.folder)
    with closing(open_databases(settings)) as databases:
        draft = draft_project(tables, databases.source, settings.zone, choose_window(settings=settings))
    write_project(place, draft)
    return draft
