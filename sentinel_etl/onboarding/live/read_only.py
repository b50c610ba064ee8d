"""A session on the live source that can change nothing, and that gives up in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from sentinel_etl.source.connection import connect_source

__all__ = ["connect_read_only"]


# Looking around must not be felt: a statement that needs longer is given up, and what it would have told is not known.
STATEMENT_SECONDS = 10
LOCK_MILLISECONDS = 200


@contextmanager
def connect_read_only(source: Engine) -> Iterator[Connection]:
    """Open a connection on which each statement is a read-only transaction with a time limit.

    https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-DEFAULT-TRANSACTION-READ-ONLY

    Raises:
        SourceUnreachable: no connection, or it breaks within the block.
    """
    with connect_source(source) as connection:
        connection.exec_driver_sql("SET default_transaction_read_only = on")
        connection.exec_driver_sql(f"SET statement_timeout = '{STATEMENT_SECONDS}s'")
        connection.exec_driver_sql(f"SET lock_timeout = {LOCK_MILLISECONDS}")
        yield connection
