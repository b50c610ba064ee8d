"""Asks ClickHouse's catalog which tables there are in the database, and how they are made."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import Engine

from sentinel_etl.warehouse.query import read_number, run_statement

__all__ = [
    "can_exchange",
    "count_expired",
    "count_parts",
    "describe_columns",
    "has_lightweight_delete",
    "has_table",
    "has_ttl",
    "list_tables",
    "measure_kept",
    "read_definition",
    "read_partition_key",
    "read_sorting_key",
    "read_ttl_rules",
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


def read_ttl_rules(warehouse: Engine, name: str) -> list[str]:
    """Read the expressions after which a table drops rows, or rolls them up; none where it has no such TTL.

    A column's TTL drops no row, and is not in what is read here; nor does one that moves or recompresses parts.
    https://clickhouse.com/docs/engines/table-engines/mergetree-family/mergetree#mergetree-table-ttl
    """
    statement = "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = :name"
    rows = run_statement(warehouse, statement, {"name": name}, repeatable=True)
    found = re.search(r" TTL (.*?)(?: SETTINGS |$)", "".join(str(row[0]) for row in rows), re.DOTALL)
    rules = split_list(found[1]) if found else []
    dropping = [rule for rule in rules if not re.search(r" (?:TO (?:DISK|VOLUME)|RECOMPRESS) ", rule)]
    return [re.split(r" DELETE\b| WHERE | GROUP BY ", rule)[0] for rule in dropping]


def split_list(text: str) -> list[str]:
    """Cut a list at the commas that stand in no parentheses."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def count_expired(warehouse: Engine, table: str) -> int:
    """Count the rows of a table's parts, on this server, in which the table's TTL has expired some row or all."""
    statement = (
        "SELECT sum(rows) FROM system.parts WHERE database = currentDatabase() AND table = :name AND active "
        "AND toUnixTimestamp(delete_ttl_info_min) > 0 AND delete_ttl_info_min <= now()"
    )
    return read_number(warehouse, statement, {"name": table})


def list_tables(warehouse: Engine, prefixes: Sequence[str]) -> list[tuple[str, str]]:
    """List the tables whose names begin with one of the prefixes, with that prefix, in order."""
    rows = run_statement(
        warehouse,
        "SELECT name FROM system.tables WHERE database = currentDatabase() "
        "AND arrayExists(prefix -> startsWith(name, prefix), :prefixes) ORDER BY name",
        {"prefixes": list(prefixes)},
        repeatable=True,
    )
    names = [str(row[0]) for row in rows]
    return [(prefix, name) for name in names for prefix in prefixes if name.startswith(prefix)]


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


def count_parts(warehouse: Engine, table: str) -> dict[str, int]:
    """Count the active parts of a table on this server: id of the partition → parts; those of no rows are left out."""
    statement = (
        "SELECT partition_id, count() FROM system.parts WHERE database = currentDatabase() AND table = :name "
        "AND active AND rows > 0 GROUP BY partition_id ORDER BY partition_id"
    )
    rows = run_statement(warehouse, statement, {"name": table}, repeatable=True)
    return {str(partition): int(parts) for partition, parts in rows}


def can_exchange(warehouse: Engine) -> bool:
    """Tell whether the database is of the engine that can exchange two tables in one step.

    https://clickhouse.com/docs/engines/database-engines/atomic#exchange-tables
    """
    statement = "SELECT count() FROM system.databases WHERE name = currentDatabase() AND engine = 'Atomic'"
    return read_number(warehouse, statement) > 0


def has_lightweight_delete(warehouse: Engine) -> bool:
    """Tell whether a lightweight DELETE can work out projections anew.

    https://clickhouse.com/docs/operations/settings/merge-tree-settings#lightweight_mutation_projection_mode
    """
    statement = "SELECT count() FROM system.merge_tree_settings WHERE name = 'lightweight_mutation_projection_mode'"
    return read_number(warehouse, statement) > 0


def read_definition(warehouse: Engine, table: str) -> str:
    """Read how a table is defined, from its first column on; empty where there is no such table."""
    statement = "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = :name"
    found = run_statement(warehouse, statement, {"name": table}, repeatable=True)
    return "".join(str(row[0])[str(row[0]).index(" (`") :] for row in found)


def measure_kept(warehouse: Engine, table: str, mark: str) -> tuple[int, int]:
    """Count the tables of before that are kept, and the bytes of the parts that they do not share with the table.

    Hard links share: a part that is in both has the same hash, and is on the disk once.
    https://clickhouse.com/docs/operations/system-tables/parts
    """
    statement = (
        "SELECT sum(bytes) FROM (SELECT max(bytes_on_disk) AS bytes FROM system.parts "
        "WHERE database = currentDatabase() AND active AND (table = :name OR startsWith(table, :prefix)) "
        "GROUP BY hash_of_all_files HAVING countIf(table = :name) = 0)"
    )
    held = read_number(warehouse, statement, {"name": table, "prefix": table + mark})
    return len(list_tables(warehouse, [table + mark])), held
