"""Where a run's report is kept: under ``runs/``, or where that cannot be written, where it can be."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

from sentinel_etl.errors import ConfigurationError, SentinelError
from sentinel_etl.settings import Settings

__all__ = ["choose_report_folder", "report_not_written", "report_path"]


log = logging.getLogger(__name__)

# What a report and its page take, about: room for less is none.
REPORT_BYTES = 2 << 20


def choose_report_folder(night: str, settings: Settings) -> Path:
    """Make the night's folder under ``runs/``; a run is not given up for want of it.

    Where it cannot be written, or its disk is full, the report goes below the state folder, else
    below the temporary one, and a warning says so.

    Raises:
        ConfigurationError: none of them can be written.
    """
    problems = []
    for base in (settings.runs_dir, settings.state_dir / "reports", Path(tempfile.gettempdir()) / "sentinel-reports"):
        folder = base / night
        try:
            folder.mkdir(parents=True, exist_ok=True)
            try_to_write(folder)
        except OSError as error:
            problems.append(f"{base}: {error.strerror}")
            continue
        if problems:
            log.warning("a report cannot be written to %s; it is kept in %s", problems[0], folder)
        return folder
    raise ConfigurationError(
        f"SENTINEL_RUNS_DIR: expected a folder that can be written, found {'; '.join(problems)}. Free some space, or "
        "name another folder"
    )


def try_to_write(folder: Path) -> None:
    """Write a report's worth of bytes and remove them again."""
    with tempfile.TemporaryFile(dir=folder) as probe:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(probe.fileno(), 0, REPORT_BYTES)
        else:
            probe.write(bytes(REPORT_BYTES))


def report_path(report: Path, settings: Settings) -> str:
    """Write where a report is: relative to ``runs/``, where it is below that."""
    return str(report.relative_to(settings.runs_dir) if report.is_relative_to(settings.runs_dir) else report)


def report_not_written(report: Path, error: OSError) -> SentinelError:
    """Make the error of a report whose disk filled up, or was lost, while it was written."""
    return SentinelError(
        f"the report: expected to write {report}, found: {error.strerror or error}. Free some space there; "
        "`sentinel-etl status` tells whether the night is in"
    )
