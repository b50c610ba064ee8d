"""Reads PostgreSQL's own plan of an entry's statement: what it reads whole because no index serves the window."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, literal, select, text

from sentinel_etl.config.event_type import EventType
from sentinel_etl.extract.statements import happened_in, select_events
from sentinel_etl.source.sql import DIALECT, compile_sql
from sentinel_etl.window import Window

__all__ = ["plan_freely", "tell_missing_indexes"]


# So that the plan shows what an index can do, and not what is cheapest on a small table: without the joins that
# read a table once for every row of another, or in the order of another index.
# https://www.postgresql.org/docs/current/runtime-config-query.html
PLANNER = {
    **dict.fromkeys(("enable_seqscan", "enable_nestloop", "enable_mergejoin"), "off"),
    **dict.fromkeys(("enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan", "enable_hashjoin"), "on"),
    "enable_partition_pruning": "on",
    "max_parallel_workers_per_gather": "0",
}

# Microseconds by which a bound of the window is known in a plan, on whatever clocks.
MARK = 271_828

FIRST_KEYS = text(
    """
    SELECT n.nspname AS schema_name, c.relname AS index_name, a.amname AS method,
           pg_get_indexdef(c.oid, 1, true) AS first_key
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_am a ON a.oid = c.relam
     WHERE c.relname = ANY(:names) AND c.relkind = 'i'
    """
)

# The table that a partition is of, how many tables hold its rows, and whether it has a name of its own here.
ROOTS = text(
    """
    SELECT r.oid::regclass::text AS name, r.relname AS table_name, r.relkind = 'p' AS is_partitioned,
           (SELECT count(*) FROM pg_partition_tree(r.oid) WHERE isleaf) AS partitions
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_class r ON r.oid = coalesce(pg_partition_root(c.oid), c.oid)
     WHERE c.relname = :table AND n.nspname = :schema
    """
)


@dataclass(frozen=True)
class Scan:
    """How a plan reads one table, or what a view makes: the conditions that an index serves, and the rest."""

    method: str
    schema: str | None
    table: str | None
    alias: str
    filters: str = ""
    index_conditions: tuple[tuple[str, str], ...] = ()

    @property
    def is_of_the_window(self) -> bool:
        return any(mark_of(condition) for condition in (self.filters, *(each for _, each in self.index_conditions)))

    def without_alias(self, condition: str) -> str:
        quoted = DIALECT.identifier_preparer.quote(self.alias)
        return condition.replace(f"{quoted}.", "").replace(f"{self.alias}.", "")


def plan_freely(connection: Connection) -> None:
    """Set the session's planner so that it uses an index wherever one serves."""
    for name, value in PLANNER.items():
        connection.exec_driver_sql(f"SET {name} = '{value}'")


def tell_missing_indexes(kind: EventType, connection: Connection) -> list[str]:
    """Say for each table that every run of the entry reads whole which index it lacks.

    Raises:
        DBAPIError: the source does not have what the statement names, or does not let the role read it.
    """
    # The last day: of a table with partitions those that the next run reads.
    end = datetime.now(UTC).replace(microsecond=MARK)
    window = Window(end - timedelta(days=1), end)
    unserved = find_unserved(select_events(kind, window), connection)
    if unserved:  # Another index may have been preferred because of the entry's filters.
        bare = select(literal(1)).select_from(kind.table).where(happened_in(kind, window))
        unserved = find_unserved(bare, connection)
    return list(dict.fromkeys(filter(None, (message_of(scan, unserved, kind, connection) for scan in unserved))))


def find_unserved(statement: Any, connection: Connection) -> list[Scan]:
    """Find the scans that the window filters, and that read all for it."""
    explain = f"EXPLAIN (FORMAT JSON, VERBOSE) {compile_sql(statement)}"
    plan = connection.execution_options(no_parameters=True).exec_driver_sql(explain).scalar_one()[0]["Plan"]
    scans = [scan for scan in scans_of(plan) if scan.is_of_the_window]
    names = sorted({name for scan in scans for name, _ in scan.index_conditions})
    keys = {
        (row.schema_name, row.index_name): row.first_key if row.method == "btree" else None
        for row in (connection.execute(FIRST_KEYS, {"names": names}) if names else ())
    }
    return [scan for scan in scans if scan.method != "Foreign Scan" and not is_served(scan, keys)]


