"""Sees that every value an entry reads can go where it is to go without a change, before anything connects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import ColumnElement

from sentinel_etl.config.event_type import EventType, label_of
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.type_mapping.fact_types import FactType
from sentinel_etl.type_mapping.pairs import KIND_NAMES, find_pair, remedy_for, takers_of
from sentinel_etl.type_mapping.source_types import SourceType, source_type

__all__ = ["check_engine_types", "check_types"]

# What the engine writes into its own columns.
ENGINE_KINDS: Mapping[str, tuple[str, ...]] = {
    "event_id": ("string",),
    "event_type": ("string",),
    "event_timestamp": ("instant",),
    "shift_date": ("date",),
    "run_id": ("string",),
    "loaded_at": ("instant",),
    "event_date": ("date",),
    "base_risk_score": ("double", "single"),
    "details_json": ("string",),
}


def check_engine_types(facts: Mapping[str, FactType]) -> None:
    """Check the types of the columns that the engine fills by itself.

    Raises:
        ConfigurationError: a type that does not hold what the engine writes, by its column.
    """
    for name, kinds in ENGINE_KINDS.items():
        if name in facts and facts[name].kind not in kinds:
            raise ConfigurationError(
                f"fact table: expected {name} to be {' or '.join(KIND_NAMES[kind] for kind in kinds)}, because the "
                f"engine fills it; found {facts[name].name}"
            )


def check_types(
    kinds: Iterable[EventType], facts: Mapping[str, FactType], coalesce: Mapping[str, tuple[str, ...]]
) -> None:
    """Check the type of each column that an entry reads against the type of the fact column that takes it.

    Raises:
        ConfigurationError: a pair that `type_mapping.pairs` does not have, with the entry, the column and the remedy;
            or types of one label that have nothing in common.
    """
    target_of = {source: target for target, sources in coalesce.items() for source in sources}
    read: dict[str, tuple[EventType, SourceType]] = {}
    for kind in kinds:
        for column in kind.columns:
            label = label_of(column)
            target = label if label in facts else target_of.get(label, label)
            check_pair(kind, column, target, facts.get(target))
            found = source_type(column)
            other, before = read.setdefault(target, (kind, found))
            if carrier_of(before) != carrier_of(found):
                raise ConfigurationError(
                    f"EVENT_CONFIG.{kind.name}.columns: {label} is {named(found)}, and in {other.name} it is "
                    f"{named(before)}; expected one type for {target}. Cast one of the two, or give it another label"
                )


def check_pair(kind: EventType, column: ColumnElement[object], target: str, fact: FactType | None) -> None:
    found = source_type(column)
    if fact is None or (found.item or found).family == "unknown":
        return  # details_json takes whatever PostgreSQL can write; an expression's result is looked at in the source
    if find_pair(found, fact) is None:
        raise ConfigurationError(
            f"EVENT_CONFIG.{kind.name}.columns: expected {label_of(column)} to be of a type that goes into the fact "
            f"table's {target}, {fact.name}, without loss; found {named(found)} ({column.type}), which goes into: "
            f"{takers_of(found)}. {remedy_for(found)}"
        )


def named(found: SourceType) -> str:
    return f"an {found}" if found.item else str(found)


def carrier_of(found: SourceType) -> str:
    """Name what a type's values are carried as; numbers and texts become text where both go into one column."""
    if found.item:
        return f"array of {carrier_of(found.item)}"
    if found.family == "unknown":
        return carrier_of(SourceType("text"))
    if found.family in ("date", "timestamp with time zone", "bytes", "boolean"):
        return found.family
    return "number or text"
