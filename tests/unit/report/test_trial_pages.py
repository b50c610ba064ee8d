"""What a control has asked: literal rankings in, literal rows out."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pandas as pd
from report_reading import cells_of, flagged_rows_of, rows_of

from sentinel_etl.report.trial_pages import place_table, trial_table

RANKING = pd.DataFrame(
    {
        "hotspot_id": [301, 101, 202],
        "risk": [400.0, 300.0, 5.0],
        "risk_week_before": [500.0, 0.0, 5.0],
        "risk_as_stored": [200.0, 300.0, 5.0],
    }
)


def test_a_ranking_under_other_weights_stands_beside_that_of_the_stored_scores() -> None:
    page = trial_table(RANKING)
    assert rows_of(page) == ["hotspot 301", "hotspot 101", "hotspot 202"]
    assert cells_of(page, "hotspot 301") == ["2 → 1", "▲ 1", "200.0", "400.0", "▼ −20%"]
    assert cells_of(page, "hotspot 101") == ["1 → 2", "▼ 1", "300.0", "300.0", "▲ new"]
    assert flagged_rows_of(page) == []


def test_the_chosen_place_has_a_row_whatever_its_rank() -> None:
    page = trial_table(RANKING, chosen=202, most=1)
    assert rows_of(page) == ["hotspot 301", "hotspot 202"]
    assert flagged_rows_of(page) == ["hotspot 202"]


def test_a_ranking_of_nothing_says_so() -> None:
    assert trial_table(RANKING.head(0)).text == "No hotspot has any risk of these events."


def test_a_place_s_risk_stands_by_event_type() -> None:
    parts = pd.DataFrame(
        {
            "event_type": ["EMERGENCY_INCIDENT", "REMARK"],
            "risk": [30.0, 10.0],
            "events": [2, 9],
            "last_event": pd.to_datetime(["2026-11-21T22:21:00Z", "2026-11-20T22:21:00Z"]),
        }
    )
    page = place_table(parts, 101, ZoneInfo("Asia/Kolkata"))
    assert cells_of(page, "EMERGENCY_INCIDENT") == ["30.0", "75%", "2", "Sun 22 Nov 03:51"]
    assert cells_of(page, "REMARK") == ["10.0", "25%", "9", "Sat 21 Nov 03:51"]
    assert "risk left at hotspot 101" in page.html
    empty = place_table(parts.head(0), 101, ZoneInfo("Asia/Kolkata"))
    assert empty.text == "hotspot 101: none of these events is left."
