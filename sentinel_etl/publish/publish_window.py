"""Moves audited staging rows into the fact table, one atomic step per partition."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from clickhouse_sqlalchemy import Table
from sqlalchemy import Engine, or_

from sentinel_etl.publish.switch import switch_partition
from sentinel_etl.warehouse.rows import is_staged, rows_of_window
from sentinel_etl.window import Window

__all__ = ["publish_window"]


def publish_window(
    staging: Table,
    fact_table: Table,
    window: Window,
    event_types: Sequence[str],
    partitions: Sequence[str],
    warehouse: Engine,
    check_held: Callable[[], None] = lambda: None,
) -> str:
    """Make the staged rows the fact table's rows of the window, and return how: for the ledger.

    Rows that left the source go with it, and so do those of events that are staged now, wherever their timestamp
    was before, in all the ``partitions``. Those that the window does not touch come last: such an event is read
    twice for a moment, and never not at all. ``check_held`` raises where the run has lost its locks: it is called
    first and before each switch, because who has lost them must not undo what another run publishes.

    Readers see a partition before its switch or after it, nothing between. An interruption leaves
    whole partitions, each old or new; the same run again, with the same locks, ends in the same
    rows as one that was never interrupted.
    """
    check_held()
    gone = or_(rows_of_window(fact_table, window, event_types), is_staged(fact_table, staging))
    ways = [
        f"{way.lower()} {partition}"
        for partition in partitions
        if (way := switch_partition(fact_table, staging, partition, gone, warehouse, check_held))
    ]
    return ", ".join(ways) or "nothing to publish"
