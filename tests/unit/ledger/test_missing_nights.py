from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from sentinel_etl.ledger.ledger import plain_value
from sentinel_etl.ledger.nights import missing_nights
from sentinel_etl.ledger.states import RunState
from sentinel_etl.window import Window

KOLKATA = ZoneInfo("Asia/Kolkata")
LONDON = ZoneInfo("Europe/London")
TYPES = ("REMARK", "GEOFENCE")
FRIDAY, SATURDAY, SUNDAY = date(2026, 11, 20), date(2026, 11, 21), date(2026, 11, 22)


def run(
    start: str, end: str, state: str = "PUBLISHED", event_types: tuple[str, ...] = TYPES, zone: ZoneInfo = KOLKATA
) -> dict[str, Any]:
    """A ledger row, its window written on the zone's clocks."""
    bounds = [datetime.fromisoformat(bound).replace(tzinfo=zone).astimezone(UTC) for bound in (start, end)]
    return {"window_start": bounds[0], "window_end": bounds[1], "state": RunState(state), "event_types": event_types}


@pytest.mark.parametrize(
    ("runs", "missing"),
    [
        pytest.param([], [SATURDAY], id="no runs"),
        pytest.param([run("2026-11-21T06:00", "2026-11-22T06:00")], [], id="one run, exactly"),
        pytest.param([run("2026-11-20T06:00", "2026-11-23T06:00")], [], id="one longer run"),
        pytest.param(
            [run("2026-11-21T06:00", "2026-11-22T06:00", "PUBLISHED WITH WARNINGS")], [], id="published with warnings"
        ),
        pytest.param(
            [run("2026-11-21T18:00", "2026-11-22T06:00"), run("2026-11-21T06:00", "2026-11-21T18:00")],
            [],
            id="two adjacent runs, in any order",
        ),
        pytest.param(
            [
                run("2026-11-21T12:00", "2026-11-22T02:00"),
                run("2026-11-21T06:00", "2026-11-21T13:00"),
                run("2026-11-22T01:00", "2026-11-22T07:00"),
            ],
            [],
            id="three that overlap",
        ),
        pytest.param(
            [
                run("2026-11-21T06:00", "2026-11-21T20:00"),
                run("2026-11-21T07:00", "2026-11-21T08:00"),
                run("2026-11-21T20:00", "2026-11-22T06:00"),
            ],
            [],
            id="one within another",
        ),
        pytest.param(
            [run("2026-11-21T06:00", "2026-11-21T18:00"), run("2026-11-21T18:00:00.000001", "2026-11-22T06:00")],
            [SATURDAY],
            id="a gap of a microsecond",
        ),
        pytest.param([run("2026-11-21T06:00", "2026-11-22T05:59:59")], [SATURDAY], id="ends a second early"),
        pytest.param([run("2026-11-21T06:00:01", "2026-11-22T06:00")], [SATURDAY], id="starts a second late"),
        pytest.param([run("2026-11-20T06:00", "2026-11-21T06:00")], [SATURDAY], id="the night before"),
        pytest.param([run("2026-11-21T06:00", "2026-11-22T06:00", "NOT PUBLISHED")], [SATURDAY], id="not published"),
        pytest.param([run("2026-11-21T06:00", "2026-11-22T06:00", "RUNNING")], [SATURDAY], id="still running, or dead"),
        pytest.param([run("2026-11-21T06:00", "2026-11-22T06:00", "DRY RUN")], [SATURDAY], id="a dry run"),
        pytest.param(
            [run("2026-11-21T06:00", "2026-11-22T06:00", event_types=("REMARK",))], [SATURDAY], id="one of two types"
        ),
        pytest.param(
            [run("2026-11-21T06:00", "2026-11-22T06:00", event_types=("REMARK", "FEEDBACK"))],
            [SATURDAY],
            id="other types",
        ),
        pytest.param(
            [run("2026-11-21T06:00", "2026-11-22T06:00", event_types=("GEOFENCE", "FEEDBACK", "REMARK"))],
            [],
            id="more types, in another order",
        ),
        pytest.param(
            [
                run("2026-11-21T06:00", "2026-11-21T18:00"),
                run("2026-11-21T18:00", "2026-11-22T06:00", "NOT PUBLISHED"),
            ],
            [SATURDAY],
            id="half of it not published",
        ),
        pytest.param(
            [
                run("2026-11-21T06:00", "2026-11-22T06:00", "NOT PUBLISHED"),
                run("2026-11-21T06:00", "2026-11-22T06:00"),
            ],
            [],
            id="failed once, published once",
        ),
    ],
)
def test_a_night_is_missing_unless_published_runs_cover_all_of_it(
    runs: list[dict[str, Any]], missing: list[date]
) -> None:
    assert missing_nights([SATURDAY], TYPES, runs, KOLKATA) == missing


def test_missing_nights_keep_the_order_asked_for() -> None:
    runs = [run("2026-11-21T06:00", "2026-11-22T06:00")]
    assert missing_nights([SUNDAY, SATURDAY, FRIDAY], TYPES, runs, KOLKATA) == [SUNDAY, FRIDAY]
    assert missing_nights([], TYPES, runs, KOLKATA) == []


def test_a_night_of_25_hours_is_not_covered_by_24() -> None:
    night = date(2026, 10, 24)
    window = Window.night(night, LONDON)
    day = {"window_start": window.start, "state": RunState.PUBLISHED, "event_types": TYPES}
    assert missing_nights([night], TYPES, [day | {"window_end": window.start + timedelta(hours=24)}], LONDON) == [night]
    assert missing_nights([night], TYPES, [day | {"window_end": window.start + timedelta(hours=25)}], LONDON) == []


@pytest.mark.parametrize(
    ("name", "value", "plain"),
    [
        pytest.param("counts", '{"REMARK": {"source": 2}}', {"REMARK": {"source": 2}}, id="counts"),
        pytest.param("timings", '{"load": 0.5}', {"load": 0.5}, id="timings"),
        pytest.param("checks", '[{"passed": true}]', [{"passed": True}], id="checks"),
        pytest.param("event_types", np.array(["REMARK", "GEOFENCE"]), ("REMARK", "GEOFENCE"), id="event types"),
        pytest.param("source_rows", 3, 3, id="a number"),
        pytest.param("cause", '{"not": "read"}', '{"not": "read"}', id="text that looks like JSON"),
        pytest.param(
            "window_start",
            pd.Timestamp("2026-11-21T00:30:00.000001"),
            datetime(2026, 11, 21, 0, 30, 0, 1, tzinfo=UTC),
            id="an instant that the driver gave without its zone",
        ),
        pytest.param(
            "window_end",
            pd.Timestamp("2026-11-22T06:00:00+05:30"),
            datetime(2026, 11, 22, 0, 30, tzinfo=UTC),
            id="an instant in another zone",
        ),
        pytest.param(
            "started_at",
            datetime(2026, 11, 22, 6, 0, tzinfo=timezone(timedelta(hours=5.5))),
            datetime(2026, 11, 22, 0, 30, tzinfo=UTC),
            id="an instant that is no pandas one",
        ),
    ],
)
def test_a_ledgers_value_is_read_as_plain_python(name: str, value: Any, plain: Any) -> None:
    read = plain_value(name, value)
    assert read == plain
    assert type(read) is type(plain)
    if isinstance(plain, datetime):
        assert read.tzinfo is UTC


def test_a_state_that_another_version_wrote_is_read_as_unknown() -> None:
    assert RunState("<b>SOME DAY</b>") is RunState.UNKNOWN
    assert plain_value("state", "NOT PUBLISHED") is RunState.NOT_PUBLISHED
