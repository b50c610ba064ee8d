"""The columns that views and projections group by and position events with, in whatever type. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clickhouse_sqlalchemy import Table
from sqlalchemy import ColumnElement, String, func

from sentinel_etl.config.dimensions import ROLES, Dimensions
from sentinel_etl.type_mapping.fact_types import COMPARABLE, FactType
from sentinel_etl.warehouse.names import DIALECT, as_sent
from sentinel_etl.warehouse.types import column_type

__all__ = ["KeyColumn", "key_columns", "readable"]

# Kinds that Arrow carries as numbers or bytes of which nobody can tell what they are.
UNREADABLE = frozenset({"big integer", "enum", "fixed string", "ipv4", "ipv6", "uuid"})


@dataclass(frozen=True)
class KeyColumn:
    """A column of a fact table, as a statement's text names it."""

    name: str
    fact: FactType

    def __str__(self) -> str:
        return as_sent(str(DIALECT.identifier_preparer.quote(self.name)))

    @property
    def is_number(self) -> bool:
        return self.fact.kind in COMPARABLE

    @property
    def degrees(self) -> str:
        """The column as the Float64 that geoToH3 takes."""
        return str(self) if self.fact.kind == "double" else f"toFloat64({self})"

    @property
    def known(self) -> str:
        """The condition that a row has one; empty where each has."""
        return f"{self} IS NOT NULL" if self.fact.nullable else ""

    def shown(self, expression: str) -> str:
        """Write the value so that a person can read it."""
        return f"toString({expression})" if self.fact.kind in UNREADABLE else expression

    @property
    def as_set(self) -> str:
        """The state of the set of its values: a bitmap, exact and fast to merge, where they are whole numbers."""
        return f"groupBitmapState(toUInt64({self}))" if self.fact.kind == "integer" else f"uniqExactState({self})"

    def count_set(self, expression: str) -> str:
        return f"{'groupBitmapMerge' if self.fact.kind == 'integer' else 'uniqExactMerge'}({expression})"


def key_columns(table: Table, dimensions: Dimensions) -> Mapping[str, KeyColumn | None]:
    """Give role → column; None where the table has none."""
    found = dimensions.found_in(table.columns)
    types = {role: column_type(table.c[name]) for role, name in found.items()}
    return {role: KeyColumn(found[role], types[role]) if role in found else None for role in ROLES}


def readable(column: Any) -> ColumnElement[Any]:
    """Select a column so that a person can read what comes back: an Enum's word, and not its number."""
    if column_type(column).kind in UNREADABLE:
        return func.toString(column, type_=String).label(column.name)
    return column  # type: ignore[no-any-return]
