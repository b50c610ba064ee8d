"""Staging tables: where a run writes before readers may see anything."""

from __future__ import annotations

from clickhouse_sqlalchemy import Table
from sqlalchemy import Column, Engine, MetaData, func, select

from sentinel_etl.config.fact_table import rejected_name
from sentinel_etl.ledger.ledger import failed_audits
from sentinel_etl.source.connection import connect_source
from sentinel_etl.source.locks import lock_key, run_lock
from sentinel_etl.warehouse.ddl import cluster_of, drop_statements, staging_statements
from sentinel_etl.warehouse.query import run_statement

__all__ = ["create_staging", "drop_staging", "sweep_staging"]


def staging_prefix(fact_table: Table) -> str:
    return f"{fact_table.name}__staging_"


def create_staging(fact_table: Table, run_id: str, warehouse: Engine) -> Table:
    """Create this run's staging table with the fact table's structure, keys and projections.

    ``CREATE TABLE … AS`` copies all three, which `ATTACH PARTITION` and `REPLACE PARTITION` demand.
    https://clickhouse.com/docs/sql-reference/statements/alter/partition#attach-partition-from
    An interruption leaves an empty table, which `sweep_staging` drops.
    """
    name = staging_prefix(fact_table) + run_id
    for statement in staging_statements(fact_table, name):
        run_statement(warehouse, statement)
    columns = [Column(column.name, column.type, server_default=column.server_default) for column in fact_table.columns]
    return Table(name, MetaData(), *columns, clickhouse_cluster=cluster_of(fact_table))


def drop_staging(staging: Table, warehouse: Engine) -> None:
    for statement in drop_statements(staging):
        run_statement(warehouse, statement)


def sweep_staging(fact_table: Table, source: Engine, warehouse: Engine) -> list[str]:
    """Drop the staging tables of dead runs and return their run ids.

    A run is dead when nobody holds its lock. One whose audit failed keeps its table for inspection
    until a newer run of a window that covers it has been published.
    """
    prefixes = {"facts": staging_prefix(fact_table), "rejected": f"{rejected_name(fact_table)}__staging_"}
    tables = run_statement(
        warehouse,
        "SELECT name FROM system.tables WHERE database = currentDatabase() "
        "AND (startsWith(name, :facts) OR startsWith(name, :rejected))",
        prefixes,
    )
    left: dict[str, list[str]] = {}
    for name in sorted({str(row[0]).removesuffix("_local") for row in tables}):
        left.setdefault(name.partition("__staging_")[2], []).append(name)
    run_ids = list(left)
    if not run_ids:
        return []
    with connect_source(source) as connection:
        alive = {
            run_id
            for run_id in run_ids
            if not connection.scalar(select(func.pg_try_advisory_lock(lock_key(run_lock(run_id)))))
        }
        connection.invalidate()  # the locks tried above go with the session
    kept = {run["run_id"] for run in failed_audits(fact_table, warehouse)}
    dead = [run_id for run_id in run_ids if run_id not in alive | kept]
    for name in (name for run_id in dead for name in left[run_id]):
        drop_staging(Table(name, MetaData(), clickhouse_cluster=cluster_of(fact_table)), warehouse)
    return dead
