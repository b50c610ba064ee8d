"""The engine's own tables beside the fact table, and how a table is made and compared with its definition."""

from __future__ import annotations

from clickhouse_sqlalchemy import Table, engines, types
from sqlalchemy import Column, Engine, MetaData, text

from sentinel_etl.config.fact_table import INSTANT, INTEGER, KEYWORD, TEXT, optional, rejected_name
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.warehouse.catalog import describe_columns, has_ttl
from sentinel_etl.warehouse.ddl import (
    cluster_of,
    create_statements,
    drop_statements,
    keep_unmerged_statement,
    staging_statements,
    storage_name,
)
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.types import server_type

__all__ = [
    "BEFORE_MARK",
    "ETL_RULES",
    "ETL_RUNS",
    "NEXT_MARK",
    "REST_MARK",
    "STAGING_MARK",
    "build_ledger",
    "build_rejected",
    "build_rules",
    "create_like",
    "create_staging",
    "create_table",
    "drop_staging",
    "normal_type",
    "own_tables",
    "table_beside",
]


def build_rejected(fact_table: Table) -> Table:
    """Build the table of the rows that the fact table did not take; it stands beside it.

    Not partitioned: what a run found is put in by switching the whole table, which is small.
    """
    return Table(
        rejected_name(fact_table),
        MetaData(),
        Column("event_id", TEXT, comment="event_id of the event that it would have been; TYPE alone: it has no key"),
        Column("event_type", KEYWORD, comment="entry of EVENT_CONFIG"),
        Column("event_timestamp", optional(INSTANT), comment="when it happened; NULL where it lies in no night"),
        Column("shift_date", optional(types.Date), comment="operational night; NULL where it lies in none"),
        Column("reason", TEXT, comment="column: what is wrong with it; never the value"),
        Column("raw", TEXT, comment="the source's row as JSON, without its NULLs; personal data as SENTINEL_PII says"),
        Column("run_id", TEXT, comment="run that found it"),
        Column("loaded_at", INSTANT, comment="when that run wrote it"),
        engines.MergeTree(order_by=("event_type", "event_id")),
        clickhouse_cluster=cluster_of(fact_table),
    )


def build_ledger(cluster: str | None = None) -> Table:
    """Build the ledger's table; ``comment`` of each column is its line in the docs."""
    return Table(
        "etl_runs",
        MetaData(),
        Column("run_id", TEXT, comment="UTC start and a random tail"),
        Column("fact_table", TEXT, comment="table that the run writes"),
        Column("window_start", INSTANT, comment="inclusive"),
        Column("window_end", INSTANT, comment="exclusive"),
        Column("event_types", types.Array(TEXT), comment="types that the run covers"),
        Column("state", KEYWORD, comment="RUNNING, or a verdict"),
        Column("cause", TEXT, comment="why not published, or what was warned of"),
        Column("started_at", INSTANT, comment="when the run began"),
        Column("updated_at", INSTANT, comment="version of the row: the newest one counts"),
        Column("source_rows", INTEGER, comment="rows in the source's snapshot"),
        Column("published_rows", INTEGER, comment="rows of the window that the run has published"),
        Column("counts", TEXT, comment="JSON: event type → source, staged, published; what a re-run changes"),
        Column("timings", TEXT, comment="JSON: phase → seconds"),
        Column("checks", TEXT, comment="JSON: the audit, check by check"),
        Column("config_hash", TEXT, comment="of config, weights and fact table"),
        Column("code_version", TEXT, comment="package version"),
        Column("report_path", TEXT, comment="executed notebook, relative to runs/"),
        Column("how", TEXT, server_default=text("''"), comment="how the fact table was switched: the way, partitions"),
        Column("switched_at", optional(INSTANT), comment="when that began; NULL: it was not switched"),
        Column("nights", TEXT, server_default=text("'{}'"), comment="JSON: changed night → its rows, their digest"),
        Column("changes", TEXT, server_default=text("'{}'"), comment="JSON: event type → what the run changed of it"),
        Column(
            "pii",
            TEXT,
            server_default=text("''"),
            comment="how it stored personal data: keep, drop, or hash and its key's id; empty: not noted",
        ),
        Column("backfill", TEXT, server_default=text("''"), comment="id of the backfill it is a part of; empty: none"),
        Column("content", TEXT, server_default=text("''"), comment="hash of the rows staged; empty: not noted"),
        Column("completeness", TEXT, server_default=text("'{}'"), comment="JSON: rows expected still, until when"),
        Column("versions", TEXT, server_default=text("'{}'"), comment="JSON: what the run ran on → its version"),
        engines.ReplacingMergeTree(version="updated_at", order_by=("run_id",)),
        clickhouse_cluster=cluster,
    )


