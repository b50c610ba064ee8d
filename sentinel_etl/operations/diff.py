"""Compares two states of the fact table, as two runs have left it."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, false

from sentinel_etl.audit.changes.changes import Changes
from sentinel_etl.audit.changes.find_changes import find_changes
from sentinel_etl.audit.changes.statements import FactRows
from sentinel_etl.context import Context
from sentinel_etl.ledger.versions import Version, find_run, read_switches, state_after
from sentinel_etl.warehouse.rows import PARTITION_ID

__all__ = ["diff_runs"]


def diff_runs(context: Context, before: str, after: str) -> Changes:
    """Find what differs between the fact table as one run has left it, and as another has; either may be the earlier.

    Read are the partitions that were changed between the two. Reads only.

    Raises:
        ConfigurationError: no such run, or its state is not kept any more.
        WarehouseUnreachable: the server does not answer.
        SentinelError: the server refuses a statement.
    """
    pipeline, warehouse = context.pipeline, context.warehouse
    facts = pipeline.fact_table
    switches = read_switches(facts, warehouse)
    first, second = (find_run(run_id, switches) for run_id in (before, after))
    between = switches[min(first, second) + 1 : max(first, second) + 1]
    partitions = sorted({partition for switch in between for partition in switch.partitions})

    def rows_of(version: Version) -> FactRows:
        changed: ColumnElement[bool] = PARTITION_ID.in_(partitions) if partitions else false()
        return FactRows(version.table, and_(changed, version.rows))

    hidden = pipeline.personal_columns
    return find_changes(
        rows_of(state_after(first, switches, facts)),
        rows_of(state_after(second, switches, facts)),
        warehouse,
        hidden=hidden,
        hidden_keys=[name for name, kind in pipeline.event_types.items() if kind.key_holds(hidden)],
    )
