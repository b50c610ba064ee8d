from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from sentinel_etl.errors import WindowError
from sentinel_etl.window import Window, list_nights, parse_instant, shift_date_of

KOLKATA = ZoneInfo("Asia/Kolkata")
LONDON = ZoneInfo("Europe/London")
NEW_YORK = ZoneInfo("America/New_York")
ADELAIDE = ZoneInfo("Australia/Adelaide")
KATHMANDU = ZoneInfo("Asia/Kathmandu")
SIX = datetime(2026, 11, 22, 6, 0, tzinfo=KOLKATA)


@pytest.fixture(params=["Pacific/Auckland", "America/Los_Angeles", "UTC"])
def host_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A host whose own clock is in another zone than the city's."""
    before = os.environ.get("TZ")
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.delenv("TZ")
    if before is not None:
        monkeypatch.setenv("TZ", before)
    time.tzset()


def test_bounds_are_kept_in_utc() -> None:
    window = Window(datetime(2026, 11, 21, 6, 0, tzinfo=KOLKATA), datetime(2026, 11, 22, 6, 0, tzinfo=KOLKATA))
    assert window.start.isoformat() == "2026-11-21T00:30:00+00:00"
    assert window.end.isoformat() == "2026-11-22T00:30:00+00:00"
    assert window.start.tzinfo is UTC
    assert window.end.tzinfo is UTC


def test_windows_of_the_same_instants_are_equal_whatever_zone_they_were_written_in() -> None:
    one = Window(datetime(2026, 11, 21, 6, 0, tzinfo=KOLKATA), SIX)
    other = Window(datetime(2026, 11, 21, 0, 30, tzinfo=UTC), datetime(2026, 11, 21, 19, 30, tzinfo=NEW_YORK))
    assert one == other
    assert hash(one) == hash(other)


def test_microseconds_of_a_bound_are_kept() -> None:
    start = datetime(2026, 11, 21, 0, 0, 0, 1, tzinfo=UTC)
    assert Window(start, start + timedelta(microseconds=1)).start.microsecond == 1


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        pytest.param(
            datetime(2026, 11, 21, 6, 0),
            SIX,
            "window start: expected a datetime with a time zone, found datetime.datetime(2026, 11, 21, 6, 0); "
            "add one, such as +05:30",
            id="naive start",
        ),
        pytest.param(
            SIX,
            datetime(2026, 11, 23, 6, 0),
            "window end: expected a datetime with a time zone, found datetime.datetime(2026, 11, 23, 6, 0); "
            "add one, such as +05:30",
            id="naive end",
        ),
        pytest.param(
            date(2026, 11, 21),
            SIX,
            "window start: expected a datetime with a time zone, found datetime.date(2026, 11, 21); "
            "add one, such as +05:30",
            id="a date",
        ),
        pytest.param(
            "2026-11-21T06:00:00+05:30",
            SIX,
            "window start: expected a datetime with a time zone, found '2026-11-21T06:00:00+05:30'; "
            "add one, such as +05:30",
            id="text",
        ),
        pytest.param(
            SIX,
            SIX,
            "window: expected an end after its start, found start 2026-11-22T00:30:00+00:00 "
            "and end 2026-11-22T00:30:00+00:00",
            id="equal bounds",
        ),
        pytest.param(
            SIX,
            datetime(2026, 11, 21, 6, 0, tzinfo=KOLKATA),
            "window: expected an end after its start, found start 2026-11-22T00:30:00+00:00 "
            "and end 2026-11-21T00:30:00+00:00",
            id="reversed bounds",
        ),
        pytest.param(
            datetime(2026, 11, 22, 7, 0, tzinfo=KOLKATA),
            datetime(2026, 11, 22, 1, 0, tzinfo=UTC),
            "window: expected an end after its start, found start 2026-11-22T01:30:00+00:00 "
            "and end 2026-11-22T01:00:00+00:00",
            id="reversed across zones",
        ),
    ],
)
def test_impossible_bounds_are_refused_with_what_was_found(start: datetime, end: datetime, message: str) -> None:
    with pytest.raises(WindowError) as refused:
        Window(start, end)
    assert str(refused.value) == message


