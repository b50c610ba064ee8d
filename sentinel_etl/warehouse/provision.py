"""Makes the warehouse ready for a run: the fact table, its projections and views, and the tables beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from zoneinfo import ZoneInfo

from clickhouse_sqlalchemy import Table
from sqlalchemy import Engine, bindparam, text

from sentinel_etl.config.dimensions import CITY, Dimensions
from sentinel_etl.warehouse.catalog import read_definition
from sentinel_etl.warehouse.ddl import (
    create_view,
    drop_statements,
    drop_view,
    durable_statement,
    storage_name,
)
from sentinel_etl.warehouse.engine import server_version
from sentinel_etl.warehouse.projections import projection_statement
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.tables import create_table, own_tables
from sentinel_etl.warehouse.views import Terms, readable_views, view_statement
from sentinel_etl.window import CITY_ZONE

__all__ = ["add_projections", "create_views", "drop_fact_table", "prepare_fact_table", "prepare_tables"]


# The release that brought parameterized views; `presentation` needs none.
# https://clickhouse.com/docs/whats-new/changelog/2023#23.1
VIEWS_SINCE = (23, 1)

CATALOG = text(
    "SELECT name, engine, comment, create_table_query FROM system.tables "
    "WHERE database = currentDatabase() AND name IN :names"
).bindparams(bindparam("names", expanding=True))


def prepare_tables(warehouse: Engine, fact_table: Table, zone: ZoneInfo, dimensions: Dimensions = CITY) -> None:
    """Make every table of the engine's ready: the fact table with all of its own, the rejected table, the ledger.

    What a command needs before it reads or writes any of them; it costs, and leaves, what `prepare_fact_table` does.

    Raises:
        SchemaMismatch: a table is there with other columns.
        WarehouseUnreachable: the server does not answer.
        SentinelError: the server refuses a statement.
    """
    prepare_fact_table(warehouse, fact_table, zone, dimensions)
    for table in own_tables(fact_table):
        create_table(warehouse, table)
        make_durable(warehouse, table, read_definition(warehouse, storage_name(table)))


def prepare_fact_table(
    warehouse: Engine, fact_table: Table, zone: ZoneInfo = CITY_ZONE, dimensions: Dimensions = CITY
) -> None:
    """Create the fact table, its projections and its views, where they are not there as they should be.

    Where nothing is to do, this costs a look at the server's catalog. Each statement is done in whole
    or not at all; an interruption leaves the rest to the next run.

    Raises:
        SchemaMismatch: the table is there with other columns.
        WarehouseUnreachable: the server does not answer.
        SentinelError: the server refuses a statement.
    """
    create_table(warehouse, fact_table)
    definition = read_definition(warehouse, storage_name(fact_table))
    make_durable(warehouse, fact_table, definition)
    add_projections(warehouse, fact_table, definition, dimensions)
    create_views(warehouse, fact_table, zone, dimensions)


def make_durable(warehouse: Engine, table: Table, definition: str) -> None:
    """Let what the table holds outlast a power cut, where its definition does not say otherwise.

    One ALTER of the table's definition, done in whole or not at all; what was written before stays as it is.

    Raises:
        WarehouseUnreachable: the server does not answer.
        SentinelError: the server refuses the statement.
    """
    if statement := durable_statement(table, definition):
        run_statement(warehouse, statement, repeatable=True)


def add_projections(warehouse: Engine, table: Table, definition: str = "", dimensions: Dimensions = CITY) -> list[str]:
    """Give the table the projections that its definition lacks, and name them; an empty one is read from the server.

    One ALTER of the table's definition: it rewrites no rows and is done in whole or not at all, so
    running it again is safe. Rows that were there before are read themselves, until `ALTER TABLE …
    MATERIALIZE PROJECTION` is run by hand or their partition is rewritten. A run that was loading
    meanwhile fails at its switch, because its staging table lacks them; run again, it is right.

    Raises:
        WarehouseUnreachable: the server does not answer.
        SentinelError: the server refuses the statement.
    """
    definition = definition or read_definition(warehouse, storage_name(table))
    present = re.findall(r"\bPROJECTION [`\"]?(\w+)", definition)
    added, statement = projection_statement(table, present, dimensions)
    if added:
        run_statement(warehouse, statement)
    return added


def create_views(
    warehouse: Engine, table: Table, zone: ZoneInfo = CITY_ZONE, dimensions: Dimensions = CITY
) -> list[str]:
    """Create the parameterized views that the fact table has the columns for, and name those made now.

    Any ClickHouse client can then ask, every parameter given::

        SELECT * FROM hotspot_risk(as_of='2026-11-22 00:30:00', half_life_hours=72, since='1970-01-01')

    ``as_of`` is in UTC. A view of this fact table that is of another version, which its comment tells,
    is replaced, in one step; anything else that bears the name is left as it is. A server older than
    23.1 gets none.

    Raises:
        WarehouseUnreachable: the server does not answer.
        SentinelError: the server refuses a statement.
    """
    names = readable_views(table, dimensions)
    existing = look_up(warehouse, names) if names else {}
    made = {}
    for name in names:
        select = view_statement(name, table, Terms(zone), dimensions)
        comment = mark_of(name, table) + sha256(select.encode()).hexdigest()[:12]
        standing = existing.get(name)
        ours = standing is not None and standing.is_view_of(name, table)
        if standing is None or (ours and standing.comment != comment):
            made[name] = create_view(name, table, select, comment, replace=ours)
    if not made or server_version(warehouse) < VIEWS_SINCE:
        return []
    for statement in made.values():
        run_statement(warehouse, statement, repeatable=True)
    return list(made)


@dataclass(frozen=True)
class Standing:
    """What the warehouse has by a name."""

    engine: str
    comment: str
    definition: str

    def is_view_of(self, name: str, table: Table) -> bool:
        """Tell whether `create_views` has made it."""
        return self.engine == "View" and self.comment.startswith(mark_of(name, table))


def mark_of(name: str, table: Table) -> str:
    return f"sentinel-etl {name} of {table.name}, version "


def look_up(warehouse: Engine, names: Sequence[str]) -> dict[str, Standing]:
    rows = run_statement(warehouse, CATALOG, {"names": list(names)}, repeatable=True)
    return {str(name): Standing(*map(str, rest)) for name, *rest in rows}


def drop_fact_table(warehouse: Engine, fact_table: Table) -> None:
    """Drop the fact table with its views, where they are there.

    Whether anything is in it is the caller's to ask. An interruption leaves the table without some of its views, which
    the next run makes; running it again is safe.

    Raises:
        WarehouseUnreachable: the server does not answer.
        SentinelError: the server refuses a statement.
    """
    names = readable_views(fact_table)
    standing = look_up(warehouse, names) if names else {}
    views = [drop_view(name, fact_table) for name, found in standing.items() if found.is_view_of(name, fact_table)]
    for statement in (*views, *drop_statements(fact_table)):
        run_statement(warehouse, statement, repeatable=True)
