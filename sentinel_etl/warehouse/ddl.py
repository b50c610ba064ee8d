"""The statements that make, change and drop warehouse tables, on one server or on a cluster. Pure.

On a cluster a table ``t`` is two: ``t_local``, replicated, which holds the rows, and ``t``, Distributed
over it, which is read and written. A `Table` whose dialect option ``clickhouse_cluster`` is set is such
a table. Statements that move parts name ``t_local`` and run ``ON CLUSTER``; ``alter_sync = 2`` makes
each of them wait until every replica has done it.
https://clickhouse.com/docs/sql-reference/distributed-ddl
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clickhouse_sqlalchemy import Table, engines
from sqlalchemy import Column, MetaData, TextClause
from sqlalchemy.schema import CreateTable

from sentinel_etl.warehouse.names import DIALECT, as_sent

__all__ = [
    "DIALECT",
    "add_column_statements",
    "cluster_of",
    "create_statements",
    "create_view",
    "drop_statements",
    "drop_view",
    "durable_statement",
    "has_id",
    "keep_unmerged_statement",
    "on_cluster",
    "quote_identifier",
    "split_ids",
    "staging_statements",
    "storage_name",
]


# Half of max_query_size, 256 KiB where nobody has set it: the other half is for the rest of the statement.
IDS_BYTES = 1 << 17

# No merge for expired rows, and none of parts above a byte; OPTIMIZE still merges.
# https://clickhouse.com/docs/operations/settings/merge-tree-settings
NO_MERGES = {
    "max_number_of_merges_with_ttl_in_pool": 0,
    "max_bytes_to_merge_at_max_space_in_pool": 1,
    "max_bytes_to_merge_at_min_space_in_pool": 1,
}

# A lightweight DELETE works the projections of a part out anew. A projection that it left alone, and one that is
# materialized later, would go on counting the rows that are gone.
# https://clickhouse.com/docs/operations/settings/merge-tree-settings#lightweight_mutation_projection_mode
REBUILD = {"lightweight_mutation_projection_mode": "'rebuild'"}

# What is acknowledged is on the disk: without, a power cut may take parts that were written or merged within minutes
# before. https://clickhouse.com/docs/operations/settings/merge-tree-settings
DURABLE = {
    "fsync_after_insert": 1,
    "fsync_part_directory": 1,
    "min_compressed_bytes_to_fsync_after_merge": 1,
    "min_rows_to_fsync_after_merge": 1,
}

# The server fills in both: a path of the table's own, and the replica's name.
# https://clickhouse.com/docs/engines/table-engines/mergetree-family/replication
REPLICA_PATH = "/clickhouse/tables/{uuid}/{shard}"
REPLICA_NAME = "{replica}"


def quote_identifier(name: str) -> str:
    """Quote a name for a statement that is sent as it is."""
    return as_sent(str(DIALECT.identifier_preparer.quote_identifier(name)))


def cluster_of(table: Table) -> str | None:
    """Name the table's cluster, or none."""
    cluster: str | None = table.dialect_options["clickhouse"]["cluster"]
    return cluster


def storage_name(table: Table) -> str:
    """Name the table that holds the rows on each server."""
    return f"{table.name}_local" if cluster_of(table) else table.name


def on_cluster(table: Table) -> str:
    cluster = cluster_of(table)
    return f" ON CLUSTER {quote_identifier(cluster)}" if cluster else ""


def create_statements(table: Table) -> list[str]:
    """Create the table if it is not there."""
    if not cluster_of(table):
        return [compile_create(table)]
    return [compile_create(replicated(table)), distributed(table.name, storage_name(table), table)]


def staging_statements(fact_table: Table, name: str) -> list[str]:
    """Create a table with the fact table's exact structure, keys, projections and TTL, empty."""
    storage = f"{name}_local" if cluster_of(fact_table) else name
    model = quote_identifier(storage_name(fact_table))
    create = f"CREATE TABLE {quote_identifier(storage)}{on_cluster(fact_table)} AS {model}"
    return [create, distributed(name, storage, fact_table)] if cluster_of(fact_table) else [create]


def durable_statement(table: Table, definition: str) -> str:
    """Add to a table the settings by which what it holds outlasts a power cut; empty where it names them all.

    One that is named with another value stays: somebody has chosen it.
    """
    missing = {name: value for name, value in DURABLE.items() if name not in definition}
    if not missing:
        return ""
    alter = f"ALTER TABLE {quote_identifier(storage_name(table))}{on_cluster(table)}"
    return f"{alter} MODIFY SETTING {settings_of(missing)}"


