"""Compares what no SQL of the source can write, such as a keyed hash: rows are read and transformed again."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from sentinel_etl.arrow import as_arrow, as_frame
from sentinel_etl.config.event_type import EventType
from sentinel_etl.extract.read import extract_batches
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.reconcile.covered import Covered, uncovered_columns
from sentinel_etl.source.snapshot import Snapshot
from sentinel_etl.transform.concatenate import concatenate
from sentinel_etl.transform.misfits import sort_rows
from sentinel_etl.window import Window

__all__ = ["replayed_columns", "sum_replayed"]

# Kinds of fact types whose values the frame and ClickHouse's toString have as the same text.
ALIKE = frozenset({"string", "fixed string", "enum", "uuid", "ipv4", "integer", "big integer"})


def replayed_columns(kind: EventType, pipeline: Pipeline) -> list[Covered]:
    """List the fact columns that only the transformation itself can write, in the fact table's order."""
    left_out = uncovered_columns(kind, pipeline)
    return [
        Covered(name, (), ())
        for name, fact in pipeline.fact_types.items()
        if name in left_out and fact.kind in ALIKE and left_out[name] != "dropped"
    ]


def sum_replayed(
    kind: EventType,
    pipeline: Pipeline,
    window: Window,
    columns: Sequence[Covered],
    rejected: Collection[str],
    snapshot: Snapshot,
) -> int:
    """Sum the fingerprints of the window's events over these columns, as `fingerprint.warehouse_statement` does.

    Left out are the ids that are ``rejected``. It reads and transforms every row of the type.
    """
    total = 0
    refused = pa.array(list(rejected), pa.string())
    for batch in extract_batches(kind, window, snapshot):
        if not batch.num_rows:
            continue
        frame = concatenate({kind.name: as_frame(pa.Table.from_batches([batch]))})
        facts = as_arrow(sort_rows(frame, pipeline)[0])
        facts = facts.filter(pc.invert(pc.is_in(facts["event_id"], refused)))
        fields = [field_text(facts[each.name].cast(pa.string())) for each in columns]
        for text in pc.binary_join_element_wise(facts["event_id"], *fields, "").to_pylist():
            digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
            total += int.from_bytes(digest[:8], "big", signed=True)
    return total


def field_text(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write each text behind its length in bytes, or ~ for NULL."""
    written = pc.binary_join_element_wise(pc.binary_length(texts).cast(pa.string()), texts, ":")
    return pc.fill_null(written, "~")
