from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from report_reading import cells_of, flagged_rows_of, rows_of

from sentinel_etl import report
from sentinel_etl.audit import Check
from sentinel_etl.history import Measures
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.report.nightly import rerun_command
from sentinel_etl.report.style import FAILED
from sentinel_etl.result import RunResult
from sentinel_etl.window import Window

KOLKATA = ZoneInfo("Asia/Kolkata")
WINDOW = Window(datetime(2026, 11, 21, 0, 30, tzinfo=UTC), datetime(2026, 11, 22, 0, 30, tzinfo=UTC))
HOSTILE = '<script>alert("x")</script> & <b>'
PERSONAL = {
    "stranger_name": "Asha Rao",
    "stranger_purpose": "visiting an aunt",
    "stranger_id_type": "PASSPORT",
    "stranger_id_details": "Z1234567",
    "remark_text": "the man in the red coat",
    "feedback_text": "the crew was late",
    "vehicle_plate_number": "KA01AB1234",
    "suspicion_details": "false plate",
    "details_json": '{"caller": "9876543210"}',
    "media_ref": "photo-77",
}


def run_result(**known: Any) -> RunResult:
    """A result of which only what these tests look at is filled in."""
    return RunResult(**{field.name: known.get(field.name) for field in fields(RunResult)})


def measures(counts: Sequence[tuple[date, str, int]] = (), nulls: Mapping[str, float] | None = None) -> Measures:
    return Measures(
        counts=pd.DataFrame(list(counts), columns=["shift_date", "event_type", "events"]),
        nulls=pd.DataFrame(list((nulls or {}).items()), columns=["column", "share"]),
        scores=pd.DataFrame(columns=["event_type", "base_risk_score", "events"]),
    )


RESULT = run_result(
    run_id="20261122t003000_abc123",
    window=WINDOW,
    verdict="PUBLISHED",
    cause="",
    counts=pd.DataFrame(
        {
            "event_type": ["REMARK", "GEOFENCE"],
            "source": [1_203, 2],
            "staged": [1_203, 2],
            "published": [1_203, 1],
            "source_now": [1_205, 2],
        }
    ),
    checks=(
        Check("the window has events", "warn", True, "at least 1 event", "1205 events"),
        Check("keys are unique", "block", True, "1205 distinct event_id", "1205 distinct event_id"),
        Check("distribution is usual", "warn", False, "a mean near 2", "a mean of 9"),
        Check("rows lie in the window", "block", False, "0 rows outside", HOSTILE),
    ),
    timings={"extract": 1.2345, "total": 2.0},
    how="202611: attached",
    config_hash="0123456789ab",
    code_version="0.1.0",
    zone=KOLKATA,
    limited=False,
    tonight=measures(nulls={"latitude": 0.30, "speed": 0.5}),
    before=measures(
        counts=[
            (date(2026, 11, 14), "REMARK", 1_000),
            (date(2026, 11, 20), "REMARK", 800),
            (date(2026, 11, 20), "GEOFENCE", 4),
        ],
        nulls={"latitude": 0.05, "speed": 0.5},
    ),
    preview=pd.DataFrame(
        {
            "event_id": ["GEOFENCE:9", "STRANGER_ENCOUNTER:4"],
            "event_timestamp": [datetime(2026, 11, 21, 20, 0), datetime(2026, 11, 21, 0, 30, 1)],
            "event_type": ["GEOFENCE", "STRANGER_ENCOUNTER"],
            "station_id": [3, 4],
            "officer_id": [101, 102],
            "hotspot_id": [7.0, np.nan],
            "latitude": [12.971234, np.nan],
            "longitude": [77.591234, np.nan],
            "base_risk_score": [0.0, 6.0],
            "risk_reasons": [np.array([], object), np.array(["event_type=STRANGER_ENCOUNTER +6"], object)],
            **{name: [None, value] for name, value in PERSONAL.items()},
        }
    ),
)


