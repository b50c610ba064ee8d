"""Sets the partitions that lose rows apart, by hard links, and takes those rows out of them there.

Apart, because a DELETE gives each part of its table another version, which takes long in a table of many; and because
it can be done while a window is still being read. The table itself stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from clickhouse_sqlalchemy import Table
from sqlalchemy import ColumnElement, Engine, and_, func, literal_column, select

from sentinel_etl.warehouse.catalog import count_parts, has_lightweight_delete
from sentinel_etl.warehouse.ddl import keep_unmerged_statement
from sentinel_etl.warehouse.moves import attach_statements, clear_statement, drop_parts_statement
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.rows import PARTITION_ID
from sentinel_etl.warehouse.tables import REST_MARK, create_like

__all__ = ["Rest", "attach", "find_partitions", "set_apart"]


@dataclass(frozen=True)
class Rest:
    """A table beside another that has some of its partitions, without the rows that go."""

    table: Table
    partitions: tuple[str, ...] = ()


def find_partitions(
    table: Table, partitions: Sequence[str], condition: ColumnElement[bool], warehouse: Engine
) -> list[str]:
    """Name those of the partitions that have rows which meet the condition."""
    # Of empty partitions nothing goes, and staged ids need not be gathered to find so.
    filled = set(count_parts(warehouse, table.name)) & set(partitions)
    if not filled:
        return []
    found = select(PARTITION_ID, func.count()).select_from(table)
    found = found.where(and_(PARTITION_ID.in_(sorted(filled)), condition)).group_by(PARTITION_ID)
    return sorted(str(partition) for partition, _ in run_statement(warehouse, found, repeatable=True))


def set_apart(
    table: Table,
    origin: Table,
    partitions: Collection[str],
    gone: Callable[[Table], ColumnElement[bool]],
    warehouse: Engine,
    run_id: str,
    rest: Rest | None = None,
) -> Rest:
    """Take the partitions of ``origin`` into a table beside ``table``, and out of them the rows that go.

    ``rest``: some are there already, without some of those rows. An interruption leaves the table of the run's,
    which the next run sweeps.
    """
    lightweight = has_lightweight_delete(warehouse)
    if rest is None:
        rest = Rest(create_like(table, REST_MARK, run_id, warehouse))
        run_statement(warehouse, keep_unmerged_statement(rest.table, rebuild_projections=lightweight), repeatable=True)
    attach(rest.table, origin, set(partitions) - set(rest.partitions), warehouse)
    left, going = measure_parts(rest.table, gone(rest.table), warehouse)
    if going - left:
        run_statement(warehouse, drop_parts_statement(rest.table, sorted(going - left)))
    if going & left:
        run_statement(warehouse, clear_statement(rest.table, gone(rest.table), lightweight=lightweight))
    return Rest(rest.table, tuple(sorted({*partitions, *rest.partitions})))


def measure_parts(table: Table, gone: ColumnElement[bool], warehouse: Engine) -> tuple[set[str], set[str]]:
    """Name the parts in which rows stay, and those from which rows go.

    One from which all go is dropped: masked it would stay for good, without its projections.
    """
    part: ColumnElement[str] = literal_column("_part")
    measured = select(part, func.count(), func.countIf(gone)).select_from(table).group_by(part)
    rows = [(str(name), int(total), int(going)) for name, total, going in run_statement(warehouse, measured)]
    return {name for name, total, going in rows if going < total}, {name for name, _, going in rows if going}


def attach(table: Table, origin: Table, partitions: Collection[str], warehouse: Engine) -> None:
    for statement in attach_statements(table, origin, sorted(partitions)):
        run_statement(warehouse, statement)
