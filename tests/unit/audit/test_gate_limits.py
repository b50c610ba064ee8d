"""Limits that a pipeline gives its gates: what they are by default, what they change, what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import create_engine

from sentinel_etl.audit.gate_registry import GATES
from sentinel_etl.audit.history import Measures
from sentinel_etl.audit.history_gates import judge_history
from sentinel_etl.audit.late_gates import check_late
from sentinel_etl.audit.window_gates import check_accepted, most_rejected
from sentinel_etl.config.gates import GATE_FIELDS, GateLimits
from sentinel_etl.context import Context
from sentinel_etl.databases import Databases
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.job import Job
from sentinel_etl.settings import Settings
from sentinel_etl.window import Window

TONIGHT = date(2026, 11, 21)
NIGHTS = [TONIGHT - timedelta(days=n) for n in range(10, 0, -1)]


def measures(nights: list[date], events: int, share: float, score: float) -> Measures:
    return Measures(
        counts=pd.DataFrame([(n, "REMARK", events) for n in nights], columns=["shift_date", "event_type", "events"]),
        nulls=pd.DataFrame({"event_type": ["REMARK"], "column": ["speed"], "share": [share], "events": [events]}),
        scores=pd.DataFrame(
            {"event_type": ["REMARK"], "station_id": [3], "base_risk_score": [score], "events": [events]}
        ),
    )


BEFORE = measures(NIGHTS, 200, 0.1, 1.0)
ODD = measures([TONIGHT], 500, 0.5, 9.0)


def failed(limits: GateLimits) -> set[str]:
    return {check.gate for check in judge_history(BEFORE, ODD, limits) if not check.passed}


def test_each_gate_has_the_default_limits() -> None:
    for name, (limit, least) in GATE_FIELDS.items():
        gate = GATES[name]
        assert gate.within(GateLimits()) == gate
        assert not limit or limit == "max_shrink" or getattr(GateLimits(), limit) == gate.limit
        assert not least or getattr(GateLimits(), least) == gate.least


@pytest.mark.parametrize(
    ("changes", "gate"),
    [
        pytest.param({"volume_ratio": 3.0}, "volumes_usual", id="volume ratio"),
        pytest.param({"volume_events": 400}, "volumes_usual", id="volume events"),
        pytest.param({"null_share": 0.5}, "null_shares_usual", id="NULL share"),
        pytest.param({"null_events": 501}, "null_shares_usual", id="NULL events"),
        pytest.param({"drift": 100.0}, "risk_usual", id="drift"),
        pytest.param({"drift_events": 501}, "risk_usual", id="drift events"),
        pytest.param({"station_drift": 100.0}, "station_risk_usual", id="a station's drift"),
        pytest.param({"station_events": 501}, "station_risk_usual", id="a station's events"),
    ],
)
def test_a_limit_of_its_own_lets_pass_what_the_default_warns_of(changes: dict[str, Any], gate: str) -> None:
    usual = failed(GateLimits())
    assert usual == {"volumes_usual", "null_shares_usual", "risk_usual", "station_risk_usual"}
    assert failed(GateLimits(**changes)) == usual - {gate}


def test_the_nights_after_which_a_type_is_missed_are_a_limit() -> None:
    none = measures([], 0, 0.1, 1.0)
    gates = [
        {check.gate for check in judge_history(BEFORE, none, limits) if not check.passed}
        for limits in (GateLimits(), GateLimits(usual_nights=11))
    ]
    assert ["types_present" in found for found in gates] == [True, False]


def test_the_words_of_a_check_say_the_pipelines_limits() -> None:
    checks = {check.gate: check.expected for check in judge_history(BEFORE, ODD, GateLimits(volume_ratio=4, drift=2))}
    assert checks["volumes_usual"] == "0.25 to 4 times the median of 10 nights"
    assert checks["risk_usual"] == "PSI at most 2 for each"


def test_late_and_rejected_rows_have_limits_of_a_pipeline() -> None:
    late = pd.DataFrame([(TONIGHT, "REMARK", 100, 80)], columns=["shift_date", "event_type", "source", "warehouse"])
    assert not check_late(late).passed
    assert check_late(late, 7, GateLimits(late_share=0.2)).passed
    assert check_late(late, 7, GateLimits(late_rows=21)).passed
    limits = GateLimits(rejected_share=0.5, rejected_rows=1)
    assert (most_rejected({"REMARK": 1_000}), most_rejected({"REMARK": 1_000}, limits)) == (200, 500)
    reasons = {("REMARK", "no value"): 300}
    assert check_accepted({"REMARK": 300}, reasons, {"REMARK": 1_000}).blocks
    assert not check_accepted({"REMARK": 300}, reasons, {"REMARK": 1_000}, limits).blocks


@pytest.mark.parametrize(
    ("own", "settings", "share"),
    [
        pytest.param(None, {}, 0.5, id="neither"),
        pytest.param(0.9, {}, 0.9, id="the pipeline's"),
        pytest.param(0.9, {"max_shrink": 0.2}, 0.2, id="the setting wins"),
        pytest.param(0.9, {"max_shrink": 0.5}, 0.5, id="the setting wins as its default too"),
    ],
)
def test_the_share_that_may_go_is_the_settings_before_the_pipelines(
    own: float | None, settings: dict[str, Any], share: float
) -> None:
    pipeline = replace(SENTINEL, gate_limits=GateLimits(max_shrink=own))
    nowhere = create_engine("postgresql+psycopg://nobody@127.0.0.1:9/none")
    context = Context(Settings(**settings), pipeline, Databases(nowhere, nowhere))
    assert Job("r1", Window.night(TONIGHT), pipeline.event_types, context).max_shrink == share


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        pytest.param(GateLimits(null_share=1.5), "null_share: expected a share from 0 to 1, found 1.5", id="share"),
        pytest.param(GateLimits(max_shrink=-1), "max_shrink: expected a share from 0 to 1, found -1", id="negative"),
        pytest.param(GateLimits(volume_ratio=1.0), "volume_ratio: expected a number above 1, found 1.0", id="ratio"),
        pytest.param(GateLimits(drift=float("nan")), "drift: expected a number above 0, found nan", id="nan"),
        pytest.param(
            GateLimits(late_rows=0), "late_rows: expected a whole number of at least 1, found 0", id="no rows"
        ),
        pytest.param(
            GateLimits(null_events=10.5),  # type: ignore[arg-type]
            "null_events: expected a whole number of at least 1, found 10.5",
            id="part of an event",
        ),
        pytest.param(GateLimits(drift=True), "drift: expected a number above 0, found True", id="a truth value"),
    ],
)
def test_a_limit_that_nothing_can_be_judged_by_is_refused(limits: GateLimits, message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        replace(SENTINEL, gate_limits=limits).check()
    assert str(refused.value) == f"gate_limits.{message}"


def test_what_is_no_limits_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^gate_limits: expected a GateLimits, found \{'drift': 1\}$"):
        replace(SENTINEL, gate_limits={"drift": 1}).check()  # type: ignore[arg-type]