def test_the_verdict_comes_with_window_counts_and_failed_checks() -> None:
    assert repr(report.verdict_page(RESULT, KOLKATA)).splitlines() == [
        "PUBLISHED",
        f"block: rows lie in the window: expected 0 rows outside, observed {HOSTILE}",
        "warn: distribution is usual: expected a mean near 2, observed a mean of 9",
        "2026-11-21 06:00 → 2026-11-22 06:00 IST  (2026-11-21T00:30:00Z..2026-11-22T00:30:00Z)",
        "1,205 events in the source, 1,204 in the warehouse · 202611: attached",
        "run 20261122t003000_abc123 · version 0.1.0 · configuration 0123456789ab",
        "again: sentinel-etl run --window-end 2026-11-22T06:00:00+05:30",
    ]


def test_a_verdict_without_publishing_says_so() -> None:
    page = report.verdict_page(replace(RESULT, verdict="NOT PUBLISHED", how=""), KOLKATA)
    assert repr(page).startswith("NOT PUBLISHED\n")
    assert "in the warehouse · nothing published" in repr(page)


def test_a_verdict_that_is_no_success_is_red() -> None:
    colours = {
        verdict: re.findall(
            r"border-left:8px solid (#\w{6})", report.verdict_page(replace(RESULT, verdict=verdict), KOLKATA).html
        )
        for verdict in ("PUBLISHED", "PUBLISHED WITH WARNINGS", "DRY RUN", "NOT PUBLISHED")
    }
    assert colours["NOT PUBLISHED"] == [FAILED]
    assert len({colour for (colour,) in colours.values()}) == 4


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(report.verdict_page(RESULT, KOLKATA), id="verdict"),
        pytest.param(report.audit_table(RESULT), id="audit"),
    ],
)
def test_hostile_text_is_escaped_in_html_and_left_alone_in_text(page: report.Page) -> None:
    assert "<script" not in page._repr_html_()
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &lt;b&gt;" in page._repr_html_()
    assert HOSTILE in repr(page)


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


def test_counts_of_the_very_first_night_stand_alone() -> None:
    page = report.counts_table(replace(RESULT, before=measures()))
    assert cells_of(page, "REMARK") == ["1,203", "1,203", "1,203"]


def test_the_columns_whose_nulls_changed_most_come_first() -> None:
    page = report.nulls_table(RESULT)
    assert rows_of(page) == ["latitude", "speed"]
    assert cells_of(page, "latitude") == ["30.0%", "5.0%", "+25.0%"]


@pytest.mark.parametrize(
    ("window", "limited", "command"),
    [
        pytest.param(WINDOW, False, "--window-end 2026-11-22T06:00:00+05:30", id="a night"),
        pytest.param(
            Window(WINDOW.end - timedelta(hours=6), WINDOW.end),
            False,
            "--window-end 2026-11-22T06:00:00+05:30 --window-hours 6",
            id="six hours",
        ),
        pytest.param(
            Window(WINDOW.start - timedelta(days=2), WINDOW.end),
            False,
            "--window-end 2026-11-22T06:00:00+05:30 --window-hours 72",
            id="three nights",
        ),
        pytest.param(
            WINDOW,
            True,
            "--window-end 2026-11-22T06:00:00+05:30 --event-type REMARK --event-type GEOFENCE",
            id="some event types",
        ),
    ],
)
def test_the_command_that_does_a_run_again_names_its_window_and_types(
    window: Window, limited: bool, command: str
) -> None:
    result = replace(RESULT, window=window, limited=limited)
    assert rerun_command(result, KOLKATA) == f"sentinel-etl run {command}"


def test_reconciliation_shows_what_arrived_since_and_what_is_missing() -> None:
    page = report.reconciliation_table(RESULT)
    assert cells_of(page, "REMARK") == ["1,203", "1,205", "1,203", "2", "0"]
    assert cells_of(page, "GEOFENCE") == ["2", "2", "1", "0", "-1"]
    assert flagged_rows_of(page) == ["REMARK", "GEOFENCE"]


def test_nothing_is_flagged_where_both_sides_agree() -> None:
    counts = RESULT.counts.assign(published=RESULT.counts["source"], source_now=RESULT.counts["source"])
    agreed = replace(RESULT, counts=counts)
    assert flagged_rows_of(report.counts_table(agreed)) == []
    assert flagged_rows_of(report.reconciliation_table(agreed)) == []


def test_timings_are_seconds_per_phase() -> None:
    page = report.timings_table(RESULT)
    assert rows_of(page) == ["extract", "total"]
    assert cells_of(page, "extract") == ["1.23"]


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
