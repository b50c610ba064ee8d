"""The HTML of a report: escaped once, in one spelling, and without a template's line breaks."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from html import escape

import pandas as pd
import pytest
from jinja2 import UndefinedError
from report_samples import HOSTILE, KOLKATA, RESULT, WINDOW

from sentinel_etl import report
from sentinel_etl.errors import SourceUnreachable
from sentinel_etl.report import Page
from sentinel_etl.report.explanation import explanation_page
from sentinel_etl.report.hotspots import headline_page
from sentinel_etl.report.pages import lines_page
from sentinel_etl.report.render import render_macro
from sentinel_etl.report.verdict import titled

EVENT = {
    "event_id": HOSTILE,
    "event_timestamp": datetime(2026, 11, 21, 18, 30, tzinfo=UTC),
    "event_type": "REMARK",
    "base_risk_score": 3.0,
    "risk_reasons": [],
}
RANKING = pd.DataFrame({"hotspot_id": [301], "risk": [400.0], "risk_week_before": [500.0]})


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(HOSTILE, id="tags"),
        pytest.param("""'single' and "double" quotes""", id="quotes"),
        pytest.param("&#39; &#x27; &#34; &quot; &amp;", id="what looks escaped"),
        pytest.param("{{ 7 * 7 }} {% raw %} {# note #}", id="what looks like a template"),
        pytest.param(" नमस्ते\u202e \x00\x1b[31m\t\r\n ", id="scripts and control characters"),
        pytest.param("", id="nothing"),
    ],
)
def test_text_is_escaped_as_stored_notebooks_hold_it(text: str) -> None:
    assert lines_page([text, text]).html == 2 * f"<div>{escape(text)}</div>"


def test_a_page_within_a_page_is_not_escaped_again_and_text_is() -> None:
    inner = lines_page(["it's"])
    assert titled("Late rows", inner).html.endswith(inner.html)
    assert titled("Late rows", "<b>").html.endswith("&lt;b&gt;")


def test_a_value_that_a_macro_lacks_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="parameter 'content' was not provided"):
        render_macro("titled", title="Late rows")


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(report.first_screen(RESULT, KOLKATA), id="first screen"),
        pytest.param(report.failure_page(SourceUnreachable("no"), {}, WINDOW, "again", KOLKATA), id="failure"),
        pytest.param(explanation_page(pd.DataFrame([EVENT]), {"event_type": {"REMARK": 1.0}}, KOLKATA), id="event"),
        pytest.param(headline_page(RANKING, WINDOW.end, 72.0, KOLKATA), id="hotspots"),
    ],
)
def test_a_template_s_line_breaks_stay_out_of_the_page(page: Page) -> None:
    assert "\n" not in page.html
    assert not re.findall(r">\s+<", page.html)


def test_a_page_cannot_be_changed() -> None:
    page = Page("<b>1</b>", "1")
    with pytest.raises(FrozenInstanceError):
        page.html = ""  # type: ignore[misc]
    assert str(page) == repr(page) == "1"
