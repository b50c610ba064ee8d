"""A report's page: what it is made of, and what of a cell's output it rewrites."""

from __future__ import annotations

import base64
import re
from html import escape
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from sentinel_etl.notebook.page import export_html
from sentinel_etl.report import table_page
from sentinel_etl.report.figure_style import draw_plain, finish_figure

CHECKOUT = Path(__file__).parents[3]
NOTEBOOKS = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))
MOST_BYTES = 160_000


def page_of(*outputs: nbformat.NotebookNode, code: str = "", tags: tuple[str, ...] = ()) -> str:
    cell = new_code_cell(code, outputs=list(outputs), metadata={"tags": list(tags)})
    return export_html(new_notebook(cells=[new_markdown_cell("# A night"), cell]), "a night")


def html(text: str) -> nbformat.NotebookNode:
    return new_output("display_data", {"text/html": text})


def picture(kind: str, image: bytes, **metadata: object) -> nbformat.NotebookNode:
    return new_output("display_data", {kind: base64.b64encode(image).decode("ascii")}, metadata=metadata)


class Tags(HTMLParser):
    """The tags of a page, with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def png_of(pixels: np.ndarray) -> bytes:  # type: ignore[type-arg]
    written = BytesIO()
    Image.fromarray(pixels).save(written, "png")
    return written.getvalue()


def shown_png(page: str) -> Image.Image:
    (data,) = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    return Image.open(BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_page_is_small(path: Path) -> None:
    assert len(export_html(nbformat.read(path, as_version=4), path.stem).encode()) <= MOST_BYTES


def test_a_page_has_the_styles_that_it_uses_and_no_others() -> None:
    (plain,) = re.findall(r"(?s)<style>(.*?)</style>", page_of(html("words")))
    assert len(plain) < 6_000
    assert not re.search(r"\btable\b|\.highlight|\.ansi-|--jp-", plain.replace("table-header-group", ""))
    (full,) = re.findall(
        r"(?s)<style>(.*?)</style>",
        page_of(
            html(table_page(pd.DataFrame({"x": [1]}, index=["a"])).html),
            new_output("stream", name="stderr", text="\x1b[31mred\x1b[0m"),
            code="x = 1",
            tags=("show-code",),
        ),
    )
    for used in (".jp-OutputArea-output table", ".highlight", ".ansi-red-fg"):
        assert used in full


def test_a_style_that_many_cells_have_is_written_once() -> None:
    frame = pd.DataFrame({"x": range(500), "y": ["words"] * 500}, index=[f"row {n}" for n in range(500)])
    page, table = page_of(html(table_page(frame).html)), table_page(frame).html
    assert len(page) < len(table) / 2
    assert re.findall(r"<t[hdr]\b[^>]*\sstyle=", page) == []
    (name,) = set(re.findall(r'<td class="(\w+)">words</td>', page))
    assert re.search(rf"(?m)^\.{name}{{[^}}]*text-align:left", page)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('a style="color:red" of words, 1 < 2', id="words that look like a style"),
        pytest.param('<td style="color:red"></th>', id="a tag that is text"),
    ],
)
def test_what_is_text_stays_as_it_is(text: str) -> None:
    page = page_of(html(f"<p>{escape(text, quote=False)}</p>"))
    assert f"<p>{escape(text, quote=False)}</p>" in page


def test_an_attribute_with_a_bracket_stays_as_it_is() -> None:
    (tag,) = Tags(page_of(html('<p title="1 > 0" style="color:#1A1A1A">a</p>'))).of("p")
    assert tag == {"title": "1 > 0", "style": "color:#1A1A1A"}


def test_the_reports_colours_follow_the_reader_s_theme_and_others_stay_on_white() -> None:
    ours = page_of(html('<div style="background:#FFFFFF;color:#1A1A1A">a verdict</div>'))
    assert '<div style="background:var(--surface);color:var(--ink)">' in ours
    assert '<div class="jp-RenderedHTML jp-OutputArea-output">' in ours
    theirs = page_of(html('<div style="background:#FFFF00">a note</div>'))
    assert '<div class="jp-RenderedHTML jp-OutputArea-output as-made">' in theirs


@pytest.mark.parametrize("table", [table_page(pd.DataFrame({"x": [1]}, index=["a"])).html, "<PANDAS>"])
def test_a_table_s_headers_say_what_they_head_and_none_is_empty(table: str) -> None:
    page = page_of(html(table.replace("<PANDAS>", pd.DataFrame({"x": [1]}, index=["a"]).to_html())))
    headers = Tags(page).of("th")
    assert [header["scope"] for header in headers] == ["col", "row"]
    assert re.findall(r"<th\b[^>]*>([^<]*)</th>", page) == ["x", "a"]


def test_an_image_of_few_colours_is_made_smaller_and_a_photograph_is_not() -> None:
    figure, axis = draw_plain()
    axis.plot([1, 2])
    saved = BytesIO()
    figure.savefig(saved, format="png", dpi=120)
    finish_figure(figure)
    page = page_of(picture("image/png", saved.getvalue()))
    assert shown_png(page).mode == "P"
    noise = np.random.default_rng(7).integers(0, 256, (64, 64, 3), np.uint8)
    assert shown_png(page_of(picture("image/png", png_of(noise)))).mode == "RGB"
    clear = np.dstack([noise // 64 * 64, np.full((64, 64), 9, np.uint8)])
    assert shown_png(page_of(picture("image/png", png_of(clear)))).mode == "RGBA"


def test_an_image_that_cannot_be_read_is_shown_as_it_came() -> None:
    assert f"data:image/png;base64,{base64.b64encode(b'no image').decode()}" in page_of(
        picture("image/png", b"no image")
    )


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg"])
def test_an_image_has_its_words_or_those_of_its_heading(kind: str) -> None:
    image = png_of(np.zeros((4, 4, 3), np.uint8))
    (plain,) = Tags(page_of(picture(kind, image))).of("img")
    (told,) = Tags(page_of(picture(kind, image, **{kind: {"alt": 'a "b" <c>, PSI 0.12'}}))).of("img")
    assert plain["alt"] == "Figure: A night"
    assert told["alt"] == 'Figure: A night. a "b" <c>, PSI 0.12'
    assert (plain.get("class"), told["class"]) == (None, "described")


def test_an_svg_has_words_too() -> None:
    page = page_of(new_output("display_data", {"image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg'/>"}))
    assert [image["alt"] for image in Tags(page).of("img")] == ["Figure: A night"]


WIDGET = "application/vnd.jupyter.widget-view+json"


def test_a_control_is_what_stands_beside_it_on_a_page_and_else_a_sentence() -> None:
    view = {"version_major": 2, "version_minor": 0, "model_id": "abc"}
    beside = page_of(new_output("display_data", {WIDGET: view, "text/html": "<p>a table</p>", "text/plain": "VBox()"}))
    alone = page_of(new_output("display_data", {WIDGET: view, "text/plain": "IntSlider(value=3)"}))
    assert "<p>a table</p>" in beside
    assert "A control stands here in JupyterLab; a page has none." in alone
    for page in (beside, alone):
        assert "IntSlider" not in page
        assert "VBox" not in page
        assert "widget-view" not in page
        assert Tags(page).of("script") == []


def test_a_page_of_a_notebook_that_was_saved_with_its_controls_asks_no_network_for_them() -> None:
    state = {
        "application/vnd.jupyter.widget-state+json": {"version_major": 2, "version_minor": 0, "state": {"abc": {}}}
    }
    notebook = new_notebook(cells=[new_markdown_cell("# A night")], metadata={"widgets": state})
    page = export_html(notebook, "a night")
    assert Tags(page).of("script") == []
    assert "widget" not in page
