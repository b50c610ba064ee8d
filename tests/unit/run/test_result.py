from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

import pandas as pd
import pytest
from run_results import run_result

from sentinel_etl.audit.checks import Check, Severity, describe_checks
from sentinel_etl.errors import AuditFailed
from sentinel_etl.ledger.ledger import RunRecord
from sentinel_etl.ledger.states import RunState
from sentinel_etl.run.provenance import name_code
from sentinel_etl.stopwatch import Stopwatch
from sentinel_etl.window import Window

WINDOW = Window(datetime(2026, 11, 21, 0, 30, tzinfo=UTC), datetime(2026, 11, 22, 0, 30, tzinfo=UTC))
COUNTED = Check("staged rows equal the source's", Severity.BLOCK, False, "REMARK 3", "REMARK 2")
UNIQUE = Check("keys are unique", Severity.BLOCK, True, "5 distinct event_id", "5 distinct event_id")


RESULT = run_result(
    run_id="20261122t003000_abc123",
    window=WINDOW,
    verdict=RunState.PUBLISHED,
    cause="",
    counts=pd.DataFrame(
        {
            "event_type": ["REMARK", "GEOFENCE"],
            "source": [3, 2],
            "staged": [3, 2],
            "published": [3, 1],
            "source_now": [4, 2],
        }
    ),
    checks=(UNIQUE, COUNTED),
    timings={"extract": 0.123456, "total": 2.0},
    how="attach 202611",
    nights={date(2026, 11, 21): (4, "17")},
    content="0123456789abcdef",
    versions={"PostgreSQL": "17.5"},
)


@pytest.mark.parametrize("verdict", ["PUBLISHED", "PUBLISHED WITH WARNINGS", "DRY RUN"])
def test_a_verdict_that_is_no_failure_raises_nothing(verdict: str) -> None:
    replace(RESULT, verdict=RunState(verdict)).raise_for_verdict()


def test_a_run_that_did_not_publish_raises_its_cause_and_where_the_rows_are() -> None:
    failed = replace(RESULT, verdict=RunState.NOT_PUBLISHED, cause=describe_checks([COUNTED]))
    with pytest.raises(AuditFailed) as raised:
        failed.raise_for_verdict()
    assert str(raised.value) == (
        "[audit · 2026-11-21T00:30:00Z..2026-11-22T00:30:00Z] staged rows equal the source's: expected REMARK 3, "
        "observed REMARK 2. Nothing was published; the staged rows are kept in the warehouse, in the table "
        "that ends in 20261122t003000_abc123, until a later run of the window publishes"
    )
    assert raised.value.exit_code == 5


@pytest.mark.parametrize(
    ("verdict", "published"),
    [("PUBLISHED", True), ("PUBLISHED WITH WARNINGS", True), ("NOT PUBLISHED", False), ("DRY RUN", False)],
)
def test_only_a_published_verdict_is_published(verdict: str, published: bool) -> None:
    assert replace(RESULT, verdict=RunState(verdict)).published is published


def test_a_closed_record_says_what_the_run_did() -> None:
    record = RunRecord("20261122t003000_abc123", "patrol_events", WINDOW, ("REMARK", "GEOFENCE"))
    closed = replace(RESULT, verdict=RunState.PUBLISHED_WITH_WARNINGS, cause="no").close_record(record)
    assert closed == replace(
        record,
        state=RunState.PUBLISHED_WITH_WARNINGS,
        cause="no",
        source_rows=5,
        published_rows=4,
        counts={
            "REMARK": {"source": 3, "staged": 3, "published": 3, "source_now": 4},
            "GEOFENCE": {"source": 2, "staged": 2, "published": 1, "source_now": 2},
        },
        timings={"extract": 0.123, "total": 2.0},
        checks=(
            {
                "name": "keys are unique",
                "severity": "block",
                "passed": True,
                "expected": "5 distinct event_id",
                "observed": "5 distinct event_id",
                "subjects": [],
                "examples": [],
                "query": "",
                "gate": "",
                "answers": "",
            },
            {
                "name": "staged rows equal the source's",
                "severity": "block",
                "passed": False,
                "expected": "REMARK 3",
                "observed": "REMARK 2",
                "subjects": [],
                "examples": [],
                "query": "",
                "gate": "",
                "answers": "",
            },
        ),
        how="attach 202611",
        nights={"2026-11-21": (4, "17")},
        content="0123456789abcdef",
        versions={"PostgreSQL": "17.5", **name_code()},
    )
    assert (record.state, record.counts) == ("RUNNING", {})


@pytest.mark.parametrize("verdict", ["NOT PUBLISHED", "DRY RUN"])
def test_a_record_of_a_run_that_published_nothing_says_none_whatever_is_there(verdict: str) -> None:
    record = RunRecord("r", "patrol_events", WINDOW, ("REMARK",))
    closed = replace(RESULT, verdict=RunState(verdict)).close_record(record)
    assert (closed.source_rows, closed.published_rows) == (5, 0)
    assert {kind: sides["published"] for kind, sides in closed.counts.items()} == {"REMARK": 0, "GEOFENCE": 0}


def test_what_a_closed_record_holds_can_be_written_as_json() -> None:
    closed = RESULT.close_record(RunRecord("r", "patrol_events", WINDOW, ("REMARK",)))
    assert json.loads(json.dumps([closed.counts, closed.timings, closed.checks, closed.how])) == [
        closed.counts,
        closed.timings,
        list(closed.checks),
        closed.how,
    ]
    assert type(closed.source_rows) is int


def test_checks_are_described_on_one_line() -> None:
    assert describe_checks([COUNTED, UNIQUE]) == (
        "staged rows equal the source's: expected REMARK 3, observed REMARK 2; "
        "keys are unique: expected 5 distinct event_id, observed 5 distinct event_id"
    )
    assert describe_checks([]) == ""


def test_a_stopwatch_adds_up_the_time_of_a_phase_even_where_it_fails() -> None:
    watch = Stopwatch()

    def fail() -> None:
        with watch.measure("load"):
            time.sleep(0.02)
            raise ValueError("no")

    with watch.measure("load"):
        time.sleep(0.02)
    with pytest.raises(ValueError, match="no"):
        fail()
    assert list(watch.seconds) == ["load"]
    assert watch.seconds["load"] >= 0.04


def slow_items() -> Iterator[int]:
    for item in range(3):
        time.sleep(0.05)
        yield item


def test_making_items_counts_as_busy_and_using_them_does_not() -> None:
    watch = Stopwatch()
    received = []
    started = time.perf_counter()
    for item in watch.busy("extract", slow_items()):
        received.append(item)
        time.sleep(0.1)
    elapsed = time.perf_counter() - started
    assert received == [0, 1, 2]
    assert 0.15 <= watch.seconds["extract"] <= elapsed - 0.3


def test_waiting_for_items_is_taken_off_the_phase_around_it() -> None:
    watch = Stopwatch()
    started = time.perf_counter()
    with watch.measure("load"):
        received = list(watch.waited("load", slow_items()))
        time.sleep(0.03)
    elapsed = time.perf_counter() - started
    assert received == [0, 1, 2]
    assert 0.03 <= watch.seconds["load"] <= elapsed - 0.15
