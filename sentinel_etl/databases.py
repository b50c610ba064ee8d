"""Opens the two databases that the settings name, or else the local stack's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine

from sentinel_etl.settings import Settings, load_settings
from sentinel_etl.source.connection import open_source
from sentinel_etl.warehouse.engine import open_warehouse

__all__ = ["Databases", "open_databases", "opened_source", "opened_warehouse", "warehouse_url"]


@dataclass(frozen=True)
class Databases:
    """The source and the warehouse; an Engine's repr hides its password.

    ``replica`` is where rows are read from, where that is not the source itself.
    """

    source: Engine
    warehouse: Engine
    replica: Engine | None = None

    @property
    def reader(self) -> Engine:
        """Where rows are read from."""
        return self.replica or self.source

    def close(self) -> None:
        for engine in (self.source, self.warehouse, self.replica):
            if engine is not None:
                engine.dispose()


def open_databases(settings: Settings | None = None) -> Databases:
    """Open both databases and see that they answer. Whoever opens them closes them.

    Raises:
        ConfigurationError: a URL that cannot be used.
        SourceUnreachable: PostgreSQL does not answer.
        WarehouseUnreachable: ClickHouse does not answer, or is too old.
    """
    settings = settings or load_settings()
    source, warehouse = database_urls(settings)
    replica = settings.source_replica_url
    reader = None
    if replica is not None:
        reader = open_source_at(replica.get_secret_value(), settings, "SENTINEL_SOURCE_REPLICA_URL")
    return Databases(
        open_source_at(source, settings),
        open_warehouse_at(warehouse, settings),
        reader,
    )


@contextmanager
def opened_warehouse(settings: Settings) -> Iterator[Engine]:
    """Open the warehouse alone: what it holds is read when the source is down, too."""
    engine = open_warehouse_at(warehouse_url(settings), settings)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def opened_source(settings: Settings) -> Iterator[Engine]:
    """Open the source alone."""
    engine = open_source(database_urls(settings)[0], settings.connect_timeout_seconds)
    try:
        yield engine
    finally:
        engine.dispose()


def warehouse_url(settings: Settings) -> str:
    """Name the warehouse's URL, for who reads it alone: where it is set, nothing is started."""
    url = settings.warehouse_url
    return url.get_secret_value() if url is not None else database_urls(settings)[1]


def database_urls(settings: Settings) -> tuple[str, str]:
    """Name the two URLs; a URL that is not set is the local stack's, which is started if need be."""
    source, warehouse = settings.source_url, settings.warehouse_url
    if source is not None and warehouse is not None:
        return source.get_secret_value(), warehouse.get_secret_value()
    from sentinel_etl.local.stack import start_stack  # only where nothing is configured

    stack = start_stack(settings.state_dir)
    return (
        source.get_secret_value() if source else stack.source_url,
        warehouse.get_secret_value() if warehouse else stack.warehouse_url,
    )


def open_warehouse_at(url: str, settings: Settings) -> Engine:
    return open_warehouse(
        url,
        settings.connect_timeout_seconds,
        answer_seconds=settings.statement_timeout_seconds,
        retry_seconds=settings.retry_seconds,
    )


def open_source_at(url: str, settings: Settings, setting: str = "SENTINEL_SOURCE_URL") -> Engine:
    return open_source(
        url,
        settings.connect_timeout_seconds,
        setting,
        answer_seconds=settings.statement_timeout_seconds,
        retry_seconds=settings.retry_seconds,
    )
