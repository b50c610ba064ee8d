from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from report_reading import flagged_rows_of

from sentinel_etl import report

HOSTILE = '<script>alert("x")</script> & <b>'


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(report.table_page(pd.DataFrame({HOSTILE: [1]}, index=["row"])), id="a column's name"),
        pytest.param(report.table_page(pd.DataFrame({"x": [1]}, index=[HOSTILE])), id="a row's label"),
        pytest.param(report.table_page(pd.DataFrame({"x": [HOSTILE]}, index=["row"])), id="a value"),
    ],
)
def test_hostile_text_is_escaped_in_html_and_left_alone_in_text(page: report.Page) -> None:
    assert "<script" not in page._repr_html_()
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &lt;b&gt;" in page._repr_html_()
    assert HOSTILE in repr(page)


def test_only_the_named_rows_are_flagged() -> None:
    page = report.table_page(pd.DataFrame({"x": [1, 2]}, index=["a", "b"]), flagged=["b"])
    assert flagged_rows_of(page) == ["b"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (pd.NA, "–"),
        (pd.NaT, "–"),
        (True, "True"),
        (np.bool_(False), "False"),
        (0, "0"),
        (1_234_567, "1,234,567"),
        (np.int64(-1_000), "-1,000"),
        (1_234.567, "1,234.57"),
        (np.float64(0.005), "0.01"),
        ("a", "a"),
    ],
)
def test_a_value_is_shown_for_people(value: Any, shown: str) -> None:
    assert report.show_value(value) == shown
