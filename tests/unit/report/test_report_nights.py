"""The table and the figure of a window's nights."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pandas as pd
import pytest
from report_reading import cells_of, flagged_rows_of, rows_of
from report_samples import RESULT

from sentinel_etl import report
from sentinel_etl.audit.checks import Check, Severity
from sentinel_etl.report import counts_table, nights_figure, nights_table
from sentinel_etl.run.result import RunResult

FIRST = date(2026, 11, 1)


def nights_of(count: int, scored: bool = True) -> RunResult:
    """A run of so many nights, of which the second and the third fail a check, and a check fails for them all."""
    nights = [FIRST + timedelta(days=number) for number in range(count)]
    table = pd.DataFrame({"shift_date": nights, "rows": 1_000, "rejected": 0, "before": 0, "mean_risk": 12.5})
    table.loc[1, ["rows", "rejected"]] = (0, 3)
    table.loc[1, "mean_risk"] = float("nan")
    checks = (
        Check("volumes are as usual", Severity.WARN, False, "", "", nights=("2026-11-02", "2026-11-03")),
        Check("the window has not collapsed", Severity.BLOCK, False, "", "", nights=("2026-11-02",)),
        Check("keys are unique", Severity.BLOCK, False, "", ""),
    )
    return replace(RESULT, checks=checks, by_night=table if scored else table.drop(columns="mean_risk"))


def text_of(result: RunResult) -> report.Page:
    page = nights_table(result)
    assert page is not None
    return page


def test_each_night_has_its_rows_its_mean_score_and_the_verdict_of_its_checks() -> None:
    page = text_of(nights_of(3))
    assert rows_of(page) == ["2026-11-01", "2026-11-02", "2026-11-03"]
    assert cells_of(page, "2026-11-01") == ["1,000", "0", "12.50", "ok"]
    assert cells_of(page, "2026-11-02") == [
        "0",
        "3",
        "–",
        "block: the window has not collapsed; warn: volumes are as usual",
    ]
    assert flagged_rows_of(page) == ["2026-11-02", "2026-11-03"]
    assert "failed in the window as a whole: keys are unique" in page.text


def test_what_there_is_none_of_has_no_column() -> None:
    assert cells_of(text_of(nights_of(3, scored=False)), "2026-11-01") == ["1,000", "0", "ok"]
    loaded = nights_of(3, scored=False)
    assert loaded.by_night is not None
    again = replace(loaded, by_night=loaded.by_night.assign(before=[1_001, 900, 0]))
    assert cells_of(text_of(again), "2026-11-01") == ["1,000", "0", "1,001", "ok"]


def test_of_very_many_nights_those_that_failed_a_check_are_shown_and_the_rest_is_counted() -> None:
    page = text_of(nights_of(400))
    assert rows_of(page) == ["2026-11-02", "2026-11-03"]
    assert "and 398 more nights" in page.text


def test_one_night_has_neither_table_nor_figure() -> None:
    one = replace(RESULT, by_night=None)
    assert nights_table(one) is None
    assert nights_figure(one) is None


def test_several_nights_are_not_compared_with_the_median_of_one() -> None:
    assert "median" in counts_table(replace(RESULT, by_night=None)).text
    assert "median" not in counts_table(nights_of(3)).text


@pytest.mark.parametrize(("scored", "panels"), [(True, 2), (False, 1)], ids=["with scores", "without"])
def test_the_figure_marks_the_nights_that_failed_by_a_letter_too(scored: bool, panels: int) -> None:
    figure = nights_figure(nights_of(30, scored))
    assert figure is not None
    assert len(figure.axes) == panels
    assert [text.get_text() for text in figure.axes[0].texts if text.get_text()] == ["F", "W"]
    assert [bar.get_height() for bar in figure.axes[0].containers[0]][:3] == [1_000, 0, 1_000]
    figure.canvas.draw()
