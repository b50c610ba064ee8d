"""What a command works with: settings, pipeline and databases, settled once at the edge and handed down.

The edges are the command line, a notebook's first cell, a cluster worker's entry, and public functions that are
called without them. Nothing below reads settings, loads a pipeline or opens a database.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Self

from sqlalchemy import Engine

from sentinel_etl.allocator import choose_allocator
from sentinel_etl.databases import Databases, open_databases, opened_replica, opened_source, opened_warehouse
from sentinel_etl.pipeline import Pipeline, load_pipeline
from sentinel_etl.settings import Settings, load_settings

__all__ = ["Context", "completed_context", "open_context"]


@dataclass(frozen=True)
class Context:
    """Settings, pipeline and opened databases; who opened it closes it, best with ``with``."""

    settings: Settings
    pipeline: Pipeline
    databases: Databases

    @property
    def source(self) -> Engine:
        return self.databases.source

    @property
    def reader(self) -> Engine:
        """Where rows are read from: the replica, where there is one."""
        return self.databases.reader

    @property
    def warehouse(self) -> Engine:
        return self.databases.warehouse

    def close(self) -> None:
        self.databases.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def open_context(settings: Settings | None = None) -> Context:
    """Read the settings, load the pipeline that they name, and open both databases: a process's first step.

    Raises:
        ConfigurationError: settings, a pipeline or a URL that cannot be used.
        SourceUnreachable, WarehouseUnreachable: a database does not answer.
    """
    choose_allocator()
    settings = settings or load_settings()
    pipeline = load_pipeline(settings)
    return Context(settings, pipeline, open_databases(settings))


@contextmanager
def completed_context(
    settings: Settings | None = None,
    pipeline: Pipeline | None = None,
    source: Engine | None = None,
    warehouse: Engine | None = None,
    replica: Engine | None = None,
) -> Iterator[Context]:
    """Give what was handed over, and for as long as the block lasts what was not.

    Raises: as `open_context`.
    """
    choose_allocator()
    settings = settings or load_settings()
    pipeline = pipeline or load_pipeline(settings)
    with ExitStack() as opened:
        if source is None and warehouse is None:
            databases = opened.enter_context(closing(open_databases(settings)))
            databases = Databases(databases.source, databases.warehouse, replica or databases.replica)
        else:  # only what is missing: who hands over one database need not have named both
            if source is None:
                source = opened.enter_context(opened_source(settings, settings.retry_seconds))
                replica = replica or opened.enter_context(opened_replica(settings))
            if warehouse is None:
                warehouse = opened.enter_context(opened_warehouse(settings, settings.retry_seconds))
            databases = Databases(source, warehouse, replica)
        yield Context(settings, pipeline, databases)
