"""Writes, in each engine's SQL, one number for a set of events: equal on both sides where the events are.

Each engine writes an event as the same text and takes the first 8 bytes of its MD5, which both have, as
a signed integer; the sum over the events is the fingerprint. A sum has no order, and two equal rows do
not cancel out. MD5 is no secret here: it only has to spread. The statements are templates under ``sql``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
from clickhouse_sqlalchemy import Table
from sqlalchemy import (
    ARRAY,
    Boolean,
    ColumnElement,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    Select,
    String,
    Text,
    and_,
    case,
    cast,
    column,
    func,
    literal,
    null,
    select,
    true,
)

from sentinel_etl.config.event_type import EventType, label_of
from sentinel_etl.config.fact_table import rejected_name
from sentinel_etl.extract.lost_rows import loosen_joins
from sentinel_etl.extract.statements import AS_TEXT, happened_in, night_of, source_key
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.source.sql import compile_sql
from sentinel_etl.warehouse.ddl import DIALECT as CLICKHOUSE
from sentinel_etl.warehouse.ddl import quote_identifier
from sentinel_etl.warehouse.render import render_sql
from sentinel_etl.warehouse.rows import rows_of_window
from sentinel_etl.window import Window

__all__ = ["Covered", "covered_columns", "rejected_statement", "source_statement", "warehouse_statement"]


@dataclass(frozen=True)
class Covered:
    """A fact column that both engines can write alike: its kind, and where the source has it."""

    name: str
    kind: str
    source: ColumnElement[Any]


def covered_columns(kind: EventType, pipeline: Pipeline, stored_otherwise: Collection[str] = ()) -> list[Covered]:
    """List the fact columns that come straight from the source's, in the fact table's order.

    Left out are those that the transformation computes (dates, lengths, scores, ``details_json``), that
    change type on the way, or that are ``stored_otherwise``, such as hashed.
    """
    read = {label_of(each): getattr(each, "element", each) for each in kind.columns}
    read |= {"event_timestamp": kind.timestamp}
    for target, sources in pipeline.coalesce.items():
        present = [read[name] for name in sources if name in read]
        if present:
            read[target] = func.coalesce(*present) if len(present) > 1 else present[0]
    left_out = {"details_json", *pipeline.text_lengths, *stored_otherwise}
    covered = []
    for field in pipeline.schema:
        if field.name not in read or field.name in left_out:
            continue
        value = read[field.name]
        name = kind_of(value.type, field.type)
        if name:
            covered.append(Covered(field.name, name, unknown_as_null(field.name, value, read, pipeline)))
    return covered


def kind_of(source: Any, fact: pa.DataType) -> str | None:
    """Name the kind of a value that both sides hold alike."""
    if isinstance(source, ARRAY):
        return "integers" if isinstance(source.item_type, Integer) and fact == pa.list_(pa.int64()) else None
    pairs: list[tuple[Any, bool, str]] = [
        (Boolean, pa.types.is_boolean(fact), "boolean"),
        (Integer, pa.types.is_integer(fact), "integer"),
        (Float, fact == pa.float64(), "double"),
        (DateTime, bool(getattr(source, "timezone", False)) and pa.types.is_timestamp(fact), "instant"),
        (String, pa.types.is_string(fact), "text"),
    ]
    if isinstance(source, (*AS_TEXT, LargeBinary)):
        return None
    return next((name for family, fits, name in pairs if isinstance(source, family) and fits), None)


def unknown_as_null(
    name: str, value: ColumnElement[Any], read: Mapping[str, ColumnElement[Any]], pipeline: Pipeline
) -> ColumnElement[Any]:
    """Write in SQL what the transformation makes of a phone's "unknown"."""
    for group, values in pipeline.unknown_values.items():
        if name in group and all(each in read for each in group):
            same = [read[each] == literal(unknown) for each, unknown in zip(group, values, strict=True)]
            value = case((and_(true(), *same), null()), else_=value)
    return value


