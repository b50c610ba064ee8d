"""Sorts rows: which are events, and which cannot be any, and why. Pure.

The check is over whole columns, and looks for single rows only where a column does not pass.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from sentinel_etl.arrow import as_arrow, as_frame
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.transform.facts import prepare_events, transform_data
from sentinel_etl.transform.rejected import REJECTED, write_misfits
from sentinel_etl.type_mapping.convert import find_misfits
from sentinel_etl.warehouse.contract import find_flaws

__all__ = ["sort_rows"]


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
        note_misfits(prepare_events(events, pipeline), pipeline, reasons)
        note_untransformable(events, pipeline, reasons)
        facts = transform_rest(events, pipeline, reasons)
    flaws = find_flaws(facts, pipeline.fact_table, pipeline.bounds)
    if pd.notna(flaws).any():
        reasons[pd.isna(reasons)] = flaws
        facts = facts.filter(pa.array(pd.isna(flaws)))
    refused = pd.notna(reasons)
    if not refused.any():
        return as_frame(facts), REJECTED.empty_table()
    return as_frame(facts), write_misfits(events.filter(pa.array(refused)), reasons[refused], pipeline)


def transform_rest(events: pa.Table, pipeline: Pipeline, reasons: np.ndarray) -> pa.Table:
    return as_arrow(transform_data(as_frame(events.filter(pa.array(pd.isna(reasons)))), pipeline))


def note_misfits(prepared: pa.Table, pipeline: Pipeline, reasons: np.ndarray) -> None:
    """Give a reason to each row with a value that its fact column's type cannot hold."""
    for name in prepared.column_names:
        if (fact := pipeline.fact_types.get(name)) is not None:
            column = prepared[name]
            for row in find_misfits(column, fact, pipeline.zone):
                reasons[row] = reasons[row] or f"{name}: a value that does not fit {fact.name}"


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
