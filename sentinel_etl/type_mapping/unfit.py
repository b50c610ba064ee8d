"""Applies a step to a column's rows, and tells which rows it cannot be applied to. Pure.

A row that does not fit costs no more than a look at its own column: whoever tests a whole column says which rows
failed, and only where Arrow does not say are they looked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sentinel_etl.arrow import VALUE_ERRORS, as_arrow
from sentinel_etl.errors import SchemaMismatch

__all__ = ["Rows", "Unfit", "apply_where_it_fits", "cast_values", "refuse", "refuse_each", "table_of"]

Rows = TypeVar("Rows", pa.ChunkedArray, pa.Table)


class Unfit(pa.ArrowInvalid):  # type: ignore[misc]
    """Some values do not fit; ``rows`` is True where they stand."""

    def __init__(self, what: str, rows: np.ndarray) -> None:
        super().__init__(what)
        self.rows = rows


def refuse(wrong: Any, what: str) -> None:
    """Refuse the rows where ``wrong`` is true.

    Raises:
        Unfit: there are such rows.
    """
    if pc.any(wrong).as_py():
        raise Unfit(what, np.asarray(pc.fill_null(wrong, False)))


def refuse_each(texts: pa.ChunkedArray, fits: Callable[[str], bool], what: str) -> None:
    """Refuse the texts that do not pass a test in Python, which sees each distinct text once.

    Raises:
        Unfit: there are such texts.
    """
    wrong = [text for text in pc.unique(texts).to_pylist() if text is not None and not fits(text)]
    if wrong:
        refuse(pc.is_in(texts, pa.array(wrong, texts.type)), what)


def cast_values(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Cast a column.

    Raises:
        Unfit: values that the type does not hold.
    """
    try:
        return values.cast(kind)
    except pa.ArrowInvalid as error:
        raise Unfit(str(error), find_failing(lambda some: some.cast(kind), values)) from error


def apply_where_it_fits(step: Callable[[Rows], Any], values: Rows) -> tuple[Any, np.ndarray]:
    """Apply a step that goes row by row; where it cannot take a row, that row is NULL.

    Out: the step's result, and which rows it could not take. ``step`` keeps rows and their order.

    Raises:
        one of `VALUE_ERRORS`: of all rows together the step takes none, though it takes each.
    """
    wrong = np.zeros(len(values), dtype=bool)
    while True:
        rest = values.take(pa.array(np.arange(len(values)), mask=wrong)) if wrong.any() else values
        try:
            return step(rest), wrong
        except VALUE_ERRORS as error:
            found = error.rows if isinstance(error, Unfit) else find_failing(step, rest)
            if not (found & ~wrong).any():
                raise
            wrong |= found


def find_failing(step: Callable[[Rows], Any], values: Rows) -> np.ndarray:
    """Find the rows that a step fails for, by halving: a stretch that passes is done with at once."""
    wrong = np.zeros(len(values), dtype=bool)
    waiting = [(0, len(values))]
    while waiting:
        start, end = waiting.pop()
        try:
            step(values.slice(start, end - start))
        except VALUE_ERRORS:
            if end - start <= 1:
                wrong[start:end] = True
            else:
                middle = (start + end) // 2
                waiting += [(start, middle), (middle, end)]
    return wrong


def table_of(frame: pd.DataFrame, stage: str) -> pa.Table:
    """Hand over to Arrow a frame that may have been made by hand.

    Raises:
        SchemaMismatch: a column whose values are of no one type of Arrow's.
    """
    try:
        return as_arrow(frame)
    except VALUE_ERRORS as error:
        for place, name in enumerate(frame.columns):
            try:
                as_arrow(frame.iloc[:, [place]])
            except VALUE_ERRORS as cause:
                raise SchemaMismatch(
                    f"{stage}: {name}: expected values of one type, found {frame.dtypes.iloc[place]}: {cause.args[0]}; "
                    "convert the column before"
                ) from error
        raise SchemaMismatch(
            f"{stage}: expected a frame that Arrow can hold, found: {error}; convert it before"
        ) from error
