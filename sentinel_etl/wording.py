"""Words that depend on a number."""

from __future__ import annotations

__all__ = ["plural"]


def plural(count: float, one: str, several: str = "") -> str:
    """Give the word for so many: ``plural(1, "row")`` is row, of any other number rows, or ``several``."""
    return one if count == 1 else several or f"{one}s"
