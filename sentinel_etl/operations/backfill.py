"""Moves many nights: planned from the ledger, grouped by partition, one report a group.

A group is a stretch of nights in one partition of the fact table. It is one run of one window, so
its partition is switched once and not once a night, and no two workers ever write the same one.
The report is the group's too: thirty nights are read, audited and published together, so a page for
each would repeat one verdict thirty times.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
from jupyter_core.utils import ensure_event_loop

from sentinel_etl.config.fact_table import PartitionBy
from sentinel_etl.databases import open_databases
from sentinel_etl.errors import ConfigurationError, SentinelError, WindowError, error_named
from sentinel_etl.files import write_atomically
from sentinel_etl.ledger.ledger import create_ledger, read_runs
from sentinel_etl.ledger.nights import missing_nights
from sentinel_etl.notebook.execute import run_notebook
from sentinel_etl.notebook.folder import report_path
from sentinel_etl.notebook.parameters import notebook_path
from sentinel_etl.pipeline import load_pipeline
from sentinel_etl.publish.partitions import partition_ids, partition_scheme
from sentinel_etl.settings import Settings, load_settings
from sentinel_etl.warehouse.provision import prepare_fact_table
from sentinel_etl.window import Window

__all__ = [
    "Group",
    "GroupResult",
    "backfill_table",
    "group_nights",
    "plan_backfill",
    "raise_for_groups",
    "run_backfill",
]


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
    verdict: str
    cause: str
    error: str
    rows: int
    report: str


def plan_backfill(
    first: date, last: date, *, missing_only: bool = False, settings: Settings | None = None
) -> list[Group]:
    """Plan the nights ``first`` to ``last``, both included, as one group for each stretch in a partition.

    ``missing_only`` leaves out the nights that the ledger says are published for all event types.

    Raises:
        WindowError: the last night lies before the first.
    """
    if last < first:
        raise WindowError(f"backfill: expected --to on or after --from, found {first} to {last}")
    settings = settings or load_settings()
    pipeline = load_pipeline(settings)
    warehouse = open_databases(settings).warehouse
    prepare_fact_table(warehouse, pipeline)
    create_ledger(warehouse, settings.warehouse_cluster)
    scheme = partition_scheme(pipeline.fact_table, warehouse)
    nights = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    if missing_only:
        runs = read_runs(warehouse, "fact_table = %(name)s", {"name": pipeline.fact_table.name})
        nights = missing_nights(nights, pipeline.event_types, runs, settings.zone)
    return group_nights(nights, scheme, settings.zone)


def group_nights(nights: Sequence[date], scheme: PartitionBy, zone: ZoneInfo) -> list[Group]:
    """Make one group of each stretch of nights in a partition; in: nights in order."""

    def partition_of(night: date) -> str:
        return partition_ids(Window.night(night, zone), scheme, zone)[0]

    return [
        Group(
            partition_of(stretch[0]),
            Window(Window.night(stretch[0], zone).start, Window.night(stretch[-1], zone).end),
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


def run_group(group: Group, parameters: Mapping[str, Any], settings: Settings) -> GroupResult:
    """Execute the nightly notebook over one group; errors come back as results, so others go on."""
    given = {**parameters, "window_end": group.window.end.isoformat(), "window_hours": 24 * group.nights}
    try:
        # nbclient would leave the loop that it opens in this thread open.
        with closing(ensure_event_loop()):
            done = run_notebook("etl_nightly", given, settings)
    except SentinelError as error:
        return GroupResult(group, "FAILED", str(error), type(error).__name__, 0, "")
    record = done.record
    return GroupResult(
        group,
        str(record.get("state", "UNKNOWN")),
        str(record.get("cause", "")),
        "",
        int(record.get("published_rows", 0)),
        report_path(done.report, settings),
    )


def run_away(
    group: Group, parameters: Mapping[str, Any], notebook: str, environment: Mapping[str, str]
) -> tuple[GroupResult, dict[str, str]]:
    """Run a group on a machine that has the package and the two URLs, and nothing else of ours.

    The notebook and the driver's settings come along, and the reports go home: {path below runs/: text}.
    """
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        with TemporaryDirectory(prefix="sentinel-") as home:
            folders = {"notebooks_dir": Path(home) / "notebooks", "runs_dir": Path(home) / "runs"}
            settings = load_settings().model_copy(update=folders)
            settings.notebooks_dir.mkdir()
            (settings.notebooks_dir / "etl_nightly.ipynb").write_text(notebook, encoding="utf-8")
            result = run_group(group, parameters, settings)
            reports = sorted(settings.runs_dir.glob("*/*"))
            texts = {str(path.relative_to(settings.runs_dir)): path.read_text(encoding="utf-8") for path in reports}
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    return result, texts


def environment_of(settings: Settings) -> dict[str, str]:
    """Write the settings that were given, but for URLs and folders, which are each machine's own."""
    own = {"source_url", "source_replica_url", "warehouse_url", "notify_url"}
    own |= {"pii_key", "runs_dir", "notebooks_dir", "state_dir", "risk_weights"}
    given = settings.model_dump(include=settings.model_fields_set - own)
    return {f"SENTINEL_{name.upper()}": str(value) for name, value in given.items()}


