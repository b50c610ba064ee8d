"""Staging tables: where a run writes before readers may see anything."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd
from clickhouse_sqlalchemy import Table
from clickhouse_sqlalchemy import select as select_in_clickhouse
from sqlalchemy import Column, Engine, MetaData, func, select, tuple_

from sentinel_etl.ddl import cluster_of, drop_statements, staging_statements
from sentinel_etl.fact_table import SHOWN_COLUMNS, content_columns, rejected_name
from sentinel_etl.ledger import read_runs
from sentinel_etl.source import connect_source, lock_key
from sentinel_etl.warehouse import query_df, run_statement

__all__ = ["create_staging", "drop_staging", "read_examples", "read_riskiest", "run_lock", "sweep_staging"]


def staging_prefix(fact_table: Table) -> str:
    return f"{fact_table.name}__staging_"


def run_lock(run_id: str) -> str:
    """Name the lock that a run holds while it lives."""
    return f"run {run_id}"


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


def failed_audits(fact_table: Table, warehouse: Engine) -> list[dict[str, object]]:
    """List the runs whose audit failed and whose window no newer run has published since."""
    runs = read_runs(warehouse, "fact_table = %(name)s", {"name": fact_table.name})
    failed = []
    for place, run in enumerate(runs):
        newer = runs[:place]
        covered = any(
            later["state"].startswith("PUBLISHED")
            and later["window_start"] <= run["window_start"]
            and later["window_end"] >= run["window_end"]
            for later in newer
        )
        if run["state"] == "NOT PUBLISHED" and not covered:
            failed.append(run)
    return failed


def read_examples(staging: Table, warehouse: Engine, hidden: Collection[str] = ()) -> pd.DataFrame:
    """Read the earliest row of each event type, in order of event type, without the ``hidden`` columns."""
    first = select(staging.c.event_type, func.min(staging.c.event_timestamp)).group_by(staging.c.event_type)
    columns = [staging.c[name] for name in content_columns(staging) if name not in hidden]
    statement = (
        select_in_clickhouse(*columns)
        .where(tuple_(staging.c.event_type, staging.c.event_timestamp).in_(first))
        .order_by(staging.c.event_type, staging.c.event_id)
        .limit_by([staging.c.event_type], limit=1)
    )
    return query_df(warehouse, statement)


def read_riskiest(staging: Table, warehouse: Engine, most: int = 10) -> pd.DataFrame:
    """Read the rows with the highest scores, the highest first; none where the table has no score."""
    columns = [staging.c[name] for name in SHOWN_COLUMNS if name in staging.columns]
    score = staging.c.get("base_risk_score")
    if score is None:
        return pd.DataFrame(columns=[column.name for column in columns])
    return query_df(warehouse, select(*columns).order_by(score.desc(), staging.c.event_id).limit(most))
