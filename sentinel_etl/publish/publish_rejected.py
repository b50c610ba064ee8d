"""Puts a run's rejected rows in the place of those of an earlier run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from clickhouse_sqlalchemy import Table
from sqlalchemy import ColumnElement, Engine, and_, func, literal_column, or_

from sentinel_etl.publish.switch import switch_rows
from sentinel_etl.publish.turn import Turn
from sentinel_etl.warehouse.rows import count_rows, rows_of_window
from sentinel_etl.warehouse.tables import create_staging, drop_staging
from sentinel_etl.window import Window

__all__ = ["WHOLE", "owned_rows", "publish_rejected"]

# The one partition of a table that has no partition key.
WHOLE = "all"


def publish_rejected(
    staging: Table | None,
    rejected: Table,
    window: Window,
    event_types: Sequence[str] | None,
    warehouse: Engine,
    turn: Turn,
) -> None:
    """Put a run's rejected rows in the place of those that an earlier run of the window left.

    ``staging`` holds them; None: there are none. The table is switched in one step, so readers see the rejected
    rows of before or of after. Those of other windows stay, whatever their ids: a row may be rejected just because
    another one has its key, or because it has none. An interruption leaves the rows of before and tables of the
    run's, which the next run sweeps; the same run again ends in the same rows. Nothing is done where there was
    nothing and is nothing.
    """

    def owned(table: Table) -> ColumnElement[bool]:
        return owned_rows(table, window, event_types)

    if staging is None and not count_rows(rejected, owned(rejected), warehouse):
        return
    made = create_staging(rejected, turn.run_id, warehouse) if staging is None else staging
    # The ledger tells how the fact table was switched.
    switch_rows(rejected, made, [WHOLE], owned, warehouse, replace(turn, note=lambda how: None))
    if staging is None:
        drop_staging(made, warehouse)


def owned_rows(rejected: Table, window: Window, event_types: Sequence[str] | None) -> ColumnElement[bool]:
    """Build the condition that a run of the window and these event types owns a rejected row; None: all types."""
    some = [] if event_types is None else [rejected.c.event_type.in_(list(event_types))]
    nightless = and_(rejected.c.event_timestamp.is_(None), *some)
    return or_(func.ifNull(rows_of_window(rejected, window, event_types), literal_column("0")), nightless)
