"""The tables that dead runs have left, and what becomes of them."""

from __future__ import annotations

from clickhouse_sqlalchemy import Table
from sqlalchemy import Engine, MetaData

from sentinel_etl.config.fact_table import rejected_name
from sentinel_etl.ledger.ledger import kept_runs
from sentinel_etl.source.connection import connect_source
from sentinel_etl.source.locks import held_names, run_lock
from sentinel_etl.warehouse.catalog import list_tables
from sentinel_etl.warehouse.ddl import cluster_of
from sentinel_etl.warehouse.tables import NEXT_MARK, REST_MARK, STAGING_MARK, drop_staging

__all__ = ["sweep_staging"]

MARKS = (STAGING_MARK, REST_MARK, NEXT_MARK)


def sweep_staging(fact_table: Table, source: Engine, warehouse: Engine) -> list[str]:
    """Drop the tables of dead runs, but for those of before that are kept, and return the runs' ids.

    It is also the fence of a switch: called once the partitions are locked, and again once the table is, it drops what
    a run that has lost its locks would still switch. So it waits until each table is gone.
    A run is dead when nobody holds its lock. One whose audit failed keeps its staging for inspection until a newer
    run of a window that covers it has been published; a dry run keeps what its report asks for until the next run.
    """
    prefixes = [name + mark for name in (fact_table.name, rejected_name(fact_table)) for mark in MARKS]
    left: dict[str, list[str]] = {}
    for prefix, name in list_tables(warehouse, prefixes):
        whole = name.removesuffix("_local") if cluster_of(fact_table) else name
        left.setdefault(whole.removeprefix(prefix), []).append(whole)
    run_ids = list(left)
    if not run_ids:
        return []
    # Asked after the tables were listed, so that no run has begun between; and asked, not tried: to hold another run's
    # lock for an instant would make it look alive to who sweeps at the same time.
    with connect_source(source) as connection:
        held = held_names(connection, map(run_lock, run_ids))
    alive = {run_id for run_id in run_ids if run_lock(run_id) in held}
    kept = {run["run_id"] for run in kept_runs(fact_table, warehouse)}
    dead = [run_id for run_id in run_ids if run_id not in alive | kept]
    for name in dict.fromkeys(name for run_id in dead for name in left[run_id]):
        drop_staging(Table(name, MetaData(), clickhouse_cluster=cluster_of(fact_table)), warehouse)
    return dead
