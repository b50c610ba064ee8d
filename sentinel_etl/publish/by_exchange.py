"""Switches a table as a whole: clones it by hard links, changes the clone, and exchanges the two names.

No data is copied, and the table of before stays as it was: who is reading it reads on. Partitions that lose rows come
from a table apart: see `rest`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from clickhouse_sqlalchemy import Table
from sqlalchemy import ColumnElement, Engine, and_

from sentinel_etl.errors import ConfigurationError, SentinelError
from sentinel_etl.publish.rest import Rest, attach
from sentinel_etl.publish.turn import Turn
from sentinel_etl.publish.versions import keep_version
from sentinel_etl.warehouse.catalog import count_parts, has_ttl, read_definition
from sentinel_etl.warehouse.moves import exchange_statement
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.rows import PARTITION_ID, count_all, count_rows
from sentinel_etl.warehouse.tables import NEXT_MARK, create_like, drop_staging
from sentinel_etl.wording import plural

__all__ = ["changed_meanwhile", "clone", "exchange", "switch_by_exchange"]


def switch_by_exchange(
    table: Table,
    staging: Table,
    rest: Rest | None,
    staged: Sequence[str],
    gone: Callable[[Table], ColumnElement[bool]],
    warehouse: Engine,
    turn: Turn,
) -> str:
    """Put the staged partitions in, and those of ``rest`` in the place of the table's; return how.

    The table's lock is held from the clone to the exchange, so that no other run's switch falls between. An
    interruption before the exchange leaves the table as it was, after it as it is meant to be; besides, tables of the
    run's, which the next run sweeps.

    Raises: as `switch.switch_rows`.
    """
    apart = rest.partitions if rest else ()
    how = f"exchange {', '.join(sorted({*apart, *staged}))}"
    with turn.hold_table(table):
        following = clone(table, apart, warehouse, turn.run_id)
        if rest:
            attach(following, rest.table, apart, warehouse)
        attach(following, staging, staged, warehouse)
        check_clone(following, table, staging, {*apart, *staged}, gone, warehouse)
        exchange(following, table, how, warehouse, turn)
    if rest:
        drop_staging(rest.table, warehouse)
    return how


def clone(table: Table, partitions: Collection[str], warehouse: Engine, run_id: str) -> Table:
    """Make a table that has what a table has, but for these partitions."""
    following = create_like(table, NEXT_MARK, run_id, warehouse)
    attach(following, table, set(count_parts(warehouse, table.name)) - set(partitions), warehouse)
    return following


def check_clone(
    following: Table,
    table: Table,
    staging: Table,
    changed: Collection[str],
    gone: Callable[[Table], ColumnElement[bool]],
    warehouse: Engine,
) -> None:
    """Compare the table as it will be with the one that it replaces, and with what was staged.

    Raises:
        SentinelError: rows or definition are not as they are meant to be.
    """

    def count_gone(where: Table) -> int:
        return count_rows(where, and_(PARTITION_ID.in_(sorted(changed)), gone(where)), warehouse)

    staged = count_all(staging, warehouse)
    found = count_gone(following)
    if found != staged:
        raise changed_meanwhile(table, f"{staged:,} staged {plural(staged, 'row')} in the clone", f"{found:,}")
    # What a TTL takes out of one table and not yet of the other is no difference.
    if not has_ttl(warehouse, table.name):
        kept = count_all(table, warehouse) - count_gone(table)
        found = count_all(following, warehouse) - staged
        if found != kept:
            raise changed_meanwhile(table, f"{kept:,} other {plural(kept, 'row')} in the clone", f"{found:,}")


def changed_meanwhile(table: Table, expected: str, found: str) -> SentinelError:
    return SentinelError(
        f"table {table.name}: expected {expected}, found {found}, so something else has changed the table meanwhile. "
        "Nothing was published; run it again",
        stage="publish",
    )


def exchange(following: Table, table: Table, how: str, warehouse: Engine, turn: Turn) -> None:
    """Give the table's name to the clone, in one step, and keep the table of before as the run's settings say.

    Raises:
        SentinelError: the table's definition has changed since it was cloned, or the names cannot be exchanged.
    """
    if read_definition(warehouse, following.name) != read_definition(warehouse, table.name):
        raise changed_meanwhile(table, "the clone to be defined as the table is", "another definition")
    turn.note(how)
    turn.check_held()
    try:
        run_statement(warehouse, exchange_statement(following, table))
    except SentinelError as error:
        if "EXCHANGE" not in str(error) or "not supported" not in str(error):
            raise
        raise ConfigurationError(
            f"table {table.name}: expected a server that can exchange two tables, found that its file system cannot "
            "(it lacks renameat2, as NFS does). Nothing was published; put the warehouse's data on a local disk",
            stage="publish",
        ) from error
    keep_version(following, table, turn, warehouse)
