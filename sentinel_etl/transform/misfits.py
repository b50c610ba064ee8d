"""Sorts rows: which are events, and which cannot be any, and why. Pure.

The check is over whole columns, and looks for single rows only where a column does not pass.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sentinel_etl.arrow import as_arrow, as_frame
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.transform.facts import local_date, prepare_events, transform_data
from sentinel_etl.transform.personal import protect_row
from sentinel_etl.warehouse.types import server_type
from sentinel_etl.window import NIGHT_STARTS

__all__ = ["REJECTED", "rejected_table", "sort_rows", "write_raw"]


# What ClickHouse's types of time can hold; a value beyond would be wrapped, or cut to another.
# https://clickhouse.com/docs/sql-reference/data-types/date and …/date32, …/datetime, …/datetime64
RANGES: Mapping[str, tuple[date, date]] = {
    "Date": (date(1970, 1, 1), date(2149, 6, 6)),
    "Date32": (date(1900, 1, 1), date(2299, 12, 31)),
    "DateTime": (datetime(1970, 1, 1, tzinfo=UTC), datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC)),
    "DateTime64": (datetime(1900, 1, 1, tzinfo=UTC), datetime(2299, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
}

REJECTED = pa.schema(
    [
        pa.field("event_id", pa.string()),
        pa.field("event_type", pa.string()),
        pa.field("event_timestamp", pa.timestamp("us", tz="UTC")),
        pa.field("shift_date", pa.date32()),
        pa.field("reason", pa.string()),
        pa.field("raw", pa.string()),
    ]
)


def sort_rows(frame: pd.DataFrame, pipeline: Pipeline) -> tuple[pd.DataFrame, pa.Table]:
    """Turn raw events into fact rows, and put apart those that cannot be any.

    In: what `concatenate` returns. Out: fact rows as of `transform_data`; and a table of `REJECTED`,
    one row for each event that did not fit. Row-wise, so any batching sorts alike.

    Raises:
        SchemaMismatch: the columns themselves, not single values, do not fit the fact table.
    """
    events = as_arrow(frame)
    reasons = np.full(events.num_rows, None, dtype=object)
    try:
        facts = as_arrow(transform_data(frame, pipeline))
    except (SchemaMismatch, pa.ArrowInvalid):
        transform_data(frame.iloc[:0], pipeline)  # where no row at all is too many, it is no row's fault
        note_misfits(prepare_events(events, pipeline), pipeline.schema, reasons)
        note_untransformable(events, pipeline, reasons)
        facts = transform_rest(events, pipeline, reasons)
    flaws = np.full(facts.num_rows, None, dtype=object)
    note_flaws(facts, pipeline, flaws)
    if pd.notna(flaws).any():
        reasons[pd.isna(reasons)] = flaws
        facts = facts.filter(pa.array(pd.isna(flaws)))
    refused = pd.notna(reasons)
    if not refused.any():
        return as_frame(facts), REJECTED.empty_table()
    return as_frame(facts), rejected_rows(events.filter(pa.array(refused)), reasons[refused], pipeline)


def transform_rest(events: pa.Table, pipeline: Pipeline, reasons: np.ndarray) -> pa.Table:
    return as_arrow(transform_data(as_frame(events.filter(pa.array(pd.isna(reasons)))), pipeline))


def note_misfits(prepared: pa.Table, schema: pa.Schema, reasons: np.ndarray) -> None:
    """Give a reason to each row with a value that its fact column's type cannot hold."""
    for name in prepared.column_names:
        if name in schema.names:
            column, wanted = prepared[name], schema.field(name).type
            for row in uncastable(column, wanted):
                reasons[row] = reasons[row] or f"{name}: {column.type} that does not fit {wanted}"


def uncastable(column: pa.ChunkedArray, wanted: pa.DataType, first: int = 0) -> list[int]:
    """Find the rows whose value cannot be cast, by halving: a stretch that can be cast is done with at once."""
    with suppress(pa.ArrowInvalid):
        column.cast(wanted)
        return []
    if len(column) == 1:
        return [first]
    half = len(column) // 2
    return uncastable(column.slice(0, half), wanted, first) + uncastable(column.slice(half), wanted, first + half)


