"""Compares two states of the fact table, as two runs have left it."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, false

from sentinel_etl.audit.changes.changes import Changes
from sentinel_etl.audit.changes.find_changes import find_changes
from sentinel_etl.audit.changes.statements import FactRows
from sentinel_etl.context import Context
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.ledger.versions import Version, find_run, read_switches, state_before
from sentinel_etl.warehouse.rows import PARTITION_ID

__all__ = ["diff_runs"]


def diff_runs(context: Context, first: str = "", second: str = "") -> Changes:
    """Find how the fact table as the second run has left it differs from how the first has; either may be the earlier.

    Without a second run: what the first one changed; without either: what the last one did. Read are the partitions
    that were changed between the two states. Reads only.

    Raises:
        ConfigurationError: no such run, or a state that is not kept any more.
        WarehouseUnreachable: the server does not answer.
        SentinelError: the server refuses a statement.
    """
    pipeline, warehouse = context.pipeline, context.warehouse
    facts = pipeline.fact_table
    switches = read_switches(facts, warehouse)
    if not switches:
        raise ConfigurationError(f"expected a run that has changed {facts.name}, found none. Run `sentinel-etl run`")
    start = find_run(first, switches) if first else len(switches) - 1
    # The number of switches that each state has behind it.
    before, after = (start + 1, find_run(second, switches) + 1) if second else (start, start + 1)
    between = switches[min(before, after) : max(before, after)]
    partitions = sorted({partition for switch in between for partition in switch.partitions})

    def rows_of(version: Version) -> FactRows:
        changed: ColumnElement[bool] = PARTITION_ID.in_(partitions) if partitions else false()
        return FactRows(version.table, and_(changed, version.rows))

    return find_changes(
        rows_of(state_before(before, switches, facts)),
        rows_of(state_before(after, switches, facts)),
        warehouse,
        hidden=pipeline.personal_columns,
        hidden_keys=sorted(pipeline.personal_keys),
        dimensions=pipeline.breakdown,
    )
