"""Compares what the ledger says of the nights with the rows that the fact table has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from clickhouse_sqlalchemy import Table
from sqlalchemy import Engine, func, select

from sentinel_etl.warehouse.catalog import has_table, has_ttl
from sentinel_etl.warehouse.ddl import storage_name
from sentinel_etl.warehouse.query import run_statement

__all__ = ["LostRows", "count_nights", "find_lost"]

NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class LostRows:
    """A night that has fewer rows than its last run left: rows by the ledger, rows in the fact table."""

    shift_date: date
    expected: int
    found: int

    def as_dict(self) -> dict[str, Any]:
        return {"night": str(self.shift_date), "expected": self.expected, "found": self.found}

    def __str__(self) -> str:
        return (
            f"night {self.shift_date}: LOST, the ledger says {self.expected:,} rows, the fact table has {self.found:,}"
        )


def count_nights(fact_table: Table, nights: Sequence[date], warehouse: Engine) -> dict[date, int]:
    """Count the rows of each of these nights; those without any are there with 0."""
    if not nights:
        return {}
    night = func.toString(fact_table.c.shift_date)
    counted = select(night, func.count()).where(fact_table.c.shift_date.in_(sorted(nights))).group_by(night)
    rows = run_statement(warehouse, counted, repeatable=True)
    found = {date.fromisoformat(str(day)): int(count) for day, count in rows}
    return {night: found.get(night, 0) for night in nights}


def find_lost(
    nights: Sequence[date], runs: Sequence[Mapping[str, Any]], fact_table: Table, warehouse: Engine
) -> list[LostRows]:
    """Find the nights that have fewer rows now than when a run last changed them; ``runs`` as `read_runs` gives them.

    Nights that no run has counted are left out, and all where the fact table has a TTL, which takes rows out by
    itself. Reads only.
    """
    left: dict[date, int] = {}
    for run in sorted(runs, key=lambda run: run["switched_at"] or NEVER):
        if run["switched_at"]:
            left |= {date.fromisoformat(night): int(rows) for night, rows in run["nights"].items()}
    judged = [night for night in nights if night in left]
    if not judged or has_ttl(warehouse, storage_name(fact_table)):
        return []
    there = has_table(warehouse, fact_table.name)
    found = count_nights(fact_table, judged, warehouse) if there else dict.fromkeys(judged, 0)
    return [LostRows(night, left[night], found[night]) for night in judged if found[night] < left[night]]
