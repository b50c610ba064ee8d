"""The states of the fact table that can still be read: which table holds each, and which runs' rows are not of it.

A run that exchanged the table has left the one of before. A run that attached its rows has left none: it only added
rows, all of which bear its id, so the state before it is a later table without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from clickhouse_sqlalchemy import Table
from sqlalchemy import ColumnElement, Engine, false, func, not_, select

from sentinel_etl.errors import ConfigurationError
from sentinel_etl.ledger.ledger import read_runs, runs_of
from sentinel_etl.ledger.states import RunState
from sentinel_etl.warehouse.catalog import list_tables
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.rows import instant
from sentinel_etl.warehouse.tables import BEFORE_MARK, ETL_RUNS, table_beside
from sentinel_etl.window import Window

__all__ = [
    "Switch",
    "Version",
    "find_run",
    "kept_before",
    "last_switch",
    "newest_first",
    "partitions_since",
    "read_switches",
    "state_after",
    "state_before",
]

ABOUT_TO = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Switch:
    """A run's switch of the fact table, and the nights that it changed; ``kept``: the table of before is there."""

    run_id: str
    state: RunState
    window: Window
    event_types: tuple[str, ...]
    how: str
    switched_at: datetime
    nights: tuple[date, ...]
    kept: bool

    @property
    def only_added(self) -> bool:
        return self.how.startswith("attach ")

    @property
    def partitions(self) -> list[str]:
        """The ids of the partitions that it changed."""
        return partitions_of(self.how)


@dataclass(frozen=True)
class Version:
    """A state of the fact table: the rows of ``table`` but those of the runs ``without``."""

    table: Table
    without: tuple[str, ...] = ()

    @property
    def rows(self) -> ColumnElement[bool]:
        """The condition on the table's rows that they are of this state."""
        return not_(self.excluded)

    @property
    def excluded(self) -> ColumnElement[bool]:
        condition: ColumnElement[bool] = self.table.c.run_id.in_(list(self.without)) if self.without else false()
        return condition


def read_switches(fact_table: Table, warehouse: Engine) -> list[Switch]:
    """Read the switches of the fact table, the oldest first."""
    kept = set(kept_before(fact_table, warehouse))
    runs = read_runs(warehouse, runs_of(fact_table), ETL_RUNS.c.switched_at.is_not(None))
    switches = [
        Switch(
            run_id=run["run_id"],
            state=run["state"],
            window=Window(run["window_start"], run["window_end"]),
            event_types=run["event_types"],
            how=run["how"],
            switched_at=run["switched_at"],
            nights=tuple(map(date.fromisoformat, run["nights"])),
            kept=run["run_id"] in kept,
        )
        for run in runs
    ]
    return sorted(switches, key=lambda switch: (switch.switched_at, switch.run_id))


def last_switch(fact_table: Table, warehouse: Engine) -> datetime | None:
    """Tell when the fact table was switched last, or is being switched; None: never."""
    latest = func.toString(func.max(ETL_RUNS.c.switched_at))
    statement = select(func.count(ETL_RUNS.c.switched_at), latest).where(runs_of(fact_table))
    rows = run_statement(warehouse, statement, repeatable=True)
    return next((datetime.fromisoformat(str(moment)).replace(tzinfo=UTC) for count, moment in rows if int(count)), None)


def partitions_since(moment: datetime | None, fact_table: Table, warehouse: Engine) -> set[str]:
    """Name the partitions that were switched at a moment and after it; None: ever.

    At the moment itself, too: a switch is noted just before it is made.
    """
    switched_at = ETL_RUNS.c.switched_at
    since = switched_at.is_not(None) if moment is None else switched_at >= instant(moment)
    runs = read_runs(warehouse, runs_of(fact_table), since)
    return {partition for run in runs for partition in partitions_of(run["how"])}


def partitions_of(how: str) -> list[str]:
    """Read the ids of the partitions from how they were switched, such as ``exchange 202611, 202612``."""
    return [part.split()[-1] for part in how.split(", ")]


def kept_before(table: Table, warehouse: Engine) -> list[str]:
    """Name the runs before which a table's state is kept."""
    return [name.removeprefix(prefix) for prefix, name in list_tables(warehouse, [table.name + BEFORE_MARK])]


def newest_first(run_ids: Sequence[str], warehouse: Engine) -> list[str]:
    """Sort runs by when they switched the fact table; one that has not yet is about to."""
    rows = read_runs(warehouse, ETL_RUNS.c.run_id.in_(list(run_ids)))
    switched_at = {row["run_id"]: row["switched_at"] for row in rows if row["switched_at"]}
    return sorted(run_ids, key=lambda run_id: switched_at.get(run_id, ABOUT_TO), reverse=True)


def find_run(run_id: str, switches: Sequence[Switch]) -> int:
    """Find a run's place among the switches.

    Raises:
        ConfigurationError: it has not switched the fact table.
    """
    for index, switch in enumerate(switches):
        if switch.run_id == run_id:
            return index
    known = ", ".join(switch.run_id for switch in switches[-3:]) or "none"
    raise ConfigurationError(
        f"expected a run that has changed the fact table, found {run_id!r}; the last ones are: {known}. "
        "`sentinel-etl runs list` shows all runs"
    )


def state_after(index: int, switches: Sequence[Switch], fact_table: Table) -> Version:
    """Give the state that a run's switch has left."""
    return state_before(index + 1, switches, fact_table)


def state_before(index: int, switches: Sequence[Switch], fact_table: Table) -> Version:
    """Give the state that a run's switch has found; after the last switch it is the fact table.

    Raises:
        ConfigurationError: it is not kept any more.
    """
    without: list[str] = []
    for switch in switches[index:]:
        if not switch.only_added:
            if not switch.kept:
                raise ConfigurationError(
                    f"expected the state of {fact_table.name} before run {switch.run_id} to be kept; found that it is "
                    "not any more, or never was. SENTINEL_KEEP_VERSIONS says how many are"
                )
            return Version(table_beside(fact_table, BEFORE_MARK, switch.run_id), tuple(without))
        without.append(switch.run_id)
    return Version(fact_table, tuple(without))
