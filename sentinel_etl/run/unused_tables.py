"""The tables that a dry run has had to make: they are dropped again, unless another run has begun to use them.

Two sides look at each other: who drops first takes the withdrawal's lock and then asks which runs are alive, and a
run first shows that it is alive and then looks for that lock. So at least one of the two sees the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from clickhouse_sqlalchemy import Table
from sqlalchemy import Connection, Engine

from sentinel_etl.errors import SentinelError
from sentinel_etl.ledger.ledger import list_runs
from sentinel_etl.ledger.states import RunState
from sentinel_etl.run.job import Job
from sentinel_etl.run.sweep import sweep_staging
from sentinel_etl.source.locks import (
    SessionLocks,
    held_names,
    hold_locks,
    run_lock,
    session_name,
    table_lock,
    withdrawal_lock,
)
from sentinel_etl.warehouse.catalog import has_table
from sentinel_etl.warehouse.provision import drop_fact_table, prepare_tables
from sentinel_etl.warehouse.rows import count_all
from sentinel_etl.warehouse.tables import drop_staging

__all__ = ["has_living_run", "keep_tables", "withdraw_unused"]


@contextmanager
def withdraw_unused(job: Job) -> Iterator[None]:
    """Drop the fact table and the rejected one after the block, however it ends, where a dry run has had to make them.

    The ledger stays, with the run's line. The tables stay, too, where another run holds or has filled them, or where a
    database does not answer; they are empty then, as any run would make them. An interruption of the dropping leaves
    some of them.
    """
    is_first = job.dry_run and not any_table(job)
    try:
        yield
    finally:
        if is_first:
            with suppress(SentinelError):
                drop_unused(job)


def any_table(job: Job) -> bool:
    return any(has_table(job.context.warehouse, table.name) for table in (job.fact_table, job.rejected_table))


def drop_unused(job: Job) -> None:
    """Drop the tables under their locks, if nothing is in them and no other run is alive, and what is left of staging.

    Raises:
        WindowLocked: another run holds the table.
    """
    context, name = job.context, job.fact_table.name
    # Who holds the table uses it: nothing is to be waited for.
    names = [table_lock(name), withdrawal_lock(name)]
    with hold_locks(context.source, names, session_name(job.run_id), 0) as locks:
        sweep_staging(job.fact_table, context.source, context.warehouse)
        if is_unused(job, locks.connection):
            drop_fact_table(context.warehouse, job.fact_table)
            drop_staging(job.rejected_table, context.warehouse)


def is_unused(job: Job, connection: Connection) -> bool:
    warehouse = job.context.warehouse
    if has_living_run(job.fact_table, warehouse, connection):
        return False
    if any(run["switched_at"] for run in list_runs(job.fact_table, warehouse)):
        return False
    there = [table for table in (job.fact_table, job.rejected_table) if has_table(warehouse, table.name)]
    return not any(count_all(table, warehouse) for table in there)


def has_living_run(fact_table: Table, warehouse: Engine, connection: Connection) -> bool:
    """Tell whether a run of the fact table is at work: the ledger has it as running, and it holds its own lock."""
    running = [run["run_id"] for run in list_runs(fact_table, warehouse) if run["state"] is RunState.RUNNING]
    return bool(held_names(connection, map(run_lock, running)))


def keep_tables(job: Job, locks: SessionLocks) -> None:
    """See that the tables are there and stay, once the run shows that it is alive: a dry run may be dropping them.

    Raises:
        WindowLocked: who drops them takes longer than is waited for.
    """
    context = job.context
    lock = withdrawal_lock(job.fact_table.name)
    tables = (job.fact_table, job.rejected_table)
    if held_names(locks.connection, [lock]) or not all(has_table(context.warehouse, table.name) for table in tables):
        with locks.hold([lock]):
            prepare_tables(context.warehouse, job.fact_table, context.pipeline.zone, context.pipeline.breakdown)
