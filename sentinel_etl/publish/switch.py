"""Switches one partition of a table: what is to go goes, what is staged comes, in one atomic step."""

from __future__ import annotations

from collections.abc import Callable

from clickhouse_sqlalchemy import Table
from sqlalchemy import ColumnElement, Engine, TextClause, and_, literal_column, not_, select, text

from sentinel_etl.warehouse.catalog import count_parts
from sentinel_etl.warehouse.ddl import Way, cluster_of, merge_statements, switch_statements
from sentinel_etl.warehouse.projections import WRITE_SETTINGS
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.rows import count_rows

__all__ = ["switch_partition"]

# The virtual column that names a row's partition.
# https://clickhouse.com/docs/engines/table-engines/mergetree-family/mergetree#virtual-columns
PARTITION_ID: ColumnElement[str] = literal_column("_partition_id")


def switch_partition(
    table: Table,
    staging: Table,
    partition: str,
    gone: ColumnElement[bool],
    warehouse: Engine,
    check_held: Callable[[], None],
) -> Way | None:
    """Put the staged rows of a partition in the place of those that are to go; return how, None for nothing to do.

    ``gone`` tells the table's rows that are to go; it is never NULL. Where the partition has no such row, the
    staged partition is attached. Where it has some, its other rows are copied into staging and the whole partition
    is replaced. Staging is merged to one part first, because a switch of several parts is not covered against a
    crash in its middle. ``check_held`` raises where the run has lost its locks; it is called right before the switch.

    Readers see the partition before its switch or after it, nothing between. An interruption leaves it old or
    new, and a staging table; the same run again ends in the same rows.
    """
    staged = count_rows(staging, in_partition(partition), warehouse)
    # Of an empty partition nothing goes, and the ids need not be gathered to find so.
    rows = count_rows(table, in_partition(partition), warehouse)
    replaced = rows and count_rows(table, and_(in_partition(partition), gone), warehouse)
    if replaced:
        kept = select(table).where(in_partition(partition), not_(gone)).suffix_with(write_settings())
        names = [column.name for column in table.columns]
        run_statement(warehouse, staging.insert().from_select(names, kept))
        staged = count_rows(staging, in_partition(partition), warehouse)
    way: Way | None = None
    if staged:
        merge_to_one_part(staging, partition, warehouse)
        way = "REPLACE" if replaced else "ATTACH"
    elif replaced:
        way = "DROP"
    if way is not None:
        check_held()
        for statement in switch_statements(table, staging, partition, way):
            run_statement(warehouse, statement)
    return way


def in_partition(partition: str) -> ColumnElement[bool]:
    return PARTITION_ID.op("=", is_comparison=True)(partition)


def write_settings() -> TextClause:
    return text("SETTINGS " + ", ".join(f"{name} = '{value}'" for name, value in WRITE_SETTINGS.items()))


def merge_to_one_part(table: Table, partition: str, warehouse: Engine) -> None:
    # Of a cluster's parts this server sees only its own, so there the merge is always asked for.
    if cluster_of(table) or count_parts(warehouse, table.name, partition) > 1:
        for statement in merge_statements(table, partition):
            run_statement(warehouse, statement)
