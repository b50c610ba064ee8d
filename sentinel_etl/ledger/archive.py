"""The archive of runs: what the ledger says of each, and the report files under ``runs/``."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from sentinel_etl.databases import database_urls, warehouse_url
from sentinel_etl.errors import ConfigurationError, SentinelError, WindowError
from sentinel_etl.ledger.commands import NIGHTLY, redo_command
from sentinel_etl.ledger.ledger import ETL_RUNS, read_runs
from sentinel_etl.pipeline import load_pipeline
from sentinel_etl.settings import Settings, load_settings
from sentinel_etl.source.connection import connect_source, open_source
from sentinel_etl.source.locks import lock_key, run_lock
from sentinel_etl.warehouse.engine import open_warehouse
from sentinel_etl.warehouse.tables import has_table
from sentinel_etl.window import Window, shift_date_of

__all__ = [
    "ArchivedRun",
    "Pruned",
    "find_page",
    "list_runs",
    "open_ledger",
    "prune_reports",
    "read_archive",
    "show_run",
]


# A row that says RUNNING while no session holds the run's lock: killed, or cut off from the warehouse.
NO_END = "NO END RECORDED"
# A report without a row: the run stopped before it had one, or its notebook writes none.
REPORT_ONLY = "REPORT ONLY"

# <notebook>_<start>-<end>_<run id>, as `run_notebook` names its files. A run that was killed leaves
# the hidden ones, which end in .part or .part.ipynb.
REPORT_NAME = re.compile(
    r"(?P<hidden>\.?)(?P<notebook>\w.*)_(?P<start>\d{8}T\d{4}Z)-(?P<end>\d{8}T\d{4}Z)_(?P<run_id>.+?)"
    r"(?P<ending>\.ipynb|\.html|\.part\.ipynb|\.ipynb\.part|\.html\.part)"
)
NIGHT_NAME = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class ReportFile:
    """A file of a run's report, known by its folder and its name."""

    path: Path
    notebook: str
    window: Window
    run_id: str
    finished: bool


@dataclass(frozen=True)
class ArchivedRun:
    """A run: its row in the ledger, and its report where the files are still there.

    ``state``           a verdict, FAILED, RUNNING, NO END RECORDED or REPORT ONLY
    ``report``, ``page``  executed notebook and its page, relative to the runs folder; empty: gone
    ``redo``            the command that does it again
    """

    run_id: str
    state: str
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
    timings: Mapping[str, float] = field(default_factory=dict)
    checks: Sequence[Mapping[str, Any]] = ()
    config_hash: str = ""
    code_version: str = ""
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
class Pruned:
    """What a pruning deleted, or would delete: paths relative to the runs folder, and bytes freed."""

    files: tuple[str, ...]
    folders: tuple[str, ...]
    size: int


def list_runs(limit: int | None = None, settings: Settings | None = None) -> list[ArchivedRun]:
    """List the runs of the ledger and the reports without a row, the newest first.

    Raises:
        WarehouseUnreachable: the ledger cannot be read.
    """
    settings = settings or load_settings()
    with open_ledger(settings) as warehouse:
        return read_archive(settings, warehouse)[:limit]


def show_run(run_id: str, settings: Settings | None = None) -> ArchivedRun:
    """Find one run by its id.

    Raises:
        ConfigurationError: neither the ledger nor the runs folder knows it.
    """
    runs = {run.run_id: run for run in list_runs(settings=settings)}
    if run_id not in runs:
        close = get_close_matches(run_id, runs, n=1)
        hint = f"did you mean {close[0]}?" if close else "`sentinel-etl runs list` names them"
        raise ConfigurationError(f"expected a run of the ledger or the runs folder, found {run_id!r}; {hint}")
    return runs[run_id]


def find_page(run_id: str | None = None, settings: Settings | None = None) -> Path:
    """Find the page of a run's report: of the newest run that has one, unless a run is named.

    Raises:
        ConfigurationError: no such run, or its file is gone.
    """
    settings = settings or load_settings()
    runs = [show_run(run_id, settings)] if run_id else list_runs(settings=settings)
    for run in runs:
        if run.page or run.report:
            return settings.runs_dir / (run.page or run.report)
    redo = f"; `{runs[0].redo}` makes a new one" if run_id else "; `sentinel-etl run` makes one"
    raise ConfigurationError(f"expected a report of {run_id or 'any run'} in the runs folder, found none{redo}")


@contextmanager
def open_ledger(settings: Settings) -> Iterator[Engine]:
    """Open the warehouse alone: the archive is read when the source is down, too."""
    engine = open_warehouse(warehouse_url(settings), settings.connect_timeout_seconds)
    try:
        yield engine
    finally:
        engine.dispose()


def read_archive(settings: Settings, warehouse: Engine, since: date | None = None) -> list[ArchivedRun]:
    """Read the ledger and the runs folder, from the night ``since`` on; the newest run first.

    The source is asked only where a row says RUNNING, whether that run still holds its lock.
    """
    pipeline = load_pipeline(settings)
    start = Window.night(since, settings.zone).start if since else datetime(1970, 1, 1, tzinfo=UTC)
    rows = []
    if has_table(warehouse, ETL_RUNS.name):  # not before the first run comes so far
        rows = read_runs(
            warehouse,
            "fact_table = %(name)s AND window_end > %(start)s",
            {"name": pipeline.fact_table.name, "start": f"{start:%Y-%m-%d %H:%M:%S}"},
        )
    running = [row["run_id"] for row in rows if row["state"] == "RUNNING"]
    living = find_living(running, settings) if running else set()
    files: dict[str, list[ReportFile]] = {}
    for night, folder in night_folders(settings.runs_dir):
        for file in find_reports(folder) if since is None or night >= since else ():
            if file.finished:
                files.setdefault(file.run_id, []).append(file)
    known = {row["run_id"] for row in rows}
    runs = [from_ledger(row, files.get(row["run_id"], []), living, pipeline.event_types, settings) for row in rows]
    runs += [from_files(found, settings) for run_id, found in files.items() if run_id not in known]
    return sorted(runs, key=lambda run: (run.started_at, run.run_id), reverse=True)


