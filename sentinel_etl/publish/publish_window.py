"""Moves audited staging rows into the fact table, all at one instant."""

from __future__ import annotations

from collections.abc import Sequence

from clickhouse_sqlalchemy import Table
from sqlalchemy import ColumnElement, Engine, or_

from sentinel_etl.publish.rest import Rest, find_partitions, set_apart
from sentinel_etl.publish.switch import can_switch_at_once, switch_rows
from sentinel_etl.publish.turn import Turn
from sentinel_etl.warehouse.rows import is_staged, rows_of_window
from sentinel_etl.window import Window

__all__ = ["publish_window", "set_window_apart"]


def publish_window(
    staging: Table,
    fact_table: Table,
    window: Window,
    event_types: Sequence[str] | None,
    partitions: Sequence[str],
    moved: bool,
    warehouse: Engine,
    turn: Turn,
    rest: Rest | None = None,
) -> str:
    """Make the staged rows the fact table's rows of the window, and return how: for the ledger.

    ``event_types``: as `rows_of_window` has them. Rows that left the source go with it. ``moved``: so do those of
    events that are staged now, wherever their timestamp was before, in all the ``partitions``. ``rest``: what
    `set_window_apart` has made.

    Readers see the old window or the new one, nothing between; on a cluster, partition by partition. An
    interruption leaves the one or the other; the same run again, with the same locks, ends in the same rows as one
    that was never interrupted.
    """
    turn.check_held()

    def gone(table: Table) -> ColumnElement[bool]:
        of_window = rows_of_window(table, window, event_types)
        return or_(of_window, is_staged(table, staging)) if moved else of_window

    return switch_rows(fact_table, staging, partitions, gone, warehouse, turn, rest) or "nothing to publish"


def set_window_apart(
    fact_table: Table,
    window: Window,
    event_types: Sequence[str] | None,
    partitions: Sequence[str],
    warehouse: Engine,
    run_id: str,
) -> Rest | None:
    """Set the window's partitions apart, without its rows, ahead of `publish_window`; None: it has none.

    It needs to know nothing of what will be staged, so it can be done while that is read. The fact table stays as it
    is. An interruption leaves the table of the run's, which the next run sweeps.
    """
    if not can_switch_at_once(fact_table, warehouse):
        return None

    def gone(table: Table) -> ColumnElement[bool]:
        return rows_of_window(table, window, event_types)

    touched = find_partitions(fact_table, partitions, gone(fact_table), warehouse)
    return set_apart(fact_table, fact_table, touched, gone, warehouse, run_id) if touched else None
