"""Opens the two databases that the settings name, or else the local stack's."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from sentinel_etl.settings import Settings, load_settings
from sentinel_etl.source.connection import open_source
from sentinel_etl.warehouse.engine import open_warehouse

__all__ = ["Databases", "open_databases", "warehouse_url"]


@dataclass(frozen=True)
class Databases:
    """The source and the warehouse; an Engine's repr hides its password.

    ``replica`` is where rows are read from, where that is not the source itself.
    """

    source: Engine
    warehouse: Engine
    replica: Engine | None = None


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


def warehouse_url(settings: Settings) -> str:
    """Name the warehouse's URL, for who reads it alone: where it is set, nothing is started."""
    url = settings.warehouse_url
    return url.get_secret_value() if url is not None else database_urls(settings)[1]


def open_databases(settings: Settings | None = None) -> Databases:
    """Open both databases and see that they answer.

    Raises:
        ConfigurationError: a URL that cannot be used.
        SourceUnreachable: PostgreSQL does not answer.
        WarehouseUnreachable: ClickHouse does not answer, or is too old.
    """
    settings = settings or load_settings()
    source, warehouse = database_urls(settings)
    replica = settings.source_replica_url
    connect, answer, again = (
        settings.connect_timeout_seconds,
        settings.statement_timeout_seconds,
        settings.retry_seconds,
    )
    reader = None
    if replica is not None:
        url = replica.get_secret_value()
        reader = open_source(url, connect, "SENTINEL_SOURCE_REPLICA_URL", answer_seconds=answer, retry_seconds=again)
    return Databases(
        open_source(source, connect, answer_seconds=answer, retry_seconds=again),
        open_warehouse(warehouse, connect, answer_seconds=answer, retry_seconds=again),
        reader,
    )
