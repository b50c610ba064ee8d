"""Each page under axe-core: WCAG 2.2 AA, by day and by night, at a desk and on a phone.

https://www.w3.org/TR/WCAG22/, https://github.com/dequelabs/axe-core/blob/develop/doc/rule-descriptions.md
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from chromium import Browser, needs_chromium
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nights import MORNING, ZONE, sixty_nights

from sentinel_etl.audit.checks import Check, Severity
from sentinel_etl.notebook.page import export_html
from sentinel_etl.report import table_page
from sentinel_etl.report.figure_style import FAILED, draw_plain
from sentinel_etl.report.index_page import render_index
from sentinel_etl.report.verdict import banner, check_page, titled

pytestmark = needs_chromium

SIZES = {"desk": (1280, 900, 1), "phone": (360, 800, 2)}
CHECKOUT = Path(__file__).parents[2]
PATHS = [*sorted((CHECKOUT / "notebooks").glob("*.ipynb")), *sorted((CHECKOUT / "runs" / "sample").rglob("*.ipynb"))]


def write_index() -> str:
    return render_index(*sixty_nights(), MORNING, ZONE)


def write_failure() -> str:
    """A page with a failed check, its rows and its query, and what a team's own cells show."""
    rows = ({"event_id": "REMARK:7", "event_timestamp": "2026-11-21 20:00:00Z"},)
    check = Check("keys are unique", Severity.BLOCK, False, "0", "1", examples=rows, query="SELECT 1")
    frame = pd.DataFrame({"events": [1, 2]}, index=["REMARK", "PATROL"])
    ended = banner("FAILED: the source does not answer", FAILED, ["expected an answer, found none"])
    pages = [
        titled("Late rows", "none").html,
        check_page(check).html,
        table_page(frame, ["REMARK"]).html,
        frame.to_html(),
        frame.style.to_html(),
    ]
    outputs = [new_output("display_data", {"text/html": html}) for html in pages]
    outputs += [
        new_output("stream", name="stderr", text="\x1b[31mred\x1b[0m \x1b[33myellow\x1b[0m \x1b[1;32mgreen\x1b[0m"),
        new_output("error", ename="KeyError", evalue="'x'", traceback=["\x1b[31mKeyError\x1b[0m: 'x'"]),
    ]
    top = new_code_cell("", outputs=[new_output("display_data", {"text/html": ended.html})])
    code = new_code_cell("x = 1  # why\nname = f'{x}'", outputs=outputs, metadata={"tags": ["show-code"]})
    return export_html(new_notebook(cells=[top, new_markdown_cell("# A night"), code]), "a night")


PAGES = [
    *(
        pytest.param(lambda path=path: export_html(nbformat.read(path, as_version=4), path.stem), id=path.stem[:18])
        for path in PATHS
    ),
    pytest.param(write_index, id="index"),
    pytest.param(write_failure, id="failure"),
]


@pytest.fixture
def reader(browser: Browser) -> Iterator[Browser]:
    yield browser
    browser.emulate()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("write", PAGES)
def test_axe_finds_no_violation(
    reader: Browser, write: Callable[[], str], tmp_path: Path, scheme: str, size: str
) -> None:
    page = tmp_path / "page.html"
    page.write_text(write(), encoding="utf-8")
    reader.emulate(scheme)
    reader.open(page, SIZES[size])
    reader.run("document.querySelectorAll('details').forEach(folded => { folded.open = true })")
    assert reader.violations() == []


