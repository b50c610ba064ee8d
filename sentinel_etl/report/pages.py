"""What a notebook shows: a piece of HTML that reads as plain text elsewhere, most often a short table."""

from __future__ import annotations

from collections.abc import Collection
from html import escape

import numpy as np
import pandas as pd

from sentinel_etl.report.style import INK

__all__ = ["Page", "show_value", "table_page"]

CELL = "padding:.2em .6em;border-bottom:1px solid #e0e0e0;white-space:normal;"
LABEL = "text-align:left;font-weight:600;overflow-wrap:anywhere;"
SIDES = {True: "text-align:right", False: "text-align:left;overflow-wrap:anywhere"}  # of numbers, of text
WARNED_ROW = "background:#FDECEA;"
PLAIN_ROWS = ("background:#FFFFFF;", "background:#F6F6F6;")  # whatever theme a notebook is read in


class Page:
    """A piece of a report: HTML where it can be shown, plain text elsewhere."""

    def __init__(self, html: str, text: str) -> None:
        self.html = html
        self.text = text

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


def table_page(frame: pd.DataFrame, flagged: Collection[object] = ()) -> Page:
    """Show a frame: text on the left, numbers on the right with thousands apart, flagged rows tinted."""
    numeric = [pd.api.types.is_numeric_dtype(frame[name]) for name in frame.columns]
    head = "".join(
        f'<th style="{CELL}text-align:{"right" if number else "left"}">{escape(str(name))}</th>'
        for name, number in zip(frame.columns, numeric, strict=True)
    )
    # Labels break only where they are longer than a line of half the page; numbers never.
    width = f"min-width:{0.62 * min(max((len(str(label)) for label in frame.index), default=0), 34):.1f}em"
    rows = []
    for place, (label, *values) in enumerate(frame.itertuples(name=None)):
        cells = "".join(
            f'<td style="{CELL}{SIDES[number]}">{escape(show_value(value))}</td>'
            for value, number in zip(values, numeric, strict=True)
        )
        tint = WARNED_ROW if label in flagged else PLAIN_ROWS[place % 2]
        name = f'<th style="{CELL}{LABEL}{width}">{escape(str(label))}</th>'
        rows.append(f'<tr style="{tint}">{name}{cells}</tr>')
    html = (
        f'<table style="border-collapse:collapse;background:#FFFFFF;color:{INK};font-variant-numeric:tabular-nums">'
        f'<thead><tr><th style="{CELL}"></th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )
    return Page(html, frame.rename_axis(None).to_string())


def show_value(value: object) -> str:
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return "–"
    if isinstance(value, bool | np.bool_ | str):
        return str(value)
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    return f"{value:,.2f}" if isinstance(value, float | np.floating) else str(value)
