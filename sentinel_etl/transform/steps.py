"""Applies the transformation's steps: each names its column where it fails, and costs the rows that it cannot take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sentinel_etl.arrow import VALUE_ERRORS
from sentinel_etl.errors import SchemaMismatch
from sentinel_etl.type_mapping.unfit import Rows, apply_where_it_fits

__all__ = ["Steps"]

MOST_NAMED = 5

FAILURES = (*VALUE_ERRORS, SchemaMismatch)


@dataclass(frozen=True)
class Steps:
    """How steps are applied to the rows of events of these ``kinds``.

    ``reasons``  takes the first reason of each row that a step could not take, and goes on without it; None: a step
                 that cannot take every row raises
    """

    kinds: pa.ChunkedArray
    reasons: np.ndarray | None = None

    def apply(self, name: str, wanted: str, step: Callable[[Rows], Any], values: Rows) -> Any:
        """Apply a step that goes row by row; ``name``: the column concerned, ``wanted``: what its values are to fit.

        Raises:
            SchemaMismatch: it can take no such column; or, where rows are not refused one by one, not all its rows.
        """
        try:
            return step(values)
        except FAILURES as error:
            if self.reasons is None:
                raise self.mismatch(name, wanted, values, error) from error
        try:
            step(values.slice(0, 0))  # what fails without any row is no row's fault
            result, wrong = apply_where_it_fits(step, values)
        except FAILURES as error:
            raise self.mismatch(name, wanted, values, error) from error
        self.reasons[wrong & pd.isna(self.reasons)] = f"{name}: a value that does not fit {wanted}"
        return result

    def mismatch(self, name: str, wanted: str, values: Rows, error: Exception) -> SchemaMismatch:
        column = values.column(0) if isinstance(values, pa.Table) else values
        kinds = sorted(map(str, self.kinds.filter(column.is_valid()).unique().to_pylist()))
        more = f" and {len(kinds) - MOST_NAMED} more" if len(kinds) > MOST_NAMED else ""
        found = (
            f"{column.type}: {error} ({', '.join(kinds[:MOST_NAMED])}{more})" if kinds else f"{column.type}: {error}"
        )
        return SchemaMismatch(
            f"transform: {name}: expected values that fit {wanted}, found {found}; "
            "cast the column in EVENT_CONFIG, or widen the fact table's"
        )
