"""Executes a notebook headlessly: the executed notebook is the run's report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from sentinel_etl.databases import opened_warehouse
from sentinel_etl.errors import NotebookFailed, SentinelError, Stopped, error_named
from sentinel_etl.home import check_home
from sentinel_etl.ledger.handover import take_over
from sentinel_etl.notebook.folder import report_not_written
from sentinel_etl.notebook.kernel import run_kernel
from sentinel_etl.notebook.kernel_process import KernelProcess, start_kernel_process
from sentinel_etl.notebook.notebook_run import NotebookRun
from sentinel_etl.notebook.plan_run import Plan, kernel_folder, plan_run
from sentinel_etl.notebook.stopping import StopSignal, execute_stoppable
from sentinel_etl.pipeline import load_pipeline
from sentinel_etl.scratch import scratch_folder
from sentinel_etl.settings import Settings, brief_of, load_settings
from sentinel_etl.threads import background
from sentinel_etl.wording import without_statement

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from sentinel_etl.context import Context

__all__ = ["carry_out", "run_notebook", "try_notebook", "warehouse_after"]


def run_notebook(
    name: str = "etl_nightly",
    parameters: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
    progress: bool = False,
    *,
    context: Context | None = None,
    stop: StopSignal | None = None,
    kernel: KernelProcess | None = None,
) -> NotebookRun:
    """Execute ``notebooks/<name>.ipynb`` and archive it under ``runs/<shift_date>/``.

    The window and the run id are settled here and passed in, so the archived notebook says exactly
    what it did. The notebook and its HTML page are written beside their final names and renamed into
    place: an interruption leaves a hidden ``.part`` file and no half report. The notebook of a failed
    run is archived too, before the error is raised. Without a ``context`` the databases are opened once
    the notebook has ended, for the ledger and the index: what they are like before is the notebook's to find.
    ``kernel`` waits to become the notebook's; without, one is started first of all.
    An interrupt, or ``stop`` where another thread has it, ends the cell under way; its run closes its ledger row.

    Raises:
        ConfigurationError: no such notebook, an unknown parameter, or a value of the wrong type.
        SentinelError: what the pipeline raised in the notebook, as its own class.
        NotebookFailed: a cell failed outside the pipeline, took too long, or the kernel died. Once the run's verdict
            is in the ledger, that is a warning: exit code and ledger stay the run's.
        Stopped: by an interrupt.
    """
    done, failure = try_notebook(name, parameters, settings, progress, context=context, stop=stop, kernel=kernel)
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
    kernel: KernelProcess | None = None,
    backfill: str = "",
) -> tuple[NotebookRun, SentinelError | None]:
    """Execute and archive a notebook as `run_notebook` does, and return what went wrong with it instead of raising it.

    ``backfill`` is the id of the backfill that it is a part of.

    Raises:
        ConfigurationError: nothing was executed.
    """
    with nullcontext(kernel) if kernel else start_kernel_process() as process:
        settings = context.settings if context else settings or load_settings()
        check_home(settings)  # its kernel could not: that is told where the home is
        pipeline = context.pipeline if context else load_pipeline(settings)
        plan = plan_run(name, dict(parameters or {}), pipeline, settings, backfill)
        with warehouse_after(settings, context) as warehouse:
            record, failure = carry_out(plan, settings, warehouse, progress, stop, process)
            conclusion = import_module("sentinel_etl.notebook.conclude_run")
            home = conclusion.Home(settings, pipeline, warehouse())
            done: NotebookRun = conclusion.conclude_run(plan, record, failure, home)
            return done, failure


def carry_out(
    plan: Plan,
    settings: Settings,
    warehouse: Callable[[], Engine | None],
    progress: bool = False,
    stop: StopSignal | None = None,
    process: KernelProcess | None = None,
) -> tuple[Mapping[str, Any], SentinelError | None]:
    """Execute the plan and archive its notebook and page; return the run's ledger row and what went wrong.

    The verdict is what the run hands over; where it hands over none, ``warehouse`` opens the ledger.
    """
    # A second of imports that the kernel's work hides.
    conclusion = background(lambda: import_module("sentinel_etl.notebook.conclude_run"))
    with scratch_folder() as folder:
        verdict = folder / "verdict.json"
        failure = execute_plan(plan, verdict, settings, progress, stop or StopSignal(), process)
        record = take_over(verdict, plan.run_id)
    ended: tuple[Mapping[str, Any], SentinelError | None] = conclusion().archive_run(
        plan, record, failure, settings, warehouse
    )
    return ended


def execute_plan(
    plan: Plan, verdict: Path, settings: Settings, progress: bool, stop: StopSignal, process: KernelProcess | None
) -> SentinelError | None:
    """Execute into the plan's part, which papermill keeps up to date cell by cell; return what went wrong.

    The kernel has these settings, whatever its environment says; its run writes its ``verdict`` there.
    """
    source = plan.source
    brief = brief_of(settings, verdict, plan.backfill)
    try:
        with run_kernel(brief, process) as config:
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


def as_sentinel_error(error: PapermillExecutionError) -> SentinelError:
    known = error_named(error.ename)
    if known is None:
        return NotebookFailed(f"In [{error.exec_count}] failed: {error.ename}: {without_statement(error.evalue)}")
    return known(error.evalue)