def keep_unmerged_statement(table: Table, *, rebuild_projections: bool = False) -> str:
    """Let a table merge nothing by itself: a merge would take out what its TTL has expired.

    ``rebuild_projections``: and let `clear_statement` work on it where it has projections.
    https://clickhouse.com/docs/engines/table-engines/mergetree-family/mergetree#mergetree-removal-of-data
    """
    chosen = NO_MERGES | REBUILD if rebuild_projections else NO_MERGES
    alter = f"ALTER TABLE {quote_identifier(storage_name(table))}{on_cluster(table)}"
    return f"{alter} MODIFY SETTING {settings_of(chosen)}"


def create_view(name: str, fact_table: Table, select: str, comment: str, *, replace: bool = False) -> str:
    """Create a view over the fact table where the name is free, or replace the one that has it."""
    how = "CREATE OR REPLACE VIEW" if replace else "CREATE VIEW IF NOT EXISTS"
    return f"{how} {quote_identifier(name)}{on_cluster(fact_table)} AS {select} COMMENT '{comment}'"


def drop_view(name: str, fact_table: Table) -> str:
    """Drop a view over the fact table if it is there."""
    return f"DROP VIEW IF EXISTS {quote_identifier(name)}{on_cluster(fact_table)} SYNC"


def drop_statements(table: Table, *, wait: bool = True) -> list[str]:
    """Drop the table if it is there.

    ``wait``: SYNC, so that its name and its replicas' path are free at once. Without, who is reading it reads on
    undisturbed, and the server removes it later.
    https://clickhouse.com/docs/sql-reference/statements/drop
    """
    names = [table.name, storage_name(table)] if cluster_of(table) else [table.name]
    sync = " SYNC" if wait else ""
    return [f"DROP TABLE IF EXISTS {quote_identifier(name)}{on_cluster(table)}{sync}" for name in names]


def add_column_statements(table: Table, column: Column[Any], after: str) -> list[str]:
    """Add a column where the definition has it; on a cluster to the table that holds the rows, then to the other."""
    compiler = DIALECT.ddl_compiler(DIALECT, None)
    default = compiler.get_column_default_string(column)
    definition = f"{quote_identifier(column.name)} {column.type.compile(dialect=DIALECT)}"
    definition += f" DEFAULT {as_sent(default)}" if default is not None else ""
    position = f"AFTER {quote_identifier(after)}" if after else "FIRST"
    names = dict.fromkeys((storage_name(table), table.name))
    alters = [f"ALTER TABLE {quote_identifier(name)}{on_cluster(table)} ADD COLUMN IF NOT EXISTS" for name in names]
    return [f"{alter} {definition} {position}" for alter in alters]


def has_id(ids: Sequence[str]) -> str:
    """Write the condition that a row has one of these event_ids, whatever characters they hold.

    In hexadecimal digits, none of them means anything to a driver or to the server.
    """
    listed = ", ".join(f"unhex('{one.encode().hex()}')" for one in ids)
    return f"event_id IN ({listed})"


def split_ids(ids: Sequence[str]) -> Iterator[list[str]]:
    """Split event_ids so that each part's `has_id` is well within the longest statement that a server reads.

    https://clickhouse.com/docs/operations/settings/settings#max_query_size
    """
    part: list[str] = []
    size = 0
    for one in ids:
        written = len(has_id([one]))
        if part and size + written > IDS_BYTES:
            yield part
            part, size = [], 0
        part.append(one)
        size += written
    if part:
        yield part


def compile_create(table: Table) -> str:
    return as_sent(str(CreateTable(table, if_not_exists=True).compile(dialect=DIALECT))).strip()


def settings_of(settings: Mapping[str, object]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in settings.items())


def distributed(name: str, storage: str, table: Table) -> str:
    """Create the table that reads and writes all shards; an event's shard is a hash of its first key."""
    first = quote_identifier(next(iter(table.columns)).name)
    return (
        f"CREATE TABLE IF NOT EXISTS {quote_identifier(name)}{on_cluster(table)} AS {quote_identifier(storage)} "
        f"ENGINE = Distributed('{cluster_of(table)}', currentDatabase(), '{storage}', cityHash64({first}))"
    )


def replicated(table: Table) -> Table:
    """Copy a MergeTree table's definition as its replicated kin, under its storage name."""
    engine = table.engine
    keys: dict[str, object] = {
        key: [part if isinstance(part, TextClause) else part.name for part in given.get_expressions_or_columns()]
        for key in ("partition_by", "order_by")
        if (given := getattr(engine, key)) is not None
    }
    if version := getattr(engine, "version_col", None):
        keys["version"] = version.get_column().name
    kin = getattr(engines, f"Replicated{engine.name}")
    columns = [
        Column(column.name, column.type, server_default=column.server_default, comment=column.comment)
        for column in table.columns
    ]
    return Table(
        storage_name(table),
        MetaData(),
        *columns,
        kin(REPLICA_PATH, REPLICA_NAME, **keys),
        clickhouse_cluster=cluster_of(table),
    )
