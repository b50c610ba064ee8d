"""Executes a notebook headlessly and archives it: the executed notebook is the run's report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from html import escape
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbconvert import HTMLExporter
from nbconvert.preprocessors import TagRemovePreprocessor
from papermill.exceptions import PapermillExecutionError
from papermill.execute import ERROR_MARKER_TAG
from pydantic import TypeAdapter, ValidationError
from traitlets.config import Config

from sentinel_etl.archive import redo_command
from sentinel_etl.databases import open_databases
from sentinel_etl.errors import AuditFailed, ConfigurationError, NotebookFailed, SentinelError, error_named
from sentinel_etl.index_page import refresh_index
from sentinel_etl.ledger import attach_report, read_runs
from sentinel_etl.notify import post_verdict
from sentinel_etl.pipeline import load_pipeline
from sentinel_etl.report import Page, failure_page
from sentinel_etl.report_folder import choose_report_folder, report_not_written, report_path
from sentinel_etl.run_window import choose_window, new_run_id
from sentinel_etl.settings import Settings, load_settings
from sentinel_etl.window import Window

__all__ = ["NotebookRun", "export_html", "notebook_parameters", "run_notebook"]

PARAMETER_TYPES: dict[str, Any] = {"bool": bool, "float": float, "int": int, "list[str]": list[str], "str": str}

# nbconvert's page would load these from other people's servers; a report opens without a network.
REMOTE_SCRIPTS = ("jquery_url", "mathjax_url", "mermaid_js_url", "mermaid_layout_elk_js_url", "require_js_url")


# What nbconvert writes for every figure, because its page has no place for better words.
NO_WORDS = "No description has been provided for this image"

# A page shows results; the code of a cell only where the cell says that it is the point.
SHOW_CODE, HIDE_CODE = "show-code", "hide-code"

# What passes between this process and the kernel is encrypted: other users share the loopback. Its
# shutdown begins with an interrupt (jupyter_client's KernelManager.shutdown_kernel), of which a kernel
# that has not quite finished its last message logs an error: nothing that a user can act on.
KERNEL_CONFIG = Config(
    {
        "KernelManager": {"transport_encryption": "required"},
        "NotebookClient": {"extra_arguments": ["--log-level=CRITICAL"]},
    }
)


@dataclass(frozen=True)
class NotebookRun:
    """An executed notebook: its archived files and its row in the ledger, where it has one."""

    run_id: str
    window: Window
    report: Path
    page: Path
    record: Mapping[str, Any]


def run_notebook(
    name: str = "etl_nightly",
    parameters: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
    progress: bool = False,
) -> NotebookRun:
    """Execute ``notebooks/<name>.ipynb`` and archive it under ``runs/<shift_date>/``.

    The window and the run id are settled here and passed in, so the archived notebook says exactly
    what it did. The notebook and its HTML page are written beside their final names and renamed into
    place: an interruption leaves a hidden ``.part`` file and no half report. The notebook of a failed
    run is archived too, before the error is raised.

    Raises:
        ConfigurationError: no such notebook, an unknown parameter, or a value of the wrong type.
        SentinelError: what the pipeline raised in the notebook, as its own class.
        NotebookFailed: a cell failed outside the pipeline, took too long, or the kernel died.
    """
    settings = settings or load_settings()
    source = notebook_path(name, settings)
    given = check_parameters(source, dict(parameters or {}))
    known = notebook_parameters(source)
    window = choose_window(given.get("window_end", ""), given.get("window_hours", 24), settings)
    load_pipeline(settings).select_event_types(given.get("event_types"))
    run_id = str(given.get("run_id") or new_run_id())
    settled = {"window_end": window.end.astimezone(settings.zone).isoformat(), "run_id": run_id}
    given |= {key: value for key, value in settled.items() if key in known}

    folder = choose_report_folder(str(window.shift_dates(settings.zone)[-1]), settings)
    span = f"{window.start:%Y%m%dT%H%MZ}-{window.end:%Y%m%dT%H%MZ}"
    report = folder / f"{source.stem}_{span}_{run_id}.ipynb"
    part = report.with_name(f".{report.stem}.part.ipynb")
    try:
        failure = execute(source, part, given, settings, progress)
    except OSError as error:
        raise report_not_written(part, error) from error
    verdict = None
    if failure is not None and not isinstance(failure, AuditFailed):  # of a failed audit the notebook itself tells
        redo = redo_command(window, settings.zone, given.get("event_types", ()), notebook=source.stem)
        record = read_record(run_id, settings) if "run_id" in known else None
        verdict = failure_page(failure, record, window, redo, settings.zone)
    try:
        page = archive(part, report, source, verdict)
    except OSError as error:
        raise report_not_written(report, error) from error
    done = NotebookRun(run_id, window, report, page, note_report(run_id, report, settings))
    if done.record:
        refresh_index(settings)
    if settings.notify_url is not None:
        post_verdict(settings.notify_url.get_secret_value(), done, failure)
    if failure is not None:
        failure.add_note(f"report of the failed run: {report}")
        raise failure
    return done


def notebook_path(name: str, settings: Settings) -> Path:
    path = settings.notebooks_dir / f"{name.removesuffix('.ipynb')}.ipynb"
    if not path.is_file():
        there = sorted(notebook.stem for notebook in settings.notebooks_dir.glob("*.ipynb"))
        raise ConfigurationError(
            f"expected a notebook among {', '.join(there) or 'none'} in {settings.notebooks_dir}; found {name!r}"
        )
    return path


def notebook_parameters(path: Path) -> dict[str, dict[str, Any]]:
    """Read a notebook's parameters: name → type, default, help, as papermill infers them.

    Raises:
        ConfigurationError: no cell is tagged ``parameters``, so none could be passed.
    """
    known: dict[str, dict[str, Any]] = papermill.inspect_notebook(str(path))
    if not known:
        raise ConfigurationError(f"{path.name}: expected one cell tagged 'parameters', found none")
    return known


def check_parameters(path: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Refuse what papermill would only warn of: a parameter that the notebook does not have."""
    known = notebook_parameters(path)
    checked = {}
    for name, value in given.items():
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ConfigurationError(f"{path.name}: expected parameters among {', '.join(known)}; found {name!r}{hint}")
        declared = known[name]["inferred_type_name"]
        try:
            checked[name] = TypeAdapter(PARAMETER_TYPES.get(declared, Any)).validate_python(value)
        except ValidationError:
            raise ConfigurationError(f"{path.name}: {name}: expected {declared}, found {value!r}") from None
    return checked