def build_rules(cluster: str | None = None) -> Table:
    """Build the table of the rules that runs had; ``comment`` of each column is its line in the docs."""
    return Table(
        "etl_rules",
        MetaData(),
        Column("config_hash", TEXT, comment="of the rules: etl_runs has it of each run"),
        Column("rules", TEXT, comment="JSON: statements, weights, fact table, and what else decides what a run writes"),
        Column("kept_at", INSTANT, comment="when a run with these rules first began"),
        engines.ReplacingMergeTree(order_by=("config_hash",)),
        clickhouse_cluster=cluster,
    )


def own_tables(fact_table: Table) -> list[Table]:
    """Build the engine's own tables beside a fact table: of the rejected rows, the ledger and the kept rules."""
    cluster = cluster_of(fact_table)
    return [build_rejected(fact_table), build_ledger(cluster), build_rules(cluster)]


ETL_RUNS = build_ledger()
ETL_RULES = build_rules()


# Between a table's name and a run's id, in the names of the tables that a run makes beside it.
STAGING_MARK = "__staging_"  # the rows that the run loads
REST_MARK = "__rest_"  # the partitions that it changes, without the rows that go
NEXT_MARK = "__next_"  # the whole table as it will be; after the exchange, as it was
BEFORE_MARK = "__before_"  # the whole table as it was before the run: kept


def create_staging(fact_table: Table, run_id: str, warehouse: Engine) -> Table:
    """Create this run's staging table; nothing expires in it before it has been audited.

    An interruption leaves an empty table, which `sweep_staging` drops.
    """
    staging = create_like(fact_table, STAGING_MARK, run_id, warehouse)
    if has_ttl(warehouse, storage_name(staging)):
        run_statement(warehouse, keep_unmerged_statement(staging), repeatable=True)
    return staging


def create_like(table: Table, mark: str, run_id: str, warehouse: Engine) -> Table:
    """Create a table beside another, with its structure, keys, projections, settings, comments and TTL, empty.

    The TTL comes, too, because parts bring the time of their expiry with them. ``CREATE TABLE … AS`` copies all of
    them, which the statements that move parts demand.
    https://clickhouse.com/docs/sql-reference/statements/alter/partition#attach-partition-from
    """
    made = table_beside(table, mark, run_id)
    storage, *distributed = staging_statements(table, made.name)
    run_statement(warehouse, storage)
    for statement in distributed:  # IF NOT EXISTS, unlike the first
        run_statement(warehouse, statement, repeatable=True)
    return made


def table_beside(table: Table, mark: str, run_id: str) -> Table:
    columns = [Column(column.name, column.type, server_default=column.server_default) for column in table.columns]
    return Table(f"{table.name}{mark}{run_id}", MetaData(), *columns, clickhouse_cluster=cluster_of(table))


def drop_staging(staging: Table, warehouse: Engine, *, wait: bool = True) -> None:
    """Drop a table that a run has made, if it is there; ``wait``: until whoever reads it has ended."""
    for statement in drop_statements(staging, wait=wait):
        run_statement(warehouse, statement, repeatable=True)


def create_table(engine: Engine, table: Table) -> None:
    """Create the table if it is not there, and compare its columns with the definition.

    Raises:
        SchemaMismatch: the table is there with other columns; each difference is named.
    """
    for statement in create_statements(table):
        run_statement(engine, statement, repeatable=True)
    check_table(engine, table)


def check_table(engine: Engine, table: Table) -> None:
    found = describe_columns(engine, table.name)
    wanted = {column.name: server_type(column) for column in table.columns}
    problems = [f"{name} {wanted[name]} is missing" for name in wanted if name not in found]
    problems += [
        f"{name}: expected {wanted[name]}, found {found[name]}"
        for name in wanted
        if name in found and normal_type(found[name]) != normal_type(wanted[name])
    ]
    problems += [f"{name} {found[name]} is not in the code" for name in found if name not in wanted]
    if problems:
        raise SchemaMismatch(
            f"table {table.name} in the warehouse differs from its definition: {'; '.join(problems)}. "
            "Run `sentinel-etl schema diff` for what can be mended"
        )


def normal_type(type_name: str) -> str:
    return type_name.replace(" ", "")
