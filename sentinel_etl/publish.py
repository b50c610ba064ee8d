"""Moves audited staging rows into the fact table, one atomic step per partition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from clickhouse_sqlalchemy import Table
from sqlalchemy import ColumnElement, Engine, TextClause, and_, func, literal_column, not_, or_, select, text

from sentinel_etl.ddl import Way, cluster_of, merge_statements, storage_name, switch_statements
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.fact_table import PARTITION_KEYS, PartitionBy
from sentinel_etl.projections import WRITE_SETTINGS
from sentinel_etl.warehouse import run_statement
from sentinel_etl.window import Window

__all__ = [
    "count_rows",
    "instant",
    "is_staged",
    "partition_ids",
    "partition_scheme",
    "publish_window",
    "rows_of_window",
]

# The virtual column that names a row's partition.
# https://clickhouse.com/docs/engines/table-engines/mergetree-family/mergetree#virtual-columns
PARTITION_ID: ColumnElement[str] = literal_column("_partition_id")


def partition_scheme(fact_table: Table, warehouse: Engine) -> PartitionBy:
    """Ask the server how the fact table is partitioned; what stands there wins over settings.

    Raises:
        SchemaMismatch: a partition key that this project does not write.
    """
    rows = run_statement(
        warehouse,
        "SELECT partition_key FROM system.tables WHERE database = currentDatabase() AND name = :name",
        {"name": storage_name(fact_table)},
    )
    key = str(rows[0][0]) if rows else ""
    for scheme, expression in PARTITION_KEYS.items():
        if key == expression:
            return scheme
    raise SchemaMismatch(
        f"table {fact_table.name}: expected a partition key among {', '.join(PARTITION_KEYS.values())}; "
        f"found {key or 'none'}"
    )


def partition_ids(window: Window, scheme: PartitionBy, zone: ZoneInfo) -> list[str]:
    """List the partitions that the window touches, by the ids that ClickHouse gives them.

    https://clickhouse.com/docs/engines/table-engines/mergetree-family/custom-partitioning-key
    """

    def identify(night: date) -> str:
        if scheme == "month":
            return f"{night:%Y%m}"
        return f"{night - timedelta(days=night.weekday() if scheme == 'week' else 0):%Y%m%d}"

    return sorted({identify(night) for night in window.shift_dates(zone)})


def rows_of_window(table: Table, window: Window, event_types: Sequence[str]) -> ColumnElement[bool]:
    """Build the condition that a run of the window and these event types owns a row."""
    return and_(
        table.c.event_timestamp >= instant(window.start),
        table.c.event_timestamp < instant(window.end),
        table.c.event_type.in_(list(event_types)),
    )


def instant(moment: object) -> ColumnElement[object]:
    """Write an instant as a literal with microseconds, which the HTTP driver's own escaping drops."""
    return func.toDateTime64(f"{moment:%Y-%m-%d %H:%M:%S.%f}", literal_column("6"), "UTC")


def in_partition(partition: str) -> ColumnElement[bool]:
    return PARTITION_ID.op("=", is_comparison=True)(partition)


def is_staged(fact_table: Table, staging: Table) -> ColumnElement[bool]:
    """Build the condition that a row's event is in staging, wherever its timestamp was before.

    Between two Distributed tables only GLOBAL IN asks all shards.
    https://clickhouse.com/docs/sql-reference/operators/in#distributed-subqueries
    """
    operator = "GLOBAL IN" if cluster_of(fact_table) else "IN"
    column: ColumnElement[str] = fact_table.c.event_id
    return column.op(operator, is_comparison=True)(select(staging.c.event_id).scalar_subquery())


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


def count_rows(table: Table, condition: ColumnElement[bool], warehouse: Engine) -> int:
    return int(run_statement(warehouse, select(func.count()).select_from(table).where(condition))[0][0])


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
