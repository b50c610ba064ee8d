"""Moves audited staging rows into the fact table, all at one instant."""

from __future__ import annotations

from collections.abc import Sequence

from clickhouse_sqlalchemy import Table
from sqlalchemy import ColumnElement, Engine, or_

from sentinel_etl.publish.switch import switch_rows
from sentinel_etl.publish.turn import Turn
from sentinel_etl.warehouse.rows import is_staged, rows_of_window
from sentinel_etl.window import Window

__all__ = ["publish_window"]


def publish_window(
    staging: Table,
    fact_table: Table,
    window: Window,
    event_types: Sequence[str],
    partitions: Sequence[str],
    moved: bool,
    warehouse: Engine,
    turn: Turn,
) -> str:
    """Make the staged rows the fact table's rows of the window, and return how: for the ledger.

    Rows that left the source go with it. ``moved``: so do those of events that are staged now, wherever their
    timestamp was before, in all the ``partitions``.

    Readers see the old window or the new one, nothing between; on a cluster, partition by partition. An
    interruption leaves the one or the other; the same run again, with the same locks, ends in the same rows as one
    that was never interrupted.
    """
    turn.check_held()

    def gone(table: Table) -> ColumnElement[bool]:
        of_window = rows_of_window(table, window, event_types)
        return or_(of_window, is_staged(table, staging)) if moved else of_window

    return switch_rows(fact_table, staging, partitions, gone, warehouse, turn) or "nothing to publish"
