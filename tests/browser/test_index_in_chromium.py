"""The runs index in headless Chromium: its width, its keys, its filter, and what hostile texts may do."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from chromium import WIDTHS, Browser, needs_chromium
from nights import MORNING, STATES, ZONE, sixty_nights

from sentinel_etl.report.index_page import render_index

pytestmark = needs_chromium


@pytest.fixture
def index(tmp_path: Path) -> Path:
    path = tmp_path / "index.html"
    path.write_text(render_index(*sixty_nights(), MORNING, ZONE), encoding="utf-8")
    return path


@pytest.fixture
def open_index(browser: Browser, index: Path) -> Callable[[str], Browser]:
    def open_at(width: str) -> Browser:
        browser.open(index, WIDTHS[width])
        return browser

    return open_at


def shown_rows(browser: Browser) -> list[str]:
    shown = "Array.from(document.querySelectorAll('.runs tbody tr')).filter(row => row.offsetHeight > 0)"
    nights: list[str] = browser.run(f"{shown}.map(row => row.querySelector('.night').textContent.trim())")
    return nights


def focused(browser: Browser) -> str:
    return str(browser.run("document.activeElement.id || document.activeElement.getAttribute('href') || ''"))


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_has_no_horizontal_scrollbar(open_index: Callable[[str], Browser], width: str) -> None:
    browser = open_index(width)
    assert browser.run("window.innerWidth") == WIDTHS[width][0]
    assert browser.run("document.documentElement.scrollWidth") <= WIDTHS[width][0]
    cut_off = browser.run(
        "Array.from(document.querySelectorAll('body *:not(thead, thead *)'))"
        ".filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"
    )
    assert cut_off == []


def test_the_page_asks_the_network_for_nothing(open_index: Callable[[str], Browser], index: Path) -> None:
    browser = open_index("desktop")
    assert browser.requests() == [index.as_uri()]
    assert browser.complaints() == []


def test_hostile_texts_of_the_ledger_are_text(open_index: Callable[[str], Browser]) -> None:
    browser = open_index("desktop")
    assert browser.run("document.title") == "Nightly runs: 2026-11-21 published"
    assert browser.run("document.querySelectorAll('img, script').length") == 1
    assert browser.run("document.querySelectorAll('a[href^=javascript]').length") == 0
    cause = browser.run(
        "Array.from(document.querySelectorAll('.cause')).find(e => /taken/.test(e.textContent)).textContent"
    )
    assert cause == STATES["H"][1]


def test_a_script_that_gets_into_the_page_does_not_run(browser: Browser, index: Path) -> None:
    injected = "<p>found</p><script>document.title = 'taken'</script>"
    index.write_text(index.read_text(encoding="utf-8").replace("<main>", f"<main>{injected}"), encoding="utf-8")
    browser.open(index, WIDTHS["desktop"])
    assert browser.run("document.title") == "Nightly runs: 2026-11-21 published"
    assert "Content Security Policy" in " ".join(browser.complaints())


@pytest.mark.parametrize(
    ("words", "nights"),
    [
        pytest.param("failed", ["2026-11-20", "2026-11-11", "2026-10-25", "2026-10-13"], id="by verdict"),
        pytest.param("2026-10 connection REFUSED", ["2026-10-25"], id="several words, any case"),
        pytest.param("nothing like it", [], id="no match"),
    ],
)
def test_the_filter_leaves_the_rows_with_the_words(
    open_index: Callable[[str], Browser], words: str, nights: list[str]
) -> None:
    browser = open_index("phone")
    assert len(shown_rows(browser)) == 59
    browser.run("document.getElementById('filter').focus()")
    browser.write(words)
    assert shown_rows(browser) == nights
    assert browser.run("document.getElementById('found').textContent") == f"{len(nights)} of 59 rows"


def test_without_scripts_the_table_is_whole_and_the_filter_hidden(browser: Browser, index: Path) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(index, WIDTHS["desktop"])
        assert len(shown_rows(browser)) == 59
        assert browser.run("document.querySelector('.filter').offsetHeight") == 0
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


def test_the_tab_key_reaches_the_report_the_calendar_the_filter_and_the_rows(
    open_index: Callable[[str], Browser],
) -> None:
    browser = open_index("desktop")
    reached = []
    for _ in range(200):
        browser.press("Tab", 9)
        reached.append(focused(browser))
        if not reached[-1]:  # past the page's last link
            break
    runs, _, _ = sixty_nights()
    links = [run.page for run in runs if run.page]
    cells = [where for where in reached if where.startswith(("#run-", "#missing-"))]
    assert reached[:3] == ["#nights", "#runs", links[0]]
    assert len(cells) == 60
    assert reached[3 + len(cells) : -1] == ["filter", *links]
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    browser.run("document.activeElement.blur()")
    browser.press("Tab", 9)
    assert browser.run(outline) == "solid"


def test_a_night_in_the_calendar_leads_to_its_row_even_where_the_filter_hides_it(
    open_index: Callable[[str], Browser],
) -> None:
    browser = open_index("phone")
    browser.run("document.getElementById('filter').focus()")
    browser.write("no such row")
    browser.run("document.querySelector('.month a[aria-label^=\"25 October 2026\"]').focus()")
    browser.press("Enter", 13, "\r")
    deadline = time.monotonic() + 5
    while len(shown_rows(browser)) < 59 and time.monotonic() < deadline:
        time.sleep(0.05)
    target = browser.run("document.querySelector('tr:target .night').textContent.trim()")
    assert target == "2026-10-25"
    assert 0 <= browser.run("document.querySelector('tr:target').getBoundingClientRect().top") < 844


def test_an_old_page_says_that_no_run_has_written_it_since(browser: Browser, tmp_path: Path) -> None:
    notes = {}
    for hours in (1, 49):
        page = tmp_path / f"{hours}.html"
        written = datetime.now(UTC) - timedelta(hours=hours, minutes=5)
        page.write_text(render_index(*sixty_nights(), written, ZONE), encoding="utf-8")
        browser.open(page, WIDTHS["desktop"])
        notes[hours] = browser.run("document.getElementById('old').checkVisibility() && old.innerText")
    assert notes[1] is False
    assert notes[49].startswith("This page is 49 hours old: no run has written it since.")


def test_text_stands_out_from_what_is_behind_it(open_index: Callable[[str], Browser]) -> None:
    browser = open_index("desktop")
    pairs = browser.run(
        "Array.from(document.querySelectorAll('.month a, .badge b, .quiet, .month span, th, td')).map(e => {"
        " let back = e; while (back && getComputedStyle(back).backgroundColor === 'rgba(0, 0, 0, 0)')"
        " back = back.parentElement;"
        " return [getComputedStyle(e).color, back ? getComputedStyle(back).backgroundColor : 'rgb(255, 255, 255)'] })"
    )
    ratios = {(text, back): contrast(text, back) for text, back in map(tuple, pairs)}
    assert min(ratios.values()) >= 4.5, ratios


def contrast(text: str, back: str) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""
    lights = sorted(map(luminance, (text, back)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
