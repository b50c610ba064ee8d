"""Every notebook as its exported page shows it: its width, its first screen, and what it keeps to itself."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from chromium import WIDTHS, Browser, needs_chromium
from nbformat.v4 import new_code_cell, new_notebook, new_output

from sentinel_etl.audit.checks import Check, Severity
from sentinel_etl.city import City, night_tables
from sentinel_etl.notebook.page import export_html
from sentinel_etl.report import table_page
from sentinel_etl.report.verdict import beside, check_page

pytestmark = needs_chromium

CHECKOUT = Path(__file__).parents[2]
NOTEBOOKS = [
    *sorted((CHECKOUT / "notebooks").glob("*.ipynb")),
    *sorted((CHECKOUT / "runs" / "sample").rglob("*.ipynb")),
]

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem.split("_2026")[0] for path in NOTEBOOKS])

# Columns of the source that name a person who is no officer, or quote one, and the plates.
PERSONAL = {
    "stranger_encounters": ("name", "purpose", "id_details"),
    "vehicle_checks": ("plate_number", "suspicion_details"),
    "remarks": ("remark_text",),
    "feedback": ("feedback_text",),
}

# What reaches beyond the right edge and has no scrollbar of its own to be reached by.
BEYOND = (
    "Array.from(document.querySelectorAll('main *')).filter(e => e.getBoundingClientRect().right > innerWidth + 1 "
    "&& !e.closest('[style*=\"overflow-x:auto\"]')).map(e => e.outerHTML.slice(0, 120))"
)


def export(path: Path, folder: Path) -> Path:
    page = folder / f"{path.stem}.html"
    page.write_text(export_html(nbformat.read(path, as_version=4), path.stem), encoding="utf-8")
    return page


@each_notebook
def test_a_page_has_no_horizontal_scrollbar_nor_a_cell_that_has_one(
    browser: Browser, path: Path, tmp_path: Path
) -> None:
    browser.open(export(path, tmp_path), WIDTHS["desktop"])
    assert browser.run("window.innerWidth") == 1280
    assert browser.run("document.documentElement.scrollWidth") <= 1280
    wide = browser.run(
        "Array.from(document.querySelectorAll('main *')).filter(e => e.scrollWidth > e.clientWidth + 1 "
        "&& ['auto', 'scroll', 'hidden'].includes(getComputedStyle(e).overflowX) && e.clientWidth > 0)"
        ".map(e => e.outerHTML.slice(0, 120))"
    )
    assert wide == []
    assert browser.run(BEYOND) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_long_words_of_a_failed_check_stay_on_the_page(browser: Browser, tmp_path: Path, width: str) -> None:
    long = "x" * 400
    row = {"event_id": f"REMARK:{long}", "event_timestamp": "2026-11-21 20:00:00Z", "risk_reasons": long}
    check = Check(
        "keys are unique", Severity.BLOCK, False, long, f"<b>{long}", examples=(row,) * 5, query=f"SELECT {long}"
    )
    counts = pd.DataFrame({"source": [1_000_000]}, index=[long])
    shown = [check_page(check), beside(table_page(counts), [table_page(counts)])]
    cells = [new_code_cell("", outputs=[new_output("display_data", {"text/html": page.html})]) for page in shown]
    path = tmp_path / "long.html"
    path.write_text(export_html(new_notebook(cells=cells), "long"), encoding="utf-8")
    browser.open(path, WIDTHS[width])
    assert browser.run("document.documentElement.scrollWidth") <= WIDTHS[width][0]
    assert browser.run(BEYOND) == []


@each_notebook
def test_every_figure_of_a_page_says_what_it_shows_to_who_cannot_see_it(path: Path) -> None:
    page = export_html(nbformat.read(path, as_version=4), path.stem)
    images = re.findall(r"<img[^>]*>", page)
    assert [image[:200] for image in images if not re.search(r'alt="Figure: \w[^"]*[.?] \w[^"]*\d', image)] == []


@each_notebook
def test_a_page_asks_the_network_for_nothing(browser: Browser, path: Path, tmp_path: Path) -> None:
    page = export(path, tmp_path)
    browser.open(page, WIDTHS["desktop"])
    asked = [url for url in browser.requests() if not url.startswith(("data:", "blob:"))]
    assert asked == [page.as_uri()]


def test_the_verdict_counts_and_command_are_on_the_first_screen(browser: Browser, tmp_path: Path) -> None:
    browser.open(export(CHECKOUT / "notebooks" / "etl_nightly.ipynb", tmp_path), WIDTHS["desktop"])
    for words in ("PUBLISHED", "total", "Rejected rows", "Most shifted risk", "sentinel-etl run --window-end"):
        bottoms = browser.run(
            "Array.from(document.querySelectorAll('main div, main th, main code'))"
            f".filter(e => e.textContent.trim().startsWith({words!r})).map(e => e.getBoundingClientRect().bottom)"
        )
        assert bottoms, words
        assert min(bottoms) <= 900, words


@each_notebook
def test_a_page_holds_no_traceback_password_path_or_person(path: Path) -> None:
    page = export_html(nbformat.read(path, as_version=4), path.stem)
    shown = re.sub(r"(?s)<style.*?</style>|<script.*?</script>|data:image/png;base64,[^\"]+", "", page)
    assert not re.search(r"Traceback \(most recent|/(root|home|Users|work|tmp)/|://[^/\s:]+:[^/\s@]+@|password", shown)
    tables = night_tables(City(), date(2026, 11, 21), 5_000)
    private = {
        str(value)
        for table, columns in PERSONAL.items()
        for column in columns
        for value in tables[table][column].to_pylist()
        if value and len(str(value)) > 3
    }
    private -= {"NULL"}  # what one stranger is called, and SQL's word in every report
    assert len(private) > 500
    assert [value for value in private if value in shown] == []
