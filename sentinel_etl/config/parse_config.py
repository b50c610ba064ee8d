"""Reads EVENT_CONFIG: checks it whole, before anything connects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    PrimaryKeyConstraint,
    UniqueConstraint,
    inspect,
    type_coerce,
)
from sqlalchemy.exc import NoInspectionAvailable
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BinaryExpression
from sqlalchemy.sql.functions import Function
from sqlalchemy.types import DateTime

from sentinel_etl.config.event_config import COMMON_COLUMNS
from sentinel_etl.config.event_type import EventType, Join, base_table, clauses_of, label_of
from sentinel_etl.errors import ConfigurationError

__all__ = ["parse_event_config"]


REQUIRED_KEYS = ("model", "timestamp", "key", "columns")
OPTIONAL_KEYS = ("joins", "filters")
JOIN_OPTIONS = ("outer", "one_to_many")

# Names that the engine itself gives to what it reads.
RESERVED_LABELS = ("event_type", "event_timestamp", "source_key")


def parse_event_config(
    config: Mapping[str, Mapping[str, Any]], common_columns: tuple[str, ...] = COMMON_COLUMNS
) -> dict[str, EventType]:
    """Check every entry and return them as `EventType`, in the config's order.

    Raises:
        ConfigurationError: all problems in one message; each names the entry, the key and what
            was expected.
    """
    event_types: dict[str, EventType] = {}
    problems: list[str] = []
    for name, entry in config.items():
        try:
            event_types[name] = parse_entry(name, entry, common_columns)
        except ConfigurationError as problem:
            problems.append(str(problem))
    if not config:
        problems.append("expected at least one event type, found none")
    if problems:
        raise ConfigurationError("EVENT_CONFIG: " + "\n  ".join(problems))
    return event_types


def parse_entry(name: str, entry: Mapping[str, Any], common_columns: tuple[str, ...]) -> EventType:
    if not isinstance(entry, Mapping):
        raise ConfigurationError(f"{name}: expected a dictionary, found {entry!r}")
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
        raise ConfigurationError(f"{name!r}: expected a name of capitals, digits and underscores")
    for key in entry:
        if key not in REQUIRED_KEYS + OPTIONAL_KEYS:
            close = get_close_matches(key, REQUIRED_KEYS + OPTIONAL_KEYS, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ConfigurationError(
                f"{name}.{key}: not a key of an entry; expected {', '.join(REQUIRED_KEYS + OPTIONAL_KEYS)}{hint}"
            )
    for key in REQUIRED_KEYS:
        if key not in entry:
            raise ConfigurationError(f"{name}.{key}: missing; every entry names {', '.join(REQUIRED_KEYS)}")

    table = as_table(entry["model"], f"{name}.model")
    joins = parse_joins(name, entry.get("joins", ()))
    tables = [table, *(join.table for join in joins)]
    key = entry["key"]
    event_type = EventType(
        name=name,
        table=table,
        timestamp=as_timestamp(entry["timestamp"], f"{name}.timestamp"),
        key=as_expressions(key if isinstance(key, list | tuple) else (key,), f"{name}.key"),
        columns=with_common_columns(parse_columns(name, entry["columns"]), tables, common_columns),
        joins=joins,
        filters=as_expressions(entry.get("filters", ()), f"{name}.filters"),
    )
    if not event_type.key:
        raise ConfigurationError(f"{name}.key: expected at least one column, found none")
    used_in: dict[str, tuple[ColumnElement[Any], ...]] = {
        "timestamp": (event_type.timestamp,),
        "key": event_type.key,
        "columns": event_type.columns,
        "filters": event_type.filters,
        "joins": tuple(join.on for join in joins),
    }
    for place, expressions in used_in.items():
        for expression in expressions:
            for used in expression._from_objects:
                if used not in tables:
                    raise ConfigurationError(
                        f"{name}.{place}: {expression} reads {used}, which the entry neither models nor "
                        f"joins; expected one of {', '.join(str(known) for known in tables)}"
                    )
    return event_type


def as_table(model: Any, place: str) -> FromClause:
    try:
        selectable = inspect(model).selectable
    except (NoInspectionAvailable, AttributeError):
        selectable = None
    if not isinstance(selectable, FromClause):
        raise ConfigurationError(f"{place}: expected a mapped class or a Table, found {model!r}")
    return selectable


def as_expressions(values: Any, place: str) -> tuple[ColumnElement[Any], ...]:
    if not isinstance(values, list | tuple):
        raise ConfigurationError(f"{place}: expected a list, found {values!r}")
    expressions = []
    for value in values:
        clause = value.__clause_element__() if hasattr(value, "__clause_element__") else value
        if not isinstance(clause, ColumnElement):
            raise ConfigurationError(f"{place}: expected columns or expressions, found {value!r}")
        expressions.append(clause)
    return tuple(expressions)


def as_timestamp(value: Any, place: str) -> ColumnElement[Any]:
    (timestamp,) = as_expressions((value,), place)
    if isinstance(timestamp, Function) and timestamp.name == "timezone":
        timestamp = type_coerce(timestamp, DateTime(timezone=True))
    if not (isinstance(timestamp.type, DateTime) and timestamp.type.timezone):
        raise ConfigurationError(
            f"{place}: expected a column of type timestamp with time zone, found {timestamp} of type "
            f"{timestamp.type}; for a column without a zone write func.timezone('Asia/Kolkata', column)"
        )
    return timestamp


def parse_columns(name: str, values: Any) -> tuple[ColumnElement[Any], ...]:
    place = f"{name}.columns"
    columns = as_expressions(values, f"{place} (name the columns; a whole table is SELECT *)")
    if not columns:
        raise ConfigurationError(f"{place}: expected at least one column, found none")
    labels = [label_of(column) for column in columns]
    for column, label in zip(columns, labels, strict=True):
        if label.startswith("%(") or label == "None":
            raise ConfigurationError(f"{place}: expected a .label(name) on the expression {column}")
        if label in RESERVED_LABELS:
            raise ConfigurationError(f"{place}: {label} is a name that the engine gives; choose another label")
        if labels.count(label) > 1:
            raise ConfigurationError(f"{place}: {label} stands twice; give one a .label(name)")
    return columns


def parse_joins(name: str, values: Any) -> tuple[Join, ...]:
    place = f"{name}.joins"
    form = "expected (model, on) or (model, on, {'outer': True, 'one_to_many': True})"
    if not isinstance(values, list | tuple):
        raise ConfigurationError(f"{place}: expected a list, found {values!r}")
    joins = []
    for value in values:
        if not isinstance(value, tuple) or len(value) not in (2, 3):
            raise ConfigurationError(f"{place}: {form}, found {value!r}")
        model, on, *rest = value
        options = rest[0] if rest else {}
        if not isinstance(options, dict) or any(option not in JOIN_OPTIONS for option in options):
            raise ConfigurationError(f"{place}: {form}, found the options {options!r}")
        (condition,) = as_expressions((on,), place)
        join = Join(as_table(model, place), condition, **options)
        if not join.one_to_many and not joins_at_most_one(join):
            raise ConfigurationError(
                f"{place}: {join.table} is not joined on a unique key ({condition}), so one event could "
                "become several; join on its primary key, or say {'one_to_many': True} and put its key "
                "into the entry's key"
            )
        joins.append(join)
    return tuple(joins)


def joins_at_most_one(join: Join) -> bool:
    """Tell whether the condition fixes a unique key of the joined table by equality."""
    table = base_table(join.table)
    if table is None:
        return True  # a subquery: its author has chosen its rows; the audit still counts keys
    pinned = set()
    for condition in clauses_of(join.on):
        if not (isinstance(condition, BinaryExpression) and condition.operator is operators.eq):
            continue
        for side, other in ((condition.left, condition.right), (condition.right, condition.left)):
            mine = getattr(side, "table", None) is join.table
            if mine and join.table not in other._from_objects:
                pinned.add(side.key)
    uniques = [
        {column.key for column in constraint.columns}
        for constraint in table.constraints
        if isinstance(constraint, PrimaryKeyConstraint | UniqueConstraint)
    ]
    uniques += [
        {column.key for column in index.columns}
        for index in table.indexes
        if index.unique and index.dialect_options["postgresql"]["where"] is None
    ]
    return any(unique and unique <= pinned for unique in uniques)


def with_common_columns(
    columns: tuple[ColumnElement[Any], ...], tables: list[FromClause], common_columns: tuple[str, ...]
) -> tuple[ColumnElement[Any], ...]:
    """Put before the entry's columns the common ones that it does not name and its tables have."""
    named = {label_of(column) for column in columns}
    found = []
    for name in common_columns:
        holder = next((table for table in tables if name in table.columns), None)
        if name not in named and holder is not None:
            found.append(holder.columns[name])
    return (*found, *columns)
