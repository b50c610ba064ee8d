"""The statements that move parts between tables, take rows out of them, and exchange tables. Pure.

On a cluster they name the table that holds the rows and run ``ON CLUSTER``: see `ddl`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from clickhouse_sqlalchemy import Table
from sqlalchemy import ColumnElement

from sentinel_etl.warehouse.ddl import cluster_of, has_id, on_cluster, quote_identifier, storage_name
from sentinel_etl.warehouse.names import DIALECT, as_sent

__all__ = [
    "Way",
    "attach_statements",
    "clear_statement",
    "delete_statements",
    "drop_parts_statement",
    "exchange_statement",
    "merge_statements",
    "rename_statement",
    "switch_statements",
]

Way = Literal["ATTACH", "REPLACE", "DROP"]

# Partitions named in one statement, so that it is well within the longest that a server reads.
PARTITIONS_AT_A_TIME = 1_000


def attach_statements(table: Table, origin: Table, partitions: Sequence[str]) -> list[str]:
    """Attach partitions of one table to another of the same structure, by hard links: neither is read or copied.

    Several partitions are several steps, which readers of the table may see one by one.
    https://clickhouse.com/docs/sql-reference/statements/alter/partition#attach-partition-from
    """
    source = quote_identifier(origin.name)
    steps = [f"ATTACH PARTITION ID '{partition}' FROM {source}" for partition in partitions]
    shares = (steps[first : first + PARTITIONS_AT_A_TIME] for first in range(0, len(steps), PARTITIONS_AT_A_TIME))
    return [f"ALTER TABLE {quote_identifier(table.name)} {', '.join(share)}" for share in shares]


def clear_statement(table: Table, condition: ColumnElement[bool], *, lightweight: bool) -> str:
    """Delete the rows that meet a condition, and wait until they are gone.

    ``lightweight``: masked and not rewritten, which a tenth of the bytes are written for; else each part that has
    such rows is written anew.
    https://clickhouse.com/docs/sql-reference/statements/delete
    """
    name, where = quote_identifier(table.name), write_condition(condition)
    if lightweight:
        return f"DELETE FROM {name} WHERE {where}"
    return f"ALTER TABLE {name} DELETE WHERE {where} SETTINGS mutations_sync = 2"


def drop_parts_statement(table: Table, parts: Sequence[str]) -> str:
    """Drop parts by their names, which a merge would change.

    https://clickhouse.com/docs/sql-reference/statements/alter/partition#drop-partitionpart
    """
    steps = ", ".join(f"DROP PART '{part}'" for part in parts)
    return f"ALTER TABLE {quote_identifier(table.name)} {steps}"


def write_condition(condition: ColumnElement[bool]) -> str:
    """Write a condition on one table's rows: its columns by their bare names, its values in it."""
    options = {"literal_binds": True, "include_table": False}
    return as_sent(str(condition.compile(dialect=DIALECT, compile_kwargs=options)))


def exchange_statement(first: Table, second: Table) -> str:
    """Exchange the names of two tables, in one step; on one server only.

    https://clickhouse.com/docs/sql-reference/statements/exchange
    """
    return f"EXCHANGE TABLES {quote_identifier(first.name)} AND {quote_identifier(second.name)}"


def rename_statement(table: Table, name: str) -> str:
    return f"RENAME TABLE {quote_identifier(table.name)} TO {quote_identifier(name)}"


def delete_statements(table: Table, ids: Sequence[str]) -> list[str]:
    """Delete the rows of a staging table that have one of these event_ids, and wait until they are gone."""
    alter = f"ALTER TABLE {quote_identifier(storage_name(table))}{on_cluster(table)} DELETE WHERE {has_id(ids)}"
    return [*sync_statements(table), f"{alter} SETTINGS mutations_sync = 2"]


def merge_statements(table: Table, partition: str) -> list[str]:
    """Merge a partition to one part, after every replica has all its rows; refused where it cannot be done.

    A shard of a cluster may have no rows of the partition, which would be refused too, so there it is not.
    https://clickhouse.com/docs/operations/settings/settings#optimize_throw_if_noop
    """
    optimize = (
        f"OPTIMIZE TABLE {quote_identifier(storage_name(table))}{on_cluster(table)} PARTITION ID '{partition}' FINAL"
    )
    if not cluster_of(table):
        optimize += " SETTINGS optimize_throw_if_noop = 1"
    return [*sync_statements(table), optimize]


def switch_statements(fact_table: Table, staging: Table, partition: str, way: Way) -> list[str]:
    """Switch one partition of the fact table: atomic on each server."""
    origin = "" if way == "DROP" else f" FROM {quote_identifier(storage_name(staging))}"
    settings = " SETTINGS alter_sync = 2" if cluster_of(fact_table) else ""
    alter = f"ALTER TABLE {quote_identifier(storage_name(fact_table))}{on_cluster(fact_table)}"
    return [*sync_statements(staging), f"{alter} {way} PARTITION ID '{partition}'{origin}{settings}"]


def sync_statements(table: Table) -> list[str]:
    if not cluster_of(table):
        return []
    return [f"SYSTEM SYNC REPLICA{on_cluster(table)} {quote_identifier(storage_name(table))}"]
