"""Puts an entry together, as values and as the same in Python source. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sentinel_etl.onboarding.live.live_table import LiveColumn
from sentinel_etl.onboarding.live.personal import words_of
from sentinel_etl.onboarding.suggestion.models import Model, Written

__all__ = ["EntryParts", "import_lines", "merge_imports", "suggest_filters", "write_entry"]


# Where a name of SQLAlchemy's comes from; one that stands in quotes is a column's.
NAMES = {"DateTime": "sqlalchemy", "Text": "sqlalchemy", "and_": "sqlalchemy", "cast": "sqlalchemy"}
NAMES |= {"func": "sqlalchemy", "aliased": "sqlalchemy.orm"}

DELETED = frozenset({"deleted", "removed", "archived", "voided", "void", "cancelled", "canceled"})
TRIED = frozenset({"test", "dummy", "demo", "sandbox", "fake"})


@dataclass(frozen=True)
class EntryParts:
    """What an entry is made of, each with its source; ``filters`` are suggested only."""

    name: str
    model: Model
    timestamp: Written
    key: tuple[Written, ...]
    columns: tuple[Written, ...]
    joins: tuple[Written, ...] = ()
    filters: tuple[tuple[Written, str], ...] = ()
    changes_later: tuple[Written, ...] = ()

    def values(self) -> dict[str, Any]:
        """Build the entry that `parse_event_config` takes."""
        keys = tuple(part.value for part in self.key)
        entry: dict[str, Any] = {
            "model": self.model.value,
            "timestamp": self.timestamp.value,
            "key": keys[0] if len(keys) == 1 else keys,
        }
        if self.joins:
            entry["joins"] = [join.value for join in self.joins]
        entry["columns"] = [column.value for column in self.columns]
        if self.changes_later:
            entry["changes_later"] = [column.value for column in self.changes_later]
        return entry


def write_entry(parts: EntryParts) -> str:
    """Write the entry as it stands in EVENT_CONFIG, from its name to the comma behind it."""
    keys = ", ".join(part.text for part in parts.key)
    lines = [
        f'"{parts.name}": {{',
        f'    "model": {parts.model.name},',
        f'    "timestamp": {parts.timestamp.text},',
        f'    "key": {keys if len(parts.key) == 1 else f"({keys})"},',
    ]
    if parts.joins:
        lines += ['    "joins": [', *(f"        {join.text}," for join in parts.joins), "    ],"]
    if parts.filters:
        reasons = ", and ".join(dict.fromkeys(why for _, why in parts.filters))
        lines.append(f'    # "filters": [{", ".join(each.text for each, _ in parts.filters)}],  # leaves out {reasons}')
    lines += ['    "columns": [', *(f"        {column.text}," for column in parts.columns), "    ],"]
    if parts.changes_later:
        lines.append(f'    "changes_later": [{", ".join(each.text for each in parts.changes_later)}],')
    return "\n".join([*lines, "},"])


def import_lines(parts: EntryParts, models: Iterable[Model]) -> tuple[str, ...]:
    """List the imports that the entry's source and its aliases need, SQLAlchemy's first."""
    source = "\n".join([write_entry(parts), *(model.definition for model in models)])
    bare = re.sub(r"""'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*\"""", "''", re.sub(r"^ *#.*$", "", source, flags=re.M))
    used = [name for name in NAMES if re.search(rf"(?<![\w.]){name}\b", bare)]
    lines = [
        f"from {home} import {', '.join(name for name in used if NAMES[name] == home)}"
        for home in dict.fromkeys(NAMES[name] for name in used)
    ]
    return merge_imports([*lines, *(model.import_line for model in models if model.import_line)])


def merge_imports(lines: Iterable[str]) -> tuple[str, ...]:
    """Make one line of all imports from one module."""
    homes: dict[str, set[str]] = {}
    for line in lines:
        home, _, names = line.removeprefix("from ").partition(" import ")
        homes.setdefault(home, set()).update(names.split(", "))
    return tuple(f"from {home} import {', '.join(sorted(names))}" for home, names in homes.items())


def suggest_filters(model: Model, columns: Sequence[LiveColumn]) -> list[tuple[Written, str]]:
    """Suggest a condition for each column that says a row is deleted, or only a test's; with its reason."""
    found = []
    for column in columns:
        words, written = set(words_of(column.name)), model.column(column.name)
        why = "rows that are marked as deleted" if words & DELETED else "rows that are marked as tests"
        if written is None or not column.readable or not words & (DELETED | TRIED):
            continue
        if column.is_time:
            found.append((Written(written.value.is_(None), f"{written.text}.is_(None)"), why))
        elif column.source_type.family == "boolean":
            found.append((Written(written.value.is_not(True), f"{written.text}.is_not(True)"), why))
    return found
