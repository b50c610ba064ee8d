"""Tells which database of which warehouse a URL leads to, however it is written."""

from __future__ import annotations

from sqlalchemy import Engine

from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.tables import ETL_RUNS

__all__ = ["identify_warehouse"]


def identify_warehouse(warehouse: Engine) -> str:
    """Name the database, and its ledger by the UUID that it was made with; no secret is in it.

    A table that is made ``ON CLUSTER`` has one UUID on every server. In a database that is not Atomic it has none:
    there it is the server's. https://clickhouse.com/docs/engines/database-engines/atomic#table-uuid
    """
    statement = (
        "SELECT currentDatabase(), toString(max(uuid)), toString(serverUUID()) "
        "FROM system.tables WHERE database = currentDatabase() AND name = :name"
    )
    [[database, ledger, server]] = run_statement(warehouse, statement, {"name": ETL_RUNS.name}, repeatable=True)
    return f"{database} of {ledger if ledger.strip('0-') else server}"
