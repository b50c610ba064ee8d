"""Stacks the frames of several event types into one."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa

from sentinel_etl.arrow import as_arrow, as_frame, put_column
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.transform.common_types import with_common_type

__all__ = ["concatenate"]


def with_text_key(table: pa.Table) -> pa.Table:
    """Write the source's keys as text: one type's may be numbers and another's not."""
    if "source_key" not in table.column_names:
        return table
    place = table.column_names.index("source_key")
    return table.set_column(place, "source_key", table["source_key"].cast(pa.string()))


def concatenate(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Stack ``{event type: frame}`` into one Arrow-backed frame.

    Out: ``event_type`` (string), then the union of the frames' columns; a column that a frame does
    not have is NULL in its rows. Types are widened where frames differ, never narrowed; numbers that have no
    common type become text. ``source_key`` is text.

    Raises:
        SchemaMismatch: a column whose types in two frames have no common type.
    """
    tables = []
    for event_type, frame in frames.items():
        table = with_text_key(as_arrow(frame))
        names = pa.repeat(pa.scalar(event_type, pa.string()), len(frame))
        tables.append(table.add_column(0, "event_type", names))
    try:
        return as_frame(pa.concat_tables(alike(tables), promote_options="permissive"))
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        raise SchemaMismatch(
            f"concatenate: expected each column to have compatible types in {', '.join(frames)}; "
            f"found: {error}; cast one of them in EVENT_CONFIG"
        ) from error


def alike(tables: list[pa.Table]) -> list[pa.Table]:
    """Give each column that stands in several tables with several types one type in all."""
    types = [dict(zip(table.schema.names, table.schema.types, strict=True)) for table in tables]
    for name in dict.fromkeys(name for held in types for name in held):
        holders = [place for place, held in enumerate(types) if name in held]
        if len({types[place][name] for place in holders}) > 1:
            columns = with_common_type([tables[place][name] for place in holders])
            for place, column in zip(holders, columns, strict=True):
                tables[place] = put_column(tables[place], name, column)
    return tables
