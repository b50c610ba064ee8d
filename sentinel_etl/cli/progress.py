"""How long work shows its progress: a bar at a terminal, lines in a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from tqdm import tqdm

from sentinel_etl.operations.groups import GroupResult
from sentinel_etl.operations.progress import BackfillProgress, describe_result

__all__ = ["show_progress"]

Told = Callable[[GroupResult], None]
Watch = Callable[[BackfillProgress], None]


@contextmanager
def show_progress(nights: int, *, quiet: bool) -> Iterator[tuple[Told, Watch | None]]:
    """Show how far a backfill is, on stderr: give what is told each group's result, and how far the others are.

    A bar that is drawn over and over would fill a log with carriage returns, so a file gets a line for each group.
    """
    done = 0
    if quiet:
        yield lambda result: None, None
    elif not sys.stderr.isatty():

        def write_line(result: GroupResult) -> None:
            nonlocal done
            done += result.group.nights
            click.echo(describe_result(result, done, nights), err=True)

        yield write_line, None
    else:
        with tqdm(total=nights, unit="night") as bar:

            def move(value: float, words: str) -> None:
                bar.n = round(value, 1)
                bar.set_postfix_str(words)

            def end_group(result: GroupResult) -> None:
                nonlocal done
                done += result.group.nights
                move(done, "")

            yield end_group, lambda progress: move(max(done, progress.done), describe_groups(progress))


def describe_groups(progress: BackfillProgress) -> str:
    """Write what the bar does not say by itself: rows a second, and the phases of the groups under way."""
    pace = [f"{progress.rows_per_second:,.0f} rows/s"] if progress.rows else []
    return "; ".join([*pace, *(group.describe() for group in progress.groups)])
