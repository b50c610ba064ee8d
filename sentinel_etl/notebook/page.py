"""Archives an executed notebook, and renders it as one page that needs no network."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from html import unescape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from nbconvert import HTMLExporter
from nbconvert.preprocessors import TagRemovePreprocessor
from papermill.execute import ERROR_MARKER_TAG
from traitlets.config import Config

from sentinel_etl.files import write_atomically
from sentinel_etl.lineage.collector import NOT_SENT
from sentinel_etl.notebook.page_markup import Classes, classes_css, is_as_made, rewrite_html
from sentinel_etl.notebook.page_style import page_style
from sentinel_etl.report.render import FAILED_SECTION, MAP_KEY
from sentinel_etl.report.small_image import smaller_png
from sentinel_etl.wording import without_statement

if TYPE_CHECKING:
    from sentinel_etl.report.pages import Page

__all__ = ["archive_notebook", "export_html", "failed_sections", "unsent_lineage"]


# A heading that `Sections.heading` has made.
HEADING = re.compile(r"^<h[1-6]>([^<]+)</h[1-6]>$")

# A control of a live notebook. On a page nobody answers it, and what would draw it comes from a network.
# https://github.com/jupyter-widgets/ipywidgets/blob/main/packages/schema/jupyterwidgetmodels.latest.md
WIDGET = "application/vnd.jupyter.widget-view+json"
NO_CONTROL = "A control stands here in JupyterLab; a page has none."

IMAGES = {"image/png", "image/jpeg", "image/svg+xml"}

# A page shows results; the code of a cell only where the cell says that it is the point.
SHOW_CODE, HIDE_CODE = "show-code", "hide-code"


def archive_notebook(part: Path, report: Path, source: Path, verdict: Page | None = None) -> Path:
    """Move the executed notebook into place and write its page beside it; ``verdict`` goes to its top.

    Raises:
        OSError: one of them cannot be written. Without the page the notebook may stand there already.
    """
    notebook = nbformat.read(part, as_version=4)
    # papermill opens a notebook that failed with notes of its own; ours comes instead.
    notebook.cells = [cell for cell in notebook.cells if ERROR_MARKER_TAG not in cell.metadata.get("tags", ())]
    if verdict is not None:
        notebook.cells.insert(0, verdict_cell(verdict))
    for output in (output for cell in notebook.cells for output in cell.get("outputs", ())):
        if output.output_type == "error":  # a traceback names this machine's files, and helps nobody at 06:10
            output.traceback = [f"{output.ename}: {without_statement(output.evalue)}"]
    # Where this machine keeps its files is nobody's business who reads the report.
    notebook.metadata.get("papermill", {}).update(input_path=source.name, output_path=report.name)
    write_atomically(report, nbformat.writes(notebook))
    part.unlink()
    page = report.with_suffix(".html")
    write_atomically(page, export_html(notebook, report.stem))
    return page


def failed_sections(report: Path) -> list[str]:
    """List what an executed notebook's sections say that could not be drawn."""
    cells = nbformat.read(report, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    found = [output.get("metadata", {}).get(FAILED_SECTION) for output in outputs]
    return [str(line) for line in dict.fromkeys(found) if line]


def unsent_lineage(report: Path) -> list[str]:
    """List what an executed notebook's kernel warned of lineage that was not sent."""
    cells = nbformat.read(report, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", ()) if output.get("name") == "stderr"]
    lines = (line for output in outputs for line in str(output.get("text", "")).splitlines())
    return [line for line in dict.fromkeys(lines) if line.startswith(NOT_SENT)]


def export_html(notebook: nbformat.NotebookNode, title: str) -> str:
    """Render a notebook as one page that needs no network, figures inside; code only of cells tagged for it."""
    exporter = HTMLExporter(
        config=Config({"CSSHTMLHeaderPreprocessor": {"enabled": False}}),  # JupyterLab's colours of code
        raw_template=files("sentinel_etl.notebook").joinpath("templates/page.html.j2").read_text(encoding="utf-8"),
        embed_images=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    exporter.register_preprocessor(TagRemovePreprocessor(remove_input_tags={HIDE_CODE}, enabled=True), enabled=True)
    notebook, heading = without_unreached_cells(notebook), title
    classes: Classes = {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heading = next(re.finditer(r"^#+ (.+)$", cell.source, flags=re.MULTILINE), [heading, heading])[1]
            continue
        for output in cell.get("outputs", ()):
            heading = prepare_output(output, heading, classes)
        tags = cell.metadata.setdefault("tags", [])
        if SHOW_CODE not in tags:
            tags.append(HIDE_CODE)
    page, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": title}})
    page = str(page).replace("</head>", f"<style>{page_style(page)}{classes_css(classes)}\n</style>\n</head>", 1)
    return with_map_script(page)


def with_map_script(page: str) -> str:
    """Add the script that lets a map be zoomed, to a page that has one: once, however many there are."""
    if '<figure class="map ' not in page:
        return page
    script = files("sentinel_etl.notebook").joinpath("templates/city_map.js").read_text(encoding="utf-8")
    before, end, after = page.rpartition("</body>")
    return f"{before}<script>\n{script}</script>\n{end}{after}"


def prepare_output(output: nbformat.NotebookNode, heading: str, classes: Classes) -> str:
    """Prepare an output for the page, and give the heading that what follows stands under."""
    data = output.get("data", {})
    if data.pop(WIDGET, None) is not None and data.keys() <= {"text/plain"}:
        data["text/plain"] = NO_CONTROL  # and not how Python writes the control
    if "text/html" in data:
        html = "".join(data["text/html"])
        made = HEADING.search(html)  # a heading may be made by code, in the pipeline's own words
        heading = unescape(made[1]) if made else heading
        data["text/html"] = rewrite_html(html, classes)
        output.metadata.as_made = is_as_made(data["text/html"])
    if key := output.get("metadata", {}).get("image/svg+xml", {}).get(MAP_KEY):
        output.metadata.map_key = key
        data.pop("image/png", None)  # the same map, for where there is no SVG
    if "image/png" in data:
        data["image/png"] = b64encode(smaller_png(b64decode(data["image/png"]))).decode("ascii")
    for kind in IMAGES & data.keys():
        words = output.metadata.get(kind, {}).get("alt", "")
        end = "" if heading.endswith(("?", "!", ".")) else "."
        output.metadata.words = f"Figure: {heading}{end} {words}" if words else f"Figure: {heading}"
        output.metadata.described = bool(words)  # as figures of ours are: dark on white, so that it can be turned
    return heading


def without_unreached_cells(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Leave out what comes after a failed cell: headings with nothing below them."""
    reached = []
    for cell in notebook.cells:
        reached.append(cell)
        if any(output.output_type == "error" for output in cell.get("outputs", ())):
            break
    return nbformat.from_dict({**notebook, "cells": reached})


def verdict_cell(verdict: Page) -> nbformat.NotebookNode:
    """Make the cell that opens a notebook which broke off."""
    shown = nbformat.v4.new_output("display_data", {"text/html": verdict.html, "text/plain": verdict.text})
    return nbformat.v4.new_code_cell("# how the run ended: added when it was archived", outputs=[shown])
