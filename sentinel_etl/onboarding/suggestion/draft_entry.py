"""Drafts an entry for a live table: which columns, which joins, under which labels. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import DateTime, cast, func

from sentinel_etl.errors import ConfigurationError
from sentinel_etl.onboarding.live.live_table import LiveTable
from sentinel_etl.onboarding.suggestion.choose_key import choose_key
from sentinel_etl.onboarding.suggestion.choose_time import EventTime, choose_time
from sentinel_etl.onboarding.suggestion.destination import Destination
from sentinel_etl.onboarding.suggestion.entry_text import EntryParts, suggest_filters
from sentinel_etl.onboarding.suggestion.map_columns import Mapped, Reading, free_label, map_columns, read_as
from sentinel_etl.onboarding.suggestion.models import Model, Written, event_name, quoted
from sentinel_etl.onboarding.suggestion.plan_joins import JoinPlan, changed_columns, plan_joins, steps_of

__all__ = ["Draft", "draft_entry"]


@dataclass(frozen=True)
class Draft:
    """An entry's parts, and what they were made of; ``key_note`` says how the key was chosen, if not by itself."""

    live: LiveTable
    time: EventTime
    key_note: str
    mapped: Mapped
    plan: JoinPlan
    parts: EntryParts

    @property
    def readings(self) -> tuple[Reading, ...]:
        return (*self.mapped.readings, *(each for joined in self.plan.joined for each in joined.readings))

    @property
    def models(self) -> tuple[Model, ...]:
        """The models that the entry names, the aliases after what they are of."""
        used = [self.parts.model]
        for joined in self.plan.joined:
            used += [self.plan.models[joined.model.live.table.key], joined.model]
        return tuple(dict.fromkeys(used))


def draft_entry(live: LiveTable, models: Mapping[str, Model], destination: Destination, name: str = "") -> Draft:
    """Draft the entry whose rows are the table's; its ``name`` is made of the table's where none is given.

    Raises:
        ConfigurationError: a table without a time, or a model that lacks the key or the time.
    """
    model, time = models[live.table.key], choose_time(live)
    key, key_note = choose_key(live, time)
    own_time = time.column.name if time.via is None else ""
    mapped = map_columns(model, key, own_time, destination, changed_columns(live))
    mapped = mapped if mapped.readings else with_key(mapped, model, key, destination)
    labels = {each.label for each in mapped.readings} | (set(live.columns) & set(destination.common))
    coalesced = {destination.placed[label] for label in labels if label in destination.placed}
    plan = JoinPlan(model, models, destination, frozenset(labels | coalesced))
    when = column_of(model, time.column.name) if time.via is None else None
    if time.via is not None:
        step = next(each for each in steps_of(live)[0] if each.key == time.via)
        plan = plan.join(step)
        when = column_of(plan.model_at(step) or model, time.column.name)
    plan = plan_joins(plan)
    parts = EntryParts(
        name=name or event_name(model),
        model=model,
        timestamp=instant_of(when or column_of(model, time.column.name), time, destination),
        key=tuple(column_of(model, name) for name in key),
        columns=tuple(
            each.written for each in (*mapped.readings, *(each for joined in plan.joined for each in joined.readings))
        ),
        joins=tuple(joined.written for joined in plan.joined),
        filters=tuple(suggest_filters(model, list(live.columns.values()))),
    )
    return Draft(live, time, key_note, mapped, plan, parts)


def with_key(mapped: Mapped, model: Model, key: tuple[str, ...], destination: Destination) -> Mapped:
    """Read the key, so that an entry of nothing else has a column."""
    column, live = model.live.columns[key[0]], model.live
    label = free_label(key[0], live, destination, ())
    reading = read_as(column, live, label, column_of(model, key[0]), destination, destination.facts is not None)
    return Mapped((reading,), mapped.left_out)


def column_of(model: Model, name: str) -> Written:
    written = model.column(name)
    if written is None:
        raise ConfigurationError(
            f"{model.live.name}: expected the model {model.name} to have the column {name}, which is its key or its "
            f"time; found none. Add it to {model.name}"
        )
    return written


def instant_of(column: Written, time: EventTime, destination: Destination) -> Written:
    """Write the event's time as an instant: what the zone's clocks showed, where the column has no zone."""
    zone, family = destination.zone.key, time.column.source_type.family
    if family == "timestamp with time zone":
        return column
    if family == "date":
        midnight = cast(column.value, DateTime)
        return Written(func.timezone(zone, midnight), f"func.timezone({quoted(zone)}, cast({column.text}, DateTime))")
    return Written(func.timezone(zone, column.value), f"func.timezone({quoted(zone)}, {column.text})")