# axe-core does not judge text over a gradient, as a table's is; so each text's contrast is worked out from what is
# behind it, tint over tint: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
LEAST_CONTRAST = """(() => {
  const parse = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return n.length > 3 ? n : [...n, 1] };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3]));
  const behind = (e) => {
    const colours = [];
    for (; e; e = e.parentElement) colours.push(parse(getComputedStyle(e).backgroundColor));
    const canvas = matchMedia('(prefers-color-scheme: dark)').matches ? [0, 0, 0] : [255, 255, 255];
    return colours.reduceRight((below, colour) => over(colour, below), canvas);
  };
  const light = (colour) => {
    const [r, g, b] = colour.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const worst = [99, ''];
  for (const e of document.querySelectorAll('body *')) {
    const own = Array.from(e.childNodes).some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility() || e.closest('script, style')) continue;
    const back = behind(e), lights = [light(over(parse(getComputedStyle(e).color), back)), light(back)];
    const ratio = (Math.max(...lights) + 0.05) / (Math.min(...lights) + 0.05);
    if (ratio < worst[0]) worst.splice(0, 2, ratio, e.outerHTML.slice(0, 160));
  }
  return worst;
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("write", PAGES)
def test_every_text_stands_out_from_what_is_behind_it(
    reader: Browser, write: Callable[[], str], tmp_path: Path, scheme: str
) -> None:
    page = tmp_path / "page.html"
    page.write_text(write(), encoding="utf-8")
    reader.emulate(scheme)
    reader.open(page, SIZES["desk"])
    reader.run("document.querySelectorAll('details').forEach(folded => { folded.open = true })")
    ratio, text = reader.run(LEAST_CONTRAST)
    assert 4.5 <= ratio < 22, text


def test_the_keys_reach_a_table_that_scrolls_and_it_is_seen_that_they_do(reader: Browser, tmp_path: Path) -> None:
    wide = pd.DataFrame({f"column_{n}": [n] for n in range(20)}, index=["REMARK"])
    shown = new_output("display_data", {"text/html": table_page(wide).html})
    page = tmp_path / "page.html"
    page.write_text(export_html(new_notebook(cells=[new_code_cell("", outputs=[shown])]), "wide"), encoding="utf-8")
    reader.open(page, SIZES["phone"])
    reader.press("Tab", 9)
    assert reader.run("document.activeElement.tagName") == "TABLE"
    assert reader.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    for _ in range(3):
        reader.press("ArrowRight", 39)
    deadline = time.monotonic() + 5
    while not reader.run("document.activeElement.scrollLeft") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert reader.run("document.activeElement.scrollLeft") > 0


def look(reader: Browser, folder: Path, scheme: str, media: str = "") -> list[str]:
    """Open a page with a figure of ours and a photograph, and give the styles of its parts."""
    figure, _ = draw_plain(4.0, 2.0)
    data = {"image/png": base64.b64encode(figure._repr_png_()).decode("ascii")}  # type: ignore[attr-defined]
    described = new_output("display_data", data, metadata={"image/png": {"alt": "One line, from 1 to 2"}})
    outputs = [described, new_output("display_data", data), new_output("display_data", {"text/html": "<p>x</p>"})]
    page = folder / "page.html"
    page.write_text(export_html(new_notebook(cells=[new_code_cell("", outputs=outputs)]), "one"), encoding="utf-8")
    reader.emulate(scheme, media)
    reader.open(page, SIZES["desk"])
    styles: list[str] = reader.run(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color,"
        " ...Array.from(document.images).map(image => getComputedStyle(image).filter)]"
    )
    return styles


BY_DAY = ["rgb(255, 255, 255)", "rgb(26, 26, 26)", "none", "none"]


def test_by_night_a_page_is_dark_and_so_are_our_figures_but_nobody_else_s_images(
    reader: Browser, tmp_path: Path
) -> None:
    assert look(reader, tmp_path, "light") == BY_DAY
    turned = "invert(0.92) hue-rotate(180deg)"
    assert look(reader, tmp_path, "dark") == ["rgb(20, 20, 20)", "rgb(230, 230, 230)", turned, "none"]


def test_on_paper_it_is_day(reader: Browser, tmp_path: Path) -> None:
    assert look(reader, tmp_path, "dark", "print") == BY_DAY
