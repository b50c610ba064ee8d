"""Moves many nights: planned from the ledger, grouped by partition, one report a group."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd

from sentinel_etl.context import Context
from sentinel_etl.errors import SentinelError, WindowError, error_named
from sentinel_etl.ledger.ledger import list_runs
from sentinel_etl.ledger.standing import read_standing
from sentinel_etl.ledger.states import RunState
from sentinel_etl.notebook.interrupts import Termination, stopped_by
from sentinel_etl.notebook.kernel_process import KernelsAhead
from sentinel_etl.notebook.stopping import StopSignal
from sentinel_etl.operations.groups import Group, GroupResult, group_nights
from sentinel_etl.operations.progress import BackfillProgress, measure_backfill, name_backfill
from sentinel_etl.operations.workers import dask_workers, local_workers
from sentinel_etl.publish.partitions import partition_scheme
from sentinel_etl.rules.stale import find_stale_nights
from sentinel_etl.warehouse.provision import prepare_tables
from sentinel_etl.window import Window, check_ended, nights_between
from sentinel_etl.wording import plural

log = logging.getLogger(__name__)

__all__ = ["backfill_table", "plan_backfill", "plan_stale", "raise_for_groups", "run_backfill"]


def plan_backfill(
    context: Context, first: date, last: date, *, missing_only: bool = False, stale_only: bool = False
) -> list[Group]:
    """Plan the nights ``first`` to ``last``, both included, as one group for each stretch in a partition.

    ``stale_only`` leaves out all but the nights that were loaded under other rules than today's, and ``missing_only``
    leaves out the nights that the ledger says are published for all event types, none of whose runs
    has died since, and that have all the rows that their last run left, but for what the table's TTL has taken.

    Raises:
        WindowError: the last night lies before the first, or has not ended.
    """
    if last < first:
        raise WindowError(f"backfill: expected --to on or after --from, found {first} to {last}")
    now = context.settings.now or datetime.now(UTC)
    check_ended(Window.nights(first, last, context.settings.zone), now, context.settings.zone)
    pipeline, warehouse, zone = context.pipeline, context.warehouse, context.settings.zone
    prepare_tables(warehouse, pipeline.fact_table, pipeline.zone, pipeline.breakdown)
    scheme = partition_scheme(pipeline.fact_table, warehouse)
    nights = nights_between(first, last, zone)
    if skipped := (last - first).days + 1 - len(nights):
        words = plural(skipped, "night", "nights")
        log.warning("%s %s skipped that the clocks of %s have left out", skipped, words, zone)
    if missing_only or stale_only:
        due = read_standing(nights, pipeline, warehouse, context.source).due if missing_only else set()
        due |= {*list_stale(context)} if stale_only else set()
        nights = [night for night in nights if night in due]
    return group_nights(nights, scheme, zone)


def plan_stale(context: Context) -> list[Group]:
    """Plan all nights that were loaded under other rules than today's; none, where there are none.

    Raises:
        WarehouseUnreachable: the ledger cannot be read.
    """
    nights = list_stale(context)
    return plan_backfill(context, nights[0], nights[-1], stale_only=True) if nights else []


def list_stale(context: Context) -> Sequence[date]:
    pipeline, warehouse = context.pipeline, context.warehouse
    stale = find_stale_nights(list_runs(pipeline.fact_table, warehouse), pipeline, warehouse)
    return stale.nights if stale else ()


def run_backfill(
    groups: Sequence[Group],
    context: Context,
    *,
    jobs: int = 1,
    dask: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    progress: Callable[[GroupResult], None] = lambda result: None,
    stopped: Callable[[KeyboardInterrupt], None] = lambda interrupt: None,
    watch: Callable[[BackfillProgress], None] | None = None,
    watch_seconds: float = 1.0,
    kernels: KernelsAhead | None = None,
) -> list[GroupResult]:
    """Run the groups, ``jobs`` at a time or on a Dask cluster, and return their results in order.

    Groups of one partition run one after the other. On Ctrl-C the groups under way are finished and the rest is left;
    a second one, and SIGTERM, end those under way, too. What is done is in the ledger, so ``--missing-only`` goes on
    from there. ``stopped`` is told what ended it. A driver that is killed ends its groups as a killed run ends, or
    leaves them to the cluster's workers.

    ``progress`` is told each result, and ``watch`` every few seconds how far the backfill is.
    ``kernels``, opened before the databases were, have a process that imports already; a Dask cluster has its own.

    Raises:
        ConfigurationError: Dask is asked for and not installed, or its scheduler does not answer.
    """
    lanes: dict[str, deque[Group]] = {}
    for group in groups:
        lanes.setdefault(group.partition, deque()).append(group)
    free, running = deque(lanes.values()), dict[Future[GroupResult], tuple[Group, deque[Group]]]()
    results: dict[Window, GroupResult] = {}
    stop, backfill = StopSignal(), name_backfill(groups)
    workers = (
        local_workers(jobs, groups, context, stop, backfill, kernels)
        if dask is None
        else dask_workers(dask, groups, context, stop, backfill)
    )
    with workers as (executor, work, slots):
        try:
            while free or running:
                # No more is handed over than runs at once: what waits in a pool can't be called back.
                while free and len(running) < slots:
                    lane = free.popleft()
                    group = lane.popleft()
                    running[executor.submit(work, group, dict(parameters or {}))] = group, lane
                ended = wait(running, watch_seconds if watch else None, return_when=FIRST_COMPLETED).done
                if watch and not ended:
                    watch(measure_backfill(backfill, context, [group for group, _ in running.values()]))
                for future in ended:
                    _, lane = running.pop(future)
                    result = results[future.result().group.window] = future.result()
                    progress(result)
                    if lane:
                        free.append(lane)
        except KeyboardInterrupt as interrupt:
            stopped(interrupt)
            results |= finish(running, interrupt, stop)
    return [results[group.window] for group in groups if group.window in results]


def finish(
    running: Iterable[Future[GroupResult]], interrupt: KeyboardInterrupt, stop: StopSignal
) -> dict[Window, GroupResult]:
    """Wait for the groups under way; SIGTERM, and a second Ctrl-C, end them first."""
    if isinstance(interrupt, Termination):
        stop.interrupt = interrupt
    try:
        wait(running)
    except KeyboardInterrupt as again:
        stop.interrupt = again
        wait(running)
    return {future.result().group.window: future.result() for future in running}


def backfill_table(groups: Sequence[Group], results: Sequence[GroupResult]) -> pd.DataFrame:
    """Tabulate the groups: partition, window, nights, verdict, rows, report; one not reached is LEFT."""
    done = {result.group.window: result for result in results}
    rows = []
    for group in groups:
        result = done.get(group.window)
        verdict, count, report = (result.verdict, result.rows, result.report) if result else (RunState.LEFT, 0, "")
        rows.append((group.partition, str(group.window), group.nights, verdict, count, report))
    return pd.DataFrame(rows, columns=["partition", "window", "nights", "verdict", "rows", "report"])


def raise_for_groups(
    groups: Sequence[Group], results: Sequence[GroupResult], stopped: Sequence[KeyboardInterrupt] = ()
) -> None:
    """Raise where a group failed, or was left by Ctrl-C or SIGTERM, which is ``stopped``.

    Raises:
        SentinelError: of the first failure's class, so that the exit code is its own.
    """
    failed = [result for result in results if result.error]
    left = f"{len(groups) - len(results)} of {len(groups)} {plural(len(groups), 'group is', 'groups are')} left"
    if stopped and (failed or len(results) < len(groups)):
        raise stopped_by(stopped[0], f"{left}; run it again with --missing-only")
    if failed:
        kind = error_named(failed[0].error) or SentinelError
        raise kind(
            f"{len(failed)} of {len(groups)} {plural(len(groups), 'group')} failed; the first: {failed[0].cause}"
        )
    if len(results) < len(groups):
        raise SentinelError(f"stopped: {left}; run it again with --missing-only")
