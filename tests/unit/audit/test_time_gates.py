"""The gates on time: how long the latest night's run took, and whether the night is in by its deadline."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from sentinel_etl.audit.time_gates import check_deadline, check_run_time
from sentinel_etl.config.gates import GateLimits
from sentinel_etl.window import Window

ZONE = ZoneInfo("Asia/Kolkata")
NIGHT = Window.night(date(2026, 11, 21), ZONE)


@pytest.mark.parametrize(
    ("seconds", "before", "passed"),
    [
        pytest.param(30.0, [10.0] * 7, True, id="as long as it may"),
        pytest.param(30.1, [10.0] * 7, False, id="longer"),
        pytest.param(30.1, [10.0] * 6, True, id="too few nights to say"),
        pytest.param(300.0, [10.0, 10.0, 10.0, 10.0, 900.0, 900.0, 900.0], False, id="the median and not the mean"),
        pytest.param(0.0, [0.0] * 7, True, id="no time at all"),
    ],
)
def test_a_run_is_judged_by_the_median_of_the_nights_before(seconds: float, before: list[float], passed: bool) -> None:
    assert check_run_time(seconds, before).passed is passed


def test_a_slow_run_is_told_with_both_times() -> None:
    check = check_run_time(66.0, [11.0] * 28)
    assert (check.expected, check.observed) == ("at most 33.0 s, 3 times the median of 28 nights", "66.0 s")


def test_a_pipeline_has_its_own_limits() -> None:
    limits = GateLimits(slow_ratio=7.0, slow_nights=3)
    assert check_run_time(66.0, [11.0] * 28, limits).passed
    assert not check_run_time(78.0, [11.0] * 3, limits).passed


@pytest.mark.parametrize(
    ("hour", "minute", "passed"), [(1, 0, True), (1, 1, False)], ids=["at the deadline", "a minute after"]
)
def test_a_night_is_due_by_the_deadline_on_the_citys_clocks(hour: int, minute: int, passed: bool) -> None:
    check = check_deadline(datetime(2026, 11, 22, hour, minute, tzinfo=UTC), NIGHT, time(6, 30), ZONE)
    assert check.passed is passed
    assert check.expected == "published by 2026-11-22 06:30 IST"
    assert check.observed == f"published at 2026-11-22 06:3{minute} IST"


def test_a_deadline_before_the_nights_end_is_the_next_days() -> None:
    check = check_deadline(NIGHT.end, NIGHT, time(5, 0), ZONE)
    assert (check.passed, check.expected) == (True, "published by 2026-11-23 05:00 IST")


def test_a_deadline_keeps_its_hour_where_the_clocks_change() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    night = Window.night(date(2026, 10, 24), berlin)  # ends on the day on which the clocks go back
    assert check_deadline(datetime(2026, 10, 25, 5, 30, tzinfo=UTC), night, time(6, 30), berlin).passed
    assert not check_deadline(datetime(2026, 10, 25, 5, 31, tzinfo=UTC), night, time(6, 30), berlin).passed
