"""Drafts a project: an entry for each table, and one fact table, weights and models for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from zoneinfo import ZoneInfo

from clickhouse_sqlalchemy import Table as FactTable
from sqlalchemy import Engine, MetaData, Table

from sentinel_etl.config.event_type import EventType
from sentinel_etl.config.parse_config import parse_event_config
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.onboarding.live.read_table import read_table
from sentinel_etl.onboarding.project.new_columns import merge_types
from sentinel_etl.onboarding.suggestion.suggest_entry import suggest_entry
from sentinel_etl.onboarding.suggestion.suggestion import Suggestion
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.window import Window

__all__ = ["Draft", "draft_project"]


@dataclass(frozen=True)
class Draft:
    """What a project's files are made of.

    ``tables``        name in the models' module → reflected `Table`
    ``schemas``       the same name → the schema that the table stands in
    ``fact_columns``  label → ClickHouse type
    """

    zone: ZoneInfo
    window: Window
    suggestions: tuple[Suggestion, ...] = ()
    tables: Mapping[str, Table] = field(default_factory=dict)
    schemas: Mapping[str, str] = field(default_factory=dict)
    fact_columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def event_types(self) -> dict[str, EventType]:
        return parse_event_config({each.name: each.entry for each in self.suggestions})

    @property
    def weights(self) -> dict[str, dict[str, float]]:
        """Label → value → 0; of a label that two entries have, the values of both."""
        found: dict[str, dict[str, float]] = {}
        for each in self.suggestions:
            for label, values in each.weights.items():
                found.setdefault(label, {}).update(dict.fromkeys(values, 0))
        return {label: values for label, values in found.items() if label not in self.personal}

    @property
    def personal(self) -> dict[str, str]:
        return {label: why for each in self.suggestions for label, why in each.personal.items()}


def draft_project(names: Sequence[str], source: Engine, zone: ZoneInfo, window: Window) -> Draft:
    """Read each table and suggest its entry, beside those of the tables before it.

    Raises:
        ConfigurationError: a table that is not there, or has no time that could be the event's.
        SourceUnreachable: no connection.
    """
    draft = Draft(zone, window)
    for name in dict.fromkeys(names):
        draft = with_table(draft, name, source)
    return draft


def with_table(draft: Draft, name: str, source: Engine) -> Draft:
    live = read_table(source, name)
    closed: set[str] = set()
    while True:
        suggestion = suggest_entry(
            live,
            None,
            draft.tables,
            source,
            zone=draft.zone,
            window=draft.window,
            pipeline=pipeline_of(draft, closed) if draft.suggestions else None,
        )
        merged = dict(draft.fact_columns)
        for label, kind in suggestion.fact_columns.items():
            merged[label] = merge_types(merged.get(label, kind), kind) or ""
        clashing = {label for label, kind in merged.items() if not kind} - closed
        if not clashing:
            break
        closed |= clashing
    if not all(merged.values()):
        raise ConfigurationError(f"--tables: {name}: expected labels of its own for {', '.join(sorted(closed))}")
    known = {each.table: each.schema for each in (live, *live.referred.values())}
    return replace(
        draft,
        suggestions=(*draft.suggestions, with_a_name_of_its_own(suggestion, draft)),
        tables={**draft.tables, **suggestion.tables},
        schemas={**draft.schemas, **{each: known[table] for each, table in suggestion.tables.items()}},
        fact_columns=merged,
    )


def pipeline_of(draft: Draft, closed: set[str]) -> Pipeline:
    """Make the pipeline so far; a label that a text's length goes to is given to nothing else, so ``closed`` do."""
    return Pipeline(
        event_config={each.name: each.entry for each in draft.suggestions},
        fact_table=FactTable("events", MetaData()),
        text_lengths={label: label for label in closed},
    )


def with_a_name_of_its_own(suggestion: Suggestion, draft: Draft) -> Suggestion:
    taken = {each.name for each in draft.suggestions}
    name = next(each for each in candidates(suggestion.name) if each not in taken)
    text = suggestion.text.replace(f'"{suggestion.name}": {{', f'"{name}": {{', 1)
    return replace(suggestion, name=name, text=text)


def candidates(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}_{number}" for number in range(2, 1000))
