"""Words that depend on a number."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["list_some", "plural"]


def plural(count: float, one: str, several: str = "") -> str:
    """Give the word for so many: ``plural(1, "row")`` is row, of any other number rows, or ``several``."""
    return one if count == 1 else several or f"{one}s"


def list_some(words: Iterable[str], most: int = 5, separator: str = "; ", noun: str = "") -> str:
    """List the first words, and how many more there are: ``a; b; and 3 more``, with a noun ``and 3 more nights``."""
    listed = list(words)
    more = len(listed) - most
    if more <= 0:
        return separator.join(listed)
    return separator.join([*listed[:most], f"and {more:,} more" + (f" {plural(more, noun)}" if noun else "")])