def find_living(run_ids: Collection[str], settings: Settings) -> set[str]:
    """Tell which runs live: a run holds a lock in the source, and waits for it under its own name.

    Where the source does not answer, no run lives: none can hold its lock.
    """
    try:
        source = open_source(database_urls(settings)[0], settings.connect_timeout_seconds)
        with ExitStack() as stack:
            stack.callback(source.dispose)
            connection = stack.enter_context(connect_source(source))
            # Both halves of a 64-bit advisory key stand apart in this view.
            # https://www.postgresql.org/docs/current/view-pg-locks.html
            held = connection.scalars(
                text(
                    "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks "
                    "WHERE locktype = 'advisory' AND granted AND objsubid = 1"
                )
            ).all()
            names = connection.scalars(text("SELECT application_name FROM pg_stat_activity")).all()
    except SentinelError:
        return set()
    return {r for r in run_ids if lock_key(run_lock(r)) in held or f"sentinel-etl run {r}"[:63] in names}


def night_folders(runs_dir: Path) -> Iterator[tuple[date, Path]]:
    """Find the folders that are named for a night, in order; a link to a folder is none."""
    for folder in sorted(runs_dir.iterdir()) if runs_dir.is_dir() else ():
        if NIGHT_NAME.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
            with suppress(ValueError):
                yield date.fromisoformat(folder.name), folder


def find_reports(folder: Path) -> Iterator[ReportFile]:
    """Find the report files of a night: those named as `run_notebook` names them."""
    for path in sorted(folder.iterdir()):
        match = REPORT_NAME.fullmatch(path.name)
        if not match or not path.is_file() or path.is_symlink():
            continue
        with suppress(ValueError, WindowError):  # digits that are no window: not one of ours
            start, end = (datetime.strptime(f"{match[bound]}+0000", "%Y%m%dT%H%MZ%z") for bound in ("start", "end"))
            finished = not match["hidden"] and ".part" not in match["ending"]
            yield ReportFile(path, match["notebook"], Window(start, end), match["run_id"], finished)


def find_suffix(suffix: str, files: Sequence[ReportFile], runs_dir: Path) -> str:
    """Name the report's file of this kind, relative to the runs folder; empty where it is gone."""
    there = [file.path.relative_to(runs_dir).as_posix() for file in files if file.path.suffix == suffix]
    return there[-1] if there else ""


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
    dead = row["state"] == "RUNNING" and row["run_id"] not in living
    taken = ("run_id", "cause", "started_at", "source_rows", "published_rows", "counts", "timings", "checks")
    return ArchivedRun(
        **{name: row[name] for name in (*taken, "event_types", "config_hash", "code_version")},
        state=NO_END if dead else row["state"],
        window=window,
        first_night=nights[0],
        last_night=nights[-1],
        redo=redo_command(window, settings.zone, chosen, dry_run=row["state"] == "DRY RUN", notebook=notebook),
        notebook=notebook,
        report=find_suffix(".ipynb", files, settings.runs_dir),
        page=find_suffix(".html", files, settings.runs_dir),
    )


def from_files(files: Sequence[ReportFile], settings: Settings) -> ArchivedRun:
    file = files[0]
    nights = file.window.shift_dates(settings.zone)
    return ArchivedRun(
        run_id=file.run_id,
        state=REPORT_ONLY,
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


def prune_reports(keep_days: int, *, dry_run: bool = False, settings: Settings | None = None) -> Pruned:
    """Delete the report files of nights more than ``keep_days`` days ago, and night folders left empty.

    Nothing else goes: not the README, the sample, the index, nor any file that is not named as a
    report; the ledger keeps its rows. An interruption leaves the rest, which the next pruning takes.

    Raises:
        ConfigurationError: a file that cannot be deleted.
    """
    settings = settings or load_settings()
    oldest_kept = shift_date_of(settings.now or datetime.now(UTC), settings.zone) - timedelta(days=keep_days)
    folders = [folder for night, folder in night_folders(settings.runs_dir) if night < oldest_kept]
    doomed = [file.path for folder in folders for file in find_reports(folder)]
    emptied = [folder for folder in folders if not set(folder.iterdir()) - set(doomed)]
    size = sum(path.stat().st_size for path in doomed)
    if not dry_run:
        try:
            for path in doomed:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"prune: expected to delete {error.filename}, found: {error.strerror}. Run it as the user who owns "
                "the runs folder"
            ) from error
        for folder in emptied:
            with suppress(OSError):  # a run has just begun to write there
                folder.rmdir()

    def relative(paths: Sequence[Path]) -> tuple[str, ...]:
        return tuple(path.relative_to(settings.runs_dir).as_posix() for path in paths)

    return Pruned(relative(doomed), relative(emptied), size)
