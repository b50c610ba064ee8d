"""Moves audited staging rows into the fact table, one atomic step per partition."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from clickhouse_sqlalchemy import Table
from sqlalchemy import ColumnElement, Engine, TextClause, and_, literal_column, not_, or_, select, text

from sentinel_etl.warehouse.ddl import Way, cluster_of, merge_statements, switch_statements
from sentinel_etl.warehouse.projections import WRITE_SETTINGS
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.rows import count_rows, is_staged, rows_of_window
from sentinel_etl.window import Window

__all__ = ["publish_window"]


# The virtual column that names a row's partition.
# https://clickhouse.com/docs/engines/table-engines/mergetree-family/mergetree#virtual-columns
PARTITION_ID: ColumnElement[str] = literal_column("_partition_id")


def in_partition(partition: str) -> ColumnElement[bool]:
    return PARTITION_ID.op("=", is_comparison=True)(partition)


def publish_window(
    staging: Table,
    fact_table: Table,
    window: Window,
    event_types: Sequence[str],
    partitions: Sequence[str],
    warehouse: Engine,
    check_held: Callable[[], None] = lambda: None,
) -> str:
    """Make the staged rows the fact table's rows of the window, and return how: for the ledger.

    Where the fact table has none of the window's rows in a partition, the staged partition is
    attached. Where it has some, the partition's other rows are copied into staging and the whole
    partition is replaced; rows that left the source, or whose timestamp moved within the partition,
    go with it. Staging is merged to one part first, because a switch of several parts is not
    covered against a crash in its middle. ``check_held`` raises where the run has lost its locks: it
    is called first and before each switch, because who has lost them must not undo what another run publishes.

    Readers see a partition before its switch or after it, nothing between. An interruption leaves
    whole partitions, each old or new; the same run again, with the same locks, ends in the same
    rows as one that was never interrupted.
    """
    check_held()
    ways = []
    for partition in partitions:
        staged = count_rows(staging, in_partition(partition), warehouse)
        owned = or_(
            rows_of_window(fact_table, window, event_types),
            is_staged(fact_table, staging),
        )
        # Of an empty partition nothing is owned, and the ids need not be gathered to find so.
        there = count_rows(fact_table, in_partition(partition), warehouse)
        replaced = there and count_rows(fact_table, and_(in_partition(partition), owned), warehouse)
        if replaced:
            kept = select(fact_table).where(in_partition(partition), not_(owned)).suffix_with(written_settings())
            names = [column.name for column in fact_table.columns]
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
            for statement in switch_statements(fact_table, staging, partition, way):
                run_statement(warehouse, statement)
            ways.append(f"{way.lower()} {partition}")
    return ", ".join(ways) or "nothing to publish"


def written_settings() -> TextClause:
    return text("SETTINGS " + ", ".join(f"{name} = '{value}'" for name, value in WRITE_SETTINGS.items()))


def merge_to_one_part(table: Table, partition: str, warehouse: Engine) -> None:
    parts = run_statement(
        warehouse,
        "SELECT count() FROM system.parts WHERE database = currentDatabase() AND table = :name "
        "AND partition_id = :partition AND active",
        {"name": table.name, "partition": partition},
    )
    # Of a cluster's parts this server sees only its own, so there the merge is always asked for.
    if parts[0][0] > 1 or cluster_of(table):
        for statement in merge_statements(table, partition):
            run_statement(warehouse, statement)
