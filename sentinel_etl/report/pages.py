"""What a notebook shows: a piece of HTML that reads as plain text elsewhere, most often a short table."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sentinel_etl.config.dimensions import CITY, Dimensions
from sentinel_etl.report.render import render_macro

__all__ = ["Page", "lines_page", "name_key", "short_name", "show_value", "table_page", "with_note", "write_average"]

# Tuples, not unions made anew for each of a table's cells.
AS_WRITTEN = (str, bool, np.bool_)
FRACTIONS = (float, np.floating)
WHOLE_NUMBERS = (int, np.integer)

SHARE = re.compile(r"[+-]?[\d,]+(?:\.\d+)? ?%")


@dataclass(frozen=True)
class Page:
    """A piece of a report: HTML where it can be shown, plain text elsewhere."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __html__(self) -> str:
        """Give what a template need not escape: https://markupsafe.palletsprojects.com/en/stable/html/."""
        return self.html

    def __repr__(self) -> str:
        return self.text


def table_page(frame: pd.DataFrame, flagged: Collection[object] = (), numbers: Collection[str] = ()) -> Page:
    """Show a frame: text on the left, numbers and percentages on the right with thousands apart, flagged rows tinted.

    ``numbers``: columns of numbers that are written out already.
    """
    is_numeric = [
        name in numbers or pd.api.types.is_numeric_dtype(frame[name]) or are_shares(frame[name])
        for name in frame.columns
    ]
    # Labels break only where they are longer than a line of half the page; numbers never.
    longest = min(max((len(str(label)) for label in frame.index), default=0), 34)
    html = render_macro(
        "table",
        columns=zip(map(str, frame.columns), is_numeric, strict=True),
        rows=(
            (str(label), label in flagged, zip(map(show_value, values), is_numeric, strict=True))
            for label, *values in frame.itertuples(name=None)
        ),
        label_width=f"{0.62 * longest:.1f}em",
    )
    return Page(html, frame.rename_axis(None).to_string())


def are_shares(values: pd.Series) -> bool:
    """Tell whether a column holds percentages alone, or what there is none of."""
    texts = {value for value in values if value is not None and value is not pd.NA and value != "–"}
    return bool(texts) and all(isinstance(text, str) and SHARE.fullmatch(text) for text in texts)


def write_average(value: float) -> str:
    """Write an average of counts: whole where it is large, for what is behind the point then says nothing."""
    return f"{value:,.0f}" if value == 0 or round(abs(value), 1) >= 10 else f"{value:,.1f}"


def lines_page(lines: Sequence[str], *, large: bool = False) -> Page:
    """Show lines of text, one below the other."""
    return Page(render_macro("large_lines" if large else "text_lines", lines=lines), "\n".join(lines))


def short_name(name: object, most: int = 24) -> str:
    """Shorten a name so that a figure has room beside it."""
    text = str(name)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def with_note(page: Page, note: str) -> Page:
    """Put a line of text below a page; an empty one is none."""
    return Page(render_macro("stacked", pages=[page, lines_page([note])]), f"{page}\n{note}") if note else page


def name_key(column: str, key: object, dimensions: Dimensions = CITY) -> str:
    """Write what a dimension tells apart: a number with what it is the number of, ``station 3``; a name as it is."""
    if isinstance(key, bool | np.bool_) or not isinstance(key, (*WHOLE_NUMBERS, *FRACTIONS)):
        return str(key)
    return f"{dimensions.word(column)} {int(key) if float(key).is_integer() else key}"


def show_value(value: object) -> str:
    if isinstance(value, AS_WRITTEN):
        return str(value)
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, FRACTIONS):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, WHOLE_NUMBERS) else str(value)
