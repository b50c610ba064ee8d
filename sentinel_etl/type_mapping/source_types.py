"""PostgreSQL's types by family, and how a value of each leaves it without a change."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    Date,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    Numeric,
    String,
    Text,
    Uuid,
    cast,
    func,
    null,
)
from sqlalchemy.dialects.postgresql import DOMAIN, HSTORE, INET, JSONB, MONEY, OID
from sqlalchemy.sql.elements import Label
from sqlalchemy.sql.functions import Function
from sqlalchemy.types import JSON, NullType, TypeDecorator

__all__ = ["FAMILY_NAMES", "NUMBERS", "PLAIN", "SourceType", "carried", "family_of_name", "source_type", "unlabelled"]


@dataclass(frozen=True)
class SourceType:
    """The family of a column's type; an array has its elements' family as ``item``."""

    family: str
    item: SourceType | None = None

    def __str__(self) -> str:
        return f"array of {self.item}" if self.item else self.family


# What PostgreSQL calls the types of each family; "other" is all else.
FAMILY_NAMES: dict[str, tuple[str, ...]] = {
    "boolean": ("boolean",),
    "integer": ("smallint", "integer", "bigint", "serial", "bigserial", "smallserial"),
    "oid": ("oid",),
    "float": ("real", "double precision", "float"),
    "numeric": ("numeric", "decimal"),
    "money": ("money",),
    "text": ("text", "character varying", "character", "varchar", "char", "bpchar", "name", "enum", "citext"),
    "uuid": ("uuid",),
    "inet": ("inet",),
    "json": ("json", "jsonb"),
    "hstore": ("hstore",),
    "date": ("date",),
    "bytes": ("bytea",),
    "timestamp without time zone": ("timestamp without time zone", "timestamp"),
    "timestamp with time zone": ("timestamp with time zone",),
}

# What JSON writes as a number.
NUMBERS = frozenset({"integer", "oid", "float", "numeric"})

# In order: the first that fits.
FAMILIES: tuple[tuple[type, str], ...] = (
    (Boolean, "boolean"),
    (Integer, "integer"),
    (OID, "oid"),
    (Float, "float"),
    (Numeric, "numeric"),
    (MONEY, "money"),
    (String, "text"),
    (Uuid, "uuid"),
    (INET, "inet"),
    (JSON, "json"),
    (HSTORE, "hstore"),
    (Date, "date"),
    (LargeBinary, "bytes"),
)


def unlabelled(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Take the label off an expression that has one."""
    return column.element if isinstance(column, Label) else column


def source_type(column: ColumnElement[Any]) -> SourceType:
    """Find the family of an expression's type."""
    value = unlabelled(column)
    if isinstance(value, Function) and value.name == "timezone" and isinstance(value.type, NullType):
        # It turns a time with a zone into one without, and one without into one with.
        # https://www.postgresql.org/docs/current/functions-datetime.html#FUNCTIONS-DATETIME-ZONECONVERT
        clock = source_type(list(value.clauses)[-1]).family == "timestamp with time zone"
        return SourceType("timestamp without time zone" if clock else "timestamp with time zone")
    return family_of(value.type)


def family_of(kind: Any) -> SourceType:
    if isinstance(kind, TypeDecorator):
        return family_of(kind.impl_instance)
    if isinstance(kind, DOMAIN):
        return family_of(kind.data_type)
    if isinstance(kind, ARRAY):
        return SourceType("array", family_of(kind.item_type))
    if isinstance(kind, DateTime):
        return SourceType(f"timestamp {'with' if kind.timezone else 'without'} time zone")
    if isinstance(kind, NullType):
        return SourceType("unknown")
    return SourceType(next((family for family_type, family in FAMILIES if isinstance(kind, family_type)), "other"))


def family_of_name(type_name: str) -> str:
    """Find the family of a type by PostgreSQL's name for it; a type of no family is its own."""
    if type_name.endswith("[]"):
        return family_of_name(type_name.removesuffix("[]")) + "[]"
    plain = re.sub(r" *\([^)]*\)", "", type_name)
    return next((name for name, members in FAMILY_NAMES.items() if plain in members), plain)


# What ADBC hands over as it is; so it does an expression that says no type, whose result `extract.check_results`
# looks at. All else leaves PostgreSQL as the text that it writes for it: numeric because no number of Arrow has room
# for it, text because a CHAR(n) is padded, the rest because ADBC knows no type for it.
PLAIN = frozenset({"boolean", "integer", "float", "date", "timestamp with time zone", "bytes"})


def carried(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Write an expression so that ADBC hands its values over without a change, or return it as it is."""
    value, found = unlabelled(column), source_type(column)
    family = found.item.family if found.item else found.family
    if family in PLAIN or family == "unknown":
        return value
    if family == "hstore" and not found.item:
        return cast(cast(value, JSONB), Text)
    wanted: Any = BigInteger if family == "oid" else Text
    written = cast(value, ARRAY(wanted) if found.item else wanted)
    if family == "numeric":  # NaN is no number, and NULL is what means unknown
        return func.array_replace(written, "NaN", null()) if found.item else func.nullif(written, "NaN")
    return written
