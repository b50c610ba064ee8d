"""Moves many nights: planned from the ledger, grouped by partition, one report a group."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from datetime import date, timedelta
from typing import Any

import pandas as pd

from sentinel_etl.context import Context
from sentinel_etl.errors import SentinelError, WindowError, error_named
from sentinel_etl.ledger.ledger import read_runs, runs_of
from sentinel_etl.ledger.nights import missing_nights
from sentinel_etl.ledger.presence import find_lost
from sentinel_etl.ledger.states import RunState
from sentinel_etl.operations.groups import Group, GroupResult, group_nights
from sentinel_etl.operations.workers import dask_workers, local_workers
from sentinel_etl.publish.partitions import partition_scheme
from sentinel_etl.warehouse.provision import prepare_tables
from sentinel_etl.window import Window
from sentinel_etl.wording import plural

__all__ = ["backfill_table", "plan_backfill", "raise_for_groups", "run_backfill"]


def plan_backfill(context: Context, first: date, last: date, *, missing_only: bool = False) -> list[Group]:
    """Plan the nights ``first`` to ``last``, both included, as one group for each stretch in a partition.

    ``missing_only`` leaves out the nights that the ledger says are published for all event types, and that have all
    the rows that their last run left.

    Raises:
        WindowError: the last night lies before the first.
    """
    if last < first:
        raise WindowError(f"backfill: expected --to on or after --from, found {first} to {last}")
    pipeline, warehouse, zone = context.pipeline, context.warehouse, context.settings.zone
    prepare_tables(warehouse, pipeline.fact_table, pipeline.zone, pipeline.breakdown)
    scheme = partition_scheme(pipeline.fact_table, warehouse)
    nights = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    if missing_only:
        runs = read_runs(warehouse, runs_of(pipeline.fact_table))
        missing = missing_nights(nights, pipeline.event_types, runs, zone)
        lost = {one.shift_date for one in find_lost(nights, runs, pipeline.fact_table, warehouse)}
        nights = [night for night in nights if night in lost.union(missing)]
    return group_nights(nights, scheme, zone)


def run_backfill(
    groups: Sequence[Group],
    context: Context,
    *,
    jobs: int = 1,
    dask: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    progress: Callable[[GroupResult], None] = lambda result: None,
) -> list[GroupResult]:
    """Run the groups, ``jobs`` at a time or on a Dask cluster, and return their results in order.

    Groups of one partition run one after the other. On Ctrl-C the groups under way are finished and
    the rest is left; what is done is in the ledger, so ``--missing-only`` goes on from there. A driver
    that is killed ends its groups as a killed run ends, or leaves them to the cluster's workers.

    Raises:
        ConfigurationError: Dask is asked for and not installed, or its scheduler does not answer.
    """
    lanes: dict[str, deque[Group]] = {}
    for group in groups:
        lanes.setdefault(group.partition, deque()).append(group)
    free, running = deque(lanes.values()), dict[Future[GroupResult], deque[Group]]()
    results: dict[Window, GroupResult] = {}
    workers = local_workers(jobs, context) if dask is None else dask_workers(dask, context.settings)
    with workers as (executor, work, slots):
        try:
            while free or running:
                # No more is handed over than runs at once: what waits in a pool can't be called back.
                while free and len(running) < slots:
                    lane = free.popleft()
                    running[executor.submit(work, lane.popleft(), dict(parameters or {}))] = lane
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    lane = running.pop(future)
                    result = results[future.result().group.window] = future.result()
                    progress(result)
                    if lane:
                        free.append(lane)
        except KeyboardInterrupt:
            results |= {future.result().group.window: future.result() for future in running}
    return [results[group.window] for group in groups if group.window in results]


def backfill_table(groups: Sequence[Group], results: Sequence[GroupResult]) -> pd.DataFrame:
    """Tabulate the groups: partition, window, nights, verdict, rows, report; one not reached is LEFT."""
    done = {result.group.window: result for result in results}
    rows = []
    for group in groups:
        result = done.get(group.window)
        verdict, count, report = (result.verdict, result.rows, result.report) if result else (RunState.LEFT, 0, "")
        rows.append((group.partition, str(group.window), group.nights, verdict, count, report))
    return pd.DataFrame(rows, columns=["partition", "window", "nights", "verdict", "rows", "report"])


def raise_for_groups(groups: Sequence[Group], results: Sequence[GroupResult]) -> None:
    """Raise where a group failed, or was left by Ctrl-C.

    Raises:
        SentinelError: of the first failure's class, so that the exit code is its own.
    """
    failed = [result for result in results if result.error]
    if failed:
        kind = error_named(failed[0].error) or SentinelError
        raise kind(
            f"{len(failed)} of {len(groups)} {plural(len(groups), 'group')} failed; the first: {failed[0].cause}"
        )
    if len(results) < len(groups):
        raise SentinelError(
            f"stopped: {len(groups) - len(results)} of {len(groups)} {plural(len(groups), 'group is', 'groups are')} "
            "left; run it again with --missing-only"
        )