def test_bounds_that_look_reversed_on_their_own_clocks_are_judged_as_instants() -> None:
    window = Window(datetime(2026, 11, 22, 6, 0, tzinfo=KOLKATA), datetime(2026, 11, 22, 1, 0, tzinfo=UTC))
    assert window.end - window.start == timedelta(minutes=30)


@pytest.mark.parametrize(
    ("now", "end"),
    [
        pytest.param("2026-11-22T05:59:59.999999+05:30", "2026-11-21T06:00:00+05:30", id="just before 06:00"),
        pytest.param("2026-11-22T06:00:00+05:30", "2026-11-22T06:00:00+05:30", id="at 06:00"),
        pytest.param("2026-11-22T06:00:00.000001+05:30", "2026-11-22T06:00:00+05:30", id="just after 06:00"),
        pytest.param("2026-11-22T23:59:59+05:30", "2026-11-22T06:00:00+05:30", id="a day late"),
        pytest.param("2026-11-22T00:00:00+05:30", "2026-11-21T06:00:00+05:30", id="local midnight"),
        pytest.param("2026-11-22T00:29:59+00:00", "2026-11-21T06:00:00+05:30", id="written in UTC, before"),
        pytest.param("2026-11-22T00:30:00+00:00", "2026-11-22T06:00:00+05:30", id="written in UTC, at"),
        pytest.param("2026-11-21T19:30:00-05:00", "2026-11-22T06:00:00+05:30", id="yesterday's date elsewhere"),
    ],
)
def test_the_latest_window_ends_at_the_last_local_six(now: str, end: str, host_zone: str) -> None:
    window = Window.latest(datetime.fromisoformat(now), KOLKATA)
    assert window.end == datetime.fromisoformat(end)
    assert window.end - window.start == timedelta(hours=24)


@pytest.mark.parametrize(
    ("zone", "now", "start", "end"),
    [
        pytest.param(
            LONDON, "2026-03-29T10:00:00+01:00", "2026-03-28T06:00:00Z", "2026-03-29T05:00:00Z", id="London, 23 h"
        ),
        pytest.param(
            LONDON, "2026-10-25T10:00:00+00:00", "2026-10-24T05:00:00Z", "2026-10-25T06:00:00Z", id="London, 25 h"
        ),
        pytest.param(
            NEW_YORK, "2026-03-08T06:00:00-04:00", "2026-03-07T11:00:00Z", "2026-03-08T10:00:00Z", id="New York, 23 h"
        ),
        pytest.param(
            NEW_YORK, "2026-11-01T06:00:00-05:00", "2026-10-31T10:00:00Z", "2026-11-01T11:00:00Z", id="New York, 25 h"
        ),
        pytest.param(
            ADELAIDE, "2026-11-22T06:00:00+10:30", "2026-11-20T19:30:00Z", "2026-11-21T19:30:00Z", id="half-hour zone"
        ),
        pytest.param(
            KATHMANDU, "2026-11-22T06:00:00+05:45", "2026-11-21T00:15:00Z", "2026-11-22T00:15:00Z", id="quarter-hour"
        ),
    ],
)
def test_the_latest_window_is_one_night_on_the_zones_clocks(zone: ZoneInfo, now: str, start: str, end: str) -> None:
    window = Window.latest(datetime.fromisoformat(now), zone)
    assert (window.start, window.end) == (datetime.fromisoformat(start), datetime.fromisoformat(end))
    assert len(window.shift_dates(zone)) == 1


def test_the_latest_window_refuses_a_clock_without_a_zone() -> None:
    with pytest.raises(WindowError, match=r"^now: expected a time zone, found 2026-11-22T06:10:00$"):
        Window.latest(datetime(2026, 11, 22, 6, 10))


