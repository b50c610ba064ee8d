"""Turns raw events into fact rows: coalesce, null hygiene, derived columns, risk. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sentinel_etl.arrow import (
    VALUE_ERRORS,
    as_frame,
    empty_for_null,
    list_elements,
    local_date,
    put_column,
    rebuild_lists,
)
from sentinel_etl.config.fact_table import RUN_COLUMNS
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.pipeline import SENTINEL, Pipeline
from sentinel_etl.transform.common_types import with_common_type
from sentinel_etl.transform.details import put_details
from sentinel_etl.transform.personal import protect_columns
from sentinel_etl.transform.risk import score_events
from sentinel_etl.transform.steps import Steps
from sentinel_etl.type_mapping.convert import convert
from sentinel_etl.type_mapping.unfit import table_of
from sentinel_etl.window import NIGHT_STARTS

__all__ = ["coalesce_columns", "text_length", "transform_data", "transform_events"]


# What extraction adds to every row, and transformation consumes.
EXTRACTED = ("source_key", "event_timestamp", "event_type")


def coalesce_columns(frame: pd.DataFrame, target: str, sources: Sequence[str]) -> pd.DataFrame:
    """Put the first non-NULL of ``sources``, in order, into ``target`` and drop the sources.

    In: any frame; a source that it does not have counts as NULL. Out: a new frame, Arrow-backed,
    with ``target`` in the place of the first source; an integer column with gaps stays integer.
    The input is not changed.

    Raises:
        SchemaMismatch: the frame has none of the sources, or their types have no common type.
    """
    return as_frame(coalesce_table(nulls_for_nan(table_of(frame, "transform")), target, sources))


def coalesce_table(table: pa.Table, target: str, sources: Sequence[str]) -> pa.Table:
    present = [name for name in sources if name in table.column_names]
    if not present:
        raise SchemaMismatch(
            f"coalesce {target}: expected at least one of {', '.join(sources)}, found {', '.join(table.column_names)}"
        )
    try:
        values = pc.coalesce(*with_common_type([table[name] for name in present]))
    except VALUE_ERRORS as error:
        types = ", ".join(f"{name} {table[name].type}" for name in present)
        raise SchemaMismatch(
            f"coalesce {target}: expected compatible types, found {types}; cast one of them in EVENT_CONFIG"
        ) from error
    place = table.column_names.index(present[0])
    kept = [name for name in table.column_names if name not in {*sources, target}]
    before = sum(name in kept for name in table.column_names[:place])
    return table.select(kept).add_column(before, target, values)


def transform_data(frame: pd.DataFrame, pipeline: Pipeline = SENTINEL) -> pd.DataFrame:
    """Turn raw events into rows of the pipeline's fact table.

    In: what `concatenate` returns: ``event_type``, ``source_key``, ``event_timestamp`` (timestamptz)
    and the source's columns. Out: every content column of the fact table, in its order, Arrow-backed
    with its exact types; NULL where nothing is known, ``[]`` for an absent array. Row-wise: any
    batching gives the same rows. The input is not changed.

    Raises:
        SchemaMismatch: a column that lacks, or whose values do not fit the fact table's type.
    """
    return as_frame(transform_events(table_of(frame, "transform"), pipeline))


def transform_events(events: pa.Table, pipeline: Pipeline, reasons: np.ndarray | None = None) -> pa.Table:
    """Do what `transform_data` does; with ``reasons``, which it writes to, rows that do not fit raise nothing.

    What is returned for a row that has a reason then is not to be used.

    Raises:
        SchemaMismatch: as `transform_data`; with ``reasons`` only where the columns themselves do not fit.
    """
    events = events.combine_chunks()
    for name in EXTRACTED:
        if name not in events.column_names:
            raise SchemaMismatch(f"transform: expected the columns {', '.join(EXTRACTED)}; {name} is missing")
    steps = Steps(events["event_type"], reasons)
    events = nulls_for_nan(events)
    for target, sources in pipeline.coalesce.items():
        if any(name in events.column_names for name in sources):
            events = coalesce_table(events, target, sources)
    events = convert_known_columns(events, pipeline, steps)
    for group, unknown in pipeline.unknown_values.items():
        events = nulls_for_unknown(events, group, unknown)
    # Lengths and scores are of the words themselves, so what protects them comes after.
    events = protect_columns(derive_columns(events, pipeline, steps), pipeline, steps)
    return fit_fact_table(events, pipeline, steps)


def nulls_for_nan(table: pa.Table) -> pa.Table:
    """Replace NaN by NULL in every floating-point column, and in every array of such numbers."""
    for place, name in enumerate(table.column_names):
        column = table[name]
        if pa.types.is_floating(column.type):
            table = table.set_column(place, name, known_numbers(column))
        elif pa.types.is_list(column.type) and pa.types.is_floating(column.type.value_type):
            table = table.set_column(place, name, rebuild_lists(column, known_numbers(list_elements(column))))
    return table


def known_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)


def convert_known_columns(events: pa.Table, pipeline: Pipeline, steps: Steps) -> pa.Table:
    """Convert the columns that the fact table has to its types, before anything is computed with them."""
    for place, name in enumerate(events.column_names):
        if name in pipeline.fact_types:
            events = events.set_column(place, name, convert_column(events[name], name, pipeline, steps))
    return events


def nulls_for_unknown(table: pa.Table, group: tuple[str, ...], unknown: tuple[float, ...]) -> pa.Table:
    """Replace by NULL a group of columns that all hold what the phone sends for "unknown"."""
    if not all(name in table.column_names for name in group):
        return table
    matches = []
    for name, value in zip(group, unknown, strict=True):
        try:
            same = pc.equal(table[name], pa.scalar(value).cast(table[name].type))
        except pa.ArrowInvalid:  # what the column cannot hold it does not hold
            return table
        matches.append(pc.fill_null(same, False))
    meaningless = matches[0]
    for match in matches[1:]:
        meaningless = pc.and_(meaningless, match)
    for name in group:
        known = pc.if_else(meaningless, pa.scalar(None, table[name].type), table[name])
        table = table.set_column(table.column_names.index(name), name, known)
    return table


def derive_columns(events: pa.Table, pipeline: Pipeline, steps: Steps) -> pa.Table:
    """Add the columns that are computed from others: ids, dates, lengths, risk."""
    score, reasons = score_events(events, pipeline.risk_weights)
    timestamps = events["event_timestamp"]
    derived: dict[str, Callable[[], pa.Array | pa.ChunkedArray]] = {
        "event_id": lambda: steps.apply("source_key", "text", join_id, events.select(["source_key", "event_type"])),
        "event_date": lambda: steps.apply("event_timestamp", "a date", partial(night_of, pipeline, 0), timestamps),
        "shift_date": lambda: steps.apply(
            "event_timestamp", "a night", partial(night_of, pipeline, NIGHT_STARTS.hour), timestamps
        ),
        "base_risk_score": lambda: score,
        "risk_reasons": lambda: reasons,
    }
    for target, source in pipeline.text_lengths.items():
        if source in events.column_names:
            derived[target] = partial(steps.apply, source, "text", text_length, events[source])
    for name, compute in derived.items():
        if name in pipeline.schema.names:
            events = put_column(events, name, compute())
    return events


def join_id(events: pa.Table) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(
        events["event_type"].cast(pa.string()), events["source_key"].cast(pa.string()), ":"
    )


def night_of(pipeline: Pipeline, hours: int, timestamps: pa.ChunkedArray) -> pa.ChunkedArray:
    return local_date(timestamps, pipeline.zone, timedelta(hours=hours))


def text_length(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.utf8_length(texts.cast(pa.string()))


def fit_fact_table(events: pa.Table, pipeline: Pipeline, steps: Steps) -> pa.Table:
    """Select, fill and cast to the fact table's content columns; the rest goes to details_json."""
    extras = [name for name in events.column_names if name not in {*pipeline.schema.names, *EXTRACTED}]
    if extras and "details_json" in pipeline.schema.names:
        events = put_details(events, extras, pipeline, steps)
    columns, fields = [], [field for field in pipeline.schema if field.name not in RUN_COLUMNS]
    for field in fields:
        if field.name not in events.column_names:
            column = pa.chunked_array([pa.nulls(events.num_rows, field.type)])
        else:
            column = convert_column(events[field.name], field.name, pipeline, steps)
        if pa.types.is_list(field.type):
            column = empty_for_null(column)
        elif pa.types.is_map(field.type) and column.null_count:
            column = pa.array([each or [] for each in column.to_pylist()], field.type)
        columns.append(column)
    # A NULL in a column that must have a value is `rejected`'s to name, row by row, not a crash here.
    return pa.table(columns, schema=pa.schema([field.with_nullable(True) for field in fields]))


def convert_column(column: pa.ChunkedArray, name: str, pipeline: Pipeline, steps: Steps) -> pa.ChunkedArray:
    fact = pipeline.fact_types[name]
    return steps.apply(name, fact.name, partial(convert, fact=fact, zone=pipeline.zone), column)
