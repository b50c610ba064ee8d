"""Options and output that several commands share."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["as_json", "beside_the_verdict", "display_path", "event_types", "print_frame", "window_end", "window_hours"]

log = logging.getLogger(__name__)

as_json = click.option("--json", "as_json", is_flag=True, help="Print one line of JSON instead of text.")
window_end = click.option(
    "--window-end",
    default="",
    metavar="INSTANT",
    help="End of the window, ISO 8601 with offset. Default: the last 06:00.",
)
window_hours = click.option("--window-hours", default=24.0, show_default=True, help="Length of the window.")
event_types = click.option(
    "--event-type", "event_types", multiple=True, metavar="TYPE", help="Only this event type; may be repeated."
)


def print_frame(frame: pd.DataFrame, as_json: bool) -> None:
    if as_json:
        click.echo(frame.to_json(orient="records", date_format="iso", default_handler=str))
    else:
        click.echo(frame.to_string(index=False) if len(frame) else "no rows")


@contextmanager
def beside_the_verdict() -> Iterator[None]:
    """Let what cannot be printed after the work is done be a warning: the exit code tells of the work."""
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # a pipe into `head` has what it wants
            log.warning("what was done could not be printed: %s. The exit code tells of it", error.strerror or error)
        # What the stream still holds would fail once more as the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def display_path(path: Path) -> str:
    """Write a path as the user would: relative to the working directory where it lies below it."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
