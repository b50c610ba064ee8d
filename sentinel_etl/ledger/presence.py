"""Compares what the ledger says of the nights with the rows that the fact table has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from clickhouse_sqlalchemy import Table
from sqlalchemy import Engine, func, select

from sentinel_etl.warehouse.catalog import has_table, has_ttl
from sentinel_etl.warehouse.ddl import storage_name
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.wording import plural

__all__ = ["LostRows", "NightRows", "find_lost", "measure_nights"]

NEVER = datetime(1970, 1, 1, tzinfo=UTC)

# A night's rows and their digest, which tells each row's event and the run that wrote it.
NightRows = tuple[int, str]
NO_ROWS: NightRows = (0, "0")


@dataclass(frozen=True)
class LostRows:
    """A night that has other rows than its last run left: their number by the ledger, and in the fact table."""

    shift_date: date
    expected: int
    found: int

    def as_dict(self) -> dict[str, Any]:
        return {"night": str(self.shift_date), "expected": self.expected, "found": self.found}

    def __str__(self) -> str:
        found = f"{self.found:,}" + ("" if self.found < self.expected else ", and not the same ones")
        left = f"{self.expected:,} {plural(self.expected, 'row')}"
        return f"night {self.shift_date}: LOST, its last run left {left}, the fact table has {found}"


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


def find_lost(
    nights: Sequence[date], runs: Sequence[Mapping[str, Any]], fact_table: Table, warehouse: Engine
) -> list[LostRows]:
    """Find the nights that have other rows now than when a run last changed them; ``runs`` as `read_runs` gives them.

    Left out are nights that no run has measured, those of a run that may have been killed in its switch, and all
    where the fact table has a TTL, which takes rows out by itself. Reads only.
    """
    left: dict[date, NightRows | None] = {}
    for run in sorted(runs, key=lambda run: run["switched_at"] or NEVER):
        if run["switched_at"]:
            left |= {date.fromisoformat(night): tuple(rows) if rows else None for night, rows in run["nights"].items()}
    judged = {night: rows for night in nights if (rows := left.get(night)) is not None}
    if not judged or has_ttl(warehouse, storage_name(fact_table)):
        return []
    there = has_table(warehouse, fact_table.name)
    found = measure_nights(fact_table, judged, warehouse) if there else dict.fromkeys(judged, NO_ROWS)
    return [LostRows(night, rows[0], found[night][0]) for night, rows in judged.items() if found[night] != rows]
