"""Puts a run's rejected rows in the place of those of an earlier run."""

from __future__ import annotations

from collections.abc import Sequence

from clickhouse_sqlalchemy import Table
from sqlalchemy import Engine, and_, func, literal_column, or_

from sentinel_etl.publish.switch import switch_partition
from sentinel_etl.source.locks import hold_locks, session_name
from sentinel_etl.warehouse.rows import count_rows, rows_of_window
from sentinel_etl.warehouse.tables import create_staging, drop_staging
from sentinel_etl.window import Window

__all__ = ["WHOLE", "publish_rejected"]

# The one partition of a table that has no partition key.
WHOLE = "all"


def publish_rejected(
    staging: Table | None,
    rejected: Table,
    window: Window,
    event_types: Sequence[str],
    run_id: str,
    source: Engine,
    warehouse: Engine,
    wait_seconds: float,
) -> None:
    """Put a run's rejected rows in the place of those that an earlier run of the window left.

    ``staging`` holds them; None: there are none. The table is switched in one step, so readers see the rejected
    rows of before or of after. Those of other windows stay, whatever their ids: a row may be rejected just because
    another one has its key, or because it has none. A lock of the table's own keeps runs of other partitions out
    meanwhile. An interruption leaves the rows of before and a staging table, which the next run sweeps; the same
    run again ends in the same rows. Nothing is done where there was nothing and is nothing.
    """
    nightless = and_(rejected.c.event_timestamp.is_(None), rejected.c.event_type.in_(list(event_types)))
    owned = or_(func.ifNull(rows_of_window(rejected, window, event_types), literal_column("0")), nightless)
    if staging is None and not count_rows(rejected, owned, warehouse):
        return
    made = create_staging(rejected, run_id, warehouse) if staging is None else staging
    with hold_locks(source, [f"{rejected.name} table"], session_name(run_id), wait_seconds) as check_held:
        switch_partition(rejected, made, WHOLE, owned, warehouse, check_held)
    if staging is None:
        drop_staging(made, warehouse)
