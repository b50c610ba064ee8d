"""Hands tables between Arrow and pandas, without a copy, and puts columns into them."""

from __future__ import annotations

import os
from contextlib import suppress

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["as_arrow", "as_frame", "choose_allocator", "empty_for_null", "put_column"]


def choose_allocator(*, for_children: bool = False) -> None:
    """Let Arrow's memory come from jemalloc, where Arrow was built with it; to be called as a process starts.

    Batches are made in one thread and freed in another, and of Arrow's allocators jemalloc gives the most of them
    back: a run peaks a fifth lower. In this process it serves what Python asks Arrow for. ``for_children`` lets it
    serve all of Arrow in the processes that this one starts, a notebook's kernel above all: Arrow reads the
    variable once, when it is imported. Wheels for some processors come without it.
    https://arrow.apache.org/docs/cpp/env_vars.html#envvar-ARROW_DEFAULT_MEMORY_POOL
    """
    with suppress(NotImplementedError):
        pa.set_memory_pool(pa.jemalloc_memory_pool())
        if for_children:
            os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")


def as_arrow(frame: pd.DataFrame) -> pa.Table:
    """Hand a frame over to Arrow; without a copy where its columns are Arrow-backed."""
    # One thread: columns that are handed over whole take less time than a pool of threads to start.
    return pa.Table.from_pandas(frame, preserve_index=False, nthreads=1).replace_schema_metadata(None)


def as_frame(table: pa.Table) -> pd.DataFrame:
    """Hand an Arrow table over to pandas, Arrow-backed and so without a copy."""
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def put_column(table: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, values)
    return table.append_column(name, values)


def empty_for_null(column: pa.ChunkedArray) -> pa.Array:
    """Replace a NULL list by an empty one; over the offsets, because coalesce copies list by list."""
    lists = column.combine_chunks()
    lists = lists if isinstance(lists, pa.Array) else pa.concat_arrays(lists.chunks)
    if lists.null_count == 0:
        return lists
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pc.list_flatten(lists), type=lists.type)
