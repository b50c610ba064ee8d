"""Moves one window from source to warehouse: settles what a run needs, and notes in the ledger how it went."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version

from sqlalchemy import Engine

from sentinel_etl.databases import open_databases
from sentinel_etl.extract.check_source import require_source
from sentinel_etl.ledger.ledger import RunRecord, create_ledger, record_run
from sentinel_etl.load.staging import sweep_staging
from sentinel_etl.pipeline import Pipeline, load_pipeline
from sentinel_etl.run.provenance import config_hash
from sentinel_etl.run.result import RunResult
from sentinel_etl.run.stages import WindowRun
from sentinel_etl.settings import Settings, load_settings
from sentinel_etl.warehouse.provision import prepare_fact_table
from sentinel_etl.warehouse.tables import build_rejected, create_table
from sentinel_etl.window import Window, check_calendar

__all__ = ["new_run_id", "run_window"]


def new_run_id(now: datetime | None = None) -> str:
    """Make a run id: its start in UTC and a random tail, safe in names of tables and files."""
    return f"{now or datetime.now(UTC):%Y%m%dt%H%M%S}_{secrets.token_hex(3)}"


def run_window(
    window: Window,
    *,
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
    """Move the window's events from the source to the fact table, all or nothing per partition.

    Databases, pipeline and settings are those of the environment unless given; rows are read from
    ``replica``, where there is one, and locks are taken on ``source``. ``event_types``
    limits the run to some types; ``dry_run`` stages and audits, then publishes nothing.

    An interruption at any instant leaves the fact table, per partition, as it was or as it is meant
    to be; a staging table, which the next run sweeps; and a ledger row in state RUNNING. Running
    again is safe: the window's rows are replaced, never added to.

    Raises:
        ConfigurationError: settings, pipeline or event types that cannot be used.
        SchemaMismatch: the source or the fact table differs from the pipeline.
        SourceUnreachable, WarehouseUnreachable: a database does not answer.
        WindowLocked: another run holds a partition of the window.
        WindowError: a night that the fact table has no date for.
    """
    check_calendar(window)
    settings = settings or load_settings()
    pipeline = pipeline or load_pipeline(settings)
    chosen = pipeline.select_event_types(list(event_types or ()))
    if source is None or warehouse is None:
        databases = open_databases(settings)
        source, warehouse = source or databases.source, warehouse or databases.warehouse
        replica = replica or databases.replica
    require_source(chosen.values(), source)
    prepare_fact_table(warehouse, pipeline)
    create_table(warehouse, build_rejected(pipeline.fact_table))
    create_ledger(warehouse, settings.warehouse_cluster)

    run = WindowRun(window, source, replica or source, warehouse, pipeline, chosen, settings, run_id or new_run_id())
    record = RunRecord(
        run_id=run.run_id,
        fact_table=pipeline.fact_table.name,
        window=window,
        event_types=tuple(chosen),
        config_hash=config_hash(pipeline, window),
        code_version=version("sentinel-warehouse-etl"),
    )
    record_run(record, warehouse)
    try:
        with run.clock.measure("total"):
            result = run.execute(dry_run=dry_run, allow_shrink=allow_shrink)
    except BaseException as error:
        note_failure(replace(record, timings=run.clock.rounded()), error, warehouse)
        raise
    result = replace(result, timings=run.clock.rounded())
    record_run(result.close_record(record), warehouse)
    if result.published:
        sweep_staging(pipeline.fact_table, source, warehouse)
    return result


def note_failure(record: RunRecord, error: BaseException, warehouse: Engine) -> None:
    """Write the failure to the ledger, unless that is what failed: the first error is the one to show."""
    cause = str(error) or type(error).__name__
    try:
        record_run(replace(record, state="FAILED", cause=cause), warehouse)
    except Exception as second:  # noqa: BLE001 - raised on as a note of the first
        error.add_note(f"the ledger could not be written either: {second}")
