"""Finds the staged events that stand in the fact table outside of the window, and which of them the source has there.

An event whose time was corrected has moved: the source has it once, and its old row is to go. A key that the
source has in both nights is no key: one row would be taken for the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from zoneinfo import ZoneInfo

import pandas as pd
from clickhouse_sqlalchemy import Table
from sqlalchemy import ColumnElement, Engine, Select, and_, func, literal_column, not_, select

from sentinel_etl.config.event_type import EventType
from sentinel_etl.extract.key_nights import select_key_nights
from sentinel_etl.source.snapshot import Snapshot, open_snapshot
from sentinel_etl.warehouse.ddl import has_id
from sentinel_etl.warehouse.query import query_df, read_number, run_statement
from sentinel_etl.warehouse.rows import PARTITION_ID, in_time_window, is_staged
from sentinel_etl.window import Window

__all__ = ["OtherNights", "find_other_nights", "find_repeated"]

# Keys that the source is asked for at a time.
KEYS_AT_A_TIME = 5_000

# Ids that are named, of those that are counted.
NAMED = 5

STANDING = {"event_type": "str", "shift_date": "object", "partition": "str", "rows": "int64"}


@dataclass(frozen=True)
class OtherNights:
    """The staged events that stand outside of the window.

    ``standing``  event_type, shift_date (date), partition (id), rows (int64): where they stand
    ``named``     a few of their ids
    ``repeated``  a few ids of which the source has the key there too → all its nights, in order
    """

    standing: pd.DataFrame = field(default_factory=lambda: tabulate([]))
    named: tuple[str, ...] = ()
    repeated: Mapping[str, tuple[date, ...]] = field(default_factory=dict)

    @property
    def partitions(self) -> list[str]:
        return sorted(set(self.standing["partition"]))

    @property
    def moved(self) -> pd.DataFrame:
        """Sum over the partitions: event_type, shift_date, rows; that is `RunResult.moved`."""
        return self.standing.groupby(["event_type", "shift_date"], as_index=False).agg({"rows": "sum"})


def tabulate(rows: Iterable[tuple[str, date, str, int]]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(STANDING)).astype(STANDING)


def find_other_nights(
    staging: Table,
    fact_table: Table,
    window: Window,
    kinds: Mapping[str, EventType],
    zone: ZoneInfo,
    source: Engine,
    warehouse: Engine,
    statement_timeout_seconds: int,
) -> OtherNights:
    """Find the staged events that stand outside of the window, and which of them are no moved ones.

    The warehouse is asked once, for the ids of the whole fact table. The source is asked only where some stand
    outside, for their keys and in their nights. Reads only.
    """
    # Of an empty table, which the server counts without reading, the ids need not be gathered.
    if not read_number(warehouse, select(func.count()).select_from(fact_table)):
        return OtherNights()
    elsewhere = and_(not_(in_time_window(fact_table, window)), is_staged(fact_table, staging))
    standing = count_standing(fact_table, elsewhere, warehouse)
    if standing.empty:
        return OtherNights()
    nights = read_nights(fact_table, elsewhere, warehouse)
    named = tuple(sorted(nights["event_id"])[:NAMED])
    with open_snapshot(source, statement_timeout_seconds) as snapshot:
        repeated = find_repeated(nights, kinds, window, zone, snapshot)
    return OtherNights(standing, named, add_staged(repeated, staging, warehouse))


def count_standing(fact_table: Table, elsewhere: ColumnElement[bool], warehouse: Engine) -> pd.DataFrame:
    facts = fact_table.c
    keys = [func.toString(facts.event_type), func.toString(facts.shift_date), PARTITION_ID]
    counted: Select[tuple[str, str, str, int]] = select(*keys, func.count()).where(elsewhere)
    rows = run_statement(warehouse, counted.group_by(*keys).order_by(*keys), repeatable=True)
    return tabulate((str(kind), date.fromisoformat(night), str(part), int(count)) for kind, night, part, count in rows)


def read_nights(fact_table: Table, elsewhere: ColumnElement[bool], warehouse: Engine) -> pd.DataFrame:
    """Read each event's nights: event_type, event_id, nights (texts), those of one night side by side."""
    facts = fact_table.c
    night = func.toString(facts.shift_date)
    keys = [func.toString(facts.event_type).label("kind"), facts.event_id]
    nights = select(*keys, func.groupUniqArray(night).label("nights")).where(elsewhere).group_by(*keys)
    return query_df(warehouse, nights.order_by(func.min(night), facts.event_id)).rename(columns={"kind": "event_type"})


def find_repeated(
    nights: pd.DataFrame, kinds: Mapping[str, EventType], window: Window, zone: ZoneInfo, snapshot: Snapshot
) -> dict[str, set[date]]:
    """Ask the source for the keys in those nights: event_id → nights outside of the window that have it.

    The first that are found are enough; what has moved for good is asked for whole.
    """
    for kind, some in shares(nights, kinds):
        keys = [event_id.removeprefix(f"{kind.name}:") for event_id in some["event_id"]]
        days = {date.fromisoformat(night) for several in some["nights"] for night in several}
        found = snapshot.read_whole(select_key_nights(kind, keys, days, window, zone)).to_pylist()
        if found:
            repeated: dict[str, set[date]] = {}
            for row in found:
                repeated.setdefault(f"{kind.name}:{row['source_key']}", set()).add(row["shift_date"])
            return repeated
    return {}


def shares(nights: pd.DataFrame, kinds: Mapping[str, EventType]) -> Iterator[tuple[EventType, pd.DataFrame]]:
    for name, rows in nights.groupby("event_type", sort=False):
        for first in range(0, len(rows), KEYS_AT_A_TIME):
            yield kinds[str(name)], rows.iloc[first : first + KEYS_AT_A_TIME]


def add_staged(repeated: Mapping[str, set[date]], staging: Table, warehouse: Engine) -> dict[str, tuple[date, ...]]:
    """Add the night in which each event is staged; of the first few only."""
    named = {event_id: set(repeated[event_id]) for event_id in sorted(repeated)[:NAMED]}
    if named:
        night = func.toString(staging.c.shift_date)
        staged = select(staging.c.event_id, night).where(literal_column(has_id(list(named))))
        for event_id, day in run_statement(warehouse, staged, repeatable=True):
            named[str(event_id)].add(date.fromisoformat(day))
    return {event_id: tuple(sorted(days)) for event_id, days in named.items()}