@pytest.mark.parametrize(
    ("zone", "end", "hours", "start"),
    [
        pytest.param(KOLKATA, "2026-11-22T06:00:00+05:30", 24, "2026-11-21T06:00:00+05:30", id="a plain night"),
        pytest.param(KOLKATA, "2026-11-22T06:00:00+05:30", 0.5, "2026-11-22T05:30:00+05:30", id="half an hour"),
        pytest.param(KOLKATA, "2026-11-22T06:00:00+05:30", 25.5, "2026-11-21T04:30:00+05:30", id="a day and 1.5 h"),
        pytest.param(KOLKATA, "2026-11-22T06:00:00+05:30", 72, "2026-11-19T06:00:00+05:30", id="three days"),
        pytest.param(KOLKATA, "2024-03-01T06:00:00+05:30", 24, "2024-02-29T06:00:00+05:30", id="into a leap day"),
        pytest.param(KOLKATA, "2026-03-01T06:00:00+05:30", 24, "2026-02-28T06:00:00+05:30", id="no leap day"),
        pytest.param(KOLKATA, "2026-12-01T06:00:00+05:30", 24, "2026-11-30T06:00:00+05:30", id="month end"),
        pytest.param(KOLKATA, "2027-01-01T06:00:00+05:30", 24, "2026-12-31T06:00:00+05:30", id="year end"),
        pytest.param(LONDON, "2026-03-29T06:00:00+01:00", 24, "2026-03-28T06:00:00+00:00", id="London, 23 h"),
        pytest.param(LONDON, "2026-10-25T06:00:00+00:00", 24, "2026-10-24T06:00:00+01:00", id="London, 25 h"),
        pytest.param(LONDON, "2026-10-25T06:00:00+00:00", 6, "2026-10-25T01:00:00+01:00", id="London, 6 h elapsed"),
        pytest.param(NEW_YORK, "2026-03-08T06:00:00-04:00", 24, "2026-03-07T06:00:00-05:00", id="New York, 23 h"),
        pytest.param(NEW_YORK, "2026-11-01T06:00:00-05:00", 48, "2026-10-30T06:00:00-04:00", id="New York, 49 h"),
        pytest.param(NEW_YORK, "2026-11-01T11:00:00+00:00", 24, "2026-10-31T06:00:00-04:00", id="end given in UTC"),
        pytest.param(ADELAIDE, "2026-10-04T06:00:00+10:30", 24, "2026-10-03T06:00:00+09:30", id="Adelaide, 23 h"),
    ],
)
def test_ending_counts_whole_days_on_the_wall_clock(zone: ZoneInfo, end: str, hours: float, start: str) -> None:
    window = Window.ending(datetime.fromisoformat(end), hours, zone)
    assert window.start == datetime.fromisoformat(start)
    assert window.end == datetime.fromisoformat(end)


@pytest.mark.parametrize(
    ("zone", "end", "elapsed"),
    [
        pytest.param(LONDON, "2026-03-29T06:00:00+01:00", 23, id="London, clocks forward"),
        pytest.param(LONDON, "2026-10-25T06:00:00+00:00", 25, id="London, clocks back"),
        pytest.param(NEW_YORK, "2026-03-08T06:00:00-04:00", 23, id="New York, clocks forward"),
        pytest.param(NEW_YORK, "2026-11-01T06:00:00-05:00", 25, id="New York, clocks back"),
        pytest.param(KOLKATA, "2026-03-29T06:00:00+05:30", 24, id="Kolkata, never"),
    ],
)
def test_a_night_in_which_the_clocks_change_has_23_or_25_hours(zone: ZoneInfo, end: str, elapsed: int) -> None:
    window = Window.ending(datetime.fromisoformat(end), 24, zone)
    assert window.end - window.start == timedelta(hours=elapsed)


@pytest.mark.parametrize("hours", [0, -24, float("nan")], ids=["none", "negative", "not a number"])
def test_ending_refuses_hours_that_are_not_above_0(hours: float) -> None:
    with pytest.raises(WindowError) as refused:
        Window.ending(SIX, hours)
    assert str(refused.value) == f"window hours: expected a number above 0, found {hours}"


