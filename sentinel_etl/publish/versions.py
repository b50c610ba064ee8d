"""Keeps the tables of before, as hard links: a way back, and a way to read an earlier state."""

from __future__ import annotations

import logging

from clickhouse_sqlalchemy import Table
from sqlalchemy import Engine

from sentinel_etl.errors import SentinelError
from sentinel_etl.ledger.versions import kept_before, newest_first
from sentinel_etl.publish.turn import Turn
from sentinel_etl.warehouse.ddl import keep_unmerged_statement
from sentinel_etl.warehouse.moves import rename_statement
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.tables import BEFORE_MARK, drop_staging, table_beside

__all__ = ["keep_version", "prune_versions"]

logger = logging.getLogger(__name__)


def keep_version(before: Table, table: Table, turn: Turn, warehouse: Engine) -> None:
    """Keep the table as it was before a switch, under the run's name, and drop the oldest that are too many.

    The switch is done, so a failure here is a warning. An interruption leaves the table of before under the name that
    it had as a clone, which the next run sweeps: one way back less.
    """
    try:
        if turn.keep_versions:
            # A merge would write anew what is shared with the table, and take what has expired.
            run_statement(warehouse, keep_unmerged_statement(before), repeatable=True)
            kept = table_beside(table, BEFORE_MARK, turn.run_id)
            run_statement(warehouse, rename_statement(before, kept.name))
        else:
            drop_staging(before, warehouse, wait=False)
        prune_versions(table, turn.keep_versions, warehouse)
    except SentinelError as error:
        logger.warning("the table before run %s is not kept: %s", turn.run_id, error)


def prune_versions(table: Table, keep: int, warehouse: Engine) -> list[str]:
    """Drop all kept versions of a table but the newest, and name the runs that they stood before.

    Who is reading one of them reads on.
    """
    run_ids = kept_before(table, warehouse)
    if len(run_ids) <= keep:
        return []
    dropped = newest_first(run_ids, warehouse)[keep:]
    for run_id in dropped:
        drop_staging(table_beside(table, BEFORE_MARK, run_id), warehouse, wait=False)
    return dropped
