"""What each stage of a run after `judge` does; which follows which stands in `run_window.execute`.

Each takes the job and what the stages before returned, and returns a frozen value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

import pandas as pd
from sqlalchemy import and_

from sentinel_etl.errors import WindowLocked
from sentinel_etl.ledger.presence import NightRows, measure_nights
from sentinel_etl.ledger.versions import partitions_since
from sentinel_etl.publish.publish_rejected import publish_rejected
from sentinel_etl.publish.publish_window import publish_window, set_window_apart
from sentinel_etl.publish.rest import Rest
from sentinel_etl.reconcile.counts import count_source, count_warehouse
from sentinel_etl.run.fill_staging import Staged
from sentinel_etl.run.held_locks import HeldLocks, hold_more, take_turn
from sentinel_etl.run.job import Job
from sentinel_etl.run.judge import Judged
from sentinel_etl.warehouse.rows import PARTITION_ID, count_rows, is_staged
from sentinel_etl.warehouse.tables import drop_staging
from sentinel_etl.wording import plural

__all__ = [
    "Published",
    "Reconciled",
    "clear_staging",
    "publish",
    "reconcile",
    "recount",
    "set_apart",
]


@dataclass(frozen=True)
class Published:
    """How the fact table was switched, and the rows of each night after it; empty: nothing was to be."""

    how: str = ""
    nights: Mapping[date, NightRows] = field(default_factory=dict)


def set_apart(job: Job, locks: HeldLocks) -> Rest | None:
    """Take the window's old rows out of its partitions, apart from the fact table, while the new ones are read."""
    if job.dry_run:
        return None
    with job.clock.measure("set apart"):
        return set_window_apart(
            job.fact_table, job.window, job.owned_types, locks.partitions, job.context.warehouse, job.run_id
        )


def publish(job: Job, staged: Staged, judged: Judged, locks: HeldLocks, apart: Callable[[], Rest | None]) -> Published:
    """Put the rejected rows and then the facts in the place of the window's earlier ones, if that is to be.

    Where an event has moved here from another night, its old row goes in the same switch, and that night's partition
    is locked, too. ``apart`` waits for `set_apart`. An interruption leaves what `publish_rejected` and
    `publish_window` leave.

    Raises:
        WindowLocked: another run holds such a partition, or the table. Nothing is published.
    """
    if judged.blocked or job.dry_run:
        return Published()
    warehouse, types, others = job.context.warehouse, job.owned_types, judged.others
    # A run that fails while it waits for a lock has published nothing, and its timings say so.
    with hold_more(job, others.partitions, locks) as held, job.clock.measure("publish"):
        nights = {*job.window.shift_dates(job.context.pipeline.zone), *others.standing["shift_date"]}
        turn = take_turn(job, held.session, nights, lambda: check_nothing_came(job, staged, judged, held))
        publish_rejected(staged.rejected.staging, job.rejected_table, job.window, types, warehouse, turn)
        moved = not others.standing.empty
        how = publish_window(
            staged.table, job.fact_table, job.window, types, held.partitions, moved, warehouse, turn, apart()
        )
        return Published(how, measure_nights(job.fact_table, nights, warehouse))


def check_nothing_came(job: Job, staged: Staged, judged: Judged, locks: HeldLocks) -> None:
    """Ask once more, under the table's lock, for staged events in partitions that others have switched meanwhile.

    Raises:
        WindowLocked: one stands there now, and would stand twice.
    """
    facts, warehouse = job.fact_table, job.context.warehouse
    came = partitions_since(judged.looked_at, facts, warehouse) - set(locks.partitions)
    if not came:
        return
    if rows := count_rows(facts, and_(PARTITION_ID.in_(sorted(came)), is_staged(facts, staged.table)), warehouse):
        raise WindowLocked(
            f"expected no other run to publish events of {job.window} meanwhile; found {rows:,} {plural(rows, 'row')} "
            "of them in nights that one has. No event was published; run it again",
            stage="publish",
            window=job.window,
        )


def recount(job: Job) -> dict[str, int]:
    """Count the source's rows of the window as they are now."""
    limit = job.context.settings.statement_timeout_seconds
    return count_source(job.event_types.values(), job.window, job.context.reader, limit)


@dataclass(frozen=True)
class Reconciled:
    """Both sides counted after publishing: the columns of `RunResult.counts`."""

    counts: pd.DataFrame


def reconcile(job: Job, staged: Staged, judged: Judged, now: Callable[[], Mapping[str, int]]) -> Reconciled:
    """Count what is published, beside what was read; ``now`` waits for `recount`."""
    names = job.names
    with job.clock.measure("reconcile"):
        published = count_warehouse(job.fact_table, job.window, names, job.context.warehouse)
        sides = {
            "source": staged.extracted.counts,
            "staged": judged.staged,
            "rejected": staged.rejected.in_window,
            "published": published,
            "source_now": now(),
        }
    columns = {side: [counts.get(name, 0) for name in names] for side, counts in sides.items()}
    return Reconciled(pd.DataFrame({"event_type": names, **columns}))


def clear_staging(job: Job, staged: Staged, judged: Judged, apart: Callable[[], Rest | None]) -> None:
    """Drop the run's tables, but for what is kept for inspection; `run.sweep` drops that when its time has come.

    Kept is the staging of a failed audit; and of a dry run what the queries of its report read.
    """
    if judged.blocked and (rest := apart()):
        drop_staging(rest.table, job.context.warehouse)
    queries = [check.query for check in judged.checks] if job.dry_run else []
    for table in (staged.table, staged.rejected.staging):
        if table is not None and not judged.blocked and not any(table.name in query for query in queries):
            drop_staging(table, job.context.warehouse)
