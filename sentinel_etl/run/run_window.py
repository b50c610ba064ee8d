"""Moves one window from source to warehouse: the order of the stages, and what the ledger notes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import Engine

from sentinel_etl.context import Context, completed_context
from sentinel_etl.extract.check_source import require_source
from sentinel_etl.ledger.handover import hand_over
from sentinel_etl.ledger.kept_rules import keep_rules
from sentinel_etl.ledger.ledger import RunRecord, read_runs, record_run, runs_of, with_switch
from sentinel_etl.ledger.nights import OpenNight, open_nights
from sentinel_etl.ledger.states import RunState
from sentinel_etl.lineage.tell import tell_run
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.run.fill_staging import fill_staging
from sentinel_etl.run.held_locks import hold_partitions
from sentinel_etl.run.job import Job
from sentinel_etl.run.judge import judge, look_back
from sentinel_etl.run.judge_time import judge_time
from sentinel_etl.run.provenance import name_versions
from sentinel_etl.run.result import RunResult, make_result
from sentinel_etl.run.run_ids import check_run_id, new_run_id
from sentinel_etl.run.stages import clear_staging, publish, reconcile, recount, set_apart
from sentinel_etl.run.sweep import sweep_staging
from sentinel_etl.run.unused_tables import withdraw_unused
from sentinel_etl.settings import Settings
from sentinel_etl.threads import background, interrupts_ignored
from sentinel_etl.warehouse.provision import prepare_tables
from sentinel_etl.warehouse.rows import instant
from sentinel_etl.warehouse.tables import ETL_RUNS, create_staging
from sentinel_etl.window import Window, check_calendar, check_ended

__all__ = ["execute", "run_window"]


def run_window(
    window: Window,
    *,
    context: Context | None = None,
    source: Engine | None = None,
    warehouse: Engine | None = None,
    replica: Engine | None = None,
    pipeline: Pipeline | None = None,
    event_types: Sequence[str] | None = None,
    dry_run: bool = False,
    allow_shrink: bool = False,
    run_id: str | None = None,
    settings: Settings | None = None,
) -> RunResult:
    """Move the window's events from the source to the fact table, all or nothing; on a cluster, per partition.

    Databases, pipeline and settings are the context's, or those given one by one; what is given neither way is
    that of the environment, and is opened and closed here. Rows are read from ``replica``, where there is one,
    and locks are taken on ``source``. ``event_types`` limits the run to some types; ``dry_run`` stages and
    audits, then publishes nothing.

    An interruption at any instant leaves the fact table as it was or as it is meant to be; tables of the run's
    beside it, which the next run sweeps; and a ledger row in state RUNNING. Running again is safe: the window's
    rows are replaced, never added to.

    Raises:
        ConfigurationError: settings, pipeline or event types that cannot be used.
        SchemaMismatch: the source or the fact table differs from the pipeline.
        SourceUnreachable, WarehouseUnreachable: a database does not answer.
        WindowLocked: another run holds a partition of the window.
        WindowError: a night that the fact table has no date for, or a window that has not ended.
    """
    check_calendar(window)
    if context is not None:
        return run_recorded(make_job(window, context, event_types, dry_run, allow_shrink, run_id))
    with completed_context(settings, pipeline, source, warehouse, replica) as completed:
        return run_recorded(make_job(window, completed, event_types, dry_run, allow_shrink, run_id))


def make_job(
    window: Window,
    context: Context,
    event_types: Sequence[str] | None,
    dry_run: bool,
    allow_shrink: bool,
    run_id: str | None,
) -> Job:
    chosen = context.pipeline.select_event_types(list(event_types or ()))
    return Job(check_run_id(run_id or new_run_id()), window, chosen, context, dry_run, allow_shrink)


def run_recorded(job: Job) -> RunResult:
    """Run the job, and note in the ledger that it began and how it ended."""
    check_ended(job.window, job.context.settings.now or datetime.now(UTC), job.context.pipeline.zone)
    context, warehouse = job.context, job.context.warehouse
    require_source(job.event_types.values(), context.source)
    with withdraw_unused(job):
        prepare_tables(warehouse, job.fact_table, context.pipeline.zone, context.pipeline.breakdown)
        keep_rules(job.record.config_hash, job.rules, warehouse)
        record_run(job.record, warehouse)
        with tell_run(job.record, context) as tell_end:
            try:
                result = execute(job)
            except BaseException as error:
                note_failure(replace(job.record, timings=job.clock.rounded()), error, warehouse)
                raise
            closed = result.close_record(with_switch(job.record, warehouse))
            hand_over(record_run(closed, warehouse))
            tell_end(closed)
    if result.published:
        result = replace(result, open=find_open(job))
        sweep_staging(job.fact_table, context.source, warehouse)
    return result


def find_open(job: Job) -> tuple[OpenNight, ...]:
    """Find the window's nights of which only a part is loaded, by this run and those before it."""
    pipeline, zone = job.context.pipeline, job.context.pipeline.zone
    nights = job.window.shift_dates(zone)
    whole = Window.nights(nights[0], nights[-1], zone)
    if whole == job.window:
        return ()
    columns = ETL_RUNS.c
    of_nights = (columns.window_start < instant(whole.end), columns.window_end > instant(whole.start))
    runs = read_runs(job.context.warehouse, runs_of(job.fact_table), *of_nights)
    return tuple(open_nights(nights, pipeline.event_types, runs, zone))


def execute(job: Job) -> RunResult:
    """Go through the stages; the lock on the partitions is held from the first to the last.

    Each stage returns what the next ones need. What needs only the other database goes on in the background.
    """
    context = job.context
    with job.clock.measure("total"):
        with hold_partitions(job) as locks:
            sweep_staging(job.fact_table, context.source, context.warehouse)
            table = create_staging(job.fact_table, job.run_id, context.warehouse)
            looked_back = background(lambda: look_back(job))
            apart = background(lambda: set_apart(job, locks))
            staged = fill_staging(job, table)
            judged = judge(job, staged, looked_back)
            now = background(lambda: recount(job))
            published = publish(job, staged, judged, locks, apart)
            reconciled = reconcile(job, staged, judged, now)
            clear_staging(job, staged, judged, apart)
        versions = name_versions(context.source, context.warehouse)
    timed = [] if judged.blocked or job.dry_run else judge_time(job)
    return make_result(job, staged, judged, published, reconciled, versions, timed)


def note_failure(record: RunRecord, error: BaseException, warehouse: Engine) -> None:
    """Write the failure to the ledger, unless that is what failed: the first error is the one to show."""
    cause = (
        "stopped by Ctrl-C or SIGTERM" if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__
    )
    try:
        with interrupts_ignored():  # a service's stop sends one to all its processes, and one comes from each above
            failed = replace(with_switch(record, warehouse), state=RunState.FAILED, cause=cause)
            hand_over(record_run(failed, warehouse))
    except Exception as second:  # noqa: BLE001 - raised on as a note of the first
        error.add_note(f"the ledger could not be written either: {second}")
