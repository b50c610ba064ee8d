"""Runs one group of a backfill: the nightly notebook over its window, and a result whatever it ends with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sentinel_etl.context import Context
from sentinel_etl.errors import SentinelError
from sentinel_etl.ledger.states import RunState
from sentinel_etl.notebook.execute import try_notebook
from sentinel_etl.notebook.folder import report_path
from sentinel_etl.notebook.kernel_process import KernelProcess
from sentinel_etl.notebook.notebook_run import NotebookRun
from sentinel_etl.notebook.stopping import StopSignal
from sentinel_etl.operations.groups import Group, GroupResult
from sentinel_etl.settings import Settings

__all__ = ["describe_error", "failed_result", "parameters_of", "result_of", "run_group"]


def run_group(
    group: Group,
    parameters: Mapping[str, Any],
    settings: Settings,
    context: Context | None = None,
    stop: StopSignal | None = None,
    backfill: str = "",
    kernel: KernelProcess | None = None,
) -> GroupResult:
    """Execute the nightly notebook over one group; whatever goes wrong comes back as a result, so others go on.

    ``kernel`` waits to become the notebook's; without, one is started.
    """
    given = parameters_of(group, parameters)
    try:
        done, failure = try_notebook(
            "etl_nightly", given, settings, context=context, stop=stop, kernel=kernel, backfill=backfill
        )
    except Exception as error:  # noqa: BLE001 - sixty nights do not end without a word for one
        return failed_result(group, error)
    return result_of(group, done, failure, settings)


def failed_result(group: Group, error: Exception) -> GroupResult:
    """Make the result of a group whose run has not begun, or has ended without one."""
    return GroupResult(group, RunState.FAILED, describe_error(error), type(error).__name__, 0, "")


def parameters_of(group: Group, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Write the parameters of the group's notebook."""
    return {**parameters, "window_end": group.window.end.isoformat(), "window_hours": 24 * group.nights}


def result_of(group: Group, done: NotebookRun, failure: SentinelError | None, settings: Settings) -> GroupResult:
    """Make a group's result of its run and of what went wrong with it."""
    record = done.record
    report = report_path(done.report, settings) if done.report.exists() else ""
    if failure is not None:
        return GroupResult(group, RunState.FAILED, str(failure), type(failure).__name__, 0, report)
    verdict = record.get("state", RunState.UNKNOWN)
    rows = int(record.get("published_rows", 0))
    return GroupResult(group, verdict, str(record.get("cause", "")), "", rows, report)


def describe_error(error: BaseException) -> str:
    """Write an error as one sentence; one that is none of ours with its class."""
    words = " ".join(str(error).split())
    return words if isinstance(error, SentinelError) else f"unexpected {type(error).__name__}: {words}"
