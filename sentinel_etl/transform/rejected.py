"""Writes rows that are no events for the rejected table: each with its reason and its raw form. Pure.

They come from three places: the source tells them apart (`extract.refused`), they do not fit the fact table
(`misfits`), or another row has their key (`load.surplus`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sentinel_etl.arrow import local_date
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.transform.personal import protect_row
from sentinel_etl.warehouse.contract import TYPE_BOUNDS
from sentinel_etl.window import NIGHT_STARTS

__all__ = ["REJECTED", "write_misfits", "write_refused", "write_surplus"]

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


def write_refused(batch: pa.RecordBatch, pipeline: Pipeline) -> pa.Table:
    """Write the rows that the source told apart as rows of `REJECTED`.

    In: event_type, source_key, event_timestamp, reason, raw, as `extract.refused` reads them.
    """
    rows = pa.Table.from_batches([batch])
    raw = [write_raw(protect_row(read_raw(text), pipeline)) for text in rows["raw"].to_pylist()]
    kinds, keys, reasons = (rows[name].cast(pa.string()) for name in ("event_type", "source_key", "reason"))
    return rejected_table(kinds, keys, rows["event_timestamp"], reasons, raw, pipeline)


def write_surplus(surplus: pa.Table, pipeline: Pipeline) -> pa.Table:
    """Write staged rows whose event_id another row has as rows of `REJECTED`; in: the fact table's content columns."""
    kinds = surplus["event_type"].cast(pa.string())
    raw = [write_raw(row) for row in surplus.to_pylist()]  # protected when it was staged
    reasons = pa.array(["event_id: another row of the source has the same key"] * surplus.num_rows, pa.string())
    ids = surplus["event_id"].cast(pa.string())
    return rejected_table(kinds, ids, surplus["event_timestamp"], reasons, raw, pipeline).set_column(0, "event_id", ids)


def read_raw(text: str) -> dict[str, Any]:
    """Read the JSON objects that `extract.refused.raw_json` wrote, one a line."""
    row: dict[str, Any] = {}
    for line in text.split("\n"):
        row |= json.loads(line)
    return row


def write_misfits(events: pa.Table, reasons: np.ndarray, pipeline: Pipeline) -> pa.Table:
    """Write the raw events that did not fit, each with its reason, as rows of `REJECTED`."""
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
    times = null_beyond(times.cast(pa.timestamp("us", tz="UTC")), *TYPE_BOUNDS["DateTime64"])
    nights = local_date(times, pipeline.zone, timedelta(hours=NIGHT_STARTS.hour))
    columns = {
        # Without a key the type alone: an empty key has its colon.
        "event_id": pc.coalesce(pc.binary_join_element_wise(kinds, keys, ":"), kinds),
        "event_type": kinds,
        "event_timestamp": times,
        "shift_date": null_beyond(nights, *TYPE_BOUNDS["Date"]),
        "reason": reasons,
        "raw": pa.array(raw, pa.string()),
    }
    return pa.table(columns, schema=REJECTED)


def null_beyond(values: pa.ChunkedArray, low: date, high: date) -> pa.ChunkedArray:
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
