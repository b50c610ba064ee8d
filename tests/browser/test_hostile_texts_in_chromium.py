"""Hostile texts in every text column of the source, and the reports and the index that come of it, in Chromium."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from adversity.hostile import COLUMNS, TEXTS
from adversity.soak import count
from chromium import WIDTHS, Browser, needs_chromium
from nbformat.v4 import new_code_cell, new_notebook, new_output
from sqlalchemy import Engine, text

from sentinel_etl.errors import without_control_characters
from sentinel_etl.ledger.archive import ArchivedRun
from sentinel_etl.ledger.nights import judge_nights
from sentinel_etl.ledger.states import RunState
from sentinel_etl.notebook.page import export_html
from sentinel_etl.report import table_page
from sentinel_etl.report.index_page import render_index
from sentinel_etl.warehouse.query import query_df
from sentinel_etl.window import Window

pytestmark = needs_chromium

TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Reports:
    """The pages that the runs left, and what the failing run printed."""

    pages: dict[str, Path]
    printed: str
    warehouse: Engine


@pytest.fixture(scope="module")
def reports(
    make_source: Callable[[str | None], Engine],
    make_warehouse: Callable[[], Engine],
    city_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Reports]:
    """A run over hostile texts that is published, one that fails on them, and the index of both."""
    source, warehouse, home = make_source(city_template), make_warehouse(), tmp_path_factory.mktemp("home")
    texts = list(TEXTS.values())
    with source.begin() as connection:
        for table, columns in COLUMNS.items():
            for column in columns:
                connection.execute(
                    text(f"UPDATE {table} SET {column} = (CAST(:texts AS text[]))[1 + abs(hashtext(ctid::text)) % :n]"),
                    {"texts": texts, "n": len(texts)},
                )
        first = "SELECT min(emergency_incident_id) FROM emergency_incidents WHERE created_at >= '2026-11-21T00:30Z'"
        connection.execute(
            text(f"UPDATE emergency_incidents SET category = :text WHERE emergency_incident_id = ({first})"),
            {"text": TEXTS["a way out of a cell"]},
        )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SENTINEL_")} | {
        "PYTHONPATH": str(TESTS),
        "SENTINEL_HOME": str(home),
        "SENTINEL_NOTEBOOKS_DIR": str(TESTS.parent / "notebooks"),
        "SENTINEL_NOW": "2026-11-22T06:10:00+05:30",
        "SENTINEL_SOURCE_URL": source.url.render_as_string(hide_password=False),
        "SENTINEL_WAREHOUSE_URL": warehouse.url.set(query={}).render_as_string(hide_password=False),
    }
    done = {}
    for name in ("PIPELINE", "FAILING"):
        done[name] = subprocess.run(
            [sys.executable, "-m", "sentinel_etl", "run"],
            env=environment | {"SENTINEL_PIPELINE": f"adversity.hostile:{name}"},
            capture_output=True,
            check=False,
        )
    assert (done["PIPELINE"].returncode, done["FAILING"].returncode) == (0, 3), done
    pages = {path.name: path for path in (home / "runs").rglob("*.html")}
    assert len(pages) == 3
    yield Reports(pages, (done["FAILING"].stdout + done["FAILING"].stderr).decode(), warehouse)
    source.dispose()
    warehouse.dispose()


PLANTED = "img[onerror], img[src^=http], svg[onload], iframe, a[href^=javascript]"

# What a page must be like after it was opened, however long one looks.
HARMLESS = {
    "document.title.includes('taken')": False,
    "window.taken === undefined": True,
    f"document.querySelectorAll({PLANTED!r}).length": 0,
    "document.documentElement.scrollWidth > innerWidth": False,
    "getComputedStyle(document.body).display": "block",
}


def look_at(browser: Browser, page: Path) -> tuple[dict[str, object], str]:
    """Open a page and tell what is wrong with it, and its text."""
    browser.open(page, WIDTHS["desktop"])
    found = {expression: browser.run(expression) for expression in HARMLESS}
    wrong: dict[str, object] = {name: value for name, value in found.items() if value != HARMLESS[name]}
    requested = [url for url in browser.requests() if not url.startswith(("data:", page.as_uri()))]
    dialogs = [event for event in browser.events if event["method"] == "Page.javascriptDialogOpening"]
    wrong |= {"requests": requested} if requested else {}
    wrong |= {"dialogs": dialogs} if dialogs else {}
    count(hostile_texts=len(TEXTS), executed=len(wrong))
    return wrong, str(browser.run("document.body.textContent"))


def test_hostile_texts_in_the_source_are_text_in_every_page(browser: Browser, reports: Reports) -> None:
    shown: set[str] = set()
    for page in reports.pages.values():
        wrong, words = look_at(browser, page)
        assert wrong == {}, page.name
        shown |= {kind for kind, hostile in TEXTS.items() if readable(hostile) in words}
    # A report shows few of them: the reasons of the first emergency, and the database's own error.
    assert "a way out of a cell" in shown
    assert len(shown) >= 2


def test_every_hostile_text_is_text_wherever_a_report_could_show_one(browser: Browser, tmp_path: Path) -> None:
    texts = list(TEXTS.values())
    frame = pd.DataFrame({texts[0]: texts, "value": range(len(texts))}, index=texts)
    outputs = [
        new_output("display_data", {"text/html": table_page(frame, texts)._repr_html_()}),
        new_output("stream", name="stderr", text="\n".join(texts)),
        new_output("execute_result", {"text/plain": "\n".join(texts)}, execution_count=1),
        new_output("error", ename=texts[0], evalue=texts[1], traceback=texts),
    ]
    cells = [new_code_cell("1", execution_count=1, outputs=outputs)]
    page = tmp_path / "report.html"
    page.write_text(export_html(new_notebook(cells=cells), "a report"), encoding="utf-8")
    wrong, words = look_at(browser, page)
    assert wrong == {}
    for kind in (
        "a script",
        "an image",
        "a way out of a cell",
        "a frame",
        "a style",
        "LaTeX",
        "a formula",
        "an entity",
    ):
        assert TEXTS[kind] in words, kind


def test_every_hostile_text_is_text_in_the_index(browser: Browser, tmp_path: Path) -> None:
    nights = [date(2026, 11, 21) - timedelta(days=n) for n in reversed(range(len(TEXTS)))]
    zone = ZoneInfo("Asia/Kolkata")
    runs = [
        ArchivedRun(
            run_id=hostile,
            state=RunState.FAILED,
            cause=hostile,
            window=Window.night(night, zone),
            first_night=night,
            last_night=night,
            started_at=Window.night(night, zone).end,
            page=hostile,
            redo=hostile,
            event_types=(hostile,),
        )
        for night, hostile in zip(nights, TEXTS.values(), strict=True)
    ]
    page = tmp_path / "index.html"
    rendered = render_index(runs, judge_nights(nights, runs, ["REMARK"], zone), {}, datetime.now(UTC), zone)
    page.write_text(rendered, encoding="utf-8", errors="backslashreplace")
    wrong, words = look_at(browser, page)
    assert wrong == {}
    assert all(TEXTS[kind] in words for kind in ("a script", "an image", "LaTeX", "a formula", "an entity"))


def readable(hostile: str) -> str:
    """Write the beginning of a text as an error's message does."""
    return without_control_characters(hostile)[:40]


def test_what_is_printed_of_a_failure_holds_no_control_characters(reports: Reports) -> None:
    assert re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", reports.printed) == []


def test_the_warehouse_keeps_the_texts_letter_by_letter(reports: Reports) -> None:
    frame = query_df(
        reports.warehouse, "SELECT DISTINCT remark_text AS t FROM patrol_events WHERE event_type = 'REMARK'"
    )
    assert set(frame["t"]) == set(TEXTS.values())
