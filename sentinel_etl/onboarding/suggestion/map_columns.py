"""Decides which columns of the event's own table are read, and where each goes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Text, cast

from sentinel_etl.config.event_type import label_of
from sentinel_etl.config.mapped import named_expression_of
from sentinel_etl.onboarding.live.live_table import LiveColumn, LiveTable
from sentinel_etl.onboarding.suggestion.choose_time import is_bookkeeping
from sentinel_etl.onboarding.suggestion.destination import Destination, prefixed
from sentinel_etl.onboarding.suggestion.models import Model, Written, quoted
from sentinel_etl.type_mapping.source_types import source_type

__all__ = ["Mapped", "Reading", "map_columns", "personal_reason", "read_as"]


@dataclass(frozen=True)
class Reading:
    """One column that the entry reads: ``label`` is a fact column, or a member of ``details_json``."""

    column: LiveColumn
    owner: LiveTable
    label: str
    written: Written
    fact: str
    personal: str
    in_details: bool = False


@dataclass(frozen=True)
class Mapped:
    """The columns that are read, and those that are not, each with the reason."""

    readings: tuple[Reading, ...]
    left_out: tuple[tuple[str, str], ...]


def map_columns(
    model: Model, key: tuple[str, ...], time: str, destination: Destination, changes: dict[str, str]
) -> Mapped:
    """Map each column of the event's own table; its key, its time and common columns go by themselves.

    ``changes``: columns that say what another table's column was changed to → that column.
    """
    live = model.live
    readings: list[Reading] = []
    left_out: list[tuple[str, str]] = []
    taken = frozenset(destination.facts or ()) & frozenset(live.columns)
    for column in live.columns.values():
        name, written = column.name, model.column(column.name)
        if name == time or name in destination.common or (key == (name,) and name not in (destination.facts or ())):
            continue
        reason = destination.is_left_out(column)
        if not reason and written is None:
            reason = f"the model {model.name} does not have it yet"
        if not reason and name in changes:
            reason = f"where it is not NULL it changes {changes[name]}: an event type of its own, with the filter "
            reason += f"{written.text if written else name}.is_not(None)"
        if not reason and is_bookkeeping(column) and name not in (destination.facts or ()):
            reason = "set by a trigger on each update" if column.triggered else "when the row came or was changed"
        if reason or written is None:
            left_out.append((name, reason))
            continue
        used = frozenset(each.label for each in readings)
        reading = place(column, live, written, destination, used | (taken - {name}))
        if isinstance(reading, Reading):
            readings.append(reading)
        else:
            left_out.append((name, reading))
    return Mapped(tuple(readings), tuple(left_out))


def place(
    column: LiveColumn, live: LiveTable, written: Written, destination: Destination, taken: frozenset[str]
) -> Reading | str:
    """Find a column's place, a fact column or ``details_json``; or say why it has none."""
    if destination.facts is None:
        return read_as(column, live, free_label(column.name, live, destination, taken), written, destination)
    if column.name in destination.placed:
        return read_as(column, live, column.name, written, destination)
    fact = destination.fact_for(column, written, live, taken)
    if fact is not None:
        return read_as(column, live, fact, destination.fit(written, fact) or written, destination)
    if not destination.has_details:
        return "the fact table has no column that takes it, and no details_json"
    return read_as(column, live, free_label(column.name, live, destination, taken), written, destination, True)


def free_label(name: str, live: LiveTable, destination: Destination, taken: Iterable[str]) -> str:
    """Give a label that neither the engine nor another column uses."""
    kind, name = source_type(live.columns[name].column), plain_label(name)
    candidates = [name, prefixed(live, name), *(f"{prefixed(live, name)}_{number}" for number in range(2, 1000))]
    used = set(taken)
    return next(each for each in candidates if each not in used and destination.is_free(each, kind))


def plain_label(name: str) -> str:
    """Make a name that needs no quotes of one that does: a label is to be the name of a fact column."""
    plain = re.sub(r"\W+", "_", name).strip("_") if re.search(r"\W", name) else name
    return plain if re.match(r"[^\W\d]", plain) else f"column_{plain}"


def read_as(
    column: LiveColumn,
    owner: LiveTable,
    label: str,
    written: Written,
    destination: Destination,
    in_details: bool = False,
) -> Reading:
    """Read a column under a label; what is to become a new fact column, as its type takes it."""
    personal = personal_reason(column, label, destination)
    if destination.facts is None:
        fact = destination.new_type(column, personal)
        family = source_type(written.value).family
        if family == "timestamp without time zone":
            written = list(destination.variants(written))[1]
        elif personal and family != "text":
            written = Written(cast(written.value, Text), f"cast({written.text}, Text)")
    else:
        fact = str(destination.facts[label].name) if label in destination.facts else "String"
    return Reading(column, owner, label, labelled(written, label), fact, personal, in_details)


def labelled(written: Written, label: str) -> Written:
    named: Any = named_expression_of(written.value)
    if isinstance(named, Column) and label_of(named) == label:
        return written
    return Written(written.value.label(label), f"{written.text}.label({quoted(label)})")


def personal_reason(column: LiveColumn, label: str, destination: Destination) -> str:
    """Say why what is read under a label is personal: by the pipeline's word, else by its looks."""
    if label in destination.personal:
        return destination.personal[label]
    return column.personal
