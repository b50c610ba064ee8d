from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from report_reading import cells_of, flagged_rows_of, rows_of
from report_samples import KOLKATA, PERSONAL, RESULT, WINDOW, measures

from sentinel_etl import report
from sentinel_etl.errors import NothingThere
from sentinel_etl.pipeline import SENTINEL


def test_the_audit_shows_failures_first_and_blocking_ones_before_warnings() -> None:
    page = report.audit_table(RESULT)
    assert rows_of(page) == [
        "rows lie in the window",
        "distribution is usual",
        "keys are unique",
        "the window has events",
    ]
    assert flagged_rows_of(page) == ["rows lie in the window", "distribution is usual"]
    assert cells_of(page, "distribution is usual") == ["FAILED", "warn", "a mean near 2", "a mean of 9"]
    assert cells_of(page, "keys are unique") == ["ok", "block", "1205 distinct event_id", "1205 distinct event_id"]


def test_counts_end_with_their_total_and_flag_what_differs() -> None:
    page = report.counts_table(RESULT)
    assert rows_of(page) == ["REMARK", "GEOFENCE", "total"]
    assert cells_of(page, "REMARK") == ["1,203", "1,203", "1,203", "1,000", "900", "+34%"]
    assert cells_of(page, "GEOFENCE") == ["2", "2", "1", "0", "2", "+0%"]
    assert cells_of(page, "total") == ["1,205", "1,205", "1,204", "1,000", "902", "+34%"]
    assert flagged_rows_of(page) == ["GEOFENCE"]


def test_rejected_rows_have_a_column_and_are_no_difference() -> None:
    counts = RESULT.counts.assign(rejected=[3, 0], staged=[1_200, 2], published=[1_200, 2])
    some = replace(RESULT, counts=counts, checks=())
    assert cells_of(report.counts_table(some), "REMARK")[:4] == ["1,203", "3", "1,200", "1,200"]
    assert flagged_rows_of(report.counts_table(some)) == []
    assert cells_of(report.reconciliation_table(some), "REMARK") == ["1,203", "1,205", "3", "1,200", "2", "0"]


def test_counts_of_the_very_first_night_stand_alone() -> None:
    page = report.counts_table(replace(RESULT, before=measures()))
    assert cells_of(page, "REMARK") == ["1,203", "1,203", "1,203"]


def test_the_columns_whose_nulls_changed_most_come_first() -> None:
    page = report.nulls_table(RESULT)
    assert rows_of(page) == ["latitude", "speed"]
    assert cells_of(page, "latitude") == ["REMARK", "1,000", "30.0%", "5.0%", "+25.0%"]


def test_reconciliation_shows_what_arrived_since_and_what_is_missing() -> None:
    page = report.reconciliation_table(RESULT)
    assert cells_of(page, "REMARK") == ["1,203", "1,205", "0", "1,203", "2", "0"]
    assert cells_of(page, "GEOFENCE") == ["2", "2", "0", "1", "0", "-1"]
    assert flagged_rows_of(page) == ["REMARK", "GEOFENCE"]


def test_nothing_is_flagged_where_both_sides_agree() -> None:
    counts = RESULT.counts.assign(published=RESULT.counts["source"], source_now=RESULT.counts["source"])
    agreed = replace(RESULT, counts=counts, checks=())
    assert flagged_rows_of(report.counts_table(agreed)) == []
    assert flagged_rows_of(report.reconciliation_table(agreed)) == []


def test_timings_are_seconds_per_phase() -> None:
    page = report.timings_table(RESULT)
    assert rows_of(page) == ["extract", "total"]
    assert cells_of(page, "extract") == ["1.23"]


def test_the_highest_scores_are_shown_with_their_reasons_and_without_personal_data() -> None:
    page = report.riskiest_table(replace(RESULT, riskiest=RESULT.preview[::-1]), KOLKATA)
    assert rows_of(page) == ["STRANGER_ENCOUNTER:4", "GEOFENCE:9"]
    assert cells_of(page, "STRANGER_ENCOUNTER:4")[-2:] == ["6.00", "event_type=STRANGER_ENCOUNTER +6"]
    assert not [value for value in PERSONAL.values() if value in page.html]


