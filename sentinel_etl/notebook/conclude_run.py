"""Concludes the run of a notebook: its archive, its row in the ledger, the index, and who is told of it.

What this takes to import, nbconvert above all, is imported while the kernel works.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from sentinel_etl.context import Context
from sentinel_etl.databases import Databases, open_databases
from sentinel_etl.errors import AuditFailed, NotebookFailed, SentinelError, Stopped
from sentinel_etl.ledger.archive import Archive
from sentinel_etl.ledger.ledger import attach_report, read_runs
from sentinel_etl.ledger.states import RunState
from sentinel_etl.notebook.folder import report_not_written, report_path
from sentinel_etl.notebook.index import refresh_index
from sentinel_etl.notebook.notebook_run import NotebookRun
from sentinel_etl.notebook.notify import tell_verdict
from sentinel_etl.notebook.page import archive_notebook, failed_sections
from sentinel_etl.notebook.plan_run import Plan, redo_of
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.tables import ETL_RUNS

if TYPE_CHECKING:
    from sentinel_etl.report.pages import Page

__all__ = ["conclude_run"]


log = logging.getLogger(__name__)


def conclude_run(
    plan: Plan, failure: SentinelError | None, pipeline: Pipeline, settings: Settings, context: Context | None
) -> NotebookRun:
    """Archive an executed notebook, note it in the ledger and the index, and tell its verdict.

    ``failure`` is what it ended in. Without a ``context`` the databases are opened now.

    Raises:
        SentinelError: the run's failure; what hindered the archive, where nothing worse did.
    """
    with databases_after(settings, context) as databases:
        unwritten = archive_plan(plan, failure, databases, settings)
        if failure and unwritten:
            log.warning("%s", unwritten)
        failure = settle(plan, failure or unwritten, databases)
        record = note_report(plan, databases, settings)
        for line in failed_sections(plan.report) if plan.report.exists() else ():
            log.warning("a section of the report is missing: %s", line)
        if record and databases:
            refresh_index(Archive(settings, pipeline, databases.warehouse, databases.source))
    done = NotebookRun(plan.run_id, plan.window, plan.report, plan.page, record)
    tell_verdict(done, failure, settings, redo_of(plan, settings))
    if failure is not None:
        if plan.report.exists():
            failure.add_note(f"report of the failed run: {plan.report}")
        raise failure
    return done


@contextmanager
def databases_after(settings: Settings, context: Context | None) -> Iterator[Databases | None]:
    """Lend the databases for what is noted after a run: the context's, or opened now; None: they do not answer."""
    if context is not None:
        yield context.databases
        return
    try:
        databases = open_databases(settings)
    except SentinelError:
        yield None
        return
    with closing(databases):
        yield databases


def archive_plan(
    plan: Plan, failure: SentinelError | None, databases: Databases | None, settings: Settings
) -> SentinelError | None:
    """Archive the executed notebook and its page; return what hindered it, such as a full disk or a broken template."""
    try:
        verdict = judge_end(plan, failure, databases, settings)
        archive_notebook(plan.part, plan.report, plan.source, verdict)
    except OSError as error:
        return report_not_written(plan.report, error)
    except Exception as error:  # noqa: BLE001 - a template may raise anything, and takes nothing back
        return NotebookFailed(f"{plan.page.name}: expected to draw the page, found: {type(error).__name__}: {error}")
    return None


def judge_end(
    plan: Plan, failure: SentinelError | None, databases: Databases | None, settings: Settings
) -> Page | None:
    """Write the page of a run that ended before its notebook could; of a failed audit the notebook itself tells."""
    if failure is None or isinstance(failure, AuditFailed):
        return None
    from sentinel_etl.report.verdict import failure_page  # and scipy: for few nights

    record = read_record(plan.run_id, databases.warehouse if databases else None) if plan.recorded else None
    return failure_page(failure, record, plan.window, redo_of(plan, settings), settings.zone)


def settle(plan: Plan, failure: SentinelError | None, databases: Databases | None) -> SentinelError | None:
    """Return what went wrong with the run: where its verdict is in the ledger, what its notebook broke off at is not.

    A cell that fails once the night is in takes nothing back, so it is a warning and no failure. Who stops a run is
    told that it was stopped, however far it had come.
    """
    if failure is None or isinstance(failure, AuditFailed | Stopped) or not plan.recorded or databases is None:
        return failure
    record = read_record(plan.run_id, databases.warehouse)
    state = record.get("state", RunState.UNKNOWN)
    decided = state.is_published or state in (RunState.DRY_RUN, RunState.NOT_PUBLISHED)
    if not decided or record["started_at"] < plan.began:
        return failure
    log.warning("the report is not whole: %s. The run's verdict stands: %s", failure, state)
    if state is RunState.NOT_PUBLISHED:
        return AuditFailed(f"{record['cause']}. Nothing was published", stage="audit", window=plan.window)
    return None


def read_record(run_id: str, warehouse: Engine | None) -> Mapping[str, Any]:
    """Read the run's ledger row; empty where it has none, or where the warehouse does not answer."""
    if warehouse is None:
        return {}
    try:
        return next(iter(read_runs(warehouse, ETL_RUNS.c.run_id == run_id)), {})
    except SentinelError:
        return {}


def note_report(plan: Plan, databases: Databases | None, settings: Settings) -> Mapping[str, Any]:
    """Write the report's path, where there is one, to the run's ledger row, if it has one; return the row."""
    if databases is None:
        return {}  # the database that failed the run cannot take the note either; the report says so
    try:
        if plan.report.exists():
            attach_report(plan.run_id, report_path(plan.report, settings), databases.warehouse)
    except SentinelError:
        return {}
    return read_record(plan.run_id, databases.warehouse)
