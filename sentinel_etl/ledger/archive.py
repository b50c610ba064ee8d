"""The archive of runs: what the ledger says of each, and its report where the files are still there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from sentinel_etl.databases import opened_source, opened_warehouse
from sentinel_etl.errors import ConfigurationError, SentinelError
from sentinel_etl.ledger.commands import LATEST, NIGHTLY, redo_command
from sentinel_etl.ledger.ledger import STAGES_ONLY, read_runs, runs_of
from sentinel_etl.ledger.living import find_living
from sentinel_etl.ledger.report_files import ReportFile, find_reports, find_suffix, night_folders
from sentinel_etl.ledger.states import RunState
from sentinel_etl.pipeline import Pipeline, load_pipeline
from sentinel_etl.settings import Settings, load_settings
from sentinel_etl.warehouse.catalog import has_table
from sentinel_etl.warehouse.rows import instant
from sentinel_etl.warehouse.tables import ETL_RUNS
from sentinel_etl.window import Window, night_starts

__all__ = ["LATEST", "Archive", "ArchivedRun", "find_page", "list_runs", "opened_archive", "read_archive", "show_run"]


@dataclass(frozen=True)
class ArchivedRun:
    """A run: its row in the ledger, and its report where the files are still there.

    ``report``, ``page``  executed notebook and its page, relative to the runs folder; empty: gone
    ``redo``            the command that does it again
    ``nights``          night → its rows after the run, and their digest: see `RunResult.nights`
    ``stages_only``     whether it was a dry run, however it ended
    """

    run_id: str
    state: RunState
    window: Window
    first_night: date
    last_night: date
    started_at: datetime
    redo: str
    cause: str = ""
    event_types: tuple[str, ...] = ()
    source_rows: int | None = None
    published_rows: int | None = None
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    nights: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    checks: Sequence[Mapping[str, Any]] = ()
    config_hash: str = ""
    code_version: str = ""
    stages_only: bool = False
    notebook: str = NIGHTLY
    report: str = ""
    page: str = ""

    @property
    def night(self) -> str:
        """The night, or the first and the last one."""
        return str(self.last_night) if self.first_night == self.last_night else f"{self.first_night}..{self.last_night}"

    @property
    def seconds(self) -> float | None:
        return self.timings.get("total")

    def as_dict(self) -> dict[str, Any]:
        moments = {"window": str(self.window), "night": self.night, "started_at": self.started_at.isoformat()}
        left_out = ("window", "first_night", "last_night", "started_at")
        kept = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in left_out}
        return {"run_id": self.run_id, **moments, **kept, "seconds": self.seconds}


@dataclass(frozen=True)
class Archive:
    """What the archive is read from: the warehouse's ledger, and the runs folder that the settings name.

    ``source`` is where living runs hold their locks; None: it is opened for a moment where a row says RUNNING.
    """

    settings: Settings
    pipeline: Pipeline
    warehouse: Engine
    source: Engine | None = None


@contextmanager
def opened_archive(settings: Settings | None = None) -> Iterator[Archive]:
    """Open the warehouse alone: the archive is read when the source is down, too.

    Raises:
        ConfigurationError: settings or a pipeline that cannot be used.
        WarehouseUnreachable: the ledger cannot be read.
    """
    settings = settings or load_settings()
    pipeline = load_pipeline(settings)
    with opened_warehouse(settings) as warehouse:
        yield Archive(settings, pipeline, warehouse)


def list_runs(archive: Archive, limit: int | None = None) -> list[ArchivedRun]:
    """List the runs of the ledger and the reports without a row, the newest first.

    Raises:
        WarehouseUnreachable: the ledger cannot be read.
    """
    return read_archive(archive)[:limit]


def show_run(run_id: str, archive: Archive) -> ArchivedRun:
    """Find one run by its id, or the latest one.

    Raises:
        ConfigurationError: neither the ledger nor the runs folder knows it.
    """
    listed = list_runs(archive)
    runs = {run.run_id: run for run in listed}
    if run_id == LATEST and run_id not in runs:
        if not listed:
            raise ConfigurationError("expected a run in the ledger or the runs folder, found none; `sentinel-etl run`")
        return listed[0]
    if run_id not in runs:
        close = get_close_matches(run_id, runs, n=1)
        hint = f"did you mean {close[0]}?" if close else "`sentinel-etl runs list` names them"
        raise ConfigurationError(f"expected a run of the ledger or the runs folder, found {run_id!r}; {hint}")
    return runs[run_id]


def find_page(run_id: str | None, archive: Archive) -> Path:
    """Find the page of a run's report: of the newest run that has one, unless a run is named.

    Raises:
        ConfigurationError: no such run, or its file is gone.
    """
    runs = [show_run(run_id, archive)] if run_id else list_runs(archive)
    for run in runs:
        if run.page or run.report:
            return archive.settings.runs_dir / (run.page or run.report)
    redo = f"; `{runs[0].redo}` makes a new one" if run_id else "; `sentinel-etl run` makes one"
    raise ConfigurationError(f"expected a report of {run_id or 'any run'} in the runs folder, found none{redo}")


def read_archive(archive: Archive, since: date | None = None) -> list[ArchivedRun]:
    """Read the ledger and the runs folder, from the night ``since`` on; the newest run first.

    The source is asked only where a row says RUNNING, whether that run still holds its lock.
    """
    settings, pipeline = archive.settings, archive.pipeline
    start = night_starts(since, settings.zone) if since else datetime(1970, 1, 1, tzinfo=UTC)
    rows = []
    if has_table(archive.warehouse, ETL_RUNS.name):  # not before the first run comes so far
        rows = read_runs(archive.warehouse, runs_of(pipeline.fact_table), ETL_RUNS.c.window_end > instant(start))
    running = [row["run_id"] for row in rows if row["state"] is RunState.RUNNING]
    living: set[str] = set()
    if running:
        with suppress(SentinelError), lend_source(archive) as source:
            living = find_living(running, source)
    files: dict[str, list[ReportFile]] = {}
    for night, folder in night_folders(settings.runs_dir):
        for file in find_reports(folder) if since is None or night >= since else ():
            if file.finished:
                files.setdefault(file.run_id, []).append(file)
    known = {row["run_id"] for row in rows}
    runs = [from_ledger(row, files.get(row["run_id"], []), living, pipeline.event_types, settings) for row in rows]
    runs += [from_files(found, settings) for run_id, found in files.items() if run_id not in known]
    return sorted(runs, key=lambda run: (run.started_at, run.run_id), reverse=True)


def lend_source(archive: Archive) -> AbstractContextManager[Engine]:
    return nullcontext(archive.source) if archive.source is not None else opened_source(archive.settings)


def from_ledger(
    row: Mapping[str, Any],
    files: Sequence[ReportFile],
    living: Collection[str],
    event_types: Collection[str],
    settings: Settings,
) -> ArchivedRun:
    window = Window(row["window_start"], row["window_end"])
    nights = window.shift_dates(settings.zone)
    chosen = row["event_types"] if set(row["event_types"]) != set(event_types) else ()
    notebook = files[0].notebook if files else NIGHTLY
    dead = row["state"] is RunState.RUNNING and row["run_id"] not in living
    stages_only = row["state"] is RunState.DRY_RUN or row["how"] == STAGES_ONLY
    taken = ("run_id", "cause", "started_at", "source_rows", "published_rows", "counts", "nights", "changes")
    return ArchivedRun(
        **{name: row[name] for name in (*taken, "timings", "checks", "event_types", "config_hash", "code_version")},
        state=RunState.NO_END if dead else row["state"],
        window=window,
        first_night=nights[0],
        last_night=nights[-1],
        redo=redo_command(window, settings.zone, chosen, dry_run=stages_only, notebook=notebook),
        stages_only=stages_only,
        notebook=notebook,
        report=find_suffix(".ipynb", files, settings.runs_dir),
        page=find_suffix(".html", files, settings.runs_dir),
    )


def from_files(files: Sequence[ReportFile], settings: Settings) -> ArchivedRun:
    file = files[0]
    nights = file.window.shift_dates(settings.zone)
    return ArchivedRun(
        run_id=file.run_id,
        state=RunState.REPORT_ONLY,
        cause="no row in the ledger: the run stopped before it had one, or its notebook writes none",
        window=file.window,
        first_night=nights[0],
        last_night=nights[-1],
        started_at=datetime.fromtimestamp(file.path.stat().st_mtime, UTC),
        redo=redo_command(file.window, settings.zone, notebook=file.notebook),
        notebook=file.notebook,
        report=find_suffix(".ipynb", files, settings.runs_dir),
        page=find_suffix(".html", files, settings.runs_dir),
    )
