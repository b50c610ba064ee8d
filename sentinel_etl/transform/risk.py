"""Scores events: which weights apply, their sum, and the reasons. Pure."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sentinel_etl.arrow import VALUE_ERRORS
from sentinel_etl.config.risk_weights import RiskWeights, as_scored, weighted_columns
from sentinel_etl.errors import SchemaMismatch

__all__ = ["score_events"]


def score_events(events: pa.Table, weights: RiskWeights) -> tuple[pa.Array, pa.Array]:
    """Score each row by the weights of the values it has.

    In: a table with any of the columns that ``weights`` names; a column it lacks adds nothing, and without
    ``event_type`` no weights of one type do. Out: ``base_risk_score`` (float64, risk points) and ``risk_reasons``
    (list of strings such as ``emergency_category=FIRE +25``, or ``RENTAL.rating=R +2`` for a weight of one type
    alone, in the order of ``weights``, empty for a score of 0).

    Raises:
        SchemaMismatch: a column that cannot be compared with weighted values.
    """
    scores = np.zeros(events.num_rows)
    reasons: list[pa.Array] = []
    for place in weighted_columns(weights):
        needed = {place.column, "event_type"} if place.event_type else {place.column}
        if not needed <= {*events.column_names}:
            continue
        weighted = {value: weight for value, weight in place.values.items() if weight}
        try:
            positions = positions_among(events[place.column], list(weighted))
        except VALUE_ERRORS as error:
            raise SchemaMismatch(
                f"transform: {place.column}: expected values that can be written as text, to be weighed; found "
                f"{events[place.column].type}: {error}; cast the column in EVENT_CONFIG, or take it out of the risk "
                "weights"
            ) from error
        if place.event_type:
            positions = only_of_type(positions, events["event_type"], place.event_type)
        added = pa.array(list(weighted.values()), pa.float64()).take(positions)
        scores += pc.fill_null(added, 0.0).to_numpy(zero_copy_only=False)
        lines = [f"{place.label}={value} +{as_written(weight)}" for value, weight in weighted.items()]
        reasons.append(pa.array(lines, pa.string()).take(positions))
    return pa.array(scores), compact_lists(reasons, events.num_rows)


def only_of_type(positions: pa.Array, event_types: pa.ChunkedArray, name: str) -> pa.Array:
    """Keep the positions of the rows of one event type; NULL elsewhere."""
    mine = pc.equal(event_types.cast(pa.string()), name).combine_chunks()
    return pc.if_else(mine, positions, pa.scalar(None, positions.type))


def as_written(weight: float) -> str:
    """Write a weight to its last digit, so that the reasons add up to the score."""
    return repr(float(weight)).removesuffix(".0")


def positions_among(column: pa.ChunkedArray, values: list[str | bool | int]) -> pa.Array:
    """Find each row's value among ``values``; NULL where it is not there."""
    wanted = pa.array(list(map(as_scored, values)), pa.string())
    found = pc.index_in(column.cast(pa.string()), wanted)
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def compact_lists(columns: list[pa.Array], rows: int) -> pa.Array:
    """Gather the columns' non-NULL values row by row into one list each."""
    if not columns:
        return pa.array([[]] * rows, pa.list_(pa.string()))
    width = len(columns)
    row_major = np.arange(rows * width).reshape(width, rows).T.ravel()
    values = pa.concat_arrays(columns).take(pa.array(row_major))
    present = values.is_valid().to_numpy(zero_copy_only=False).reshape(rows, width)
    offsets = np.concatenate([[0], np.cumsum(present.sum(axis=1))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values.drop_null())