@pytest.mark.parametrize("hours", [float("inf"), 1e9], ids=["infinite", "before the year 1"])
def test_ending_refuses_hours_that_leave_the_calendar(hours: float) -> None:
    with pytest.raises(WindowError):
        Window.ending(SIX, hours)


def test_ending_refuses_an_end_without_a_zone() -> None:
    with pytest.raises(WindowError, match=r"^window end: expected a time zone, found 2026-11-22T06:00:00; add \+05:30"):
        Window.ending(datetime(2026, 11, 22, 6, 0))


@pytest.mark.parametrize(
    ("start", "end", "nights"),
    [
        pytest.param("2026-11-21T06:00:00", "2026-11-22T06:00:00", ["2026-11-21"], id="one night exactly"),
        pytest.param(
            "2026-11-21T06:00:00", "2026-11-22T06:00:00.000001", ["2026-11-21", "2026-11-22"], id="a microsecond more"
        ),
        pytest.param(
            "2026-11-21T05:59:59.999999", "2026-11-22T06:00:00", ["2026-11-20", "2026-11-21"], id="a microsecond before"
        ),
        pytest.param("2026-11-21T23:00:00", "2026-11-22T01:00:00", ["2026-11-21"], id="across midnight"),
        pytest.param("2026-11-21T05:00:00", "2026-11-21T06:00:00", ["2026-11-20"], id="the last hour of a night"),
        pytest.param(
            "2024-02-28T06:00:00", "2024-03-01T06:00:01", ["2024-02-28", "2024-02-29", "2024-03-01"], id="leap day"
        ),
        pytest.param("2026-12-31T06:00:00", "2027-01-01T06:00:00", ["2026-12-31"], id="year end"),
    ],
)
def test_shift_dates_are_the_nights_that_the_half_open_window_touches(start: str, end: str, nights: list[str]) -> None:
    window = Window(*(datetime.fromisoformat(bound).replace(tzinfo=KOLKATA) for bound in (start, end)))
    assert window.shift_dates(KOLKATA) == [date.fromisoformat(night) for night in nights]


@pytest.mark.parametrize("zone", [KOLKATA, LONDON, NEW_YORK, ADELAIDE, KATHMANDU], ids=lambda zone: zone.key)
def test_the_nights_of_a_year_follow_one_another_without_gap_or_overlap(zone: ZoneInfo) -> None:
    nights = [date(2024, 1, 1) + timedelta(days=n) for n in range(366)]
    windows = [Window.night(night, zone) for night in nights]
    assert [window.shift_dates(zone) for window in windows] == [[night] for night in nights]
    assert all(one.end == following.start for one, following in pairwise(windows))


