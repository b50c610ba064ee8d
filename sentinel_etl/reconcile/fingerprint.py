"""Writes, in each engine's SQL, one number for a set of events: equal on both sides where the events are.

Each engine writes an event as the same text and takes the first 8 bytes of its MD5, which both have, as
a signed integer; the sum over the events is the fingerprint. A sum has no order, and two equal rows do
not cancel out. MD5 is no secret here: it only has to spread.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
    func,
    literal,
    literal_column,
    null,
    select,
    true,
)

from sentinel_etl.config.event_type import EventType, label_of
from sentinel_etl.config.fact_table import rejected_name
from sentinel_etl.extract.lost_rows import loosen_joins
from sentinel_etl.extract.statements import AS_TEXT, happened_in, night_of, source_key
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.source.snapshot import compile_sql
from sentinel_etl.warehouse.ddl import quote_identifier
from sentinel_etl.warehouse.rows import rows_of_window
from sentinel_etl.window import Window

__all__ = ["Covered", "covered_columns", "rejected_statement", "source_statement", "warehouse_statement"]


ABSENT = "~"  # no text is written so: each begins with its length


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
    read = {label_of(column): getattr(column, "element", column) for column in kind.columns}
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
        column = read[field.name]
        name = kind_of(column.type, field.type)
        if name:
            covered.append(Covered(field.name, name, unknown_as_null(field.name, column, read, pipeline)))
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
    name: str, column: ColumnElement[Any], read: Mapping[str, ColumnElement[Any]], pipeline: Pipeline
) -> ColumnElement[Any]:
    """Write in SQL what the transformation makes of a phone's "unknown"."""
    for group, values in pipeline.unknown_values.items():
        if name in group and all(each in read for each in group):
            same = [read[each] == literal(value) for each, value in zip(group, values, strict=True)]
            column = case((and_(true(), *same), null()), else_=column)
    return column


SOURCE_TEXTS = {
    "double": "encode(float8send(nullif({0}, 'NaN')), 'hex')",
    "instant": "(extract(epoch from {0}) * 1000000)::bigint::text",
    "boolean": "{0}::int::text",
    "integers": "'[' || coalesce(array_to_string({0}, ','), '') || ']'",
    "integer": "{0}::text",
    "text": "{0}::text",
}
WAREHOUSE_TEXTS = {
    "double": "lower(leftPad(hex(reinterpretAsUInt64({0})), 16, '0'))",
    "instant": "toString(toUnixTimestamp64Micro({0}))",
    "boolean": "toString(toUInt8({0}))",
    "integers": "concat('[', arrayStringConcat(arrayMap(each -> toString(each), {0}), ','), ']')",
    "integer": "toString({0})",
    "text": "toString({0})",
}

# 8 bytes of an MD5 as a signed integer, the first byte the highest.
SOURCE_HASH = "('x' || substr(md5({0}), 1, 16))::bit(64)::bigint"
WAREHOUSE_HASH = "reinterpretAsInt64(reverse(substring(MD5({0}), 1, 8)))"


def source_statement(
    kind: EventType, window: Window, zone: ZoneInfo, content: list[Covered] | None, rejected: Collection[str] = ()
) -> Select[Any]:
    """Build the statement that fingerprints the source's events of each night of the window.

    Columns out: ``event_type``, ``shift_date``, ``rows``, ``keys`` and ``content`` (sums, as text). It
    counts what `count_events` counts; ``content`` leaves out the ids that are ``rejected``.
    """
    counted = loosen_joins(kind)
    event_id = f"('{kind.name}:' || coalesce({compile_sql(source_key(kind))}::text, ''))"
    night = cast(night_of(kind, zone), Text)
    columns: list[ColumnElement[Any]] = [
        literal(kind.name, Text).label("event_type"),
        night.label("shift_date"),
        func.count().label("rows"),
    ]
    if content is not None:
        fields = [SOURCE_TEXTS[each.kind].format(f"({compile_sql(each.source)})") for each in content]
        written = [f"coalesce(octet_length({field}) || ':' || {field}, '{ABSENT}')" for field in fields]
        hashed = SOURCE_HASH.format(" || ".join([event_id, *written]))
        listed = ", ".join("'" + one.replace("'", "''") + "'" for one in rejected)
        accepted = f" FILTER (WHERE {event_id} NOT IN ({listed}))" if rejected else ""
        columns += [
            literal_column(f"sum({SOURCE_HASH.format(event_id)})::text").label("keys"),
            literal_column(f"(sum({hashed}){accepted})::text").label("content"),
        ]
    events = select(*columns).select_from(counted.source).where(happened_in(kind, window), counted.counted)
    return events.group_by(night)


def warehouse_statement(table: Table, kind: EventType, window: Window, content: list[Covered]) -> Select[Any]:
    """Build the statement that fingerprints a type's fact rows of each night, but for rejected ids; as above."""
    fields = [WAREHOUSE_TEXTS[each.kind].format(quote_identifier(each.name)) for each in content]
    written = [f"ifNull(concat(toString(length({field})), ':', {field}), '{ABSENT}')" for field in fields]
    hashed = WAREHOUSE_HASH.format(f"concat({', '.join(['event_id', *written, chr(39) * 2])})")
    accepted = f"event_id NOT IN (SELECT event_id FROM {quote_identifier(rejected_name(table))})"
    return (
        select(
            literal_column("toString(event_type)").label("kind"),
            literal_column("toString(shift_date)").label("night"),
            func.count().label("rows"),
            literal_column(f"toString(sum(toInt128({WAREHOUSE_HASH.format('event_id')})))").label("keys"),
            literal_column(f"toString(sumIf(toInt128({hashed}), {accepted}))").label("content"),
        )
        .select_from(table)
        .where(rows_of_window(table, window, [kind.name]))
        .group_by(literal_column("kind"), literal_column("night"))
    )


def rejected_statement(rejected: Table, window: Window, event_types: Collection[str]) -> Select[Any]:
    """Build the statement that fingerprints the keys of the rejected rows of each night."""
    return (
        select(
            literal_column("toString(event_type)").label("kind"),
            literal_column("toString(shift_date)").label("night"),
            func.count().label("rows"),
            literal_column(f"toString(sum(toInt128({WAREHOUSE_HASH.format('event_id')})))").label("keys"),
            literal_column("'0'").label("content"),
        )
        .select_from(rejected)
        .where(rows_of_window(rejected, window, list(event_types)))
        .group_by(literal_column("kind"), literal_column("night"))
    )
