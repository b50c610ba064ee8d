"""The pages on a phone: figures that can be read, tables that show that they go on, identifiers in one piece."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import nbformat
import pandas as pd
import pytest
from chromium import WIDTHS, Browser, needs_chromium
from nbformat.v4 import new_code_cell, new_notebook, new_output

from sentinel_etl.ledger.archive import ArchivedRun
from sentinel_etl.ledger.nights import judge_nights
from sentinel_etl.ledger.states import RunState
from sentinel_etl.notebook.page import export_html
from sentinel_etl.report import table_page
from sentinel_etl.report.index_page import Measure, render_index
from sentinel_etl.window import Window

pytestmark = needs_chromium

ZONE = ZoneInfo("Asia/Kolkata")
MORNING = datetime(2026, 11, 22, 0, 31, tzinfo=UTC)
NIGHT = date(2026, 11, 21)
NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "etl_nightly.ipynb"
NAMES = ["HIGH_INTEGRITY_VISITS", "STRANGER_ENCOUNTER", "EMERGENCY_INCIDENT:98260000012"]
LINES_OF_LABEL = (
    "Array.from(document.querySelectorAll('tbody th')).map(e => { const range = document.createRange();"
    " range.selectNodeContents(e); return new Set(Array.from(range.getClientRects()).map(r => r.top)).size })"
)
"""How many lines each label of a table takes."""


def page_of(html: str, folder: Path) -> Path:
    cells = [new_code_cell("", outputs=[new_output("display_data", {"text/html": html})])]
    path = folder / "page.html"
    path.write_text(export_html(new_notebook(cells=cells), "page"), encoding="utf-8")
    return path


def nightly(folder: Path) -> Path:
    path = folder / "nightly.html"
    path.write_text(export_html(nbformat.read(NOTEBOOK, as_version=4), "nightly"), encoding="utf-8")
    return path


def index_of(folder: Path, cause: str) -> Path:
    """The index of one failed night."""
    window = Window.night(NIGHT, ZONE)
    run = ArchivedRun("run1", RunState.FAILED, window, NIGHT, NIGHT, window.end, "sentinel-etl run", cause=cause)
    path = folder / "index.html"
    nights = judge_nights([NIGHT], [run], ["REMARK"], ZONE)
    path.write_text(render_index([run], nights, {NIGHT: Measure(9, 4.2)}, MORNING, ZONE), encoding="utf-8")
    return path


def test_a_figure_keeps_a_size_that_can_be_read_and_scrolls(browser: Browser, tmp_path: Path) -> None:
    browser.open(nightly(tmp_path), WIDTHS["phone"])
    widths = browser.run("Array.from(document.querySelectorAll('img')).map(e => e.getBoundingClientRect().width)")
    drawn = browser.run("Array.from(document.querySelectorAll('img')).map(e => e.naturalWidth)")
    assert len(widths) > 3
    assert all(shown >= 0.75 * natural for shown, natural in zip(widths, drawn, strict=True))
    assert browser.run("document.documentElement.scrollWidth") <= WIDTHS["phone"][0]
    hint = browser.run("getComputedStyle(document.querySelector('.jp-RenderedImage'), '::before').content")
    assert "swipe sideways" in hint


def test_a_figure_at_a_desk_fits_the_page_and_needs_no_hint(browser: Browser, tmp_path: Path) -> None:
    browser.open(nightly(tmp_path), WIDTHS["desktop"])
    hint = browser.run("getComputedStyle(document.querySelector('.jp-RenderedImage'), '::before').content")
    assert hint == "none"


def test_a_table_that_goes_on_scrolls_by_itself_and_its_edge_is_shaded(browser: Browser, tmp_path: Path) -> None:
    wide = pd.DataFrame({f"column_{n}": [n] for n in range(20)}, index=["REMARK"])
    browser.open(page_of(table_page(wide).html, tmp_path), WIDTHS["phone"])
    table = "document.querySelector('.jp-OutputArea-output table')"
    assert browser.run(f"{table}.scrollWidth > {table}.clientWidth")
    assert browser.run("document.documentElement.scrollWidth") <= WIDTHS["phone"][0]
    assert browser.run(f"getComputedStyle({table}).backgroundAttachment") == "local, local, scroll, scroll, scroll"
    assert browser.run("getComputedStyle(document.querySelector('tbody tr')).backgroundColor") == "rgba(0, 0, 0, 0)"


def test_an_identifier_stays_in_one_piece(browser: Browser, tmp_path: Path) -> None:
    frame = pd.DataFrame({"event type": NAMES, **{f"column_{n}": [9, 9, 9] for n in range(8)}}, index=NAMES)
    browser.open(page_of(table_page(frame).html, tmp_path), WIDTHS["phone"])
    assert browser.run(LINES_OF_LABEL) == [1, 1, 1]
    assert browser.run(LINES_OF_LABEL.replace("tbody th", "tbody td:nth-child(2)")) == [1, 1, 1]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_cause_in_a_row_of_the_index_is_three_lines_and_opens(browser: Browser, tmp_path: Path, width: str) -> None:
    browser.open(index_of(tmp_path, "x y " * 400), WIDTHS[width])
    lines = "(() => { const e = document.querySelector('.runs .cause'); const s = getComputedStyle(e); return " + (
        "e.getBoundingClientRect().height / parseFloat(s.lineHeight) })()"
    )
    assert browser.run(lines) <= 3.1
    browser.run("location.hash = 'run-run1'")
    assert browser.run(lines) > 5
