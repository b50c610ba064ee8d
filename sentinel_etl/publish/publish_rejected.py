"""Puts a run's rejected rows in the place of those of an earlier run."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine, and_, func, literal_column, not_, or_, select

from sentinel_etl.load.rejected import Rejects
from sentinel_etl.load.staging import create_staging
from sentinel_etl.source.locks import hold_locks
from sentinel_etl.warehouse.ddl import merge_statements, switch_statements
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.rows import count_rows, is_staged, rows_of_window
from sentinel_etl.warehouse.tables import build_rejected
from sentinel_etl.window import Window

__all__ = ["WHOLE", "publish_rejected"]


# The one partition of a table that has no partition key.
WHOLE = "all"


def publish_rejected(
    rejects: Rejects, window: Window, event_types: Sequence[str], source: Engine, wait_seconds: float
) -> None:
    """Put a run's rejected rows in the place of those that an earlier run of the window left.

    The table's other rows are copied into staging, and the whole is switched in one step, so readers see
    the rejected rows of before or of after. A lock of the table's own keeps runs of other partitions out
    meanwhile. An interruption leaves the rows of before and a staging table, which the next run sweeps;
    the same run again ends in the same rows. Nothing is done where there was nothing and is nothing.
    """
    rejects.flush()
    warehouse, rejected = rejects.warehouse, build_rejected(rejects.pipeline.fact_table)
    nightless = and_(rejected.c.event_timestamp.is_(None), rejected.c.event_type.in_(list(event_types)))
    mine = or_(func.ifNull(rows_of_window(rejected, window, event_types), literal_column("0")), nightless)
    if rejects.staging is None and not count_rows(rejected, mine, warehouse):
        return
    staging = rejects.staging
    if staging is None:
        staging = rejects.staging = create_staging(rejected, rejects.run_id, warehouse)
    with hold_locks(
        source, [f"{rejected.name} table"], f"sentinel-etl run {rejects.run_id}", wait_seconds
    ) as check_held:
        names = [column.name for column in rejected.columns]
        kept = select(rejected).where(not_(or_(mine, is_staged(rejected, staging))))
        run_statement(warehouse, staging.insert().from_select(names, kept))
        left = count_rows(staging, literal_column("1"), warehouse)
        statements = merge_statements(staging, WHOLE) if left else []
        check_held()
        for statement in [*statements, *switch_statements(rejected, staging, WHOLE, "REPLACE" if left else "DROP")]:
            run_statement(warehouse, statement)
