"""What ``status`` says stays short, however many nights are missing or have lost rows."""

from __future__ import annotations

from datetime import date, timedelta

from sentinel_etl.ledger.presence import LostRows
from sentinel_etl.operations.status import Status

LAST = date(2026, 11, 21)
NIGHTS = tuple(LAST - timedelta(days=n) for n in range(365))


def test_many_missing_nights_are_told_by_the_latest_ten() -> None:
    told = str(Status(LAST, timedelta(hours=1), 365, NIGHTS, {})).splitlines()
    assert told[-1].startswith("missing of the last 365 nights: 2026-11-21, 2026-11-20, ")
    assert told[-1].endswith("2026-11-12, and 355 more")


def test_many_nights_that_lost_rows_are_ten_lines_and_a_count() -> None:
    lost = tuple(LostRows(night, 9, 0) for night in NIGHTS[1:])
    told = str(Status(LAST, timedelta(hours=1), 365, (), {}, lost)).splitlines()
    assert len([line for line in told if "--missing-only" in line]) == 10
    assert told[-1] == "and 354 more nights"