def note_untransformable(events: pa.Table, pipeline: Pipeline, reasons: np.ndarray) -> None:
    """Give a reason to each row that fails for what no column by itself shows, by halving."""
    waiting = [np.flatnonzero(pd.isna(reasons))]
    while waiting:
        rows = waiting.pop()
        if not len(rows):
            continue
        try:
            transform_data(as_frame(events.take(pa.array(rows))), pipeline)
        except (SchemaMismatch, pa.ArrowInvalid) as error:
            if len(rows) == 1:
                # The error's own words may quote the value.
                reasons[rows[0]] = f"transform: {type(error.__cause__ or error).__name__}"
            else:
                waiting += [rows[: len(rows) // 2], rows[len(rows) // 2 :]]


def note_flaws(facts: pa.Table, pipeline: Pipeline, reasons: np.ndarray) -> None:
    """Give a reason to each fact row that the fact table cannot hold, or that is nowhere on Earth."""
    for column in pipeline.fact_table.columns:
        name = column.name
        if name not in facts.column_names:
            continue
        values, wanted = facts[name], pipeline.schema.field(name)
        if not wanted.nullable and values.null_count:
            note(reasons, pc.is_null(values), f"{name}: no value, and the fact table needs one")
        if pa.types.is_string(wanted.type):
            note_encoding(values, name, reasons)
        if pa.types.is_list(wanted.type):
            note_null_elements(values, name, reasons)
        plain = re.sub(r"Nullable\(|LowCardinality\(", "", server_type(column)).partition("(")[0].rstrip(")")
        for low, high in filter(None, (RANGES.get(plain), pipeline.bounds.get(name))):
            note_outside(values, name, low, high, reasons)


def note(reasons: np.ndarray, wrong: pa.ChunkedArray, reason: str) -> None:
    rows = pc.fill_null(wrong, False).to_numpy() & pd.isna(reasons)
    reasons[rows] = reason


def note_outside(values: pa.ChunkedArray, name: str, low: Any, high: Any, reasons: np.ndarray) -> None:
    found = pc.min_max(values)
    least, most = found["min"], found["max"]
    if not least.is_valid:
        return
    bounds = [pa.scalar(bound).cast(values.type) for bound in (low, high)]
    if pc.less(least, bounds[0]).as_py() or pc.greater(most, bounds[1]).as_py():
        outside = pc.or_(pc.less(values, bounds[0]), pc.greater(values, bounds[1]))
        shown = [f"{bound:%Y-%m-%d}" if isinstance(bound, date) else f"{bound:g}" for bound in (low, high)]
        note(reasons, outside, f"{name}: outside {shown[0]} to {shown[1]}")


def note_encoding(texts: pa.ChunkedArray, name: str, reasons: np.ndarray) -> None:
    """A source in SQL_ASCII checks no encoding, and hands over whatever bytes it was given."""
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        wrong = np.zeros(len(texts), dtype=bool)
        wrong[uncastable(texts.cast(pa.binary()), pa.string())] = True
        note(reasons, pa.chunked_array([pa.array(wrong)]), f"{name}: bytes that are no UTF-8")


def note_null_elements(lists: pa.ChunkedArray, name: str, reasons: np.ndarray) -> None:
    """ClickHouse has no Array(Nullable) here: an element that is unknown cannot be told from 0."""
    if pc.list_flatten(lists).null_count == 0:
        return
    whole = lists.combine_chunks()
    whole = whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)
    rows = pc.list_parent_indices(whole).filter(pc.is_null(pc.list_flatten(whole)))
    wrong = np.zeros(len(whole), dtype=bool)
    wrong[rows.to_numpy()] = True
    note(reasons, pa.chunked_array([pa.array(wrong)]), f"{name}: an array with a NULL in it")


def rejected_rows(events: pa.Table, reasons: np.ndarray, pipeline: Pipeline) -> pa.Table:
    """Write raw events as rows of the rejected table."""
    kinds, keys = events["event_type"].cast(pa.string()), events["source_key"].cast(pa.string())
    drop = {"event_type", "source_key"}
    raw = [
        write_raw(protect_row({name: value for name, value in row.items() if name not in drop}, pipeline))
        for row in readable_rows(events)
    ]
    return rejected_table(kinds, keys, events["event_timestamp"], pa.array(list(reasons), pa.string()), raw, pipeline)


def readable_rows(events: pa.Table) -> list[dict[str, Any]]:
    """Read rows as Python values; bytes in a text that are no UTF-8 by their numbers, such as ``\\xe9``."""
    try:
        return events.to_pylist()  # type: ignore[no-any-return]
    except UnicodeDecodeError:
        columns = {name: events[name] for name in events.column_names}
        texts = {name for name, column in columns.items() if pa.types.is_string(column.type)}
        plain = pa.table({name: c.cast(pa.binary()) if name in texts else c for name, c in columns.items()})
        return [
            {
                name: value.decode(errors="backslashreplace") if name in texts and value is not None else value
                for name, value in row.items()
            }
            for row in plain.to_pylist()
        ]


def rejected_table(
    kinds: pa.ChunkedArray,
    keys: pa.ChunkedArray,
    times: pa.ChunkedArray,
    reasons: Any,
    raw: list[str],
    pipeline: Pipeline,
) -> pa.Table:
    times = within(times.cast(pa.timestamp("us", tz="UTC")), *RANGES["DateTime64"])
    nights = local_date(times, pipeline.zone, timedelta(hours=NIGHT_STARTS.hour))
    columns = {
        "event_id": pc.binary_join_element_wise(kinds, pc.fill_null(keys, ""), ":"),
        "event_type": kinds,
        "event_timestamp": times,
        "shift_date": within(nights, *RANGES["Date"]),
        "reason": reasons,
        "raw": pa.array(raw, pa.string()),
    }
    return pa.table(columns, schema=REJECTED)


def within(values: pa.ChunkedArray, low: date, high: date) -> pa.ChunkedArray:
    """Give NULL for the values that the warehouse's type cannot hold."""
    bounds = [pa.scalar(bound).cast(values.type) for bound in (low, high)]
    outside = pc.or_(pc.less(values, bounds[0]), pc.greater(values, bounds[1]))
    return pc.if_else(outside, pa.scalar(None, values.type), values)


def write_raw(row: Mapping[str, Any]) -> str:
    """Write a row as one JSON object (RFC 8259) without its NULLs."""
    known = {name: plain_json(value) for name, value in row.items() if value is not None}
    text = json.dumps(known, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which UTF-8 has no bytes for
        return json.dumps(known, allow_nan=False)
    return text


def plain_json(value: Any) -> Any:
    """Give a value that JSON has: an infinity or a date as text, bytes as hexadecimal digits."""
    if isinstance(value, list):
        return [plain_json(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | bool | None) else str(value)
