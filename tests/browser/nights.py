"""Sixty nights of runs, one of each kind among them, as the index shows them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sentinel_etl.ledger.archive import ArchivedRun
from sentinel_etl.ledger.nights import NightCoverage, judge_nights
from sentinel_etl.ledger.states import RunState
from sentinel_etl.report.index_page import Measure
from sentinel_etl.window import Window

ZONE = ZoneInfo("Asia/Kolkata")
LAST = date(2026, 11, 21)
MORNING = datetime(2026, 11, 22, 0, 31, tzinfo=UTC)

# Sixty nights up to LAST, a letter each: published, warned, failed, not published, missing, killed.
NIGHTS = "PPPPPWPPPPPMMPPPPPPPNPPPPPPPPPPPFPPPPPPPPPWPPPPPPKPPPPPPPPHP"
STATES = {
    "P": ("PUBLISHED", ""),
    "W": ("PUBLISHED WITH WARNINGS", "the window has events: expected at least 1 event, observed 0 events"),
    "F": ("FAILED", "expected PostgreSQL at db.example:5432; found: Connection refused"),
    "N": (
        "NOT PUBLISHED",
        "staged rows equal the source's: expected REMARK 697, VEHICLE_CHECK 701, observed REMARK 690, VEHICLE_CHECK 0",
    ),
    "K": ("NO END RECORDED", ""),
    "H": (
        "FAILED",
        "<script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">"
        '</td></table><a href="javascript:document.title=1">' + "x" * 300 + "{{ 7 * 7 }}",
    ),
}


def sixty_nights() -> tuple[list[ArchivedRun], list[NightCoverage], dict[date, Measure]]:
    days = [LAST - timedelta(days=n) for n in reversed(range(len(NIGHTS)))]
    runs, measures = [], {}
    for place, (night, letter) in enumerate(zip(days, NIGHTS, strict=True)):
        if letter == "M":
            continue
        state, cause = STATES[letter]
        window = Window.night(night, ZONE)
        run_id = f"{window.end:%Y%m%dt%H%M%S}_{place:06x}"
        events = 4200 + 37 * (place % 11) + (1900 if night.weekday() >= 5 else 0)
        published = state.startswith("PUBLISHED")
        page = f"{night}/etl_nightly_{window.start:%Y%m%dT%H%MZ}-{window.end:%Y%m%dT%H%MZ}_{run_id}.html"
        runs.append(
            ArchivedRun(
                run_id=run_id if letter != "H" else '"><script>document.title = "taken"</script>',
                state=RunState(state),
                cause=cause,
                window=window,
                first_night=night,
                last_night=night,
                started_at=window.end,
                event_types=("REMARK",),
                source_rows=events,
                published_rows=events if published else 0,
                timings={"total": 9.5 + place % 4},
                page=page if place > 20 else "",
                redo=f"sentinel-etl run --window-end {window.end.astimezone(ZONE).isoformat()}",
            )
        )
        if published:
            measures[night] = Measure(events, 4.1 + 0.05 * (place % 7))
    runs.reverse()
    return runs, judge_nights(days, runs, ["REMARK"], ZONE), measures
