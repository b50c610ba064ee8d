"""Concludes the run of a notebook: its archive, its row in the ledger, the index, and who is told of it.

What this takes to import, nbconvert above all, is imported while the kernel works.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from sentinel_etl.errors import AuditFailed, NotebookFailed, SentinelError, Stopped
from sentinel_etl.ledger.archive import Archive
from sentinel_etl.ledger.ledger import RunRecord, attach_report, read_runs
from sentinel_etl.ledger.states import RunState
from sentinel_etl.lineage.tell import tell_failure
from sentinel_etl.notebook.folder import report_not_written, report_path
from sentinel_etl.notebook.index import refresh_index
from sentinel_etl.notebook.notebook_run import NotebookRun
from sentinel_etl.notebook.notify import tell_verdict
from sentinel_etl.notebook.page import archive_notebook, failed_sections, unsent_lineage
from sentinel_etl.notebook.plan_run import Plan, redo_of
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.tables import ETL_RUNS

if TYPE_CHECKING:
    from sentinel_etl.report.pages import Page

__all__ = ["Home", "archive_run", "conclude_run", "read_record"]


log = logging.getLogger(__name__)


def archive_run(
    plan: Plan,
    record: Mapping[str, Any],
    failure: SentinelError | None,
    settings: Settings,
    warehouse: Callable[[], Engine | None],
) -> tuple[Mapping[str, Any], SentinelError | None]:
    """Archive the executed notebook and its page; return the run's ledger row and what went wrong.

    ``record`` is what the run has handed over, and ``failure`` what its notebook ended in. ``warehouse`` opens the
    ledger, which is read only where nothing was handed over: of a kernel that died, a notebook that writes no row.
    """
    if not record and plan.recorded and (ledger := warehouse()) is not None:
        with suppress(SentinelError):
            record = read_record(plan.run_id, ledger)
    unwritten = archive_plan(plan, record, failure, settings)
    if failure and unwritten:
        log.warning("%s", unwritten)
    return record, settle(plan, record, failure or unwritten)


@dataclass(frozen=True)
class Home:
    """Where a run's report is kept and noted; ``warehouse`` None: it does not answer."""

    settings: Settings
    pipeline: Pipeline
    warehouse: Engine | None


def conclude_run(plan: Plan, record: Mapping[str, Any], failure: SentinelError | None, home: Home) -> NotebookRun:
    """Note the run's report in the ledger and in the index of runs, and tell who is to be told of its verdict."""
    settings = home.settings
    record = note_report(plan, record, home)
    for line in failed_sections(plan.report) if plan.report.exists() else ():
        log.warning("a section of the report is missing: %s", line)
    for line in unsent_lineage(plan.report) if plan.report.exists() else ():
        log.warning("%s", line)
    if failure is not None:
        tell_unrecorded(plan, failure, record, home)
    if record and home.warehouse is not None:
        refresh_index(Archive(settings, home.pipeline, home.warehouse))
    done = NotebookRun(plan.run_id, plan.window, plan.report, plan.page, record)
    tell_verdict(done, failure, settings, redo_of(plan, settings))
    return done


def archive_plan(
    plan: Plan, record: Mapping[str, Any], failure: SentinelError | None, settings: Settings
) -> SentinelError | None:
    """Archive the executed notebook and its page; return what hindered it, such as a full disk or a broken template."""
    try:
        if not plan.part.exists():  # its process is gone, or had not begun
            shutil.copyfile(plan.source, plan.part)
        archive_notebook(plan.part, plan.report, plan.source, judge_end(plan, record, failure, settings))
    except OSError as error:
        return report_not_written(plan.report, error)
    except Exception as error:  # noqa: BLE001 - a template may raise anything, and takes nothing back
        return NotebookFailed(f"{plan.page.name}: expected to draw the page, found: {type(error).__name__}: {error}")
    return None


def judge_end(plan: Plan, record: Mapping[str, Any], failure: SentinelError | None, settings: Settings) -> Page | None:
    """Write the page of a run that ended before its notebook could; of a failed audit the notebook itself tells."""
    if failure is None or isinstance(failure, AuditFailed):
        return None
    from sentinel_etl.report.verdict import failure_page  # and scipy: for few nights

    known = record if plan.recorded else None
    return failure_page(failure, known, plan.window, redo_of(plan, settings), settings.zone)


def settle(plan: Plan, record: Mapping[str, Any], failure: SentinelError | None) -> SentinelError | None:
    """Return what went wrong with the run: where its verdict is known, what its notebook broke off at is not.

    A cell that fails once the night is in takes nothing back, so it is a warning and no failure. Who stops a run is
    told that it was stopped, however far it had come.
    """
    if failure is None or isinstance(failure, AuditFailed | Stopped):
        return failure
    state = record.get("state", RunState.UNKNOWN)
    if not (state.is_published or state in (RunState.DRY_RUN, RunState.NOT_PUBLISHED)):
        return failure
    log.warning("the report is not whole: %s. The run's verdict stands: %s", failure, state)
    if state is RunState.NOT_PUBLISHED:
        return AuditFailed(f"{record['cause']}. Nothing was published", stage="audit", window=plan.window)
    return None


def tell_unrecorded(plan: Plan, failure: SentinelError, record: Mapping[str, Any], home: Home) -> None:
    """Tell the collector of lineage of a run that could not: it has no end in the ledger, or not even a beginning."""
    ended = record.get("state", RunState.RUNNING) is not RunState.RUNNING
    if plan.recorded and not ended and not plan.parameters.get("dry_run"):
        kinds = tuple(home.pipeline.event_types)
        begun = RunRecord(plan.run_id, home.pipeline.fact_table.name, plan.window, kinds)
        tell_failure(begun, home.pipeline, failure, home.settings)


def read_record(run_id: str, warehouse: Engine) -> Mapping[str, Any]:
    """Read the run's ledger row; empty where it has none.

    Raises:
        SentinelError: the warehouse does not answer.
    """
    return next(iter(read_runs(warehouse, ETL_RUNS.c.run_id == run_id)), {})


def note_report(plan: Plan, record: Mapping[str, Any], home: Home) -> Mapping[str, Any]:
    """Write the report's path, where there is one, to the run's ledger row, if it has one; return the row with it."""
    if not record or not plan.report.exists():
        return record
    noted = report_path(plan.report, home.settings)
    if home.warehouse is not None:
        try:
            attach_report(plan.run_id, noted, home.warehouse)
        except SentinelError as error:
            log.warning("the report's path is not in the ledger: %s", error)
    return {**record, "report_path": noted}
