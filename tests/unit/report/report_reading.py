"""Reads what a test has to look at out of a report's tables."""

from __future__ import annotations

import re

from sentinel_etl.report import Page
from sentinel_etl.report.figure_style import WARNED


def rows_of(page: Page) -> list[str]:
    """The labels of a table's rows, top to bottom."""
    return re.findall(r"<tr[^>]*><th[^>]*>([^<]*)</th><td", page.html)


def flagged_rows_of(page: Page) -> list[str]:
    return re.findall(rf'<tr style="background:{WARNED};"><th[^>]*>([^<]*)</th>', page.html)


def cells_of(page: Page, label: str) -> list[str]:
    (row,) = re.findall(rf"<tr[^>]*><th[^>]*>{re.escape(label)}</th>(.*?)</tr>", page.html)
    return re.findall(r"<td[^>]*>(.*?)</td>", row)
