"""Switches a table partition by partition: each in one atomic step on each server, and not all at one instant.

For a cluster, where no exchange of tables is atomic across servers, and for databases that cannot exchange any.
"""

from __future__ import annotations

from collections.abc import Sequence

from clickhouse_sqlalchemy import Table
from sqlalchemy import ColumnElement, Engine, TextClause, and_, not_, select, text

from sentinel_etl.errors import ConfigurationError
from sentinel_etl.publish.turn import Turn
from sentinel_etl.warehouse.catalog import count_parts
from sentinel_etl.warehouse.ddl import cluster_of
from sentinel_etl.warehouse.engine import server_version
from sentinel_etl.warehouse.moves import Way, merge_statements, switch_statements
from sentinel_etl.warehouse.projections import WRITE_SETTINGS
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.rows import count_rows, in_partition

__all__ = ["DURABLE_REPLACE", "switch_by_partition"]

# The release in which a restart no longer brings back what REPLACE and DROP PARTITION have taken out.
# https://github.com/ClickHouse/ClickHouse/issues/107605
DURABLE_REPLACE = (26, 6)


def switch_by_partition(
    table: Table,
    staging: Table,
    partitions: Sequence[str],
    gone: ColumnElement[bool],
    warehouse: Engine,
    turn: Turn,
) -> str:
    """Switch each partition in turn, and return how.

    Rows of partitions that come later stay until their own switch: an event that moves from one to another may be
    read twice for a moment, and never not at all. An interruption leaves whole partitions, each old or new.

    Raises:
        ConfigurationError: a single server, older than 26.6, which may lose what it has switched.
    """
    ways = []
    with turn.hold_table(table):
        for partition in partitions:
            if way := switch_partition(table, staging, partition, gone, warehouse, turn):
                ways.append(f"{way.lower()} {partition}")
    return ", ".join(ways)


def switch_partition(
    table: Table,
    staging: Table,
    partition: str,
    gone: ColumnElement[bool],
    warehouse: Engine,
    turn: Turn,
) -> Way | None:
    """Put the staged rows of a partition in the place of those that are to go; return how, None for nothing to do.

    ``gone`` tells the table's rows that are to go; it is never NULL. Where the partition has no such row, the
    staged partition is attached. Where it has some, its other rows are copied into staging and the whole partition
    is replaced. Staging is merged to one part first, because a switch of several parts is not covered against a
    crash in its middle.

    Readers see the partition before its switch or after it, nothing between. An interruption leaves it old or
    new, and a staging table; the same run again ends in the same rows.
    """
    staged = count_rows(staging, in_partition(partition), warehouse)
    # Of an empty partition nothing goes, and the ids need not be gathered to find so.
    rows = count_rows(table, in_partition(partition), warehouse)
    replaced = rows and count_rows(table, and_(in_partition(partition), gone), warehouse)
    if replaced:
        require_durable_replace(table, warehouse)
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
        turn.note(f"{way.lower()} {partition}")
        turn.check_held()
        for statement in switch_statements(table, staging, partition, way):
            run_statement(warehouse, statement)
    return way


def require_durable_replace(table: Table, warehouse: Engine) -> None:
    # Replicated tables keep such switches in ZooKeeper, and do not forget them.
    if not cluster_of(table) and (found := server_version(warehouse)) < DURABLE_REPLACE:
        raise ConfigurationError(
            f"table {table.name}: expected a database with the engine Atomic, or ClickHouse "
            f"{'.'.join(map(str, DURABLE_REPLACE))} or newer; found neither, but {'.'.join(map(str, found))}, where a "
            "restart could bring back the rows that this run replaces. Nothing was published; move the table into an "
            "Atomic database, or upgrade the server",
            stage="publish",
        )


def write_settings() -> TextClause:
    return text("SETTINGS " + ", ".join(f"{name} = '{value}'" for name, value in WRITE_SETTINGS.items()))


def merge_to_one_part(table: Table, partition: str, warehouse: Engine) -> None:
    # Of a cluster's parts this server sees only its own, so there the merge is always asked for.
    if cluster_of(table) or count_parts(warehouse, table.name).get(partition, 0) > 1:
        for statement in merge_statements(table, partition):
            run_statement(warehouse, statement)
