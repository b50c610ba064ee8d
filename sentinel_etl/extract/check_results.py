"""Compares the types that an entry's expressions say with those that PostgreSQL gives their results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Select, false, select, text

from sentinel_etl.config.event_type import EventType, base_table, label_of
from sentinel_etl.extract.lost_rows import loosen_joins
from sentinel_etl.source.sql import compile_sql
from sentinel_etl.type_mapping.source_types import PLAIN, family_of_name, source_type, unlabelled

__all__ = ["tell_other_types"]

TYPE_NAMES = text("SELECT oid, format_type(oid, NULL) FROM pg_type WHERE oid = ANY(:oids)")


def tell_other_types(kind: EventType, connection: Connection) -> list[str]:
    """Describe each column whose result is of another type than its expression says, or says none and needs one.

    A column that leaves PostgreSQL as text is left out: whatever it is, its text is right. So is one of a table, which
    the catalog tells of. Nothing is read.
    """
    columns = [column for column in kind.columns if is_to_be_asked(column)]
    if not columns:
        return []
    statement = compile_sql(select_nothing(kind, columns))
    cursor = connection.execution_options(no_parameters=True).exec_driver_sql(statement).cursor
    oids = [int(str(column[1])) for column in (cursor.description or ())] if cursor is not None else []
    names = {oid: str(name) for oid, name in connection.execute(TYPE_NAMES, {"oids": list(set(oids))})}
    told = []
    for column, oid in zip(columns, oids, strict=True):
        said, given = source_type(column), names.get(oid, "unknown")
        family = f"{said.item.family}[]" if said.item else said.family
        taken = {*PLAIN, "text"} if said.family == "unknown" else {family}
        if family_of_name(given) not in taken:
            told.append(
                f"expected {label_of(column)} to be {said}; PostgreSQL gives {given}. Write cast(…, "
                f"{given.upper().replace(' ', '_')}) around it in EVENT_CONFIG"
            )
    return told


def is_to_be_asked(column: ColumnElement[Any]) -> bool:
    said = source_type(column)
    of_a_table = isinstance(value := unlabelled(column), Column) and base_table(value.table) is not None
    return not of_a_table and (said.item or said).family in {*PLAIN, "unknown"}


def select_nothing(kind: EventType, columns: Sequence[ColumnElement[Any]]) -> Select[tuple[object, ...]]:
    named = (unlabelled(column).label(f"c{place}") for place, column in enumerate(columns))
    return select(*named).select_from(loosen_joins(kind).source).where(false())
