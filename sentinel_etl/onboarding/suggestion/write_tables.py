"""Writes reflected tables as Python source, so that a model connects to nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import ARRAY, CHAR, Column, Enum, Table, types
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import DOMAIN

from sentinel_etl.config.event_entry import unique_columns
from sentinel_etl.onboarding.suggestion.models import quoted
from sentinel_etl.type_mapping.source_types import family_of

__all__ = ["write_tables"]


# How a family's type is written where the reflected one needs no more words; "other" is known by its text alone.
FAMILIES: Mapping[str, str] = {
    "boolean": "types.Boolean",
    "oid": "postgresql.OID",
    "money": "postgresql.MONEY",
    "text": "types.Text",
    "uuid": "types.Uuid",
    "inet": "postgresql.INET",
    "hstore": "postgresql.HSTORE()",
    "date": "types.Date",
    "bytes": "types.LargeBinary",
    "timestamp with time zone": "types.DateTime(timezone=True)",
    "timestamp without time zone": "types.DateTime",
}


def write_tables(tables: Mapping[str, Table], metadata: str = "metadata") -> str:
    """Write a module's text: its imports, ``metadata = MetaData()``, and ``NAME = Table(…)`` for each table.

    Columns with their types, primary keys, unique constraints and unique indexes: what an entry is checked by.
    """
    body = "".join(write_table(name, table, metadata) for name, table in tables.items())
    names = ("Column", "MetaData", "PrimaryKeyConstraint", "Table", "UniqueConstraint", "types")
    used = [name for name in names if name == "MetaData" or f"{name}(" in body or f"{name}." in body]
    dialect = "from sqlalchemy.dialects import postgresql\n" if "postgresql." in body else ""
    return f"from sqlalchemy import {', '.join(used)}\n{dialect}\n{metadata} = MetaData()\n{body}"


def write_table(name: str, table: Table, metadata: str) -> str:
    lines = [f"{quoted(str(table.name))},", f"{metadata},", *(f"{write_column(column)}," for column in table.columns)]
    lines += [f"{line}," for line in write_keys(table)]
    if table.schema is not None:
        lines.append(f"schema={quoted(table.schema)},")
    inner = "".join(f"    {line}\n" for line in lines)
    return f"{name} = Table(\n{inner})\n"


def write_column(column: Column[Any]) -> str:
    nullable = "" if column.nullable or column.primary_key else ", nullable=False"
    return f"Column({quoted(str(column.name))}, {write_type(column.type)}{nullable})"


def write_keys(table: Table) -> Iterator[str]:
    """Write the primary key and each unique key: joins rely on them."""
    primary = [str(column.name) for column in table.primary_key.columns]
    if primary:
        yield f"PrimaryKeyConstraint({', '.join(map(quoted, primary))})"
    for unique in unique_columns(table):
        if unique != set(primary):
            names = [str(column.name) for column in table.columns if column.key in unique]
            yield f"UniqueConstraint({', '.join(map(quoted, names))})"


def write_type(kind: Any) -> str:
    """Write a type such that it is read as the reflected one is."""
    if isinstance(kind, DOMAIN):
        return write_type(kind.data_type)
    if isinstance(kind, ARRAY):
        return f"postgresql.ARRAY({write_type(kind.item_type)})"
    if isinstance(kind, Enum):
        schema = f", schema={quoted(kind.schema)}" if kind.schema else ""
        labels = "".join(f"{quoted(label)}, " for label in kind.enums)
        return f"postgresql.ENUM({labels}name={quoted(str(kind.name))}{schema}, create_type=False)"
    family = family_of(kind).family
    if family == "integer":
        return integer_name(kind)
    if family == "float":
        return "types.REAL" if isinstance(kind, types.REAL) else "types.Double"
    if family == "numeric":
        return f"types.Numeric({kind.precision}, {kind.scale})" if kind.precision is not None else "types.Numeric"
    if family == "json":
        return "postgresql.JSONB" if isinstance(kind, postgresql.JSONB) else "postgresql.JSON"
    if isinstance(kind, CHAR):
        return f"types.CHAR({kind.length})"
    return FAMILIES.get(family) or other_name(kind)


def integer_name(kind: Any) -> str:
    for each in (types.SmallInteger, types.BigInteger):
        if isinstance(kind, each):
            return f"types.{each.__name__}"
    return "types.Integer"


def other_name(kind: Any) -> str:
    """Write a type of PostgreSQL's own with its arguments; what SQLAlchemy has no class for is not known at all."""
    known = getattr(postgresql, type(kind).__name__, None) is type(kind)
    return f"postgresql.{kind!r}" if known else "types.NullType"
