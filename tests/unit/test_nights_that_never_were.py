"""A zone that crosses the date line leaves a night out: Pacific/Apia had no 30 December 2011."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from sentinel_etl.errors import WindowError
from sentinel_etl.operations.groups import group_nights
from sentinel_etl.window import Window, nights_between

APIA = ZoneInfo("Pacific/Apia")
BEFORE, NEVER, AFTER = date(2011, 12, 29), date(2011, 12, 30), date(2011, 12, 31)


def test_a_night_that_never_was_is_left_out_of_a_list() -> None:
    assert nights_between(BEFORE, AFTER, APIA) == [BEFORE, AFTER]
    assert nights_between(NEVER, NEVER, APIA) == []
    with pytest.raises(WindowError, match="expected an end after its start"):
        Window.night(NEVER, APIA)


def test_the_nights_around_it_meet() -> None:
    before, after = Window.night(BEFORE, APIA), Window.night(AFTER, APIA)
    assert before.end == after.start == datetime(2011, 12, 30, 16, tzinfo=UTC)
    assert Window.nights(BEFORE, AFTER, APIA) == Window(before.start, after.end)
    assert Window.nights(BEFORE, AFTER, APIA).shift_dates(APIA) == [BEFORE, AFTER]


def test_a_day_before_its_end_is_the_last_night_that_was() -> None:
    before = Window.night(BEFORE, APIA)
    assert Window.ending(before.end, 24, APIA) == before
    assert Window.latest(before.end, APIA) == before


def test_a_backfill_over_it_has_a_group_on_each_side() -> None:
    groups = group_nights(nights_between(date(2011, 12, 28), date(2012, 1, 1), APIA), "month", APIA)
    assert [(group.partition, group.nights) for group in groups] == [("201112", 2), ("201112", 1), ("201201", 1)]
    for group in groups:
        assert Window.ending(group.window.end, 24 * group.nights, APIA) == group.window
