"""Traces each fact column back to the source, from the pipeline alone. Pure.

`transform.facts` does with rows what is followed here with names, in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
from sqlalchemy import Column, ColumnElement, FromClause, Table, literal_column, select

from sentinel_etl.config.event_type import EventType, label_of
from sentinel_etl.config.fact_table import RUN_COLUMNS
from sentinel_etl.config.risk_weights import weighted_columns
from sentinel_etl.extract.statements import source_key
from sentinel_etl.lineage.lineage import ColumnLineage, EntryLineage, Join, Lineage, Origin, Read, SourceTable
from sentinel_etl.lineage.source_columns import columns_of, tables_of
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.source.sql import compile_sql
from sentinel_etl.transform.risk import as_written
from sentinel_etl.type_mapping.source_types import source_type, unlabelled
from sentinel_etl.warehouse.types import server_type
from sentinel_etl.window import NIGHT_STARTS

__all__ = ["from_sql", "trace_lineage"]

OF_THE_RUN = {"run_id": "the id of the run that wrote the row", "loaded_at": "when that run wrote the row"}

# What extraction and derivation make under names of their own: it is no column of an entry.
OF_THE_ENGINE = frozenset(
    {"source_key", "event_timestamp", "event_type", "event_id", "event_date", "shift_date"}
    | {"base_risk_score", "risk_reasons"}
)

# Label or fact column → where it comes from, of one event type.
Flows = dict[str, Origin]


def trace_lineage(pipeline: Pipeline) -> Lineage:
    """Trace every column of the fact table; connects to nothing.

    Raises:
        ConfigurationError: an entry of EVENT_CONFIG that cannot be used.
    """
    kinds = pipeline.event_types.values()
    flows = [fact_flows(kind, pipeline) for kind in kinds]
    columns = [
        ColumnLineage(
            column.name,
            server_type(column),
            tuple(each[column.name] for each in flows if column.name in each),
            tuple(rules_of(column.name, any(column.name in each for each in flows), pipeline)),
        )
        for column in pipeline.fact_table.columns
    ]
    return Lineage(pipeline.fact_table.name, tuple(columns), tuple(entry_of(kind) for kind in kinds))


def entry_of(kind: EventType) -> EntryLineage:
    """Say what the rows of an event type are read from."""
    joins = [
        Join(from_sql(join.table), compile_sql(join.on), join.outer, join.one_to_many, columns_of(join.on).each_once())
        for join in kind.joins
    ]
    return EntryLineage(
        kind.name,
        from_sql(kind.table),
        tuple(joins),
        tuple(map(compile_sql, kind.filters)),
        columns_of(*kind.filters, decides=True).each_once(),
        columns_of(kind.timestamp, decides=True).each_once(),
        tables_read(kind),
    )


def tables_read(kind: EventType) -> tuple[SourceTable, ...]:
    """List the tables that an entry's statement reads, those of queries within an expression too."""
    joined_tables = [table for each in (kind.table, *(join.table for join in kind.joins)) for table in tables_of(each)]
    return tuple(dict.fromkeys([*joined_tables, *(each.table for each in columns_of(*kind.expressions()).found)]))


def from_sql(table: FromClause) -> str:
    """Write a table as a FROM has it: quoted where that is needed, and with its alias."""
    return compile_sql(select(literal_column("1")).select_from(table)).partition("FROM ")[2]


def fact_flows(kind: EventType, pipeline: Pipeline) -> Flows:
    """Follow an event type's columns through the transformation: fact column → where it comes from."""
    flows = coalesced(read_flows(kind), pipeline)
    for name, origin in flows.items():
        if name in pipeline.fact_types and origin.reads:
            flows[name] = typed(origin, converted(origin.reads, pipeline.fact_types[name].name))
    mark_unknown(flows, pipeline)
    derive(flows, kind, pipeline)
    for name in flows:
        add_step = typed if pipeline.pii == "keep" else with_steps
        for step in protection(name, pipeline):
            flows[name] = add_step(flows[name], step)
    put_details(flows, pipeline)
    return {name: origin for name, origin in flows.items() if name in pipeline.schema.names}


def read_flows(kind: EventType) -> Flows:
    """List what the statement reads, by label."""
    key = source_key(kind)
    composite = tuple(kind.key) if len(kind.key) > 1 else ()
    flows = {
        "source_key": Origin(kind.name, tuple(read_of("source_key", part) for part in composite or (key,))),
        "event_timestamp": Origin(kind.name, (read_of("event_timestamp", kind.timestamp),)),
        "event_type": Origin(kind.name, (), ("the name of the entry",)),
    }
    return flows | {
        label_of(column): Origin(kind.name, (read_of(label_of(column), column),)) for column in kind.columns
    }


def read_of(label: str, column: ColumnElement[Any]) -> Read:
    value, found = unlabelled(column), columns_of(unlabelled(column))
    plain = isinstance(value, Column) and isinstance(value.table, Table)
    return Read(label, found.each_once(), "" if plain else compile_sql(value), str(source_type(value)), found.opaque)


def with_steps(origin: Origin, *steps: str) -> Origin:
    return replace(origin, steps=(*origin.steps, *steps), changed=origin.changed or bool(steps))


def typed(origin: Origin, step: str) -> Origin:
    """Add a step that leaves the value as it is."""
    return replace(origin, steps=(*origin.steps, step))


def coalesced(flows: Flows, pipeline: Pipeline) -> Flows:
    """Put the first source that is not NULL into its target, as the pipeline's coalesce says."""
    for target, sources in pipeline.coalesce.items():
        present = [name for name in sources if name in flows]
        if present:
            whole = joined(flows, present)
            if len(present) > 1:
                whole = with_steps(whole, f"the first that is not NULL of {', '.join(present)}")
            kept = {name: origin for name, origin in flows.items() if name not in {*sources, target}}
            flows = {**kept, target: whole}
    return flows


