"""The commands that reports and messages tell people to run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import UTC, date, timedelta
from zoneinfo import ZoneInfo

from sentinel_etl.window import Window

__all__ = ["LATEST", "hours_of", "nights_command", "query_command", "redo_command"]


NIGHTLY = "etl_nightly"

LATEST = "latest"  # instead of a run's id: the one that began last


def redo_command(
    window: Window,
    zone: ZoneInfo,
    event_types: Sequence[str] = (),
    *,
    dry_run: bool = False,
    notebook: str = NIGHTLY,
) -> str:
    """Write the command that runs the window again, as `Window.ending` reads it back."""
    hours = hours_of(window, zone)
    words = ["sentinel-etl", "run", "--window-end", window.end.astimezone(zone).isoformat()]
    words += ["--window-hours", f"{hours:.15g}"] if hours != 24 else []
    words += [word for name in event_types for word in ("--event-type", name)]
    words += ["--dry-run"] if dry_run else []
    words += ["--notebook", notebook] if notebook != NIGHTLY else []
    return shlex.join(words)


def nights_command(
    first: date, last: date, zone: ZoneInfo, event_types: Sequence[str] = (), *, allow_shrink: bool = False
) -> str:
    """Write the command that loads the nights ``first`` to ``last``, of all event types or of some."""
    if event_types:
        command = redo_command(Window.nights(first, last, zone), zone, event_types)
    else:
        command = f"sentinel-etl backfill --from {first} --to {last}"
    return command + (" --allow-shrink" if allow_shrink else "")


def hours_of(window: Window, zone: ZoneInfo) -> float:
    """Give the length of a window as `Window.ending` counts it: whole days on the zone's clocks, the rest elapsed."""
    end = window.end.astimezone(zone)
    days = (end.date() - window.start.astimezone(zone).date()).days
    if end - timedelta(days=days) < window.start.astimezone(zone):
        days -= 1
    rest = (end - timedelta(days=days)).astimezone(UTC) - window.start
    return 24 * days + rest.total_seconds() / 3600


def query_command(query: str) -> str:
    """Write the command that runs a query: in double quotes where a shell leaves it alone in them."""
    plain = not set(query) & set('"$`\\!')
    return f'sentinel-etl query "{query}"' if plain else f"sentinel-etl query {shlex.quote(query)}"
