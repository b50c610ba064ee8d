"""Finds what differs between two sets of fact rows; the warehouse compares them, a share of the keys at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import pandas as pd
from sqlalchemy import Engine

from sentinel_etl.audit.changes.changes import Changes, sum_columns, sum_counts, tabulate_examples
from sentinel_etl.audit.changes.statements import (
    KINDS_OF_CHANGE,
    FactRows,
    Sides,
    count_columns,
    count_events,
    select_events,
    split_keys,
)
from sentinel_etl.config.dimensions import CITY, Dimensions
from sentinel_etl.config.fact_table import shown_columns
from sentinel_etl.warehouse.query import query_df
from sentinel_etl.warehouse.rows import count_rows

__all__ = ["find_changes"]

# Rows of both sides that are grouped at a time.
ROWS_AT_A_TIME = 2_000_000

# Changed events that are compared by column at a time: the server keeps a number for each column of each.
EVENTS_AT_A_TIME = 500_000

EXAMPLES = 5


def find_changes(
    before: FactRows,
    after: FactRows,
    warehouse: Engine,
    *,
    hidden: Collection[str] = (),
    hidden_keys: Collection[str] = (),
    dimensions: Dimensions = CITY,
) -> Changes:
    """Find the events that were added, removed and changed between two sets of fact rows.

    An event stands once on each side; of one that does not, the rows that one side has more are added or removed.
    Compared are the columns of content that both tables have. Examples show the values of no ``hidden`` column, and
    no event_id of an event type in ``hidden_keys``. Rows stay where they are: what comes here are numbers and the
    examples. Reads only.
    """
    sides = Sides(before, after)
    rows = sum(count_rows(each.table, each.condition, warehouse) for each in (before, after))
    counted = [query_df(warehouse, count_events(sides, share, EXAMPLES)) for share in split_keys(rows, ROWS_AT_A_TIME)]
    counts = sum_counts(counted, scored=sides.scored)
    changed = counts[counts["changed"] > 0]
    by_column = [
        query_df(warehouse, count_columns(sides, changed["event_type"].to_list(), share))
        for share in split_keys(int(changed["changed"].sum()), EVENTS_AT_A_TIME)
        if len(changed)
    ]
    shown = shown_columns(sides.columns, dimensions, hidden)
    examples = read_examples(sides, choose_examples(counted), shown, hidden_keys, warehouse)
    return Changes(counts, sum_columns(by_column, sides.columns), examples)


def choose_examples(counted: Sequence[pd.DataFrame]) -> dict[str, str]:
    """Choose a few events, of each kind of change and of each event type in turn: event_id → kind of change."""
    by_kind = []
    for kind in KINDS_OF_CHANGE:
        by_type: dict[str, list[str]] = {}
        for share in counted:
            for event_type, ids in zip(share["event_type"], share[f"{kind}_ids"], strict=True):
                by_type.setdefault(str(event_type), []).extend(map(str, ids))
        ids_in_turn = in_turn(sorted(ids) for _, ids in sorted(by_type.items()))
        by_kind.append([(event_id, kind) for event_id in ids_in_turn])
    return dict(list(in_turn(by_kind))[:EXAMPLES])


def in_turn(lists: Iterable[Sequence[Any]]) -> Iterator[Any]:
    """Give the first of each list, then the second of each."""
    return (item for turn in zip_longest(*lists) for item in turn if item is not None)


def read_examples(
    sides: Sides,
    chosen: Mapping[str, str],
    shown: Sequence[str],
    hidden_keys: Collection[str],
    warehouse: Engine,
) -> pd.DataFrame:
    """Read the chosen events: `Changes.examples`."""
    if not chosen:
        return tabulate_examples([])
    found = query_df(warehouse, select_events(sides, list(chosen), shown))
    examples = []
    for event_id, change in chosen.items():
        rows: list[dict[Any, Any]] = found[found["event_id"] == event_id].to_dict("records")
        kind = str(rows[0]["kind"])
        values = write_values(sides.columns, shown, rows[0], rows[-1]) if change == "changed" else ""
        examples.append((kind, "" if kind in hidden_keys else event_id, change, values))
    return tabulate_examples(examples)


def write_values(
    columns: Sequence[str], shown: Sequence[str], before: Mapping[Any, Any], after: Mapping[Any, Any]
) -> str:
    """Write the columns that differ, those that may be shown with their values: ``speed; station_id 3 → 4``."""
    texts = {
        name: " → ".join(text_or_null(row[f"text{place}"]) for row in (before, after))
        for place, name in enumerate(shown)
    }
    pairs = zip(columns, before["hashes"], after["hashes"], strict=True)
    differ = [name for name, was, is_now in pairs if was != is_now]
    return "; ".join(f"{name} {texts[name]}" if name in texts else name for name in differ)


def text_or_null(value: Any) -> str:
    return "NULL" if pd.isna(value) else str(value)
