"""Hands tables between Arrow and pandas, without a copy, and puts columns into them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "VALUE_ERRORS",
    "as_arrow",
    "as_frame",
    "as_one",
    "empty_for_null",
    "list_elements",
    "list_rows",
    "local_date",
    "put_column",
    "rebuild_lists",
]

# What Arrow, pandas and Python raise where a value or a type does not fit; Arrow's others are kinds of these. Memory
# that ran out is none of them.
VALUE_ERRORS = (
    pa.ArrowNotImplementedError,
    pa.ArrowCapacityError,
    ArithmeticError,
    LookupError,
    TypeError,
    ValueError,
)


def as_arrow(frame: pd.DataFrame) -> pa.Table:
    """Hand a frame over to Arrow; without a copy where its columns are Arrow-backed."""
    # One thread: columns that are handed over whole take less time than a pool of threads to start.
    return pa.Table.from_pandas(frame, preserve_index=False, nthreads=1).replace_schema_metadata(None)


def as_frame(table: pa.Table) -> pd.DataFrame:
    """Hand an Arrow table over to pandas, Arrow-backed and so without a copy."""
    import pandas as pd  # a quarter of a second, which who reads rows alone need not wait for

    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def put_column(table: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, values)
    return table.append_column(name, values)


def local_date(timestamps: pa.ChunkedArray, zone: ZoneInfo, earlier: timedelta) -> pa.ChunkedArray:
    """Give the date on the zone's wall clock, ``earlier`` hours before each instant."""
    wall = pc.local_timestamp(timestamps.cast(pa.timestamp("us", tz=zone.key)))
    return pc.subtract(wall, pa.scalar(earlier, pa.duration("us"))).cast(pa.date32(), safe=False)


def empty_for_null(column: pa.ChunkedArray) -> pa.Array:
    """Replace a NULL list by an empty one; over the offsets, because coalesce copies list by list."""
    lists = as_one(column)
    if lists.null_count == 0:
        return lists
    return pa.ListArray.from_arrays(pa.array(list_offsets(lists)), pc.list_flatten(lists), type=lists.type)


def list_elements(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give the elements of all lists, one after another."""
    return pa.chunked_array([pc.list_flatten(as_one(column))])


def list_rows(column: pa.ChunkedArray) -> np.ndarray:
    """Give for each of `list_elements` the row of its list."""
    lengths = np.diff(list_offsets(as_one(column)))
    return np.repeat(np.arange(len(lengths)), lengths)


def rebuild_lists(column: pa.ChunkedArray, elements: pa.ChunkedArray) -> pa.ChunkedArray:
    """Put other elements into the place of `list_elements`; a NULL list stays NULL."""
    lists, values = as_one(column), as_one(elements)
    missing = lists.is_null() if lists.null_count else None
    return pa.chunked_array([pa.ListArray.from_arrays(pa.array(list_offsets(lists)), values, mask=missing)])


def as_one(column: pa.ChunkedArray) -> pa.Array:
    """Give a column's values as one array."""
    whole = column.combine_chunks()
    return whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)


def list_offsets(lists: pa.ListArray) -> np.ndarray:
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
