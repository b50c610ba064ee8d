"""Reads one event type's rows of a window from the source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
from sqlalchemy import Engine

from sentinel_etl.arrow import as_frame
from sentinel_etl.config.event_config import COMMON_COLUMNS, DEFAULT_TIMESTAMP, EVENT_CONFIG
from sentinel_etl.config.event_type import EventType
from sentinel_etl.config.parse_config import parse_event_config
from sentinel_etl.errors import ConfigurationError, SchemaMismatch
from sentinel_etl.extract.statements import select_events
from sentinel_etl.source.snapshot import Snapshot, open_snapshot
from sentinel_etl.window import Window

__all__ = ["extract_batches", "extract_data", "plain"]


def extract_data(
    event_type: str,
    window: Window,
    source: Engine,
    config: Mapping[str, Mapping[str, Any]] = EVENT_CONFIG,
    common_columns: tuple[str, ...] = COMMON_COLUMNS,
    default_timestamp: str = DEFAULT_TIMESTAMP,
) -> pd.DataFrame:
    """Read all rows of one event type in the window, whole, in a snapshot of its own.

    Out: ``source_key``, ``event_timestamp`` (timestamptz, UTC), the common columns that the entry's
    tables have, then the entry's columns under their labels; Arrow-backed, NULL kept as NULL. What Arrow
    has no type for without loss comes as the text that PostgreSQL writes: numeric, uuid, inet and others. An
    empty window gives the same columns and no rows. For a night this is fine; `run_window` streams.

    Raises:
        ConfigurationError: an unknown event type, or an entry that is wrong.
        SchemaMismatch: the entry names what the source does not have.
        SourceUnreachable: no connection, or it broke.
    """
    event_types = parse_event_config(config, common_columns, default_timestamp)
    if event_type not in event_types:
        raise ConfigurationError(f"expected an event type among {', '.join(event_types)}; found {event_type!r}")
    with open_snapshot(source) as snapshot:
        batches = list(extract_batches(event_types[event_type], window, snapshot))
    return as_frame(pa.Table.from_batches(batches))


def extract_batches(event_type: EventType, window: Window, snapshot: Snapshot) -> Iterator[pa.RecordBatch]:
    """Stream one event type's rows of the window as Arrow batches; at least one, maybe empty."""
    for batch in snapshot.read(select_events(event_type, window), event_type.name):
        yield plain(batch, event_type.name)


def plain(batch: pa.RecordBatch, event_type: str) -> pa.RecordBatch:
    """Drop the driver's metadata and refuse types that pandas could only hold as opaque bytes."""
    opaque = [field.name for field in batch.schema if isinstance(field.type, pa.BaseExtensionType)]
    if opaque:
        raise SchemaMismatch(
            f"expected plain types; {', '.join(opaque)} came as {batch.schema.field(opaque[0]).type}; "
            "declare the column's real type in the model, or cast it in EVENT_CONFIG",
            stage="extract",
            event_type=event_type,
        )
    schema = pa.schema([pa.field(field.name, field.type) for field in batch.schema])
    return pa.RecordBatch.from_arrays(batch.columns, schema=schema)