def test_where_no_event_has_a_score_none_is_shown_as_the_riskiest() -> None:
    unscored = replace(RESULT, riskiest=RESULT.preview.assign(base_risk_score=0.0))
    with pytest.raises(NothingThere, match="no event of this window has a score"):
        report.riskiest_table(unscored, KOLKATA)


def test_a_preview_shows_when_where_and_how_risky_on_the_citys_clocks() -> None:
    page = report.preview_table(RESULT, KOLKATA)
    assert rows_of(page) == ["GEOFENCE:9", "STRANGER_ENCOUNTER:4"]
    assert cells_of(page, "GEOFENCE:9") == ["22 Nov 01:30:00", "3", "7", "12.9712", "77.5912", "0.00", "none"]
    assert cells_of(page, "STRANGER_ENCOUNTER:4") == [
        "21 Nov 06:00:01",
        "4",
        "–",
        "–",
        "–",
        "6.00",
        "event_type=STRANGER_ENCOUNTER +6",
    ]


@pytest.mark.parametrize(("name", "value"), PERSONAL.items(), ids=PERSONAL.keys())
def test_a_preview_holds_no_personal_data(name: str, value: str) -> None:
    page = report.preview_table(RESULT, KOLKATA)
    for shown in (page._repr_html_(), repr(page)):
        assert name not in shown
        assert value not in shown


def test_a_preview_does_not_change_the_result() -> None:
    before = RESULT.preview.copy(deep=True)
    report.preview_table(RESULT, KOLKATA)
    pd.testing.assert_frame_equal(RESULT.preview, before)


def test_a_preview_of_no_events_is_an_empty_table() -> None:
    empty = RESULT.preview.iloc[:0].assign(event_timestamp=pd.array([], "datetime64[us]"))
    assert rows_of(report.preview_table(replace(RESULT, preview=empty), KOLKATA)) == []


def test_another_teams_preview_needs_only_the_engines_columns() -> None:
    bare = RESULT.preview[["event_id", "event_timestamp", "event_type"]]
    assert cells_of(report.preview_table(replace(RESULT, preview=bare), KOLKATA), "GEOFENCE:9") == ["22 Nov 01:30:00"]


def test_a_plan_shows_each_statement_folded_and_as_text() -> None:
    page = report.plan_page(SENTINEL, WINDOW, ["REMARK", "SUSPICIOUS_VEHICLE"])
    assert re.findall(r"<summary>(.*?)</summary>", page._repr_html_()) == ["REMARK", "SUSPICIOUS_VEHICLE"]
    assert "remarks.created_at &gt;= &#x27;2026-11-21 00:30:00+00:00&#x27;" in page._repr_html_()
    assert [line for line in repr(page).splitlines() if line.startswith("--")] == ["-- REMARK", "-- SUSPICIOUS_VEHICLE"]
    assert "vehicle_checks.suspicious_activity IS true" in repr(page)


@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        pytest.param(pd.array([3, None], "int64[pyarrow]"), ["3", "–"], id="whole numbers of Arrow's"),
        pytest.param([7.0, np.nan], ["7", "–"], id="whole numbers with gaps"),
        pytest.param(pd.array(["Ågren", None], "string[pyarrow]"), ["Ågren", "–"], id="texts"),
        pytest.param([1.5, 20.0], ["1.5", "20"], id="fractions"),
    ],
)
def test_a_place_is_shown_as_it_is_whatever_its_type(keys: object, shown: list[str]) -> None:
    page = report.preview_table(replace(RESULT, preview=RESULT.preview.assign(station_id=keys)), KOLKATA)
    assert [cells_of(page, name)[1] for name in ("GEOFENCE:9", "STRANGER_ENCOUNTER:4")] == shown
