"""Words that depend on a number, and messages without what nobody reads."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["list_some", "plural", "without_statement"]

# Where a database's or a driver's message repeats the statement, and where it goes on after that: ADBC and libpq,
# ClickHouse's analyzer, its functions and its parser, SQLAlchemy.
STATEMENTS = re.compile(
    r"\s*\bQuery was: ?.*?(?=\. SQLSTATE:|$)"
    r"|(?:\.|:)? In scope .*?(?=\. Maybe you meant|\. \([A-Z_0-9]+\)|$)"
    r"|: [Ww]hile (?:executing|processing) .*?(?=\. \([A-Z_0-9]+\)|$)"
    r"|(?<=\)): (?:SELECT|WITH|INSERT|CREATE|ALTER)\b.*?(?=\. Expected|\. \([A-Z_0-9]+\)|$)"
    r"|\s*\[SQL: .*|\s*\(Background on this error at: .*",
    flags=re.DOTALL,
)


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


def without_statement(message: str) -> str:
    """Leave out the SQL that a database repeats in its message: hundreds of characters, before or after its cause."""
    return STATEMENTS.sub("", message)
