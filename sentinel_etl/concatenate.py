"""Stacks the frames of several event types into one."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa

from sentinel_etl.errors import SchemaMismatch

__all__ = ["as_arrow", "as_frame", "concatenate"]


def as_arrow(frame: pd.DataFrame) -> pa.Table:
    """Hand a frame over to Arrow; without a copy where its columns are Arrow-backed."""
    # One thread: columns that are handed over whole take less time than a pool of threads to start.
    return pa.Table.from_pandas(frame, preserve_index=False, nthreads=1).replace_schema_metadata(None)


def as_frame(table: pa.Table) -> pd.DataFrame:
    """Hand an Arrow table over to pandas, Arrow-backed and so without a copy."""
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def with_text_key(table: pa.Table) -> pa.Table:
    """Write the source's keys as text: one type's may be numbers and another's not."""
    if "source_key" not in table.column_names:
        return table
    place = table.column_names.index("source_key")
    return table.set_column(place, "source_key", table["source_key"].cast(pa.string()))


def concatenate(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Stack ``{event type: frame}`` into one Arrow-backed frame.

    Out: ``event_type`` (string), then the union of the frames' columns; a column that a frame does
    not have is NULL in its rows. Types are widened where frames differ, never narrowed;
    ``source_key`` is text.

    Raises:
        SchemaMismatch: a column whose types in two frames have no common type.
    """
    tables = []
    for event_type, frame in frames.items():
        table = with_text_key(as_arrow(frame))
        names = pa.repeat(pa.scalar(event_type, pa.string()), len(frame))
        tables.append(table.add_column(0, "event_type", names))
    try:
        return as_frame(pa.concat_tables(tables, promote_options="permissive"))
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        raise SchemaMismatch(
            f"concatenate: expected each column to have compatible types in {', '.join(frames)}; "
            f"found: {error}; cast one of them in EVENT_CONFIG"
        ) from error
