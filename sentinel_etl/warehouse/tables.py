"""The engine's own tables beside the fact table, and how a table is made and compared with its definition."""

from __future__ import annotations

from clickhouse_sqlalchemy import Table, engines, types
from sqlalchemy import (
    Column,
    Engine,
    MetaData,
)

from sentinel_etl.config.fact_table import INSTANT, KEYWORD, TEXT, optional, rejected_name
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.warehouse.ddl import (
    cluster_of,
    create_statements,
    quote,
)
from sentinel_etl.warehouse.query import run_statement

__all__ = ["build_rejected", "create_table", "has_table", "normal"]


def build_rejected(fact_table: Table) -> Table:
    """Build the table of the rows that the fact table did not take; it stands beside it.

    Not partitioned: what a run found is put in by switching the whole table, which is small.
    """
    return Table(
        rejected_name(fact_table),
        MetaData(),
        Column("event_id", TEXT, comment="TYPE:source key of the event that it would have been"),
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


def create_table(engine: Engine, table: Table) -> None:
    """Create the table if it is not there, and compare its columns with the definition.

    Raises:
        SchemaMismatch: the table is there with other columns; each difference is named.
    """
    for statement in create_statements(table):
        run_statement(engine, statement)
    check_table(engine, table)


def check_table(engine: Engine, table: Table) -> None:
    rows = run_statement(engine, f"DESCRIBE TABLE {quote(table.name)}")
    there = {row[0]: row[1] for row in rows}
    wanted = {column.name: str(column.type.compile()) for column in table.columns}
    problems = [f"{name} {wanted[name]} is missing" for name in wanted if name not in there]
    problems += [
        f"{name}: expected {wanted[name]}, found {there[name]}"
        for name in wanted
        if name in there and normal(there[name]) != normal(wanted[name])
    ]
    problems += [f"{name} {there[name]} is not in the code" for name in there if name not in wanted]
    if problems:
        raise SchemaMismatch(
            f"table {table.name} in the warehouse differs from its definition: {'; '.join(problems)}. "
            "Run `sentinel-etl schema diff` for what can be mended"
        )


def normal(type_name: str) -> str:
    return type_name.replace(" ", "")


def has_table(warehouse: Engine, name: str) -> bool:
    statement = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = :name"
    return bool(run_statement(warehouse, statement, {"name": name})[0][0])
