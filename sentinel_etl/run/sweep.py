"""The staging tables of dead runs, and what becomes of them."""

from __future__ import annotations

from clickhouse_sqlalchemy import Table
from sqlalchemy import Engine, MetaData

from sentinel_etl.config.fact_table import rejected_name
from sentinel_etl.ledger.ledger import failed_audits
from sentinel_etl.source.connection import connect_source
from sentinel_etl.source.locks import run_lock, try_lock
from sentinel_etl.warehouse.catalog import list_tables
from sentinel_etl.warehouse.ddl import cluster_of
from sentinel_etl.warehouse.tables import STAGING_MARK, drop_staging

__all__ = ["sweep_staging"]


def sweep_staging(fact_table: Table, source: Engine, warehouse: Engine) -> list[str]:
    """Drop the staging tables of dead runs and return their run ids.

    A run is dead when nobody holds its lock. One whose audit failed keeps its table for inspection
    until a newer run of a window that covers it has been published.
    """
    tables = list_tables(warehouse, fact_table.name + STAGING_MARK, rejected_name(fact_table) + STAGING_MARK)
    left: dict[str, list[str]] = {}
    for name in sorted({name.removesuffix("_local") for name in tables}):
        left.setdefault(name.partition(STAGING_MARK)[2], []).append(name)
    run_ids = list(left)
    if not run_ids:
        return []
    with connect_source(source) as connection:
        alive = {run_id for run_id in run_ids if not try_lock(connection, run_lock(run_id))}
        connection.invalidate()  # the locks tried above go with the session
    kept = {run["run_id"] for run in failed_audits(fact_table, warehouse)}
    dead = [run_id for run_id in run_ids if run_id not in alive | kept]
    for name in (name for run_id in dead for name in left[run_id]):
        drop_staging(Table(name, MetaData(), clickhouse_cluster=cluster_of(fact_table)), warehouse)
    return dead
