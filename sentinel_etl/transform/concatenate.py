"""Stacks the frames of several event types into one."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa

from sentinel_etl.arrow import VALUE_ERRORS, as_frame, put_column
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.transform.common_types import with_common_type
from sentinel_etl.type_mapping.unfit import table_of

__all__ = ["concatenate"]


def with_text_key(table: pa.Table, event_type: str) -> pa.Table:
    """Write the source's keys as text: one type's may be numbers and another's not."""
    if "source_key" not in table.column_names:
        return table
    keys = table["source_key"]
    try:
        return put_column(table, "source_key", keys.cast(pa.string()))
    except VALUE_ERRORS as error:
        raise SchemaMismatch(
            f"concatenate: {event_type}: source_key: expected values that can be written as text, found {keys.type}: "
            f"{error}; cast `key` in EVENT_CONFIG"
        ) from error


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
        table = with_text_key(table_of(frame, f"concatenate: {event_type}"), event_type)
        names = pa.repeat(pa.scalar(event_type, pa.string()), len(frame))
        tables.append(table.add_column(0, "event_type", names))
    return as_frame(pa.concat_tables(alike(tables, list(frames)), promote_options="permissive"))


def alike(tables: list[pa.Table], event_types: list[str]) -> list[pa.Table]:
    """Give each column that stands in several tables with several types one type in all."""
    types = [dict(zip(table.schema.names, table.schema.types, strict=True)) for table in tables]
    for name in dict.fromkeys(name for held in types for name in held):
        holders = [place for place, held in enumerate(types) if name in held]
        if len({types[place][name] for place in holders}) > 1:
            try:
                columns = with_common_type([tables[place][name] for place in holders])
                pa.unify_schemas([pa.schema({name: c.type}) for c in columns], promote_options="permissive")
            except VALUE_ERRORS as error:
                found = ", ".join(f"{types[place][name]} in {event_types[place]}" for place in holders)
                raise SchemaMismatch(
                    f"concatenate: {name}: expected compatible types in {', '.join(event_types[p] for p in holders)}; "
                    f"found: {found}; cast one of them in EVENT_CONFIG"
                ) from error
            for place, column in zip(holders, columns, strict=True):
                tables[place] = put_column(tables[place], name, column)
    return tables
