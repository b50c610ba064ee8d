"""Compares what the ledger says of the nights with the rows that the fact table has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from clickhouse_sqlalchemy import Table
from sqlalchemy import Engine, func, select

from sentinel_etl.errors import SentinelError, WarehouseUnreachable
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.warehouse.catalog import has_table, read_ttl_rules
from sentinel_etl.warehouse.ddl import storage_name
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window
from sentinel_etl.wording import plural

__all__ = [
    "ExpiredRows",
    "LostRows",
    "NightRows",
    "RowGaps",
    "compare_counts",
    "compare_rows",
    "count_nights",
    "measure_nights",
]

# A night's rows and their digest, which tells each row's event and the run that wrote it.
NightRows = tuple[int, str]
NO_ROWS: NightRows = (0, "0")


@dataclass(frozen=True)
class NightGap:
    """A night that has other rows than its last run left: their number by the ledger, and in the fact table."""

    shift_date: date
    expected: int
    found: int

    def as_dict(self) -> dict[str, Any]:
        return {"night": str(self.shift_date), "expected": self.expected, "found": self.found}

    @property
    def left(self) -> str:
        return f"its last run left {self.expected:,} {plural(self.expected, 'row')}"


@dataclass(frozen=True)
class LostRows(NightGap):
    """A night whose rows are gone, or are others, and no TTL has taken them."""

    def __str__(self) -> str:
        found = f"{self.found:,}" + ("" if self.found < self.expected else ", and not the same ones")
        return f"night {self.shift_date}: LOST, {self.left}, the fact table has {found}"


@dataclass(frozen=True)
class ExpiredRows(NightGap):
    """A night whose rows, or some of them, the fact table's own TTL has taken."""

    def __str__(self) -> str:
        return (
            f"night {self.shift_date}: EXPIRED, {self.left}, of which the fact table's TTL has taken "
            f"{self.expected - self.found:,}"
        )


@dataclass(frozen=True)
class RowGaps:
    """The nights that have other rows than their last runs left: by loss, and by the fact table's TTL."""

    lost: tuple[LostRows, ...] = ()
    expired: tuple[ExpiredRows, ...] = ()


def measure_nights(fact_table: Table, nights: Iterable[date], warehouse: Engine) -> dict[date, NightRows]:
    """Count and digest the rows of each of these nights; those without any are there, too."""
    wanted = sorted(nights)
    if not wanted:
        return {}
    facts = fact_table.c
    night = func.toString(facts.shift_date)
    digest = func.toString(func.sum(func.cityHash64(facts.event_id, facts.run_id)))
    measured = select(night, func.count(), digest).where(facts.shift_date.in_(wanted)).group_by(night)
    rows = run_statement(warehouse, measured, repeatable=True)
    found = {date.fromisoformat(str(day)): (int(count), str(total)) for day, count, total in rows}
    return {day: found.get(day, NO_ROWS) for day in wanted}


def count_nights(fact_table: Table, warehouse: Engine) -> dict[date, int]:
    """Count the rows of each night that has some; none where there is no table."""
    if not has_table(warehouse, fact_table.name):
        return {}
    night = func.toString(fact_table.c.shift_date)
    rows = run_statement(warehouse, select(night, func.count()).group_by(night), repeatable=True)
    return {date.fromisoformat(str(day)): int(count) for day, count in rows}


def rows_left(runs: Sequence[Mapping[str, Any]], pipeline: Pipeline) -> dict[date, NightRows | None]:
    """Read what the runs have left in each night that they changed; ``runs`` as `read_runs` gives them.

    None: a run may have been killed in its switch. Of a run from before the ledger had nights only the number of its
    rows is known, and only where it is of one night; there is no digest of them.
    """
    left: dict[date, NightRows | None] = {}
    for run in sorted(runs, key=lambda run: run["switched_at"] or run["started_at"]):
        if run["switched_at"]:
            left |= {date.fromisoformat(night): tuple(rows) if rows else None for night, rows in run["nights"].items()}
        elif run["state"].is_published and not run["nights"]:
            nights = Window(run["window_start"], run["window_end"]).shift_dates(pipeline.zone)
            whole = set(pipeline.event_types) <= set(run["event_types"])
            left |= dict.fromkeys(nights, (run["published_rows"], "") if whole and len(nights) == 1 else None)
    return left


