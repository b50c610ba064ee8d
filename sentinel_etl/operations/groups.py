"""The groups of a backfill: stretches of nights in one partition, each moved by one run.

A group is one window, so its partition is switched once and not once a night, and no two workers ever write the
same one. The report is the group's too: thirty nights are read, audited and published together, so a page for
each would repeat one verdict thirty times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from sentinel_etl.config.fact_table import PartitionBy
from sentinel_etl.context import Context
from sentinel_etl.errors import SentinelError
from sentinel_etl.ledger.states import RunState
from sentinel_etl.notebook.execute import try_notebook
from sentinel_etl.notebook.folder import report_path
from sentinel_etl.notebook.notebook_run import NotebookRun
from sentinel_etl.notebook.stopping import StopSignal
from sentinel_etl.publish.partitions import partition_ids
from sentinel_etl.settings import Settings
from sentinel_etl.window import Window

__all__ = ["Group", "GroupResult", "describe_error", "group_nights", "parameters_of", "result_of", "run_group"]


@dataclass(frozen=True)
class Group:
    """A stretch of nights in one partition, moved by one run."""

    partition: str
    window: Window
    nights: int


@dataclass(frozen=True)
class GroupResult:
    """How a group ended. ``error`` names the class of what went wrong, of which ``cause`` is the message."""

    group: Group
    verdict: RunState
    cause: str
    error: str
    rows: int
    report: str


def group_nights(nights: Sequence[date], scheme: PartitionBy, zone: ZoneInfo) -> list[Group]:
    """Make one group of each stretch of nights in a partition; in: nights in order."""

    def partition_of(night: date) -> str:
        return partition_ids(Window.night(night, zone), scheme, zone)[0]

    return [
        Group(
            partition_of(stretch[0]),
            Window.nights(stretch[0], stretch[-1], zone),
            len(stretch),
        )
        for stretch in stretches(nights, partition_of)
    ]


def stretches(nights: Sequence[date], partition_of: Callable[[date], str]) -> Iterator[list[date]]:
    """Cut the nights where one is missing in between, and where the partition changes."""
    if not nights:
        return
    stretch = [nights[0]]
    for before, night in pairwise(nights):
        if night - before > timedelta(days=1) or partition_of(night) != partition_of(before):
            yield stretch
            stretch = []
        stretch.append(night)
    yield stretch


def run_group(
    group: Group,
    parameters: Mapping[str, Any],
    settings: Settings,
    context: Context | None = None,
    stop: StopSignal | None = None,
    backfill: str = "",
) -> GroupResult:
    """Execute the nightly notebook over one group; whatever goes wrong comes back as a result, so others go on."""
    given = parameters_of(group, parameters)
    try:
        done, failure = try_notebook("etl_nightly", given, settings, context=context, stop=stop, backfill=backfill)
    except Exception as error:  # noqa: BLE001 - sixty nights do not end without a word for one
        return GroupResult(group, RunState.FAILED, describe_error(error), type(error).__name__, 0, "")
    return result_of(group, done, failure, settings)


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
