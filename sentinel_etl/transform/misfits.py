"""Sorts rows: which are events, and which cannot be any, and why. Pure.

The check is over whole columns, and looks for single rows only where a column does not pass, in that column.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from sentinel_etl.arrow import as_arrow, as_frame
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.transform.facts import transform_events
from sentinel_etl.transform.rejected import REJECTED, write_misfits
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
    facts = transform_events(events, pipeline, reasons)
    if (known := pd.notna(reasons)).any():
        facts = facts.filter(pa.array(~known))
    flaws = find_flaws(facts, pipeline.fact_table, pipeline.bounds)
    if pd.notna(flaws).any():
        reasons[pd.isna(reasons)] = flaws
        facts = facts.filter(pa.array(pd.isna(flaws)))
    refused = pd.notna(reasons)
    if not refused.any():
        return as_frame(facts), REJECTED.empty_table()
    return as_frame(facts), write_misfits(events.filter(pa.array(refused)), reasons[refused], pipeline)
