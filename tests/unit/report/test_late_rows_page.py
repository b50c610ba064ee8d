"""Late rows of many nights and types on the first screen, which is read on a phone."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pandas as pd
from report_samples import KOLKATA, RESULT

from sentinel_etl import report


def test_late_rows_of_many_nights_and_types_are_a_few_short_lines() -> None:
    rows = [(date(2026, 11, 13) + timedelta(days=n), f"TYPE_{k}", 110, 100) for n in range(8) for k in range(10)]
    late = pd.DataFrame(rows, columns=["shift_date", "event_type", "source", "warehouse"])
    told = repr(report.first_screen(replace(RESULT, late=late), KOLKATA)).splitlines()
    place = told.index("Late rows")
    assert told[place + 1] == (
        "2026-11-13: TYPE_0 +10, TYPE_1 +10, TYPE_2 +10, and 7 more types → "
        "sentinel-etl run --window-end 2026-11-14T06:00:00+05:30"
    )
    assert told[place + 4] == "and 5 more nights; `sentinel-etl reconcile` lists them"