def execute(
    source: Path, target: Path, parameters: dict[str, Any], settings: Settings, progress: bool
) -> SentinelError | None:
    """Execute into ``target``, which papermill keeps up to date cell by cell; return what went wrong."""
    try:
        papermill.execute_notebook(
            str(source),
            str(target),
            parameters=parameters,
            # The kernel's folder; papermill's own `cwd` would change this process's, which other threads share.
            resources={"metadata": {"path": str(source.parent)}},
            progress_bar=progress,
            execution_timeout=settings.cell_timeout_seconds,
            config=KERNEL_CONFIG,
        )
    except PapermillExecutionError as error:
        return as_sentinel_error(error)
    except DeadKernelError:
        return NotebookFailed(
            f"{source.name}: the kernel died, most often for want of memory; the last cell of the report is "
            "where. Lower SENTINEL_BATCH_ROWS, or run a shorter window"
        )
    except CellTimeoutError:
        return NotebookFailed(
            f"{source.name}: a cell ran longer than SENTINEL_CELL_TIMEOUT_SECONDS "
            f"({settings.cell_timeout_seconds}); the last cell of the report is the one"
        )
    return None


def as_sentinel_error(error: PapermillExecutionError) -> SentinelError:
    known = error_named(error.ename)
    if known is None:
        return NotebookFailed(f"In [{error.exec_count}] failed: {error.ename}: {error.evalue}")
    return known(error.evalue)


def archive(part: Path, report: Path, source: Path, verdict: Page | None = None) -> Path:
    """Move the executed notebook into place and write its page beside it; ``verdict`` goes to its top."""
    notebook = nbformat.read(part, as_version=4)
    # papermill opens a notebook that failed with notes of its own; ours comes instead.
    notebook.cells = [cell for cell in notebook.cells if ERROR_MARKER_TAG not in cell.metadata.get("tags", ())]
    if verdict is not None:
        notebook.cells.insert(0, verdict_cell(verdict))
    for output in (output for cell in notebook.cells for output in cell.get("outputs", ())):
        if output.output_type == "error":  # a traceback names this machine's files, and helps nobody at 06:10
            output.traceback = [f"{output.ename}: {output.evalue}"]
    # Where this machine keeps its files is nobody's business who reads the report.
    notebook.metadata.get("papermill", {}).update(input_path=source.name, output_path=report.name)
    write_atomically(report, nbformat.writes(notebook))
    part.unlink()
    page = report.with_suffix(".html")
    write_atomically(page, export_html(notebook, report.stem))
    return page


def export_html(notebook: nbformat.NotebookNode, title: str) -> str:
    """Render a notebook as one page that needs no network, figures inside; code only of cells tagged for it."""
    exporter = HTMLExporter(
        template_name="lab",
        embed_images=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    for script in REMOTE_SCRIPTS:
        setattr(exporter, script, "")
    exporter.register_preprocessor(TagRemovePreprocessor(remove_input_tags={HIDE_CODE}, enabled=True), enabled=True)
    notebook = without_unreached_cells(notebook)
    heading, figures = title, []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heading = next(re.finditer(r"^#+ (.+)$", cell.source, flags=re.MULTILINE), [heading, heading])[1]
            continue
        figures += [f"Figure: {heading}" for output in cell.get("outputs", ()) if "image/png" in output.get("data", {})]
        tags = cell.metadata.setdefault("tags", [])
        if SHOW_CODE not in tags:
            tags.append(HIDE_CODE)
    page, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": title}})
    for words in figures:  # who cannot see a figure hears what it is of
        page = page.replace(f'alt="{NO_WORDS}"', f'alt="{escape(words)}"', 1)
    return str(page)


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


def write_atomically(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def read_record(run_id: str, settings: Settings) -> Mapping[str, Any]:
    """Read the run's ledger row; empty where it has none, or where the warehouse does not answer."""
    try:
        return next(iter(read_runs(open_databases(settings).warehouse, "run_id = %(run_id)s", {"run_id": run_id})), {})
    except SentinelError:
        return {}


def note_report(run_id: str, report: Path, settings: Settings) -> Mapping[str, Any]:
    """Write the report's path to the run's ledger row, if the run came far enough to have one."""
    try:
        warehouse = open_databases(settings).warehouse
        attach_report(run_id, report_path(report, settings), warehouse)
    except SentinelError:
        return {}  # the database that failed the run cannot take the note either; the report says so
    return read_record(run_id, settings)