def is_served(scan: Scan, first_keys: dict[tuple[Any, str], str | None]) -> bool:
    """Tell whether an index finds the window's rows: a tree only by what its first column is asked for."""
    for index, condition in scan.index_conditions:
        first = first_keys.get((scan.schema, index))
        if mark_of(condition) and (first is None or f"({first} " in scan.without_alias(condition)):
            return True
    return False


def scans_of(plan: dict[str, Any]) -> Iterator[Scan]:
    """List the plan's scans, each with the indexes below it."""
    children = plan.get("Plans", [])
    scan = Scan(
        plan["Node Type"],
        plan.get("Schema"),
        plan.get("Relation Name"),
        plan.get("Alias", ""),
        " ".join(str(plan[part]) for part in ("Filter", "Join Filter", "One-Time Filter") if part in plan),
    )
    if "Index Name" in plan:
        scan = replace(scan, index_conditions=((plan["Index Name"], plan.get("Index Cond", "")),))
    if scan.method == "Bitmap Heap Scan":
        yield replace(scan, index_conditions=tuple(bitmap_conditions(children)))
        return
    yield scan
    for child in children:
        yield from scans_of(child)


def bitmap_conditions(plans: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for plan in plans:
        if "Index Name" in plan:
            yield plan["Index Name"], plan.get("Index Cond", "")
        yield from bitmap_conditions(plan.get("Plans", []))


def mark_of(condition: str) -> re.Match[str] | None:
    """Find a bound of the window in a condition."""
    return re.search(rf" (?:>=|<) '[^']*\.{MARK}\b", condition)


def message_of(scan: Scan, unserved: list[Scan], kind: EventType, connection: Connection) -> str | None:
    """Say which index the scan lacks; nothing where the window already leaves only some partitions to be read."""
    table, name = kind.time_filter or (kind.table, kind.name)
    if scan.table is None:
        if not isinstance(table, Table):
            return None  # a query of the entry's own
        return (
            f"expected {table.fullname}.{name}, the time filter, to reach an index of a table under this view; "
            "PostgreSQL makes all of the view's rows first, in every run. Filter within the view by what it is "
            "grouped by, or read from its tables"
        )
    root = connection.execute(ROOTS, {"table": scan.table, "schema": scan.schema}).one()
    read = [each for each in unserved if each.table is not None]
    if root.is_partitioned and len(read) < root.partitions:
        return None
    expression = filtered_expression(scan)
    if isinstance(table, Table) and root.table_name == table.name:
        shown, quoted = table.fullname, DIALECT.identifier_preparer.format_table(table)
    else:
        shown = quoted = root.name
    key = expression if re.fullmatch(r'\w+|"[^"]+"', expression) else f"({expression})"
    # https://www.postgresql.org/docs/current/sql-createindex.html: not CONCURRENTLY on a table with partitions
    create = "CREATE INDEX" if root.is_partitioned else "CREATE INDEX CONCURRENTLY"
    return (
        f"expected an index on {shown}.{expression}, the time filter; every run reads the whole table. "
        f"{create} ON {quoted} ({key})"
    )


def filtered_expression(scan: Scan) -> str:
    """Read from the scan's conditions what the window is a filter on, as PostgreSQL writes it."""
    conditions = scan.without_alias(" ".join((scan.filters, *(each for _, each in scan.index_conditions))))
    found = mark_of(conditions)
    before = conditions[: found.start()] if found else ""
    depth, start = 0, len(before)
    while start and depth >= 0:
        start -= 1
        depth += {")": 1, "(": -1}.get(before[start], 0)
    return before[start + 1 :] if depth < 0 else before
