"""What the warehouse stores of personal data: as it is, as a keyed hash, or nothing. Pure.

The hash is HMAC-SHA-256 (RFC 2104) under ``SENTINEL_PII_KEY``, 128 bits of it in hexadecimal digits. The
same value has the same hash in every column and run, so that an analyst can join and count without
knowing whom; without the key nobody can try names or plates against it. NULL stays NULL.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sentinel_etl.pipeline import Pipeline
from sentinel_etl.transform.steps import Steps

__all__ = ["hash_value", "protect_columns", "protect_row"]


HASH_DIGITS = 32


def protect_columns(events: pa.Table, pipeline: Pipeline, steps: Steps) -> pa.Table:
    """Replace the values of the personal columns as the pipeline's policy says.

    In and out: any columns; personal ones come out as text, NULL where the policy is ``drop``.
    """
    if pipeline.pii == "keep":
        return events
    for place, name in enumerate(events.column_names):
        if name in pipeline.personal_columns:
            if pipeline.pii == "drop":
                protected: Any = pa.nulls(events.num_rows, pa.string())
            else:
                protected = steps.apply(name, "text", partial(hash_column, key=pipeline.pii_secret), events[name])
                # So that what is said to be JSON stays JSON.
                protected = (
                    pc.binary_join_element_wise('"', protected, '"', "") if name == "details_json" else protected
                )
            events = events.set_column(place, name, protected)
    return events


def hash_column(column: pa.ChunkedArray, key: bytes) -> pa.ChunkedArray:
    """Hash each value; each distinct one once."""
    try:
        encoded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    except pa.ArrowNotImplementedError:  # a list, say
        texts = [None if value is None else canonical_text(value) for value in column.to_pylist()]
        encoded = pa.array(texts, pa.string()).dictionary_encode()
    chunks = encoded.chunks if isinstance(encoded, pa.ChunkedArray) else [encoded]
    return pa.chunked_array(
        [
            pa.array([hash_value(value, key) for value in chunk.dictionary.to_pylist()], pa.string()).take(
                chunk.indices
            )
            for chunk in chunks
        ],
        pa.string(),
    )


def hash_value(value: Any, key: bytes) -> str:
    return hmac.digest(key, canonical_text(value).encode("utf-8", "surrogatepass"), "sha256").hex()[:HASH_DIGITS]


def canonical_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def protect_row(row: Mapping[str, Any], pipeline: Pipeline) -> dict[str, Any]:
    """Do to one source row, by label, what `protect_columns` does to all."""
    if pipeline.pii == "keep":
        return dict(row)
    kept = {name: value for name, value in row.items() if name not in pipeline.personal_columns}
    if pipeline.pii == "drop":
        return kept
    return {
        name: value if name in kept or value is None else hash_value(value, pipeline.pii_secret)
        for name, value in row.items()
    }
