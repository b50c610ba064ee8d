"""Makes empty tables anew whose definitions differ from the code in what no ALTER mends."""

from __future__ import annotations

from clickhouse_sqlalchemy import Table
from sqlalchemy import Engine

from sentinel_etl.context import Context
from sentinel_etl.errors import SchemaMismatch, WindowLocked
from sentinel_etl.operations.schema import changes_of, kept_tables
from sentinel_etl.run.unused_tables import has_living_run
from sentinel_etl.source.locks import SessionLocks, hold_locks, table_lock, withdrawal_lock
from sentinel_etl.warehouse.catalog import has_table, read_partition_key
from sentinel_etl.warehouse.ddl import storage_name
from sentinel_etl.warehouse.provision import drop_fact_table, prepare_tables
from sentinel_etl.warehouse.rows import count_all
from sentinel_etl.warehouse.tables import build_rejected, drop_staging
from sentinel_etl.wording import plural

__all__ = ["recreate_tables"]


def recreate_tables(context: Context) -> list[str]:
    """Drop those of the fact and the rejected table that differ from the code, make them anew, and name them.

    What `schema apply` can mend is no reason; another partition key than the code's is. The table's lock is held
    meanwhile, and no run may be at work, so that none loses its table. Kept states go with their table; they are
    empty too. An interruption leaves a table that is not there, which the next run makes.

    Raises:
        SchemaMismatch: there are rows in such a table, or in a state of it that is kept to go back to.
        WindowLocked: a run is at work, or is switching the table.
        SourceUnreachable, WarehouseUnreachable: a database does not answer.
    """
    facts, warehouse = context.pipeline.fact_table, context.warehouse
    locks = [table_lock(facts.name), withdrawal_lock(facts.name)]
    wait = context.settings.lock_wait_seconds
    with hold_locks(context.source, locks, "sentinel-etl schema recreate", wait) as session:
        differing = [table for table in (facts, build_rejected(facts)) if differs(table, facts, warehouse)]
        if not differing:
            return []
        require_unused(differing, facts, session, warehouse)
        for table in differing:
            for kept in kept_tables(table, warehouse):
                drop_staging(kept, warehouse)
            if table is facts:
                drop_fact_table(warehouse, facts)
            else:
                drop_staging(table, warehouse)
        prepare_tables(warehouse, facts, context.pipeline.zone, context.pipeline.breakdown)
    return [table.name for table in differing]


def differs(table: Table, facts: Table, warehouse: Engine) -> bool:
    if not has_table(warehouse, table.name):
        return False
    key = read_partition_key(warehouse, storage_name(table))
    return any(change.refused for change in changes_of(table, warehouse)) or (
        table is facts and key != partition_key(table)
    )


def partition_key(table: Table) -> str:
    """Write the partition key as the definition has it."""
    parts = table.engine.partition_by
    return "" if parts is None else ", ".join(str(part) for part in parts.get_expressions_or_columns())


def require_unused(tables: list[Table], facts: Table, session: SessionLocks, warehouse: Engine) -> None:
    """Refuse where a table, or a kept state of it, holds rows, or a run is at work.

    Raises:
        SchemaMismatch, WindowLocked: as said.
    """
    if has_living_run(facts, warehouse, session.connection):
        raise WindowLocked(
            f"expected no run of {facts.name} to be at work; found one, which would lose its table. Wait for it, then "
            "run this again",
            stage="schema",
        )
    for table in tables:
        if rows := count_all(table, warehouse):
            raise SchemaMismatch(
                f"expected {table.name} to be empty, to make it anew; found {rows:,} {plural(rows, 'row')}, which "
                "would be lost. Load into a table of another name, or put the code right",
                stage="schema",
            )
        for kept in kept_tables(table, warehouse):
            if rows := count_all(kept, warehouse):
                raise SchemaMismatch(
                    f"expected no kept state of {table.name} to hold rows, to make it anew; found {rows:,} "
                    f"{plural(rows, 'row')} in {kept.name}, which `sentinel-etl undo` could need. Drop "
                    "that table, if nothing is to be undone",
                    stage="schema",
                )
