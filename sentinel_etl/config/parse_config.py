"""Reads EVENT_CONFIG: checks it whole, before anything connects."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import partial
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from sqlalchemy import ColumnElement
from sqlalchemy.sql.elements import Label

from sentinel_etl.config.event_config import COMMON_COLUMNS, DEFAULT_TIMESTAMP
from sentinel_etl.config.event_entry import Entry, EventConfig
from sentinel_etl.config.event_type import EventType, Join, label_of
from sentinel_etl.config.mapped import column_names, is_model
from sentinel_etl.config.problems import configuration_error
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.type_mapping.source_types import unlabelled

__all__ = ["parse_event_config"]


REQUIRED_KEYS = ("model", "columns")


def parse_event_config(
    config: Mapping[str, Mapping[str, Any]],
    common_columns: tuple[str, ...] = COMMON_COLUMNS,
    default_timestamp: str = DEFAULT_TIMESTAMP,
) -> dict[str, EventType]:
    """Check every entry and return them as `EventType`, in the config's order.

    An entry without ``key`` has its model's primary key, one without ``timestamp`` the model's column of the
    name ``default_timestamp``.

    Raises:
        ConfigurationError: all problems in one message; each names the entry, the key and what
            was expected.
    """
    try:
        entries = EventConfig.model_validate(config, context=default_timestamp).root
    except ValidationError as error:
        describe = partial(describe_entry_problem, default_timestamp)
        raise configuration_error("EVENT_CONFIG", error, describe, separator="\n  ") from None
    return {name: event_type_of(name, entry, common_columns) for name, entry in entries.items()}


def event_type_of(name: str, entry: Entry, common_columns: tuple[str, ...]) -> EventType:
    columns = with_common_columns(entry, common_columns)
    return EventType(
        name=name,
        table=entry.model,
        timestamp=entry.timestamp,
        key=entry.key,
        columns=columns,
        joins=tuple(Join(join.model, join.on, **join.options.model_dump()) for join in entry.joins),
        filters=entry.filters,
        changes_later=tuple(find_label(name, given, columns) for given in entry.changes_later),
    )


def find_label(name: str, given: ColumnElement[Any], columns: tuple[ColumnElement[Any], ...]) -> str:
    """Find the label under which an entry reads a column that changes later.

    Raises:
        ConfigurationError: it reads no such column.
    """
    labels = {label_of(column): unlabelled(column) for column in columns}
    for label, column in labels.items():
        if column.compare(unlabelled(given)) or (isinstance(given, Label) and given.name == label):
            return label
    raise ConfigurationError(
        f"EVENT_CONFIG: {name}.changes_later: expected columns that the entry reads, {', '.join(labels)}; found "
        f"{given.name if isinstance(given, Label) else given}. Put it into columns too, or take it out"
    )


def with_common_columns(entry: Entry, common_columns: tuple[str, ...]) -> tuple[ColumnElement[Any], ...]:
    """Put before the entry's columns the common ones that it does not name and its tables have."""
    named = {label_of(column) for column in entry.columns}
    found = []
    for name in common_columns:
        holder = next((table for table in entry.tables if name in table.columns), None)
        if name not in named and holder is not None:
            found.append(holder.columns[name])
    return (*found, *entry.columns)


def describe_entry_problem(default_timestamp: str, problem: ErrorDetails) -> str:
    """Say one of pydantic's problems in the words of an entry: where, what was expected, what was found."""
    where, found = problem["loc"], problem["input"]
    entry = ".".join(str(part) for part in where[:2])
    match problem["type"]:
        case "too_short" if not where:
            return "expected at least one event type, found none"
        case "dict_type":
            return f"expected a dictionary of event types, found {found!r}"
        case "string_type" | "string_pattern_mismatch":
            return f"{found!r}: expected a name of capitals, digits and underscores"
        case "model_type":
            return f"{entry}: expected a dictionary, found {found!r}"
        case "missing" if where[1] not in REQUIRED_KEYS:
            # A model that is none is told of by itself.
            model = found.get("model")
            return f"{entry}: {not_found(str(where[1]), model, default_timestamp)}" if is_model(model) else ""
        case "missing":
            return f"{entry}: missing; every entry names {', '.join(REQUIRED_KEYS)}"
        case "extra_forbidden" | "invalid_key":
            return f"{entry}: {unknown_key(str(where[1]))}"
        case "too_short":
            return f"{entry}: expected at least one column, found none"
        case "tuple_type":
            return f"{entry}{hint_at(where)}: expected a list, found {found!r}"
        case "is_instance_of":
            wanted = {"FromClause": "a mapped class or a Table", "ColumnElement": "columns or expressions"}
            return f"{entry}{hint_at(where)}: expected {wanted[problem['ctx']['class']]}, found {found!r}"
        case "other_table":
            return f"{entry}.{problem['ctx']['key']}: {problem['msg']}"
        case "value_error":
            return f"{entry}: {problem['ctx']['error']}"
        case _:
            return f"{entry}: {problem['msg']}, found {found!r}"


def not_found(key: str, model: Any, default_timestamp: str) -> str:
    """Say what was looked for in the model, because the entry leaves the key out, and what the model has."""
    name = getattr(model, "__name__", "") or str(getattr(model, "name", "") or "the subquery")
    wanted = "a primary key" if key == "key" else f"a column {default_timestamp}, the pipeline's default_timestamp"
    has = ", ".join(column_names(model)) or "no columns"
    remedy = "the columns that identify a row" if key == "key" else "the column that says when the event happened"
    return f"left out, so expected {name} to have {wanted}; it has {has}. Name {remedy} as {key!r}"


def unknown_key(key: str) -> str:
    keys = list(Entry.model_fields)
    close = get_close_matches(key, keys, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"not a key of an entry; expected {', '.join(keys)}{hint}"


def hint_at(where: tuple[int | str, ...]) -> str:
    return " (name the columns; a whole table is SELECT *)" if where[1] == "columns" else ""
