"""One run's result for the tests of reports: a published night with two failed checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from run_results import run_result

from sentinel_etl.audit.checks import Check, Severity
from sentinel_etl.audit.history import Measures
from sentinel_etl.config.dimensions import Dimensions
from sentinel_etl.ledger.states import RunState
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.result import empty
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


def measures(counts: Sequence[tuple[date, str, int]] = (), nulls: Mapping[str, float] | None = None) -> Measures:
    return Measures(
        counts=pd.DataFrame(list(counts), columns=["shift_date", "event_type", "events"]),
        nulls=pd.DataFrame(
            [("REMARK", column, share, 1_000) for column, share in (nulls or {}).items()],
            columns=["event_type", "column", "share", "events"],
        ),
        scores=pd.DataFrame({"event_type": ["REMARK"], "base_risk_score": [1.0], "events": [10]}),
    )


RESULT = run_result(
    run_id="20261122t003000_abc123",
    window=WINDOW,
    verdict=RunState.PUBLISHED,
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
        Check("the window has events", Severity.WARN, True, "at least 1 event", "1205 events"),
        Check("keys are unique", Severity.BLOCK, True, "1205 distinct event_id", "1205 distinct event_id"),
        Check("distribution is usual", Severity.WARN, False, "a mean near 2", "a mean of 9", ("GEOFENCE",)),
        Check(
            "rows lie in the window",
            Severity.BLOCK,
            False,
            "0 rows outside",
            HOSTILE,
            examples=({"event_id": "REMARK:7", "station_id": "3"},),
            query="SELECT event_id FROM patrol_events WHERE event_type = 'REMARK'",
        ),
    ),
    timings={"extract": 1.2345, "total": 2.0},
    how="202611: attached",
    config_hash="0123456789ab",
    code_version="0.1.0",
    zone=KOLKATA,
    limited=False,
    dimensions=Dimensions(),
    shown=SENTINEL.shown_columns,
    versions={"sentinel-etl": "0.1.0", "Python": "3.11.7"},
    rejected=empty(event_type="str", reason="str", rows="int64"),
    late=empty(shift_date="object", event_type="str", source="int64", warehouse="int64"),
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
