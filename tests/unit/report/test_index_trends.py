"""The index's calendar and trends: in the order of time, and on axes that start at 0."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd

from sentinel_etl.ledger.nights import judge_nights
from sentinel_etl.report import table_page
from sentinel_etl.report.index_page import Measure, draw_trend, render_index
from sentinel_etl.report.pages import write_average

ZONE = ZoneInfo("Asia/Kolkata")
LAST = date(2026, 11, 21)
NIGHTS = [LAST - timedelta(days=n) for n in reversed(range(150))]


def page() -> str:
    risks = {night: Measure(4_000 + n, 4.14 + 0.0012 * n) for n, night in enumerate(NIGHTS)}
    nights = judge_nights(NIGHTS, [], ["REMARK"], ZONE)
    return render_index([], nights, risks, datetime(2026, 11, 22, 0, 31, tzinfo=UTC), ZONE)


def test_the_months_run_in_the_order_of_time_with_the_last_three_open() -> None:
    captions = re.findall(r"<caption>(\w+ 2026)</caption>", page())
    assert captions == ["June 2026", "July 2026", "August 2026", "September 2026", "October 2026", "November 2026"]
    folded = page().partition("<details>")[2].partition("</details>")[0]
    assert re.findall(r"<caption>(\w+) 2026", folded) == ["June", "July", "August"]


def test_both_trends_have_an_axis_from_0() -> None:
    scales = re.findall(r'<p class="scale[^>]*><span>([^<]*)</span><span>([^<]*)</span>', page())
    assert scales == [("4,149", "0"), ("4.32", "0")]


def test_a_small_change_of_risk_is_a_small_change_of_the_line() -> None:
    lines = re.findall(r'<polyline points="([^"]+)"', page().partition('class="plot"')[2])
    heights = [float(point.split(",")[1]) for point in lines[1].split()]
    assert max(heights) - min(heights) < 5  # of 90


def test_a_trend_that_starts_at_0_stands_for_its_values() -> None:
    line = draw_trend([4.0, 2.0], 100, 106, from_zero=True)
    assert line.lines == ("3,3 97,53",)


def test_percentages_stand_on_the_right_as_numbers_do() -> None:
    frame = pd.DataFrame({"n": [1, 2], "share": ["12%", "–"], "change": ["+3.5%", "-1,200%"], "note": ["5%", "x"]})
    aligned = re.findall(r"<td style=[^>]*text-align:(\w+)", table_page(frame.set_axis(["a", "b"])).html)
    assert aligned == ["right", "right", "right", "left"] * 2


def test_numbers_that_only_name_something_stand_on_the_left() -> None:
    frame = pd.DataFrame({"station": ["3", "12"], "nothing": ["–", None]}, index=["a", "b"])
    assert "text-align:right" not in table_page(frame).html


def test_an_average_says_no_more_than_it_knows() -> None:
    written = [write_average(value) for value in (305.46, 1_302.55, 9.96, 9.94, 0.25, 0)]
    assert written == ["305", "1,303", "10", "9.9", "0.2", "0"]
