"""Every notebook as its exported page shows it: its width, its first screen, and what it keeps to itself."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import nbformat
import pytest
from chromium import WIDTHS, Browser, needs_chromium

from sentinel_etl.city import City, night_tables
from sentinel_etl.runs import export_html

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
    beyond = browser.run(
        "Array.from(document.querySelectorAll('main *')).filter(e => e.getBoundingClientRect().right > innerWidth)"
        ".map(e => e.outerHTML.slice(0, 120))"
    )
    assert beyond == []


@each_notebook
def test_every_figure_of_a_page_has_words_for_who_cannot_see_it(path: Path) -> None:
    page = export_html(nbformat.read(path, as_version=4), path.stem)
    images = re.findall(r"<img[^>]*>", page)
    assert [image[:200] for image in images if not re.search(r'alt="Figure: \w', image)] == []


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