def joined(flows: Flows, names: Iterable[str]) -> Origin:
    """Put together what several columns come from."""
    origins = [flows[name] for name in names]
    reads = dict.fromkeys(read for origin in origins for read in origin.reads)
    steps = dict.fromkeys(step for origin in origins for step in origin.steps)
    changed = any(origin.changed for origin in origins)
    return Origin(next(iter(flows.values())).event_type, tuple(reads), tuple(steps), changed)


def converted(reads: Sequence[Read], fact_type: str) -> str:
    families = dict.fromkeys(read.type for read in reads)
    return f"{' or '.join(families)} → {fact_type}"


def mark_unknown(flows: Flows, pipeline: Pipeline) -> None:
    """Say which values mean unknown; the other columns of their group decide about it."""
    before = dict(flows)
    for group, values in pipeline.unknown_values.items():
        if not all(name in flows for name in group):
            continue
        written = " and ".join(f"{name} is {as_written(value)}" for name, value in zip(group, values, strict=True))
        for name in group:
            others = [read for other in group if other != name for read in before[other].reads]
            deciding = tuple(as_deciding(read) for read in others)
            flows[name] = with_steps(
                replace(flows[name], reads=(*flows[name].reads, *deciding)), f"NULL where {written}"
            )


def as_deciding(read: Read) -> Read:
    return replace(read, columns=tuple(replace(column, decides=True) for column in read.columns))


def derive(flows: Flows, kind: EventType, pipeline: Pipeline) -> None:
    """Add what is computed from other columns: ids, dates, lengths, scores."""
    score = trace_score(flows, kind, pipeline)
    timestamp, zone = flows["event_timestamp"], pipeline.zone.key
    hours = f"{NIGHT_STARTS:%H:%M}"
    flows["base_risk_score"] = with_steps(score, "the sum of these weights" if score.steps else "0: no weight applies")
    flows["risk_reasons"] = with_steps(score, "the weights that were added" if score.steps else "[]: no weight applies")
    flows["event_date"] = with_steps(timestamp, f"its date on the clocks of {zone}")
    flows["shift_date"] = with_steps(timestamp, f"its date on the clocks of {zone}, the day beginning at {hours}")
    parts = len(flows["source_key"].reads)
    key = "the parts of the key joined by colons" if parts > 1 else "the key"
    steps = [f"the entry's name and {key}, with a colon between"]
    if kind.name in pipeline.personal_keys:
        steps.append("personal data in a key is kept as it is")
    flows["event_id"] = with_steps(flows["source_key"], *steps)
    for target, source in pipeline.text_lengths.items():
        if source in flows:
            flows[target] = with_steps(flows[source], f"characters in {source}")


def trace_score(flows: Flows, kind: EventType, pipeline: Pipeline) -> Origin:
    """List the weights that can apply to an event type, and what they are of."""
    weighed, steps = ["event_type"], []
    for place in weighted_columns(pipeline.risk_weights):
        if place.column not in flows or place.event_type not in ("", kind.name):
            continue
        weights = {
            value: weight
            for value, weight in place.values.items()
            if weight and (place.column != "event_type" or str(value) == kind.name)
        }
        steps += [f"{place.label}={value} +{as_written(weight)}" for value, weight in weights.items()]
        weighed += [place.column] if weights else []
    return replace(joined(flows, dict.fromkeys(weighed)), steps=tuple(steps), changed=True)


def protection(name: str, pipeline: Pipeline) -> list[str]:
    """Say what is done with a column that is classed as personal data."""
    if name not in pipeline.personal_columns:
        return []
    targets = [target for target, sources in pipeline.coalesce.items() if name in sources]
    why = next((pipeline.personal[each] for each in (name, *targets) if each in pipeline.personal), "")
    done = {
        "keep": "kept as it is",
        "hash": "replaced by its hash, HMAC-SHA-256 under SENTINEL_PII_KEY",
        "drop": "dropped: NULL",
    }
    return [f"personal data ({why}): {done[pipeline.pii]}"]


def put_details(flows: Flows, pipeline: Pipeline) -> None:
    """Gather what the fact table has no column for in details_json."""
    extras = [name for name in flows if name not in {*pipeline.schema.names, *OF_THE_ENGINE}]
    if not extras or "details_json" not in pipeline.schema.names:
        return
    own = ["details_json"] if "details_json" in flows else []
    names = [*([f"{pipeline.own_details} (details_json)"] if own else []), *extras]
    whole = joined(flows, [*own, *extras])
    steps = [*(flows["details_json"].steps if own else ())]
    steps += [f"{name}: {step}" for name in extras for step in flows[name].steps]
    flows["details_json"] = with_steps(replace(whole, steps=tuple(steps)), f"a JSON object of {', '.join(names)}")


def rules_of(name: str, filled: bool, pipeline: Pipeline) -> Iterable[str]:
    """Say what holds of a column whatever the event type."""
    field = pipeline.schema.field(name)
    empty = "[]" if pa.types.is_list(field.type) else "{}" if pa.types.is_map(field.type) else ""
    if name in RUN_COLUMNS:
        yield OF_THE_RUN[name]
    elif not filled:
        yield f"no event type fills it: {empty or 'NULL'}"
    elif empty and name != "risk_reasons":
        yield f"{empty} where there is none"
    if name in pipeline.bounds:
        low, high = pipeline.bounds[name]
        yield f"a row outside of {as_written(low)} to {as_written(high)} is rejected"
