"""Opens the two databases that the settings name, or else the local stack's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine

from sentinel_etl.errors import ConfigurationError
from sentinel_etl.home import check_home
from sentinel_etl.origin import LOCAL
from sentinel_etl.settings import Settings, load_settings
from sentinel_etl.source.connection import open_source
from sentinel_etl.warehouse.engine import open_warehouse

__all__ = [
    "Databases",
    "open_databases",
    "opened_replica",
    "opened_source",
    "opened_warehouse",
    "warehouse_url",
]


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
    source, warehouse = source_url(settings), warehouse_url(settings)  # both, before either is opened
    replica = open_replica(settings)
    return Databases(open_source_at(source, settings), open_warehouse_at(warehouse, settings), replica)


@contextmanager
def opened_warehouse(settings: Settings, retry_seconds: float = 0) -> Iterator[Engine]:
    """Open the warehouse alone: what it holds is read when the source is down, or not known, too."""
    engine = open_warehouse_at(warehouse_url(settings), settings, retry_seconds)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def opened_source(settings: Settings, retry_seconds: float = 0) -> Iterator[Engine]:
    """Open the source alone."""
    engine = open_source_at(source_url(settings), settings, retry_seconds=retry_seconds)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def opened_replica(settings: Settings) -> Iterator[Engine | None]:
    """Open the replica alone; None: there is none."""
    engine = open_replica(settings)
    try:
        yield engine
    finally:
        if engine is not None:
            engine.dispose()


def warehouse_url(settings: Settings) -> str:
    """Name the warehouse's URL, for who reads it alone: where it is set, nothing is started."""
    url = settings.warehouse_url
    return url.get_secret_value() if url is not None else local_urls(settings)[1]


def source_url(settings: Settings) -> str:
    """Name the source's URL, for who reads it alone: where it is set, nothing is started."""
    url = settings.source_url
    return url.get_secret_value() if url is not None else local_urls(settings)[0]


def local_urls(settings: Settings) -> tuple[str, str]:
    """Name the local stack's URLs, and start it if need be.

    Raises:
        ConfigurationError: the URL of another database is set: rows of the one would be taken for the other's.
    """
    urls = {name: getattr(settings, name) for name in ("source_url", "source_replica_url", "warehouse_url")}
    given = [f"SENTINEL_{name.upper()}" for name, url in urls.items() if url is not None]
    if given:
        missing = "SENTINEL_SOURCE_URL" if settings.source_url is None else "SENTINEL_WAREHOUSE_URL"
        raise ConfigurationError(
            f"settings: expected {missing} beside {' and '.join(given)}, found none. Set it in the environment or in "
            ".env; the local stack is for when no URL is set"
        )
    check_home(settings)
    from sentinel_etl.local.stack import start_stack  # only where nothing is configured

    stack = start_stack(settings.state_dir)
    return stack.source_url, stack.warehouse_url


def open_replica(settings: Settings) -> Engine | None:
    url = settings.source_replica_url
    return None if url is None else open_source_at(url.get_secret_value(), settings, "SENTINEL_SOURCE_REPLICA_URL")


def open_source_at(
    url: str, settings: Settings, setting: str = "SENTINEL_SOURCE_URL", retry_seconds: float | None = None
) -> Engine:
    return open_source(
        url,
        settings.connect_timeout_seconds,
        setting if settings.source_url is not None else LOCAL,
        answer_seconds=settings.statement_timeout_seconds,
        retry_seconds=settings.retry_seconds if retry_seconds is None else retry_seconds,
    )


def open_warehouse_at(url: str, settings: Settings, retry_seconds: float | None = None) -> Engine:
    return open_warehouse(
        url,
        settings.connect_timeout_seconds,
        answer_seconds=settings.statement_timeout_seconds,
        retry_seconds=settings.retry_seconds if retry_seconds is None else retry_seconds,
        setting="SENTINEL_WAREHOUSE_URL" if settings.warehouse_url is not None else LOCAL,
    )
