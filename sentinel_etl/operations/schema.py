"""Evolves the warehouse's tables: by additions only, and says what it refuses.

A column is added where rows without it can be told from rows with it: it is Nullable, an Array or has a
default. Nothing is dropped, renamed or given another type, because each of these loses or rewrites what
is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from clickhouse_sqlalchemy import Table
from sqlalchemy import Column, Engine, MetaData

from sentinel_etl.config.fact_table import PARTITION_KEYS
from sentinel_etl.context import Context
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.extract.check_source import Difference
from sentinel_etl.ledger.ledger import read_runs, runs_of
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.publish.by_partition import DURABLE_REPLACE
from sentinel_etl.source.locks import hold_locks, table_lock
from sentinel_etl.warehouse.catalog import (
    can_exchange,
    describe_columns,
    has_table,
    list_tables,
    read_partition_key,
    read_sorting_key,
)
from sentinel_etl.warehouse.ddl import add_column_statements, cluster_of, create_statements, storage_name
from sentinel_etl.warehouse.engine import server_version
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.rows import count_all
from sentinel_etl.warehouse.tables import BEFORE_MARK, ETL_RUNS, build_rejected, normal_type, own_tables
from sentinel_etl.warehouse.types import is_nullable, server_type
from sentinel_etl.wording import plural

__all__ = [
    "SchemaChange",
    "apply_schema",
    "changes_of",
    "check_warehouse",
    "diff_schema",
    "kept_tables",
    "raise_for_refused",
]

RECREATE = "The table is empty: `sentinel-etl schema recreate` drops it and makes it as the code has it"


def check_warehouse(pipeline: Pipeline, warehouse: Engine) -> list[Difference]:
    """List every difference between the warehouse's tables and the code, and what the server cannot do.

    A fact table that has vanished stops no run: `check_nights` tells of its nights.

    Raises:
        WarehouseUnreachable: no connection.
    """
    mend = "; `sentinel-etl schema apply` adds it"
    changes = diff_tables(pipeline, warehouse)
    found = [
        Difference(change.table, True, change.message + (f". {change.remedy}" if change.remedy else ""))
        if change.refused
        else Difference(change.table, True, change.message + mend)
        for change in changes
    ]
    return found + check_switches(pipeline.fact_table, warehouse)


def check_switches(fact_table: Table, warehouse: Engine) -> list[Difference]:
    """Tell where the fact table cannot be switched at one instant, or not safely; on a cluster it is never so."""
    if cluster_of(fact_table) or can_exchange(warehouse):
        return []
    message = "expected a database of the engine Atomic, in which tables can be exchanged; found another, so a window "
    if server_version(warehouse) < DURABLE_REPLACE:
        message += f"that replaces rows is refused before ClickHouse {'.'.join(map(str, DURABLE_REPLACE))}"
    else:
        message += "that touches several partitions is switched one by one"
    return [Difference(fact_table.name, False, message)]


MISSING = " is missing"


@dataclass(frozen=True)
class SchemaChange:
    """One difference of a table from its definition; ``statements`` mend it, none where it is refused.

    ``remedy``  what mends a table that is empty all the same
    """

    table: str
    message: str
    statements: tuple[str, ...] = ()
    remedy: str = ""

    @property
    def refused(self) -> bool:
        return not self.statements

    def as_dict(self) -> dict[str, Any]:
        return {
            "table": self.table,
            "message": self.message,
            "statements": list(self.statements),
            "remedy": self.remedy,
        }

    def describe(self, *, applied: bool = False) -> str:
        """Write it as one line; ``applied``: what could be added has been."""
        added = f"added: {self.table}: {self.message.removesuffix(MISSING)}"
        to_add = f"to add: {self.table}: {self.message}"
        return f"refused: {self.table}: {self.message}" if self.refused else added if applied else to_add

    def __str__(self) -> str:
        return self.describe()


def diff_schema(pipeline: Pipeline, warehouse: Engine) -> list[SchemaChange]:
    """List how the fact table, the rejected table and the ledger differ from the code; reads only.

    A table that is not there is no difference, because the next run makes it; but a fact table is, of which the ledger
    says that rows were published to it.

    Raises:
        WarehouseUnreachable: the server does not answer.
    """
    return diff_tables(pipeline, warehouse) + vanished_table(pipeline.fact_table, warehouse)


def diff_tables(pipeline: Pipeline, warehouse: Engine) -> list[SchemaChange]:
    """List how the tables that are there differ from the code."""
    tables = [pipeline.fact_table, *own_tables(pipeline.fact_table)]
    facts, *others = ([*changes_of(table, warehouse)] for table in tables)
    facts += unknown_partition(pipeline.fact_table, warehouse)
    changes = [change for found in (facts, *others) for change in found]
    empty = list_empty(pipeline.fact_table, warehouse) if any(change.refused for change in changes) else ()
    return [replace(each, remedy=RECREATE) if each.refused and each.table in empty else each for each in changes]


def unknown_partition(fact_table: Table, warehouse: Engine) -> list[SchemaChange]:
    """Tell of a partition key that stops a run; of those that do not, what stands in the warehouse counts."""
    key = read_partition_key(warehouse, storage_name(fact_table))
    if key in PARTITION_KEYS.values() or not has_table(warehouse, fact_table.name):
        return []
    known = ", ".join(PARTITION_KEYS.values())
    message = f"is partitioned by {key or 'nothing'}, expected one of {known}; rows are not partitioned anew"
    return [SchemaChange(fact_table.name, message)]


def vanished_table(fact_table: Table, warehouse: Engine) -> list[SchemaChange]:
    """Tell of a fact table that is gone, although runs have published rows to it."""
    if has_table(warehouse, fact_table.name) or not has_table(warehouse, ETL_RUNS.name):
        return []
    published = [run for run in read_runs(warehouse, runs_of(fact_table)) if run["state"].is_published]
    if not any(run["published_rows"] for run in published):
        return []
    message = (
        f"the table{MISSING}, and the ledger says that {len(published)} {plural(len(published), 'run')} published to "
        "it; `sentinel-etl check` names the nights"
    )
    return [SchemaChange(fact_table.name, message, tuple(create_statements(fact_table)))]


def list_empty(fact_table: Table, warehouse: Engine) -> set[str]:
    """Name those of the fact and the rejected table that hold no rows, nor do their kept states."""
    return {
        table.name
        for table in (fact_table, build_rejected(fact_table))
        if has_table(warehouse, table.name)
        and not any(count_all(one, warehouse) for one in (table, *kept_tables(table, warehouse)))
    }


def kept_tables(table: Table, warehouse: Engine) -> list[Table]:
    """List the states of a table that are kept to go back to."""
    names = [name for _, name in list_tables(warehouse, [table.name + BEFORE_MARK])]
    return [Table(name, MetaData(), clickhouse_cluster=cluster_of(table)) for name in names]


def changes_of(table: Table, warehouse: Engine) -> list[SchemaChange]:
    found = describe_columns(warehouse, table.name)
    if not found:
        return []
    changes, before = [], ""
    for column in table.columns:
        wanted = server_type(column)
        if column.name not in found:
            changes.append(missing_column(table, column, before))
        elif normal_type(found[column.name]) != normal_type(wanted):
            message = f"{column.name} is {found[column.name]}, the code has {wanted}; a type is not changed"
            changes.append(SchemaChange(table.name, f"{message}. Load into a new table, or put the code right"))
        before = column.name
    for name in found.keys() - set(table.columns.keys()):
        message = f"{name} {found[name]} is not in the code; a column is not dropped"
        changes.append(SchemaChange(table.name, f"{message}. Add it to the code, or drop it by hand"))
    return changes + changed_order(table, warehouse)


def missing_column(table: Table, column: Column[Any], before: str) -> SchemaChange:
    wanted = server_type(column)
    if not (is_nullable(column) or wanted.startswith("Array(") or column.server_default is not None):
        message = f"{column.name} {wanted} is missing, and the rows that are there would read as if it were zero"
        return SchemaChange(table.name, f"{message}. Make it Nullable, or give it a default")
    return SchemaChange(
        table.name, f"{column.name} {wanted}{MISSING}", tuple(add_column_statements(table, column, before))
    )


def changed_order(table: Table, warehouse: Engine) -> list[SchemaChange]:
    order = ", ".join(str(part.name) for part in table.engine.order_by.get_expressions_or_columns())
    key = read_sorting_key(warehouse, storage_name(table))
    if key in ("", order):
        return []
    return [SchemaChange(table.name, f"is sorted by {key}, the code has {order}; rows are not sorted anew")]


def apply_schema(changes: Sequence[SchemaChange], context: Context) -> list[SchemaChange]:
    """Make the additions and return them; what is refused is left as it is.

    Each is one ALTER of a table's definition, on a cluster of two: it rewrites no rows, keeps
    projections, and does nothing where the column is there. The fact table's lock is held meanwhile, so that no
    run exchanges the table in between, which would lose the column. An interruption leaves the rest to the
    next time. A run that is loading meanwhile fails at its switch; run again, it is right.

    Raises:
        WindowLocked: a run is switching the table for longer than is waited for.
        SourceUnreachable, WarehouseUnreachable: a database does not answer.
        SentinelError: the server refuses a statement.
    """
    added = [change for change in changes if not change.refused]
    names = [table_lock(context.pipeline.fact_table.name)]
    wait = context.settings.lock_wait_seconds
    with hold_locks(context.source, names, "sentinel-etl schema apply", wait) if added else nullcontext():
        for change in added:
            for statement in change.statements:
                run_statement(context.warehouse, statement)
    return added


def raise_for_refused(changes: Sequence[SchemaChange], *, applied: bool) -> None:
    """Raise where a run would be stopped still.

    Raises:
        SchemaMismatch: with the next step.
    """
    refused = sum(change.refused for change in changes)
    waiting = 0 if applied else len(changes) - refused
    if refused or waiting:
        steps = [f"{waiting} to add: run `sentinel-etl schema apply`"] if waiting else []
        steps += [f"{refused} refused: see above"] if refused else []
        raise SchemaMismatch(f"the warehouse's tables differ from the code; {'; '.join(steps)}", stage="schema")
