"""Executes a notebook headlessly: the executed notebook is the run's report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from sentinel_etl.databases import open_databases
from sentinel_etl.errors import AuditFailed, NotebookFailed, SentinelError, error_named
from sentinel_etl.ledger.commands import redo_command
from sentinel_etl.ledger.ledger import attach_report, read_runs
from sentinel_etl.notebook.folder import choose_report_folder, report_not_written, report_path
from sentinel_etl.notebook.index import refresh_index
from sentinel_etl.notebook.notebook_run import NotebookRun
from sentinel_etl.notebook.notify import post_verdict
from sentinel_etl.notebook.page import archive
from sentinel_etl.notebook.parameters import check_parameters, notebook_parameters, notebook_path
from sentinel_etl.pipeline import load_pipeline
from sentinel_etl.report import failure_page
from sentinel_etl.run.run_window import new_run_id
from sentinel_etl.settings import Settings, choose_window, load_settings

__all__ = ["run_notebook"]


# What passes between this process and the kernel is encrypted: other users share the loopback. Its
# shutdown begins with an interrupt (jupyter_client's KernelManager.shutdown_kernel), of which a kernel
# that has not quite finished its last message logs an error: nothing that a user can act on.
KERNEL_CONFIG = Config(
    {
        "KernelManager": {"transport_encryption": "required"},
        "NotebookClient": {"extra_arguments": ["--log-level=CRITICAL"]},
    }
)


def run_notebook(
    name: str = "etl_nightly",
    parameters: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
    progress: bool = False,
) -> NotebookRun:
    """Execute ``notebooks/<name>.ipynb`` and archive it under ``runs/<shift_date>/``.

    The window and the run id are settled here and passed in, so the archived notebook says exactly
    what it did. The notebook and its HTML page are written beside their final names and renamed into
    place: an interruption leaves a hidden ``.part`` file and no half report. The notebook of a failed
    run is archived too, before the error is raised.

    Raises:
        ConfigurationError: no such notebook, an unknown parameter, or a value of the wrong type.
        SentinelError: what the pipeline raised in the notebook, as its own class.
        NotebookFailed: a cell failed outside the pipeline, took too long, or the kernel died.
    """
    settings = settings or load_settings()
    source = notebook_path(name, settings)
    given = check_parameters(source, dict(parameters or {}))
    known = notebook_parameters(source)
    window = choose_window(given.get("window_end", ""), given.get("window_hours", 24), settings)
    load_pipeline(settings).select_event_types(given.get("event_types"))
    run_id = str(given.get("run_id") or new_run_id())
    settled = {"window_end": window.end.astimezone(settings.zone).isoformat(), "run_id": run_id}
    given |= {key: value for key, value in settled.items() if key in known}

    folder = choose_report_folder(str(window.shift_dates(settings.zone)[-1]), settings)
    span = f"{window.start:%Y%m%dT%H%MZ}-{window.end:%Y%m%dT%H%MZ}"
    report = folder / f"{source.stem}_{span}_{run_id}.ipynb"
    part = report.with_name(f".{report.stem}.part.ipynb")
    try:
        failure = execute(source, part, given, settings, progress)
    except OSError as error:
        raise report_not_written(part, error) from error
    verdict = None
    if failure is not None and not isinstance(failure, AuditFailed):  # of a failed audit the notebook itself tells
        redo = redo_command(window, settings.zone, given.get("event_types", ()), notebook=source.stem)
        record = read_record(run_id, settings) if "run_id" in known else None
        verdict = failure_page(failure, record, window, redo, settings.zone)
    try:
        page = archive(part, report, source, verdict)
    except OSError as error:
        raise report_not_written(report, error) from error
    done = NotebookRun(run_id, window, report, page, note_report(run_id, report, settings))
    if done.record:
        refresh_index(settings)
    if settings.notify_url is not None:
        post_verdict(settings.notify_url.get_secret_value(), done, failure)
    if failure is not None:
        failure.add_note(f"report of the failed run: {report}")
        raise failure
    return done


def execute(
    source: Path, target: Path, parameters: dict[str, Any], settings: Settings, progress: bool
) -> SentinelError | None:
    """Execute into ``target``, which papermill keeps up to date cell by cell; return what went wrong."""
    try:
        papermill.execute_notebook(
            str(source),
            str(target),
            parameters=parameters,
            # The kernel's folder; papermill's own `cwd` would change this process's, which other threads share.
            resources={"metadata": {"path": str(source.parent)}},
            progress_bar=progress,
            execution_timeout=settings.cell_timeout_seconds,
            config=KERNEL_CONFIG,
        )
    except PapermillExecutionError as error:
        return as_sentinel_error(error)
    except DeadKernelError:
        return NotebookFailed(
            f"{source.name}: the kernel died, most often for want of memory; the last cell of the report is "
            "where. Lower SENTINEL_BATCH_ROWS, or run a shorter window"
        )
    except CellTimeoutError:
        return NotebookFailed(
            f"{source.name}: a cell ran longer than SENTINEL_CELL_TIMEOUT_SECONDS "
            f"({settings.cell_timeout_seconds}); the last cell of the report is the one"
        )
    return None


def as_sentinel_error(error: PapermillExecutionError) -> SentinelError:
    known = error_named(error.ename)
    if known is None:
        return NotebookFailed(f"In [{error.exec_count}] failed: {error.ename}: {error.evalue}")
    return known(error.evalue)


def read_record(run_id: str, settings: Settings) -> Mapping[str, Any]:
    """Read the run's ledger row; empty where it has none, or where the warehouse does not answer."""
    try:
        return next(iter(read_runs(open_databases(settings).warehouse, "run_id = %(run_id)s", {"run_id": run_id})), {})
    except SentinelError:
        return {}


def note_report(run_id: str, report: Path, settings: Settings) -> Mapping[str, Any]:
    """Write the report's path to the run's ledger row, if the run came far enough to have one."""
    try:
        warehouse = open_databases(settings).warehouse
        attach_report(run_id, report_path(report, settings), warehouse)
    except SentinelError:
        return {}  # the database that failed the run cannot take the note either; the report says so
    return read_record(run_id, settings)