def compare_rows(
    nights: Sequence[date], runs: Sequence[Mapping[str, Any]], pipeline: Pipeline, warehouse: Engine
) -> RowGaps:
    """Find the nights that have other rows now than when a run last changed them; ``runs`` as `read_runs` gives them.

    Left out are nights that no run has measured, and those of a run that may have been killed in its switch. Of a
    night without a digest only that no row is left is told. Reads only.
    """
    left = rows_left(runs, pipeline)
    judged = {night: rows for night in nights if (rows := left.get(night)) is not None}
    there = has_table(warehouse, pipeline.fact_table.name)
    found = measure_nights(pipeline.fact_table, judged, warehouse) if there else dict.fromkeys(judged, NO_ROWS)
    differing = {
        night: (rows[0], found[night][0])
        for night, rows in judged.items()
        if (found[night] != rows if rows[1] else rows[0] and not found[night][0])
    }
    return tell_gaps(differing, pipeline, warehouse)


def compare_counts(
    runs: Sequence[Mapping[str, Any]], counted: Mapping[date, int], pipeline: Pipeline, warehouse: Engine
) -> RowGaps:
    """Find the nights that have another number of rows now than when a run last changed them, of all nights.

    ``counted``: the rows of each night that has some. It costs a count where `compare_rows` costs a digest.
    """
    differing = {
        night: (rows[0], counted.get(night, 0))
        for night, rows in sorted(rows_left(runs, pipeline).items())
        if rows is not None and (rows[0] != counted.get(night, 0) if rows[1] else rows[0] and not counted.get(night))
    }
    return tell_gaps(differing, pipeline, warehouse)


def tell_gaps(differing: Mapping[date, tuple[int, int]], pipeline: Pipeline, warehouse: Engine) -> RowGaps:
    """Tell a loss from what the TTL has taken; in: night → rows that were left, rows that are there."""
    expired = find_expired(differing, pipeline, warehouse)
    if expired is None:
        return RowGaps()
    taken = {night for night, (before, now) in differing.items() if night in expired and now < before}
    return RowGaps(
        tuple(LostRows(night, *rows) for night, rows in differing.items() if night not in taken),
        tuple(ExpiredRows(night, *rows) for night, rows in differing.items() if night in taken),
    )


def find_expired(nights: Collection[date], pipeline: Pipeline, warehouse: Engine) -> set[date] | None:
    """Pick the nights of which the fact table's TTL has expired a row at the least, or all; None: it cannot be told.

    A night's rows are gone, so its first instant stands for them: the TTL's expression is asked for it. One that
    needs other columns of the rows cannot be asked.
    """
    rules = read_ttl_rules(warehouse, storage_name(pipeline.fact_table)) if nights else []
    if not rules:
        return set()
    starts = ", ".join(
        f"(toDate('{night}'), toDateTime64('{Window.night(night, pipeline.zone).start:%Y-%m-%d %H:%M:%S}', 6, 'UTC'))"
        for night in sorted(nights)
    )
    columns = "night.1 AS shift_date, night.1 AS event_date, night.2 AS event_timestamp, night.2 + 86400 AS loaded_at"
    past = " OR ".join(f"toDateTime64({rule}, 0) <= now()" for rule in rules)
    instants = f"SELECT {columns} FROM (SELECT arrayJoin([{starts}]) AS night)"
    statement = f"SELECT toString(shift_date) FROM ({instants}) WHERE {past}"
    try:
        found = run_statement(warehouse, statement, repeatable=True)
    except WarehouseUnreachable:
        raise
    except SentinelError:
        return None
    return {date.fromisoformat(str(row[0])) for row in found}
