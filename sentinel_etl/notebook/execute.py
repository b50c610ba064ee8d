"""Executes a notebook headlessly: the executed notebook is the run's report."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError
from sqlalchemy import Engine

from sentinel_etl.brief import Brief
from sentinel_etl.context import Context
from sentinel_etl.databases import check_home, opened_warehouse
from sentinel_etl.errors import AuditFailed, NotebookFailed, SentinelError, Stopped, error_named
from sentinel_etl.ledger.archive import Archive
from sentinel_etl.ledger.commands import redo_command
from sentinel_etl.ledger.handover import take_over
from sentinel_etl.ledger.ledger import RunRecord, attach_report, read_runs
from sentinel_etl.ledger.states import RunState
from sentinel_etl.lineage.tell import tell_failure
from sentinel_etl.notebook.folder import choose_report_folder, report_not_written, report_path
from sentinel_etl.notebook.index import refresh_index
from sentinel_etl.notebook.kernel import run_kernel
from sentinel_etl.notebook.notebook_run import NotebookRun
from sentinel_etl.notebook.notify import tell_verdict
from sentinel_etl.notebook.page import archive_notebook, failed_sections, unsent_lineage
from sentinel_etl.notebook.parameters import check_parameters, notebook_parameters, notebook_path
from sentinel_etl.notebook.stopping import StopSignal, execute_stoppable
from sentinel_etl.pipeline import Pipeline, load_pipeline
from sentinel_etl.report import Page, failure_page
from sentinel_etl.run.run_window import check_run_id, new_run_id
from sentinel_etl.scratch import scratch_folder
from sentinel_etl.settings import SECRETS, Settings, choose_window, hand_down, load_settings, project_home
from sentinel_etl.warehouse.tables import ETL_RUNS
from sentinel_etl.window import Window, check_ended
from sentinel_etl.wording import without_statement

__all__ = ["run_notebook"]


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """A notebook about to be executed: the parameters as they are settled, and where its report will be.

    ``recorded``: whether it takes a run id, so that a run of it has a row in the ledger. ``began``: when this one was
    planned; a row that is older is of another run that bore its id.
    """

    source: Path
    parameters: Mapping[str, Any]
    window: Window
    run_id: str
    report: Path
    recorded: bool
    backfill: str = ""

    @property
    def page(self) -> Path:
        return self.report.with_suffix(".html")

    @property
    def part(self) -> Path:
        """Where it is executed, until it is done."""
        return self.report.with_name(f".{self.report.stem}.part.ipynb")


def run_notebook(
    name: str = "etl_nightly",
    parameters: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
    progress: bool = False,
    *,
    context: Context | None = None,
    stop: StopSignal | None = None,
) -> NotebookRun:
    """Execute ``notebooks/<name>.ipynb`` and archive it under ``runs/<shift_date>/``.

    The window and the run id are settled here and passed in, so the archived notebook says exactly
    what it did. The notebook and its HTML page are written beside their final names and renamed into
    place: an interruption leaves a hidden ``.part`` file and no half report. The notebook of a failed
    run is archived too, before the error is raised. Without a ``context`` the databases are opened once
    the notebook has ended, for the ledger and the index: what they are like before is the notebook's to find.
    An interrupt, or ``stop`` where another thread has it, ends the cell under way; its run closes its ledger row.

    Raises:
        ConfigurationError: no such notebook, an unknown parameter, or a value of the wrong type.
        SentinelError: what the pipeline raised in the notebook, as its own class.
        NotebookFailed: a cell failed outside the pipeline, took too long, or the kernel died. Once the run's verdict
            is in the ledger, that is a warning: exit code and ledger stay the run's.
        Stopped: by an interrupt.
    """
    done, failure = try_notebook(name, parameters, settings, progress, context=context, stop=stop)
    if failure is not None:
        if done.report.exists():
            failure.add_note(f"report of the failed run: {done.report}")
        raise failure
    return done


def try_notebook(
    name: str,
    parameters: Mapping[str, Any] | None,
    settings: Settings | None = None,
    progress: bool = False,
    *,
    context: Context | None = None,
    stop: StopSignal | None = None,
    backfill: str = "",
) -> tuple[NotebookRun, SentinelError | None]:
    """Execute and archive a notebook as `run_notebook` does, and return what went wrong with it instead of raising it.

    ``backfill`` is the id of the backfill that it is a part of.

    Raises:
        ConfigurationError: nothing was executed.
    """
    settings = context.settings if context else settings or load_settings()
    check_home(settings)  # its kernel could not: that is told where the home is
    pipeline = context.pipeline if context else load_pipeline(settings)
    plan = plan_run(name, dict(parameters or {}), pipeline, settings, backfill)
    with warehouse_after(settings, context) as warehouse:
        record, failure = carry_out(plan, settings, warehouse, progress, stop or StopSignal())
        return conclude(plan, record, failure, Home(settings, pipeline, warehouse())), failure


def carry_out(
    plan: Plan,
    settings: Settings,
    warehouse: Callable[[], Engine | None],
    progress: bool = False,
    stop: StopSignal | None = None,
) -> tuple[Mapping[str, Any], SentinelError | None]:
    """Execute the plan and archive its notebook and page; return the run's ledger row and what went wrong.

    The verdict is what the run hands over. ``warehouse`` opens the ledger, which is read only where it hands over
    none: a kernel that died, or a notebook that writes no row.
    """
    with scratch_folder() as folder:
        file = folder / "verdict.json"
        failure = execute_plan(plan, file, settings, progress, stop or StopSignal())
        record: Mapping[str, Any] = take_over(file, plan.run_id)
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


def conclude(plan: Plan, record: Mapping[str, Any], failure: SentinelError | None, home: Home) -> NotebookRun:
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


def plan_run(name: str, parameters: dict[str, Any], pipeline: Pipeline, settings: Settings, backfill: str = "") -> Plan:
    """Settle what a run does before it begins."""
    source = notebook_path(name, settings)
    given = check_parameters(source, parameters)
    known = notebook_parameters(source)
    window = choose_window(given.get("window_end", ""), given.get("window_hours", 24), settings)
    if "window_end" in known:
        check_ended(window, settings.now or datetime.now(UTC), settings.zone)
    pipeline.select_event_types(given.get("event_types"))
    run_id = check_run_id(str(given.get("run_id") or new_run_id()))
    settled = {"window_end": window.end.astimezone(settings.zone).isoformat(), "run_id": run_id}
    given |= {key: value for key, value in settled.items() if key in known}
    folder = choose_report_folder(str(window.shift_dates(settings.zone)[-1]), settings)
    span = f"{window.start:%Y%m%dT%H%MZ}-{window.end:%Y%m%dT%H%MZ}"
    report = folder / f"{source.stem}_{span}_{run_id}.ipynb"
    return Plan(source, given, window, run_id, report, recorded="run_id" in known, backfill=backfill)


def execute_plan(
    plan: Plan, verdict: Path, settings: Settings, progress: bool, stop: StopSignal
) -> SentinelError | None:
    """Execute into the plan's part, which papermill keeps up to date cell by cell; return what went wrong.

    The kernel has these settings, whatever its environment says; its run writes its ``verdict`` there.
    """
    source = plan.source
    brief = Brief(hand_down(settings), tuple(settings.model_fields_set - SECRETS), str(verdict), plan.backfill)
    try:
        with run_kernel(brief) as config:
            execute_stoppable(
                config,
                stop,
                input_path=str(source),
                output_path=str(plan.part),
                parameters=dict(plan.parameters),
                # The kernel's folder; papermill's own `cwd` would change this process's, which other threads share.
                resources={"metadata": {"path": str(kernel_folder(source, settings))}},
                progress_bar=progress,
                execution_timeout=settings.cell_timeout_seconds,
            )
    except Stopped as error:
        return error
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
    except OSError as error:
        return report_not_written(plan.part, error)
    except RuntimeError as error:
        return NotebookFailed(f"{source.name}: the kernel did not start: {error}. What it wrote last stands above")
    return None


def kernel_folder(source: Path, settings: Settings) -> Path:
    """Choose where the kernel runs: beside a notebook of the home; for one of the package in the home itself."""
    return source.parent if source.is_relative_to(settings.notebooks_dir) else project_home()


def as_sentinel_error(error: PapermillExecutionError) -> SentinelError:
    known = error_named(error.ename)
    if known is None:
        return NotebookFailed(f"In [{error.exec_count}] failed: {error.ename}: {without_statement(error.evalue)}")
    return known(error.evalue)


@contextmanager
def warehouse_after(settings: Settings, context: Context | None) -> Iterator[Callable[[], Engine | None]]:
    """Lend what gives the warehouse once the notebook has ended: the context's, or opened then; None: no answer."""
    if context is not None:
        warehouse = context.warehouse
        yield lambda: warehouse
        return
    with ExitStack() as opened:

        @cache
        def open_once() -> Engine | None:
            with suppress(SentinelError):
                return opened.enter_context(opened_warehouse(settings, settings.retry_seconds))
            return None

        yield open_once


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
    known = record if plan.recorded else None
    return failure_page(failure, known, plan.window, redo_of(plan, settings), settings.zone)


def redo_of(plan: Plan, settings: Settings) -> str:
    """Write the command that does the planned run again."""
    given = plan.parameters
    return redo_command(
        plan.window,
        settings.zone,
        given.get("event_types", ()),
        dry_run=bool(given.get("dry_run", False)),
        notebook=plan.source.stem,
    )


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


def read_record(run_id: str, warehouse: Engine) -> Mapping[str, Any]:
    """Read the run's ledger row; empty where it has none.

    Raises:
        SentinelError: the warehouse does not answer.
    """
    return next(iter(read_runs(warehouse, ETL_RUNS.c.run_id == run_id)), {})


def tell_unrecorded(plan: Plan, failure: SentinelError, record: Mapping[str, Any], home: Home) -> None:
    """Tell the collector of lineage of a run that could not: it has no end in the ledger, or not even a beginning."""
    ended = record.get("state", RunState.RUNNING) is not RunState.RUNNING
    if plan.recorded and not ended and not plan.parameters.get("dry_run"):
        kinds = tuple(home.pipeline.event_types)
        begun = RunRecord(plan.run_id, home.pipeline.fact_table.name, plan.window, kinds)
        tell_failure(begun, home.pipeline, failure, home.settings)


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