def run_backfill(
    groups: Sequence[Group],
    *,
    jobs: int = 1,
    dask: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    progress: Callable[[GroupResult], None] = lambda result: None,
) -> list[GroupResult]:
    """Run the groups, ``jobs`` at a time or on a Dask cluster, and return their results in order.

    Groups of one partition run one after the other. On Ctrl-C the groups under way are finished and
    the rest is left; what is done is in the ledger, so ``--missing-only`` goes on from there. A driver
    that is killed ends its groups as a killed run ends, or leaves them to the cluster's workers.

    Raises:
        ConfigurationError: Dask is asked for and not installed, or its scheduler does not answer.
    """
    lanes: dict[str, deque[Group]] = {}
    for group in groups:
        lanes.setdefault(group.partition, deque()).append(group)
    free, running = deque(lanes.values()), dict[Future[GroupResult], deque[Group]]()
    results: dict[Window, GroupResult] = {}
    workers = local_workers(jobs) if dask is None else dask_workers(dask)
    with workers as (executor, work, slots):
        try:
            while free or running:
                # No more is handed over than runs at once: what waits in a pool can't be called back.
                while free and len(running) < slots:
                    lane = free.popleft()
                    running[executor.submit(work, lane.popleft(), dict(parameters or {}))] = lane
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    lane = running.pop(future)
                    result = results[future.result().group.window] = future.result()
                    progress(result)
                    if lane:
                        free.append(lane)
        except KeyboardInterrupt:
            results |= {future.result().group.window: future.result() for future in running}
    return [results[group.window] for group in groups if group.window in results]


Work = Callable[[Group, Mapping[str, Any]], GroupResult]


@contextmanager
def local_workers(jobs: int) -> Iterator[tuple[ThreadPoolExecutor, Work, int]]:
    """Open threads, each of which waits for a group: what moves it is the notebook's kernel, a process apart."""
    with ThreadPoolExecutor(jobs) as executor:
        yield executor, partial(run_group, settings=load_settings()), jobs


@contextmanager
def dask_workers(address: str) -> Iterator[tuple[ThreadPoolExecutor, Work, int]]:
    """Open a Dask cluster's workers; a thread here waits for each group and writes its report."""
    try:
        from distributed import Client
    except ImportError:
        raise ConfigurationError(
            "--dask: expected the package distributed; install it with pip install 'sentinel-warehouse-etl[dask]'"
        ) from None
    try:
        client: Any = Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"--dask: expected a Dask scheduler at {address}, found: {error}") from error
    settings = load_settings()
    notebook = notebook_path("etl_nightly", settings).read_text(encoding="utf-8")
    environment = environment_of(settings)
    slots = max(1, sum(client.nthreads().values()))
    with client, ThreadPoolExecutor(slots) as executor:

        def work(group: Group, parameters: Mapping[str, Any]) -> GroupResult:
            away = client.submit(run_away, group, parameters, notebook, environment, pure=False, retries=0)
            result, reports = away.result()
            for path, text in reports.items():
                (settings.runs_dir / path).parent.mkdir(parents=True, exist_ok=True)
                write_atomically(settings.runs_dir / path, text)
            return GroupResult(**vars(result))

        yield executor, work, slots


def backfill_table(groups: Sequence[Group], results: Sequence[GroupResult]) -> pd.DataFrame:
    """Tabulate the groups: partition, window, nights, verdict, rows, report; one not reached is LEFT."""
    done = {result.group.window: result for result in results}
    rows = []
    for group in groups:
        result = done.get(group.window)
        verdict, count, report = (result.verdict, result.rows, result.report) if result else ("LEFT", 0, "")
        rows.append((group.partition, str(group.window), group.nights, verdict, count, report))
    return pd.DataFrame(rows, columns=["partition", "window", "nights", "verdict", "rows", "report"])


def raise_for_groups(groups: Sequence[Group], results: Sequence[GroupResult]) -> None:
    """Raise where a group failed, or was left by Ctrl-C.

    Raises:
        SentinelError: of the first failure's class, so that the exit code is its own.
    """
    failed = [result for result in results if result.error]
    if failed:
        kind = error_named(failed[0].error) or SentinelError
        raise kind(f"{len(failed)} of {len(groups)} groups failed; the first: {failed[0].cause}")
    if len(results) < len(groups):
        raise SentinelError(
            f"stopped: {len(groups) - len(results)} of {len(groups)} groups are left; run it again with --missing-only"
        )
