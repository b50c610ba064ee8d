"""Compares EVENT_CONFIG with the live source: tables, columns, types, and an index for each time filter."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Engine, Enum, text
from sqlalchemy.dialects import postgresql

from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.event_types import EventType
from sentinel_etl.source import connect_source

__all__ = ["Difference", "check_source", "require_source"]

# A family is what ADBC reads alike: the model may say BIGINT where the source has integer.
FAMILIES = {
    "integer": ("smallint", "integer", "bigint", "serial", "bigserial", "oid"),
    "number": ("real", "double precision", "float", "numeric", "decimal"),
    "text": ("text", "character varying", "character", "varchar", "char", "name", "enum"),
    "instant": ("timestamp with time zone",),
    "wall-clock time": ("timestamp without time zone", "timestamp"),
    "date": ("date",),
    "boolean": ("boolean",),
    "JSON": ("json", "jsonb"),
    "UUID": ("uuid",),
}

COLUMNS_OF_TABLES = text(
    """
    SELECT c.relname AS table_name, n.nspname AS schema_name, pg_table_is_visible(c.oid) AS visible,
           a.attname AS column_name,
           CASE WHEN t.typtype = 'e' THEN 'enum' ELSE format_type(a.atttypid, NULL) END AS type_name,
           EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indkey[0] = a.attnum)
               AS indexed
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_type t ON t.oid = a.atttypid
     WHERE c.relname = ANY(:names) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    """
)


@dataclass(frozen=True)
class Difference:
    """One way in which the source is not what an entry expects. ``blocking``: extraction would fail."""

    event_type: str
    blocking: bool
    message: str

    def __str__(self) -> str:
        return f"{self.event_type}: {self.message}"


def check_source(event_types: Iterable[EventType], source: Engine) -> list[Difference]:
    """List every difference between the entries and the live source, in one query of its catalog.

    Raises:
        SourceUnreachable: no connection.
    """
    event_types = list(event_types)
    names = sorted({table.name for kind in event_types for table, _ in kind.table_columns()})
    with connect_source(source) as connection:
        found = connection.execute(COLUMNS_OF_TABLES, {"names": names}).mappings().all()
    live: dict[tuple[str, str | None], dict[str, Any]] = {}
    for row in found:
        live.setdefault((row["table_name"], row["schema_name"]), {})[row["column_name"]] = row
        if row["visible"]:
            live.setdefault((row["table_name"], None), {})[row["column_name"]] = row
    differences = []
    for event_type in event_types:
        differences += differences_of(event_type, live)
    return differences


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
            message = f"expected a column {table.fullname}.{name}; the source has {', '.join(sorted(columns))}"
            differences.append(Difference(event_type.name, True, message))
        elif family(columns[name]["type_name"]) != family(declared_type(column)):
            message = (
                f"expected {table.fullname}.{name} to be {declared_type(column)}; the source has "
                f"{columns[name]['type_name']}"
            )
            differences.append(Difference(event_type.name, True, message))
        elif (table, name) == event_type.time_filter and not columns[name]["indexed"]:
            message = (
                f"expected an index on {table.fullname}.{name}, the time filter; every run reads the whole "
                f"table. CREATE INDEX CONCURRENTLY ON {table.fullname} ({name})"
            )
            differences.append(Difference(event_type.name, False, message))
    differences += [
        Difference(event_type.name, True, f"expected a table {name}; the source has none that we may see")
        for name in sorted(missing_tables)
    ]
    return differences


def declared_type(column: Column[Any]) -> str:
    if isinstance(column.type, Enum) and column.type.native_enum:
        return "enum"
    name = str(column.type.compile(dialect=postgresql.dialect())).lower()  # type: ignore[no-untyped-call]
    return {"float": "double precision"}.get(name, name)


def family(type_name: str) -> str:
    if type_name.endswith("[]"):
        return family(type_name.removesuffix("[]")) + "[]"
    plain = re.sub(r" *\([^)]*\)", "", type_name)
    return next((name for name, members in FAMILIES.items() if plain in members), plain)


def require_source(event_types: Iterable[EventType], source: Engine) -> None:
    """Refuse to extract where `check_source` finds a blocking difference.

    Raises:
        SchemaMismatch: every blocking difference, in one message.
    """
    blocking = [difference for difference in check_source(event_types, source) if difference.blocking]
    if blocking:
        raise SchemaMismatch("the source differs from EVENT_CONFIG: " + "\n  ".join(map(str, blocking)), stage="check")
