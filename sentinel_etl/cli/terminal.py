"""What is written for people at a terminal: tables that fit it, and verdicts in colour."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from sentinel_etl.ledger.states import RunState

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["align_columns", "colour_verdicts", "fit_table", "terminal_width"]


def colour_of(state: RunState) -> str:
    if state is RunState.PUBLISHED:
        return "green"
    if state is RunState.PUBLISHED_WITH_WARNINGS:
        return "yellow"
    return "red" if state.ended_badly else "cyan"


# Words beside the states that say how a night or a service stands.
COLOURS = {str(state): colour_of(state) for state in RunState} | {
    "MISSING": "red",
    "LOST": "red",
    "stopped": "red",
    "running": "green",
}

# The longest first, so that PUBLISHED is not found within NOT PUBLISHED.
WORDS = re.compile(rf"\b(?:{'|'.join(sorted(COLOURS, key=len, reverse=True))})\b")


def colour_verdicts(text: str) -> str:
    """Colour the verdicts in a text, unless NO_COLOR is set; where no terminal is written to, click takes it out again.

    https://no-color.org
    """
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return WORDS.sub(lambda found: click.style(found[0], fg=COLOURS[found[0]], bold=True), text)


def terminal_width() -> int | None:
    """Give the terminal's columns; None: the output goes to a file or another program, which has no width."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def align_columns(lines: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    """Write lines of cells as columns, two spaces apart; ``right``: which columns are numbers, to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    written = [
        [
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(line, widths, right, strict=True)
        ]
        for line in lines
    ]
    return "\n".join("  ".join(cells).rstrip() for cells in written)


def fit_table(frame: pd.DataFrame, spare: Sequence[str] = ()) -> str:
    """Write a frame within the terminal's width: without the ``spare`` columns, one by one, where it is too wide.

    A table that is too wide even then keeps its columns, and the longest texts are cut with an ellipsis.
    """
    width = terminal_width()
    text = frame.to_string(index=False)
    for name in spare:
        if width is None or widest(text) <= width:
            return text
        frame = frame.drop(columns=name)
        text = frame.to_string(index=False)
    most = 40
    while width is not None and widest(text) > width and most > 8:
        most -= 4
        text = frame.map(lambda cell, most=most: cut(str(cell), most)).to_string(index=False)
    return text


def widest(text: str) -> int:
    return max(map(len, text.splitlines()), default=0)


def cut(text: str, most: int) -> str:
    """Cut a text in its middle: what runs and files differ by is at their ends."""
    kept = most - 1
    return text if len(text) <= most else f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"
