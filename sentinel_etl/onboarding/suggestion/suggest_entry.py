"""Suggests an entry of EVENT_CONFIG for a live table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, Table

from sentinel_etl.config.event_type import EventType, base_table
from sentinel_etl.config.parse_config import parse_event_config
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.extract.check_keys import check_keys
from sentinel_etl.extract.check_source import check_source
from sentinel_etl.onboarding.live.live_table import LiveTable
from sentinel_etl.onboarding.live.read_only import connect_read_only
from sentinel_etl.onboarding.live.read_sample import find_late_columns
from sentinel_etl.onboarding.live.read_table import can_be_sampled
from sentinel_etl.onboarding.suggestion.destination import Destination, destination_of
from sentinel_etl.onboarding.suggestion.draft_entry import Draft, draft_entry
from sentinel_etl.onboarding.suggestion.entry_text import import_lines, write_entry
from sentinel_etl.onboarding.suggestion.last_night import count_window
from sentinel_etl.onboarding.suggestion.models import name_models
from sentinel_etl.onboarding.suggestion.notes import (
    describe_joins,
    describe_left_out,
    describe_table,
    describe_times,
    unfilled_columns,
    warn_of_nulls,
    warn_of_time,
)
from sentinel_etl.onboarding.suggestion.suggestion import LastNight, Suggestion
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.warehouse.types import server_type
from sentinel_etl.window import Window

__all__ = ["suggest_entry"]


def suggest_entry(
    live: LiveTable,
    fact_table: Table | None,
    models: Mapping[str, Any],
    source: Engine,
    *,
    zone: ZoneInfo,
    window: Window,
    pipeline: Pipeline | None = None,
) -> Suggestion:
    """Suggest the entry whose rows are the table's.

    ``fact_table``: where the rows are to go; None: it is still to be made, of ``fact_columns``. ``models``: the names
    that the entry's source may use → mapped classes and Tables; a table that none of them stands for is named and
    given back in ``tables``. ``window``: what a dry run would load. ``pipeline``: where common columns, coalesced
    columns, personal columns, weights and labels in use are taken from.

    Raises:
        ConfigurationError: a table without any time that could be the event's.
        SourceUnreachable: no connection.
    """
    destination = destination_of(fact_table, pipeline, zone)
    entries = entries_of(live, pipeline)
    whole = [name for name, kind in entries.items() if not kind.filters]
    draft = draft_entry(live, name_models(live, models), destination, whole[0] if len(whole) == 1 else "")
    late = late_columns(draft, source)
    changing = tuple(each.written for each in draft.mapped.readings if each.column.name in late)
    parts = replace(draft.parts, changes_later=changing)
    kind = parse_event_config({parts.name: parts.values()}, destination.common)[parts.name]
    unfilled = unfilled_columns(fact_table, {*kind.labels}, pipeline) if fact_table is not None else []
    notes = [
        *notes_on(draft),
        *([f"EVENT_CONFIG has entries of this table: {', '.join(entries)}"] if entries else []),
        *(f"warn: {name} is filled in after the event ({why})" for name, why in late.items()),
        *warnings_of(draft, kind, fact_table, unfilled),
        *check_entry(kind, pipeline, fact_table, parts.values(), source, told=bool(draft.key_note)),
    ]
    counted = count_window(kind, window, source)
    return Suggestion(
        name=parts.name,
        model=parts.model.name,
        entry=parts.values(),
        text=write_entry(parts),
        imports=import_lines(parts, draft.models),
        definitions=tuple(each.definition for each in draft.models if each.definition),
        notes=tuple(notes),
        fact_columns=fact_columns(draft, fact_table),
        weights=weights_of(draft, destination),
        personal={each.label: each.personal for each in draft.readings if each.personal},
        changes_later=tuple(each.text for each in parts.changes_later),
        tables={each.name: each.live.table for each in draft.models if each.is_new and not each.definition},
        last_night=LastNight(0, counted.loaded + counted.rejected) if counted and unfilled else counted,
    )


def late_columns(draft: Draft, source: Engine) -> dict[str, str]:
    """Find what the entry reads of its own table that is filled in after the event → why."""
    if draft.time.via is not None:
        return {}
    live, columns = draft.live, [each.column for each in draft.mapped.readings]
    with connect_read_only(source) as connection:
        return find_late_columns(
            connection, live.table, draft.time.column.name, columns, live.rows, can_be_sampled(live)
        )


def entries_of(live: LiveTable, pipeline: Pipeline | None) -> dict[str, EventType]:
    """Find the entries whose rows are the table's already: a suggestion has the name of the one without a filter."""
    found = {}
    for name, kind in (pipeline.event_types if pipeline is not None else {}).items():
        table = base_table(kind.table)
        if table is not None and table.name == live.table.name and table.schema in (live.table.schema, live.schema):
            found[name] = kind
    return found


def notes_on(draft: Draft) -> Iterator[str]:
    yield from describe_table(draft.live)
    yield describe_times(draft.live, draft.time)
    yield from describe_joins(draft.plan)
    if draft.key_note:
        yield draft.key_note
    yield from describe_left_out(draft.mapped)


def warnings_of(draft: Draft, kind: EventType, fact_table: Table | None, unfilled: list[str]) -> Iterator[str]:
    yield from warn_of_time(draft.live, draft.time, draft.plan.destination.zone.key)
    if fact_table is None:
        return
    details = [each.label for each in draft.readings if each.in_details]
    if details:
        yield f"details_json takes what {fact_table.name} has no column for: {', '.join(details)}"
    if unfilled:
        yield (
            f"warn: {', '.join(unfilled)} of {fact_table.name} take no NULL, and {kind.name} does not fill them: "
            "every row would be rejected. Make them Nullable, or take a fact table of your own"
        )
    yield from warn_of_nulls(draft.readings, fact_table)


def check_entry(
    kind: EventType,
    pipeline: Pipeline | None,
    fact_table: Table | None,
    entry: Mapping[str, Any],
    source: Engine,
    *,
    told: bool,
) -> Iterator[str]:
    """Tell what `check` would say of the entry, as it is and among the pipeline's others; ``told``: of its key."""
    found = [*check_source([kind], source), *([] if told else check_keys([kind], source))]
    yield from (f"warn: {each.message}" for each in found)
    if pipeline is not None and fact_table is not None:
        candidate = replace(
            pipeline, fact_table=fact_table, event_config={**pipeline.event_config, kind.name: {**entry}}
        )
        try:
            candidate.check()
        except ConfigurationError as error:
            yield f"warn: {error}"


def fact_columns(draft: Draft, fact_table: Table | None) -> dict[str, str]:
    """Name the type of each fact column that the entry fills: the table's own, or the one that it should have."""
    if fact_table is None:
        return {each.label: each.fact for each in draft.readings}
    names = [each.label for each in draft.readings if each.label in fact_table.columns]
    return {name: server_type(fact_table.columns[name]) for name in names}


def weights_of(draft: Draft, destination: Destination) -> dict[str, dict[str, float]]:
    """List the values of each column of categories that has no weights yet, each with a weight of 0 to be filled in."""
    return {
        each.label: dict.fromkeys(each.column.labels or each.column.keywords, 0)
        for each in draft.readings
        if (each.column.labels or each.column.keywords)
        and not (each.personal or each.in_details or each.column.source_type.item or each.label in destination.weighted)
    }
