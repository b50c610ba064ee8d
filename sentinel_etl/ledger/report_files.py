"""The report files under ``runs/``: which they are, and which are old enough to go."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from sentinel_etl.errors import ConfigurationError, WindowError
from sentinel_etl.settings import Settings
from sentinel_etl.window import Window, shift_date_of

__all__ = ["Pruned", "ReportFile", "find_reports", "find_suffix", "night_folders", "prune_reports"]

# <notebook>_<start>-<end>_<run id>, as `run_notebook` names its files. A run that was killed leaves
# the hidden ones, which end in .part or .part.ipynb.
REPORT_NAME = re.compile(
    r"(?P<hidden>\.?)(?P<notebook>\w.*)_(?P<start>\d{8}T\d{4}Z)-(?P<end>\d{8}T\d{4}Z)_(?P<run_id>.+?)"
    r"(?P<ending>\.ipynb|\.html|\.part\.ipynb|(?:\.ipynb|\.html)(?:\.\d+)?\.part)"
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
class Pruned:
    """What a pruning deleted, or would delete: paths relative to the runs folder, and bytes freed."""

    files: tuple[str, ...]
    folders: tuple[str, ...]
    size: int


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


def prune_reports(keep_days: int, settings: Settings, *, dry_run: bool = False) -> Pruned:
    """Delete the report files of nights more than ``keep_days`` days ago, and night folders left empty.

    Nothing else goes: not the README, the sample, the index, nor any file that is not named as a
    report; the ledger keeps its rows. An interruption leaves the rest, which the next pruning takes.

    Raises:
        ConfigurationError: a file that cannot be deleted.
    """
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
