"""Compares EVENT_CONFIG with the live source: tables, columns, types, and an index for each time filter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from sqlalchemy import ARRAY, Column, Connection, Engine, Enum, Table, text
from sqlalchemy.dialects.postgresql import DOMAIN
from sqlalchemy.exc import DBAPIError

from sentinel_etl.config.event_type import EventType
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.extract.check_plan import plan_freely, tell_missing_indexes
from sentinel_etl.extract.check_results import tell_other_types
from sentinel_etl.source.connection import connect_source
from sentinel_etl.source.session import INSUFFICIENT_PRIVILEGE, describe_denial
from sentinel_etl.source.sql import DIALECT
from sentinel_etl.type_mapping.source_types import family_of_name

__all__ = ["Difference", "check_source", "require_source"]


# Each type is followed to what its values are: a domain to its base, over several steps if need be, an array to its
# elements. https://www.postgresql.org/docs/current/catalog-pg-type.html
COLUMNS_OF_TABLES = text(
    """
    WITH RECURSIVE wanted AS (
        SELECT c.relname AS table_name, n.nspname AS schema_name, pg_table_is_visible(c.oid) AS visible,
               a.attname AS column_name, a.atttypid AS type
          FROM pg_class c
          JOIN pg_namespace n ON n.oid = c.relnamespace
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE c.relname = ANY(:names) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    ), steps AS (
        SELECT DISTINCT type, type AS at, '' AS brackets FROM wanted
         UNION ALL
        SELECT s.type, CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.typelem END,
               CASE t.typtype WHEN 'd' THEN s.brackets ELSE '[]' END
          FROM steps s
          JOIN pg_type t ON t.oid = s.at AND (t.typtype = 'd' OR t.typcategory = 'A' AND t.typelem != 0)
    )
    SELECT w.table_name, w.schema_name, w.visible, w.column_name,
           CASE t.typtype WHEN 'e' THEN 'enum' ELSE format_type(t.oid, NULL) END || s.brackets AS type_name,
           (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)
               AS labels
      FROM wanted w
      JOIN steps s USING (type)
      JOIN pg_type t ON t.oid = s.at AND t.typtype != 'd' AND NOT (t.typcategory = 'A' AND t.typelem != 0)
    """
)


# https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-ACCESS
COLUMN_RIGHTS = text(
    """
    SELECT has_any_column_privilege(c.oid, 'SELECT'), has_column_privilege(c.oid, :column, 'SELECT')
      FROM (SELECT to_regclass(:table) AS oid) AS c
    """
)

LOCK_MILLISECONDS = 200


@dataclass(frozen=True)
class Difference:
    """One way in which the source is not what an entry expects. ``blocking``: extraction would fail."""

    event_type: str
    blocking: bool
    message: str

    def __str__(self) -> str:
        return f"{self.event_type}: {self.message}"


def check_source(event_types: Iterable[EventType], source: Engine) -> list[Difference]:
    """List every difference between the entries and the live source: one query of its catalog, and a plan an entry.

    Raises:
        SourceUnreachable: no connection.
    """
    event_types = list(event_types)
    names = sorted({table.name for kind in event_types for table, _ in kind.table_columns()})
    with connect_source(source) as connection:
        found = connection.execute(COLUMNS_OF_TABLES, {"names": names}).mappings().all()
        # A table that a migration has locked is the run's to wait for, as long as its settings say.
        connection.exec_driver_sql(f"SET lock_timeout = {LOCK_MILLISECONDS}")
        plan_freely(connection)
        planned = [difference for kind in event_types for difference in check_plan(kind, connection)]
    live: dict[tuple[str, str | None], dict[str, Any]] = {}
    for row in found:
        live.setdefault((row["table_name"], row["schema_name"]), {})[row["column_name"]] = row
        if row["visible"]:
            live.setdefault((row["table_name"], None), {})[row["column_name"]] = row
    differences = []
    for event_type in event_types:
        differences += differences_of(event_type, live)
    return merge_types([*differences, *planned])


def check_plan(event_type: EventType, connection: Connection) -> list[Difference]:
    """Tell what keeps the role from reading all rows of the entry's tables, and which index or type is another.

    PostgreSQL is asked for the plan of the statement that a run sends, which needs the same rights as running it.
    What else is wrong with the statement is found by name elsewhere.
    """
    try:
        messages = tell_missing_indexes(event_type, connection)
        others = tell_other_types(event_type, connection)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != INSUFFICIENT_PRIVILEGE:
            return []
        reason = str(error.orig).splitlines()[0] + list_closed_columns(event_type, connection)
        return [Difference(event_type.name, True, describe_denial(reason))]
    return [
        *(Difference(event_type.name, False, message) for message in messages),
        *(Difference(event_type.name, True, message) for message in others),
    ]


def list_closed_columns(event_type: EventType, connection: Connection) -> str:
    """Name the columns that the role may not read of tables of which it may read others; PostgreSQL names the table."""
    closed: dict[str, list[str]] = {}
    for table, name in event_type.table_columns():
        quoted = DIALECT.identifier_preparer.format_table(table)
        some, this = connection.execute(COLUMN_RIGHTS, {"table": quoted, "column": name}).one()
        if some and not this:
            closed.setdefault(table.fullname, []).append(name)
    return "".join(f" (its columns {', '.join(sorted(names))} of {table})" for table, names in closed.items())


def merge_types(differences: Iterable[Difference]) -> list[Difference]:
    """Tell what several event types read of a table once, not once for each."""
    merged: dict[tuple[bool, str], list[str]] = {}
    for one in differences:
        merged.setdefault((one.blocking, one.message), []).append(one.event_type)
    return [Difference(", ".join(names), blocking, message) for (blocking, message), names in merged.items()]


def differences_of(event_type: EventType, live: dict[tuple[str, str | None], dict[str, Any]]) -> list[Difference]:
    differences = []
    missing_tables = set()
    for table, name in event_type.table_columns():
        columns = live.get((table.name, table.schema))
        if columns is None:
            missing_tables.add(table.fullname)
            continue
        column = next(c for c in table.columns if c.name == name)
        if name not in columns:
            message = f"expected a column {table.fullname}.{name}; {guess_name(column, table, columns)}"
            differences.append(Difference(event_type.name, True, message))
        elif family_of_name(columns[name]["type_name"]) != family_of_name(declared_type(column.type)):
            message = (
                f"expected {table.fullname}.{name} to be {declared_type(column.type)}; the source has "
                f"{columns[name]['type_name']}"
            )
            differences.append(Difference(event_type.name, True, message))
        elif difference := differing_labels(column.type, columns[name].get("labels")):
            message = f"expected {table.fullname}.{name} to have the model's values; {difference}"
            differences.append(Difference(event_type.name, False, message))
    differences += [
        Difference(event_type.name, True, f"expected a table {name}; the source has none that we may see")
        for name in sorted(missing_tables)
    ]
    return differences


def guess_name(column: Column[Any], table: Table, live: dict[str, Any]) -> str:
    """Say which column the missing one may have become: one of its kind that the model does not know."""
    known = {each.name for each in table.columns}
    alike = [
        name
        for name, found in live.items()
        if name not in known and family_of_name(found["type_name"]) == family_of_name(declared_type(column.type))
    ]
    if not alike:
        return f"the source has {', '.join(sorted(live))}: was it dropped?"
    likely = get_close_matches(column.name, alike, n=1, cutoff=0.0)[0]
    return f"the source has {', '.join(sorted(live))}: was it renamed to {likely}?"


def differing_labels(kind: Any, live: list[str] | None) -> str:
    """Compare a native enum's values with the source's; a model that says text takes them all."""
    while isinstance(kind, DOMAIN | ARRAY):
        kind = kind.data_type if isinstance(kind, DOMAIN) else kind.item_type
    if not isinstance(kind, Enum) or not kind.native_enum or live is None:
        return ""
    new = [label for label in live if label not in kind.enums]
    gone = [label for label in kind.enums if label not in live]
    return "; ".join(
        f"the source {verb} {', '.join(labels)}"
        for verb, labels in (("has also", new), ("has no longer", gone))
        if labels
    )


def declared_type(kind: Any) -> str:
    """Name a model's type as the catalog's query names the source's."""
    if isinstance(kind, DOMAIN):
        return declared_type(kind.data_type)
    if isinstance(kind, ARRAY):
        return declared_type(kind.item_type).removesuffix("[]") + "[]"
    if isinstance(kind, Enum) and kind.native_enum:
        return "enum"
    name = str(kind.compile(dialect=DIALECT)).lower().partition(" collate ")[0]
    return {"float": "double precision"}.get(name, name)


def require_source(event_types: Iterable[EventType], source: Engine) -> None:
    """Refuse to extract where `check_source` finds a blocking difference.

    Raises:
        SchemaMismatch: every blocking difference, in one message.
    """
    blocking = [difference for difference in check_source(event_types, source) if difference.blocking]
    if blocking:
        raise SchemaMismatch("the source differs from EVENT_CONFIG: " + "\n  ".join(map(str, blocking)), stage="check")