@pytest.mark.parametrize(
    ("instant", "zone", "night"),
    [
        pytest.param("2026-11-22T05:59:59.999999+05:30", KOLKATA, "2026-11-21", id="last microsecond of a night"),
        pytest.param("2026-11-22T06:00:00+05:30", KOLKATA, "2026-11-22", id="first of the next"),
        pytest.param("2026-11-22T00:29:59.999999+00:00", KOLKATA, "2026-11-21", id="the same, written in UTC"),
        pytest.param("2024-03-01T05:00:00+05:30", KOLKATA, "2024-02-29", id="leap day"),
        pytest.param("2027-01-01T00:00:00+05:30", KOLKATA, "2026-12-31", id="new year's midnight"),
        pytest.param("2026-03-29T05:59:59+01:00", LONDON, "2026-03-28", id="before 06:00 of a 23 h day"),
        pytest.param("2026-03-29T06:00:00+01:00", LONDON, "2026-03-29", id="06:00 of a 23 h day"),
        pytest.param("2026-10-25T05:59:59+00:00", LONDON, "2026-10-24", id="before 06:00 of a 25 h day"),
        pytest.param("2026-10-25T06:00:00+00:00", LONDON, "2026-10-25", id="06:00 of a 25 h day"),
    ],
)
def test_the_operational_night_changes_at_six_local(instant: str, zone: ZoneInfo, night: str) -> None:
    assert shift_date_of(datetime.fromisoformat(instant), zone) == date.fromisoformat(night)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        pytest.param(
            "2026-11-22T06:00:00+05:30",
            datetime(2026, 11, 22, 6, 0, tzinfo=timezone(timedelta(hours=5.5))),
            id="offset",
        ),
        pytest.param("2026-11-22T00:30:00Z", datetime(2026, 11, 22, 0, 30, tzinfo=UTC), id="Z"),
        pytest.param("20261122T003000Z", datetime(2026, 11, 22, 0, 30, tzinfo=UTC), id="basic format"),
    ],
)
def test_an_instant_is_read_from_iso_8601(text: str, instant: datetime) -> None:
    assert parse_instant(text) == instant


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("yesterday", "an instant such as 2026-11-22T06:00:00+05:30, found 'yesterday'", id="words"),
        pytest.param("", "an instant such as 2026-11-22T06:00:00+05:30, found ''", id="empty"),
        pytest.param(
            "2026-11-31T06:00:00Z",
            "an instant such as 2026-11-22T06:00:00+05:30, found '2026-11-31T06:00:00Z'",
            id="day",
        ),
        pytest.param(
            "2026-11-22T06:00:00",
            "an instant with a time zone, found '2026-11-22T06:00:00'; add one, such as +05:30",
            id="no zone",
        ),
        pytest.param(
            "2026-11-22", "an instant with a time zone, found '2026-11-22'; add one, such as +05:30", id="only a date"
        ),
    ],
)
def test_what_is_no_instant_is_refused_with_what_was_found(text: str, message: str) -> None:
    with pytest.raises(WindowError) as refused:
        parse_instant(text)
    assert str(refused.value) == f"expected {message}"


def test_a_window_is_written_for_people_on_the_zones_clocks_and_for_files_in_utc() -> None:
    window = Window.night(date(2026, 11, 21), KOLKATA)
    assert window.local(KOLKATA) == "2026-11-21 06:00 → 2026-11-22 06:00 IST"
    assert window.local(LONDON) == "2026-11-21 00:30 → 2026-11-22 00:30 GMT"
    assert str(window) == "2026-11-21T00:30:00Z..2026-11-22T00:30:00Z"


@pytest.mark.parametrize(
    ("start", "end", "whole"),
    [
        pytest.param("2026-10-24T06:00", "2026-10-27T06:00", [24, 25, 26], id="whole nights, one of 25 hours"),
        pytest.param("2026-10-24T05:00", "2026-10-26T07:00", [24, 25], id="and parts of two others"),
        pytest.param("2026-10-24T06:01", "2026-10-26T05:59", [], id="parts of two nights"),
        pytest.param("2026-10-25T06:00", "2026-10-26T06:00", [25], id="one night"),
    ],
)
def test_the_whole_nights_of_a_window_lie_in_it_from_end_to_end(start: str, end: str, whole: list[int]) -> None:
    # The clocks change in the night of 24 October 2026.
    bounds = [datetime.fromisoformat(bound).replace(tzinfo=LONDON) for bound in (start, end)]
    assert [night.day for night in Window(*bounds).whole_nights(LONDON)] == whole


@pytest.mark.parametrize(
    ("days", "written"),
    [
        pytest.param([5], "2026-11-05", id="one"),
        pytest.param([5, 6, 7, 20], "2026-11-05 to 2026-11-07, 2026-11-20", id="a stretch and one more"),
        pytest.param([1, 3, 5, 7, 8, 9], "2026-11-01, 2026-11-03, 2026-11-05, and 3 more nights", id="many"),
        pytest.param([1, 3, 5, 7], "2026-11-01, 2026-11-03, 2026-11-05, and 1 more night", id="one more"),
    ],
)
def test_nights_are_listed_as_stretches(days: list[int], written: str) -> None:
    assert list_nights([date(2026, 11, day) for day in days]) == written
