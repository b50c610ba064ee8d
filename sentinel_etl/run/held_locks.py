"""The locks that a run holds, all on one session, and what a switch needs of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date

from clickhouse_sqlalchemy import Table

from sentinel_etl.context import Context
from sentinel_etl.ledger.ledger import note_switch
from sentinel_etl.publish.partitions import partition_ids, partition_scheme
from sentinel_etl.publish.turn import Turn
from sentinel_etl.run.job import Job
from sentinel_etl.run.sweep import sweep_staging
from sentinel_etl.run.unused_tables import keep_tables
from sentinel_etl.source.locks import SessionLocks, hold_locks, partition_lock, run_lock, session_name, table_lock

__all__ = ["HeldLocks", "hold_more", "hold_partitions", "table_holder", "take_turn"]


@dataclass(frozen=True)
class HeldLocks:
    """The partitions that the window touches, locked by one session."""

    partitions: tuple[str, ...]
    session: SessionLocks


@contextmanager
def hold_partitions(job: Job) -> Iterator[HeldLocks]:
    """Lock the run's own name, which shows it alive, and the partitions that the window touches.

    Raises:
        WindowLocked: another run holds one of them.
    """
    context = job.context
    wait = context.settings.lock_wait_seconds
    with hold_locks(context.source, [run_lock(job.run_id)], session_name(job.run_id), wait) as session:
        keep_tables(job, session)
        scheme = partition_scheme(job.fact_table, context.warehouse)
        partitions = partition_ids(job.window, scheme, context.pipeline.zone)
        with session.hold(partition_locks(job, partitions)):
            yield HeldLocks(tuple(partitions), session)


@contextmanager
def hold_more(job: Job, partitions: Sequence[str], locks: HeldLocks) -> Iterator[HeldLocks]:
    """Lock further partitions, too; they come after the window's own.

    Raises:
        WindowLocked: another run holds one of them.
    """
    more = [partition for partition in partitions if partition not in locks.partitions]
    with locks.session.hold(partition_locks(job, more)):
        yield HeldLocks((*locks.partitions, *more), locks.session)


def partition_locks(job: Job, partitions: Sequence[str]) -> list[str]:
    return [partition_lock(job.fact_table.name, partition) for partition in partitions]


def take_turn(job: Job, session: SessionLocks, nights: Iterable[date], check: Callable[[], None]) -> Turn:
    """Tell what a switch of these nights needs: the run's locks, the table's lock, and the ledger.

    ``check`` is called under the table's lock, before the switch, and may refuse it.
    """
    context = job.context

    def note(how: str) -> None:
        check()
        note_switch(job.record, how, nights, context.warehouse)

    return Turn(job.run_id, table_holder(context, session), session.check, note, context.settings.keep_versions)


def table_holder(context: Context, session: SessionLocks) -> Callable[[Table], AbstractContextManager[None]]:
    """Give the function that holds a table's lock, too, and puts up the fence: see `Turn`."""

    @contextmanager
    def hold_table(table: Table) -> Iterator[None]:
        with session.hold([table_lock(table.name)]):
            sweep_staging(context.pipeline.fact_table, context.source, context.warehouse)
            yield

    return hold_table
