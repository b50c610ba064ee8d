"""Who runs a backfill's groups: threads here, or the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any

from sentinel_etl.context import Context
from sentinel_etl.errors import NotebookFailed, SentinelError
from sentinel_etl.files import write_atomically
from sentinel_etl.notebook.conclude_run import Home, archive_run, conclude_run, read_record
from sentinel_etl.notebook.kernel_process import KernelsAhead
from sentinel_etl.notebook.plan_run import Plan, plan_run
from sentinel_etl.notebook.stopping import StopSignal
from sentinel_etl.operations.cluster import Cluster, check_workers, connect_cluster
from sentinel_etl.operations.errands import Delivery, make_errand, take_delivery
from sentinel_etl.operations.groups import Group, GroupResult
from sentinel_etl.operations.run_group import describe_error, failed_result, parameters_of, result_of, run_group

__all__ = ["Work", "dask_workers", "local_workers"]

Work = Callable[[Group, Mapping[str, Any]], GroupResult]


@contextmanager
def local_workers(
    jobs: int,
    groups: Sequence[Group],
    context: Context,
    stop: StopSignal,
    backfill: str,
    kernels: KernelsAhead | None = None,
) -> Iterator[tuple[ThreadPoolExecutor, Work, int]]:
    """Open threads, each of which waits for a group: what moves it is the notebook's kernel, a process apart.

    The next group's kernel has imported by the time that its turn comes. ``kernels``: opened by the caller, the first
    of which imports already.
    """

    def work(group: Group, parameters: Mapping[str, Any]) -> GroupResult:
        try:
            with lender.lend() as kernel:
                return run_group(group, parameters, context.settings, context, stop, backfill, kernel)
        except Exception as error:  # noqa: BLE001 - no process can be started, say
            return failed_result(group, error)

    opened = nullcontext(kernels) if kernels else KernelsAhead(len(groups))
    with opened as lender, ThreadPoolExecutor(jobs) as executor:
        lender.expect(len(groups))
        yield executor, work, jobs


@contextmanager
def dask_workers(
    address: str, groups: Sequence[Group], context: Context, stop: StopSignal, backfill: str
) -> Iterator[tuple[ThreadPoolExecutor, Work, int]]:
    """Open a Dask cluster's workers; a thread here waits for each group, and brings its report home.

    Raises:
        ConfigurationError: no cluster, no worker, or one that is not as this process is. Nothing was begun.
    """
    with connect_cluster(address, context.settings) as cluster:
        if groups:
            check_workers(cluster, make_errand(plan_group(groups[0], {}, context, backfill), context))

        def work(group: Group, parameters: Mapping[str, Any]) -> GroupResult:
            try:
                return run_away(plan_group(group, parameters, context, backfill), group, cluster, context, stop)
            except Exception as error:  # noqa: BLE001 - sixty nights do not end without a word for one
                return failed_result(group, error)

        slots = max(1, sum(cluster.workers().values()))
        with ThreadPoolExecutor(slots) as executor:
            yield executor, work, slots


def plan_group(group: Group, parameters: Mapping[str, Any], context: Context, backfill: str) -> Plan:
    return plan_run("etl_nightly", parameters_of(group, parameters), context.pipeline, context.settings, backfill)


def run_away(plan: Plan, group: Group, cluster: Cluster, context: Context, stop: StopSignal) -> GroupResult:
    """Have a worker run a group, and note here how it ended, whatever became of the worker."""
    delivery: Delivery | None = None
    failure: SentinelError | None
    try:
        delivery = cluster.deliver(make_errand(plan, context), stop)
        failure = take_delivery(delivery)
    except SentinelError as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - whatever Dask ends a task with
        failure = NotebookFailed(describe_error(error))
    record, failure = believe_ledger(plan, delivery, failure, context)
    if delivery is not None and delivery.notebook:
        write_atomically(plan.report, delivery.notebook)
        write_atomically(plan.page, delivery.page)
    else:
        record, failure = archive_run(plan, record, failure, context.settings, lambda: None)
    home = Home(context.settings, context.pipeline, context.warehouse)
    return result_of(group, conclude_run(plan, record, failure, home), failure, context.settings)


def believe_ledger(
    plan: Plan, delivery: Delivery | None, failure: SentinelError | None, context: Context
) -> tuple[Mapping[str, Any], SentinelError | None]:
    """Take how a run ended from this process's own ledger, where that answers; what a worker says has to be there."""
    told: Mapping[str, Any] = delivery.record if delivery is not None else {}
    try:
        found = read_record(plan.run_id, context.warehouse)
    except SentinelError:
        return told, failure
    if told and not found:
        return {}, SentinelError(
            f"its worker says {told['state']}, and the ledger here has no row of run {plan.run_id}: expected it to "
            "write to the driver's warehouse. See what its SENTINEL_WAREHOUSE_URL names"
        )
    return found, failure
