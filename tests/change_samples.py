"""What two runs changed, for tests of how it is told."""

from __future__ import annotations

import pandas as pd

from sentinel_etl.audit.changes.changes import Changes

NAN = float("nan")
COUNTS = ["event_type", "before", "after", "added", "removed", "changed", "points_before", "points_after"]
EXAMPLES = ["event_type", "event_id", "change", "values"]

CHANGED = Changes(
    counts=pd.DataFrame(
        [("REMARK", 1205, 1206, 2, 1, 1203, 1200.0, 1302.5), ("GEOFENCE", 4, 4, 0, 0, 0, 0.0, 0.0)], columns=COUNTS
    ),
    columns=pd.DataFrame(
        [
            ("REMARK", "base_risk_score", 1203),
            ("REMARK", "risk_reasons", 1203),
            ("REMARK", "remark_text", 4),
            ("REMARK", "station_id", 2),
            ("REMARK", "speed", 1),
            ("REMARK", "heading", 1),
        ],
        columns=["event_type", "column", "rows"],
    ),
    examples=pd.DataFrame(
        [("REMARK", "REMARK:1", "changed", "station_id 3 → 4; remark_text"), ("REMARK", "", "removed", "")],
        columns=EXAMPLES,
    ),
)
UNCHANGED = Changes(
    counts=pd.DataFrame([("REMARK", 9, 9, 0, 0, 0, NAN, NAN)], columns=COUNTS),
    columns=CHANGED.columns.iloc[:0],
    examples=CHANGED.examples.iloc[:0],
)
