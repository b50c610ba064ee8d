"""Puts partitions of a table back to an earlier state, by `by_exchange`: what is put in is a kept version."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from clickhouse_sqlalchemy import Table
from sqlalchemy import Engine, not_, select

from sentinel_etl.errors import ConfigurationError
from sentinel_etl.ledger.versions import Switch, Version, kept_before
from sentinel_etl.publish.by_exchange import changed_meanwhile, clone, exchange
from sentinel_etl.publish.publish_rejected import owned_rows, publish_rejected
from sentinel_etl.publish.rest import attach, set_apart
from sentinel_etl.publish.turn import Turn
from sentinel_etl.warehouse.catalog import count_parts, describe_columns
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.rows import PARTITION_ID, count_rows
from sentinel_etl.warehouse.tables import BEFORE_MARK, create_staging, drop_staging, table_beside
from sentinel_etl.wording import plural

__all__ = ["go_back", "restore_rejected"]


def go_back(version: Version, table: Table, partitions: Sequence[str], warehouse: Engine, turn: Turn) -> str:
    """Put these partitions back to a version, all at one instant, and return how.

    The others stay as they are. Readers see the table before or after, nothing between. An interruption leaves it as
    it was or as it is meant to be, and tables of the run's, which the next run sweeps.

    Raises:
        ConfigurationError: the table's columns have changed since.
        WindowLocked: another run is switching the table for longer than is waited for.
        SentinelError: the server refuses a statement, or something else has changed the table meanwhile.
    """
    check_columns(version, table, warehouse)
    how = f"exchange {', '.join(sorted(partitions))}"
    filled = sorted(set(count_parts(warehouse, version.table.name)) & set(partitions))
    origin = version.table
    if filled and version.without:
        origin = set_apart(
            table, version.table, filled, lambda rest: Version(rest, version.without).excluded, warehouse, turn.run_id
        ).table
    with turn.hold_table(table):
        following = clone(table, partitions, warehouse, turn.run_id)
        attach(following, origin, filled, warehouse)
        of_partitions = PARTITION_ID.in_(sorted(partitions))
        expected = count_rows(version.table, of_partitions & version.rows, warehouse)
        expected += count_rows(table, not_(of_partitions), warehouse)
        found = count_rows(following, PARTITION_ID.is_not(None), warehouse)
        if found != expected:
            raise changed_meanwhile(table, f"{expected:,} {plural(expected, 'row')} in the clone", f"{found:,}")
        exchange(following, table, how, warehouse, turn)
    if origin is not version.table:
        drop_staging(origin, warehouse)
    return how


def check_columns(version: Version, table: Table, warehouse: Engine) -> None:
    now, then = (describe_columns(warehouse, one.name) for one in (table, version.table))
    if differing := sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name)):
        raise ConfigurationError(
            f"table {table.name}: expected the columns that it had at that time, found that some have changed since: "
            f"{', '.join(differing)}. Run the windows again instead"
        )


def restore_rejected(
    undone: Sequence[Switch], rejected: Table, all_types: Collection[str], warehouse: Engine, turn: Turn
) -> None:
    """Put back the rejected rows that stood before each of these runs; the newest run comes first.

    A run of ``all_types`` had taken those of other types, too.

    Each run's rows are put back in one step. An interruption leaves some of the runs' rows as they were.
    """
    kept = set(kept_before(rejected, warehouse))
    for switch in undone:
        types = None if set(all_types) <= set(switch.event_types) else switch.event_types
        staging = None
        if switch.run_id in kept:
            before = table_beside(rejected, BEFORE_MARK, switch.run_id)
            staging = create_staging(rejected, turn.run_id, warehouse)
            owned = owned_rows(before, switch.window, types)
            names = [column.name for column in rejected.columns]
            run_statement(warehouse, staging.insert().from_select(names, select(before).where(owned)))
        publish_rejected(staging, rejected, switch.window, types, warehouse, turn)
        if staging is not None:
            drop_staging(staging, warehouse)
