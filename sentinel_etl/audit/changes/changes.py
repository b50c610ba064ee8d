"""What differs between two sets of fact rows, in numbers, in one sentence and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Self

import pandas as pd

__all__ = ["CHANGES", "Changes", "describe_points", "sum_columns", "sum_counts", "tabulate_examples"]

CHANGES = ("added", "removed", "changed")
ROW_COUNTS = ("before", "after", *CHANGES)
POINTS = ("points_before", "points_after")
COUNT_TYPES = {"event_type": "str", **dict.fromkeys(ROW_COUNTS, "int64"), **dict.fromkeys(POINTS, "float64")}
COLUMN_TYPES = {"event_type": "str", "column": "str", "rows": "int64"}
EXAMPLE_NAMES = ("event_id", "change", "values")
EXAMPLE_TYPES = dict.fromkeys(("event_type", *EXAMPLE_NAMES), "str")

# Digits after the point of sums of risk points: what lies beyond depends on the order in which they were added.
POINT_DIGITS = 6


@dataclass(frozen=True)
class Changes:
    """What differs between two sets of fact rows.

    ``counts``    event_type (str); before, after, added, removed, changed (int64 rows); points_before, points_after
                  (float64, sums of base_risk_score; NaN where the table has none)
    ``columns``   event_type, column (str), rows (int64): changed events in which the column differs, the most first
    ``examples``  event_type, event_id (empty where it may not be shown), change (added, removed or changed), values
                  (the columns that differ, those that may be shown with their values), all str
    """

    counts: pd.DataFrame
    columns: pd.DataFrame
    examples: pd.DataFrame = field(default_factory=lambda: tabulate_examples([]))

    @property
    def is_empty(self) -> bool:
        return not self.counts[[*CHANGES]].to_numpy().any()

    @property
    def totals(self) -> dict[str, int | float | None]:
        """Sum over the event types: rows, and points, None where there are none."""
        points = {name: plain_points(self.counts[name].sum(skipna=False)) for name in POINTS}
        if self.counts.empty:
            points = dict.fromkeys(POINTS)
        return {name: int(self.counts[name].sum()) for name in ROW_COUNTS} | points

    def describe(self) -> str:
        """Write it as one sentence."""
        rows = self.totals
        if self.is_empty:
            if rows["after"] == 1:
                return "nothing changes: the 1 row is as it was"
            return f"nothing changes: all {rows['after']:,} rows are as they were"
        alike = int(rows["before"] or 0) - int(rows["removed"] or 0) - int(rows["changed"] or 0)
        line = ", ".join(f"{rows[kind]:,} {kind}" for kind in CHANGES)
        line = f"rows: {line}, {alike:,} as they were"
        was, now = rows["points_before"], rows["points_after"]
        return line if was is None or now is None else f"{line}; {describe_points(was, now)}"

    def as_record(self) -> dict[str, dict[str, Any]]:
        """Write it for the ledger: event type → rows, points, columns → rows, and the examples of the type."""
        by_type: dict[str, dict[str, Any]] = {}
        for row in self.counts.to_dict("records"):
            numbers = {name: int(row[name]) for name in ROW_COUNTS} | {name: plain_points(row[name]) for name in POINTS}
            by_type[row["event_type"]] = {**numbers, "columns": {}, "examples": []}
        for kind, name, rows in self.columns.itertuples(index=False):
            by_type[kind]["columns"][name] = int(rows)
        for kind, *told in self.examples.itertuples(index=False):
            by_type[kind]["examples"].append(dict(zip(EXAMPLE_NAMES, told, strict=True)))
        return by_type

    @classmethod
    def from_record(cls, by_type: Mapping[str, Mapping[str, Any]]) -> Self:
        """Read what `as_record` wrote."""
        names = [*ROW_COUNTS, *POINTS]
        counts = [(kind, *(found[name] for name in names)) for kind, found in by_type.items()]
        columns = [(kind, name, rows) for kind, found in by_type.items() for name, rows in found["columns"].items()]
        examples = [
            (kind, *(told[name] for name in EXAMPLE_NAMES))
            for kind, found in by_type.items()
            for told in found["examples"]
        ]
        return cls(
            pd.DataFrame(counts, columns=list(COUNT_TYPES)).astype(COUNT_TYPES),
            tabulate_columns(columns),
            tabulate_examples(examples),
        )

    def as_dict(self) -> dict[str, Any]:
        """Write it for JSON: the totals, and as in `as_record` the event types that have changes."""
        by_type = {kind: found for kind, found in self.as_record().items() if any(found[name] for name in CHANGES)}
        return {**self.totals, "event_types": by_type}


def describe_points(was: float, now: float) -> str:
    if plain_points(now - was) == 0:
        return f"risk points stay {was:,.10g}"
    return f"risk points {was:,.10g} → {now:,.10g} ({plain_points(now - was):+,.10g})"


def plain_points(points: float) -> float | None:
    """Round a sum for people and JSON, which knows neither NaN nor infinity."""
    return round(float(points), POINT_DIGITS) if isfinite(points) else None


def sum_counts(shares: Sequence[pd.DataFrame], *, scored: bool) -> pd.DataFrame:
    """Sum what was counted share by share: `Changes.counts`, in order of event type."""
    counts = pd.concat(shares)[list(COUNT_TYPES)].astype(COUNT_TYPES)
    counts = counts.groupby("event_type", as_index=False).sum()
    counts[list(POINTS)] = counts[list(POINTS)].round(POINT_DIGITS) if scored else float("nan")
    return counts.astype(COUNT_TYPES)


def sum_columns(shares: Sequence[pd.DataFrame], names: Sequence[str]) -> pd.DataFrame:
    """Sum what was counted share by share, in a column for each of the ``names``: `Changes.columns`."""
    counted = [
        (str(kind), name, int(rows))
        for share in shares
        for kind, *found in share.itertuples(index=False, name=None)
        for name, rows in zip(names, found, strict=True)
    ]
    return tabulate_columns(counted)


def tabulate_columns(counted: Sequence[tuple[str, str, int]]) -> pd.DataFrame:
    table = pd.DataFrame(counted, columns=list(COLUMN_TYPES)).astype(COLUMN_TYPES)
    summed = table.groupby(["event_type", "column"], as_index=False, sort=False).sum()
    order = summed[summed["rows"] > 0].sort_values(["event_type", "rows"], ascending=[True, False], kind="stable")
    return order.astype(COLUMN_TYPES).reset_index(drop=True)


def tabulate_examples(examples: Sequence[tuple[str, ...]]) -> pd.DataFrame:
    return pd.DataFrame(examples, columns=list(EXAMPLE_TYPES)).astype(EXAMPLE_TYPES)
