"""Writes a suggestion as a page that is Python: what is no source is a comment. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from textwrap import indent
from typing import Any
from zoneinfo import ZoneInfo

from sentinel_etl.onboarding.suggestion.entry_text import merge_imports
from sentinel_etl.onboarding.suggestion.suggestion import Suggestion
from sentinel_etl.onboarding.suggestion.write_tables import write_tables
from sentinel_etl.window import Window
from sentinel_etl.wording import plural

__all__ = ["as_dict", "write_page"]


def write_page(suggestion: Suggestion, window: Window, zone: ZoneInfo) -> str:
    """Write notes, imports, models, the entry within EVENT_CONFIG, and what follows from it."""
    lines = [comment(note) for note in suggestion.notes]
    models = write_tables(suggestion.tables).splitlines() if suggestion.tables else []
    imports = [line for line in models if line.startswith("from ")]
    lines += ["", *merge_imports([*imports, *suggestion.imports])]
    lines += [line for line in models if line not in imports]
    lines += ["", *suggestion.definitions] if suggestion.definitions else []
    lines += ["", "EVENT_CONFIG = {", indent(suggestion.text, "    "), "}"]
    return "\n".join([*lines, *(comment(line) for line in consequences(suggestion, window, zone))])


def comment(line: str) -> str:
    """Write a line behind ``#``: a name with a line break in it would go on as source."""
    return f"# {''.join(each if each.isprintable() else ascii(each)[1:-1] for each in line)}"


def consequences(suggestion: Suggestion, window: Window, zone: ZoneInfo) -> Iterator[str]:
    for title, values in (("fact", suggestion.fact_columns), ("personal", suggestion.personal)):
        if values:
            yield f"{title}: {' · '.join(f'{label} {value}' for label, value in values.items())}"
    for label, weights in suggestion.weights.items():
        yield f"weights: {json.dumps({label: weights}, ensure_ascii=False)[1:-1]}"
    yield what_would_load(suggestion, window.local(zone))


def what_would_load(suggestion: Suggestion, window: str) -> str:
    if (night := suggestion.last_night) is None:
        return f"the rows of {window} could not be counted: too slow, or not allowed"
    rows = f"{night.loaded:,} {plural(night.loaded, 'row')}"
    return f"a dry run of {window} would load {rows}, and reject {night.rejected:,}"


def as_dict(suggestion: Suggestion, window: Window) -> dict[str, Any]:
    """Give the suggestion as JSON can say it: the entry is its source."""
    night = suggestion.last_night
    return {
        "name": suggestion.name,
        "model": suggestion.model,
        "imports": list(suggestion.imports),
        "tables": write_tables(suggestion.tables) if suggestion.tables else "",
        "definitions": list(suggestion.definitions),
        "entry": suggestion.text,
        "notes": list(suggestion.notes),
        "fact_columns": dict(suggestion.fact_columns),
        "weights": {label: dict(weights) for label, weights in suggestion.weights.items()},
        "personal": dict(suggestion.personal),
        "changes_later": list(suggestion.changes_later),
        "window": str(window),
        "loaded": night.loaded if night else None,
        "rejected": night.rejected if night else None,
    }
