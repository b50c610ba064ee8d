"""The first stage of a run: streams the window from the source into a staging table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
from clickhouse_sqlalchemy import Table

from sentinel_etl.arrow import as_arrow
from sentinel_etl.audit.window_gates import most_rejected
from sentinel_etl.extract.stream import extract_window
from sentinel_etl.load.load import load_stream
from sentinel_etl.load.rejected import Rejected, RejectedRows
from sentinel_etl.load.surplus import take_surplus
from sentinel_etl.run.job import Job
from sentinel_etl.run.kept_extract import extract_folder, keep_batches
from sentinel_etl.threads import prefetch
from sentinel_etl.transform.concatenate import concatenate
from sentinel_etl.transform.misfits import sort_rows
from sentinel_etl.transform.rejected import write_refused, write_surplus
from sentinel_etl.warehouse.contract import count_outside
from sentinel_etl.warehouse.rows import now_for

__all__ = ["Extracted", "Staged", "fill_staging"]


@dataclass(frozen=True)
class Extracted:
    """What the source held in the snapshot: event type → rows."""

    counts: Mapping[str, int]


@dataclass(frozen=True)
class Staged:
    """The window in staging.

    ``table``     its fact rows, each event once
    ``rejected``  the rows that are no events
    ``nulls``     NULLs by column in the frames that were sent, less those of rows taken out again
    ``outside``   values outside the range that their column states, by column
    """

    extracted: Extracted
    table: Table
    rejected: Rejected
    nulls: Mapping[str, int]
    outside: Counter[str]


def fill_staging(job: Job, table: Table) -> Staged:
    """Stream the window into the staging table; reading, transforming, loading and the source's count overlap.

    An interruption leaves staging tables, which the next run sweeps.
    """
    context, clock = job.context, job.clock
    rejected = RejectedRows(job.rejected_table, job.run_id, context.warehouse)
    nulls: Counter[str] = Counter()
    outside: Counter[str] = Counter()

    def add_up(batch: Transformed) -> pd.DataFrame:
        nulls.update(batch.nulls)
        outside.update(batch.outside)
        rejected.add(batch.rejected)
        return batch.facts

    extraction = extract_window(
        job.event_types.values(),
        job.window,
        context.reader,
        context.settings,
        clock,
        lambda batch: rejected.add(write_refused(batch, context.pipeline)),
    )
    raw = extraction.batches
    if context.settings.keep_extract:
        raw = keep_batches(raw, extract_folder(context.settings.runs_dir, job.run_id), context.pipeline)
    batches = prefetch(transform(job, prefetch(raw, depth=1)), depth=1)
    with clock.measure("load"):
        # `map`, unlike a loop's variable, does not hold a batch while the next one is waited for.
        facts = map(add_up, clock.waited("load", batches))
        load_stream(facts, table, context.warehouse, loader=context.settings.loader)
    extracted = Extracted(extraction.counts.result())
    with clock.measure("audit"):
        most = most_rejected(extracted.counts, context.pipeline.gate_limits)
        for surplus in take_surplus(table, most, context.warehouse):
            nulls.subtract({name: surplus[name].null_count for name in surplus.column_names})
            rejected.add(write_surplus(surplus, context.pipeline))
        return Staged(extracted, table, rejected.finish(), dict(nulls), outside)


@dataclass(frozen=True)
class Transformed:
    """A batch of fact rows, and what is to be known of it later: see `Staged`."""

    facts: pd.DataFrame
    rejected: pa.Table
    nulls: Mapping[str, int]
    outside: Mapping[str, int]


def transform(job: Job, batches: Iterator[Mapping[str, pd.DataFrame]]) -> Iterator[Transformed]:
    """Turn batches of raw events into fact rows, stamped with the run."""
    pipeline = job.context.pipeline
    loaded_at = now_for(pipeline.fact_table)

    def transform_batch(frames: Mapping[str, pd.DataFrame]) -> Transformed:
        with job.clock.measure("transform"):
            facts, rejected = sort_rows(concatenate(frames), pipeline)
            columns = as_arrow(facts)
            nulls = {name: columns[name].null_count for name in columns.column_names}
            outside = count_outside(columns, pipeline.fact_table)
            return Transformed(facts.assign(run_id=job.run_id, loaded_at=loaded_at), rejected, nulls, outside)

    yield from map(transform_batch, batches)
