"""Asks ClickHouse's catalog which tables there are in the database, and how they are made."""

from __future__ import annotations

from sqlalchemy import Engine

from sentinel_etl.warehouse.query import read_number, run_statement

__all__ = [
    "count_expired",
    "count_parts",
    "describe_columns",
    "has_table",
    "has_ttl",
    "list_tables",
    "read_partition_key",
    "read_sorting_key",
]


def has_table(warehouse: Engine, name: str) -> bool:
    statement = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = :name"
    return read_number(warehouse, statement, {"name": name}) > 0


def has_ttl(warehouse: Engine, name: str) -> bool:
    """Tell whether a table, or a column of it, has a TTL; what only reads like one is taken for one."""
    statement = (
        "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = :name "
        "AND position(create_table_query, ' TTL ') > 0"
    )
    return read_number(warehouse, statement, {"name": name}) > 0


def count_expired(warehouse: Engine, table: str) -> int:
    """Count the rows of a table's parts, on this server, in which the table's TTL has expired some row or all."""
    statement = (
        "SELECT sum(rows) FROM system.parts WHERE database = currentDatabase() AND table = :name AND active "
        "AND toUnixTimestamp(delete_ttl_info_min) > 0 AND delete_ttl_info_min <= now()"
    )
    return read_number(warehouse, statement, {"name": table})


def list_tables(warehouse: Engine, first_prefix: str, second_prefix: str) -> list[str]:
    """List the tables whose names begin with either prefix, in order."""
    rows = run_statement(
        warehouse,
        "SELECT name FROM system.tables WHERE database = currentDatabase() "
        "AND (startsWith(name, :first) OR startsWith(name, :second)) ORDER BY name",
        {"first": first_prefix, "second": second_prefix},
        repeatable=True,
    )
    return [str(row[0]) for row in rows]


def describe_columns(warehouse: Engine, table: str) -> dict[str, str]:
    """Describe a table: column → type as the server writes it; empty where there is no such table."""
    rows = run_statement(
        warehouse,
        "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = :name",
        {"name": table},
        repeatable=True,
    )
    return {str(name): str(kind) for name, kind in rows}


def read_partition_key(warehouse: Engine, table: str) -> str:
    """Read the key that a table is partitioned by; empty where there is none, or no such table."""
    statement = "SELECT partition_key FROM system.tables WHERE database = currentDatabase() AND name = :name"
    return "".join(str(row[0]) for row in run_statement(warehouse, statement, {"name": table}, repeatable=True))


def read_sorting_key(warehouse: Engine, table: str) -> str:
    """Read the key that a table is sorted by; empty where there is no such table."""
    statement = "SELECT sorting_key FROM system.tables WHERE database = currentDatabase() AND name = :name"
    return "".join(str(row[0]) for row in run_statement(warehouse, statement, {"name": table}, repeatable=True))


def count_parts(warehouse: Engine, table: str, partition: str) -> int:
    """Count the active parts of a table's partition, by its id, on this server."""
    statement = (
        "SELECT count() FROM system.parts WHERE database = currentDatabase() AND table = :name "
        "AND partition_id = :partition AND active"
    )
    return read_number(warehouse, statement, {"name": table, "partition": partition})