# How each kind of value is written, alike in both engines: a double as the 16 hexadecimal digits of its bits, an
# instant as microseconds since 1970. The fact table has no NaN: it is NULL there.
SOURCE_TEXTS = {
    "double": "encode(float8send(nullif({value}, 'NaN')), 'hex')",
    "instant": "(extract(epoch from {value}) * 1000000)::bigint::text",
    "boolean": "{value}::int::text",
    "integers": "'[' || coalesce(array_to_string({value}, ','), '') || ']'",
    "integer": "{value}::text",
    "text": "{value}::text",
}
WAREHOUSE_TEXTS = {
    "double": "lower(leftPad(hex(reinterpretAsUInt64({value})), 16, '0'))",
    "instant": "toString(toUnixTimestamp64Micro({value}))",
    "boolean": "toString(toUInt8({value}))",
    "integers": "concat('[', arrayStringConcat(arrayMap(each -> toString(each), {value}), ','), ']')",
    "integer": "toString({value})",
    "text": "toString({value})",
}


def source_statement(
    kind: EventType, window: Window, zone: ZoneInfo, content: Sequence[Covered], rejected: Collection[str] = ()
) -> str:
    """Write the statement that fingerprints the source's events of each night of the window.

    Columns out: ``event_type``, ``shift_date``, ``rows``, ``keys`` and ``content`` (sums, as text). It
    counts what `count_events` counts; ``content`` leaves out the ids that are ``rejected``.
    """
    named = {f"fact_{each.name}": each for each in content}
    columns = [each.source.label(name) for name, each in named.items()]
    return render_sql(
        "sentinel_etl.reconcile",
        "source_fingerprint",
        events=compile_sql(select_identified(kind, window, zone, rejected).add_columns(*columns)),
        fields=[SOURCE_TEXTS[each.kind].format(value=compile_sql(column(name))) for name, each in named.items()],
    )


def select_identified(kind: EventType, window: Window, zone: ZoneInfo, rejected: Collection[str]) -> Select[Any]:
    """Build the statement that selects what `count_events` counts: ``event_type, shift_date, event_id, accepted``."""
    rows = loosen_joins(kind)
    event_id = literal(f"{kind.name}:", Text) + func.coalesce(cast(source_key(kind), Text), "")
    return (
        select(
            literal(kind.name, Text).label("event_type"),
            night_of(kind, zone).label("shift_date"),
            event_id.label("event_id"),
            (event_id.not_in(list(rejected)) if rejected else true()).label("accepted"),
        )
        .select_from(rows.source)
        .where(happened_in(kind, window), rows.counted)
    )


def warehouse_statement(table: Table, kind: EventType, window: Window, content: Sequence[Covered]) -> str:
    """Write the statement that fingerprints a type's fact rows of each night, but for rejected ids; as above."""
    return render_sql(
        "sentinel_etl.reconcile",
        "warehouse_fingerprint",
        table=quote_identifier(table.name),
        rejected_table=quote_identifier(rejected_name(table)),
        is_owned=write_condition(rows_of_window(table, window, [kind.name])),
        fields=[WAREHOUSE_TEXTS[each.kind].format(value=quote_identifier(each.name)) for each in content],
    )


def rejected_statement(rejected: Table, window: Window, event_types: Collection[str]) -> str:
    """Write the statement that fingerprints the keys of the rejected rows of each night."""
    return render_sql(
        "sentinel_etl.reconcile",
        "rejected_fingerprint",
        table=quote_identifier(rejected.name),
        is_owned=write_condition(rows_of_window(rejected, window, list(event_types))),
    )


def write_condition(condition: ColumnElement[bool]) -> str:
    """Write a condition in ClickHouse's SQL, its values quoted by the dialect."""
    return str(condition.compile(dialect=CLICKHOUSE, compile_kwargs={"literal_binds": True}))
