"""Columns that are filled in after the event: what hangs on them, and what the history gates leave out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import case

from sentinel_etl.audit.history import Measures
from sentinel_etl.audit.history_gates import judge_history
from sentinel_etl.audit.late_gates import check_late
from sentinel_etl.config.event_config import EVENT_CONFIG
from sentinel_etl.config.gates import GateLimits
from sentinel_etl.config.source_models import Patrol, PatrolLog, Remark
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.pipeline import SENTINEL, Pipeline
from sentinel_etl.pipeline.settling import Settling

TONIGHT = date(2026, 11, 21)
NIGHTS = [TONIGHT - timedelta(days=n) for n in range(10, 0, -1)]
JOIN = (Patrol, Remark.patrol_id == Patrol.patrol_id)


def pipeline(weights: Mapping[str, Any] | None = None, **entry: Any) -> Pipeline:
    remark = {**EVENT_CONFIG["REMARK"], **entry}
    return replace(SENTINEL, event_config={"REMARK": remark}, risk_weights=weights or {})


def columns_of(*changing: Any, **entry: Any) -> set[str]:
    return {*pipeline(changes_later=[*changing], **entry).settling.columns["REMARK"]}


def test_a_config_that_says_nothing_has_nothing_that_settles() -> None:
    assert SENTINEL.settling == Settling()


def test_what_changes_later_is_found_in_the_fact_columns_that_hang_on_it() -> None:
    assert columns_of(Remark.hotspot_id) == {"hotspot_id"}
    assert columns_of(Remark.remark_text) == {"remark_text", "remark_length"}
    assert columns_of(Remark.latitude) == {"latitude", "longitude"}
    assert columns_of(Remark.created_by_officer_id) == {"officer_id"}
    assert columns_of(Patrol.start_time, columns=[Patrol.start_time]) == {"details_json"}


def test_a_column_is_named_by_itself_by_its_label_and_by_its_expression() -> None:
    done = case((Remark.hotspot_id > 1, Remark.media_ref), else_=None).label("media_ref")
    assert columns_of(done, columns=[done]) == {"media_ref"}
    assert columns_of(
        Remark.remark_text.label("feedback_text"), columns=[Remark.remark_text.label("feedback_text")]
    ) == {"feedback_text"}
    assert columns_of(Remark.remark_text, columns=[Remark.remark_text.label("feedback_text")]) == {"feedback_text"}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        pytest.param(Remark.new_priority_ranking, "remarks.new_priority_ranking", id="a column not read"),
        pytest.param(PatrolLog.speed, "patrol_logs.speed", id="a column of another table"),
        pytest.param(Remark.new_priority_ranking.label("rank"), "rank", id="a label not given"),
    ],
)
def test_a_column_that_the_entry_does_not_read_is_refused_by_name(given: Any, found: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        pipeline(changes_later=[given]).check()
    assert str(refused.value).startswith("EVENT_CONFIG: REMARK.changes_later: expected columns that the entry reads, ")
    assert f"; found {found}. " in str(refused.value)


def test_what_is_no_column_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"REMARK\.changes_later: expected columns or expressions, found 'x'"):
        pipeline(changes_later=["x"]).check()
    with pytest.raises(ConfigurationError, match=r"REMARK\.changes_later: expected a list, found"):
        pipeline(changes_later=Remark.latitude).check()


@pytest.mark.parametrize(
    ("weights", "scores"),
    [
        pytest.param({}, set(), id="no weights"),
        pytest.param({"event_type": {"REMARK": 1.0}}, set(), id="weights of something else"),
        pytest.param({"hotspot_id": {7: 1.0}}, {"REMARK"}, id="weights of it"),
        pytest.param({"REMARK": {"hotspot_id": {7: 1.0}}}, {"REMARK"}, id="weights of it in this type"),
    ],
)
def test_scores_settle_where_weights_hang_on_what_changes_later(weights: Any, scores: set[str]) -> None:
    assert pipeline(weights, changes_later=[Remark.hotspot_id]).settling.scores == scores


def test_weights_of_another_type_do_not_count() -> None:
    config = {
        "REMARK": {**EVENT_CONFIG["REMARK"], "changes_later": [Remark.hotspot_id]},
        "GEOFENCE": EVENT_CONFIG["GEOFENCE"],
    }
    other = replace(SENTINEL, event_config=config, risk_weights={"GEOFENCE": {"hotspot_id": {7: 1.0}}})
    assert other.settling.scores == frozenset()


def test_how_many_there_are_settles_where_a_filter_or_an_inner_join_asks_for_it() -> None:
    changing = [Remark.hotspot_id]
    assert pipeline(changes_later=changing).settling.counts == frozenset()
    assert pipeline(changes_later=changing, filters=[Remark.hotspot_id.is_not(None)]).settling.counts == {"REMARK"}
    joined = [(Patrol, JOIN[1] & (Remark.hotspot_id > 0))]
    assert pipeline(changes_later=changing, joins=joined).settling.counts == {"REMARK"}
    outer = [(*joined[0], {"outer": True})]
    assert pipeline(changes_later=changing, joins=outer).settling.counts == frozenset()


def measures(nights: list[date], events: int, share: float, score: float) -> Measures:
    kinds = ["REMARK", "FEEDBACK"]
    return Measures(
        counts=pd.DataFrame(
            [(night, kind, events) for night in nights for kind in kinds],
            columns=["shift_date", "event_type", "events"],
        ),
        nulls=pd.DataFrame({"event_type": kinds, "column": "speed", "share": share, "events": events}),
        scores=pd.DataFrame({"event_type": kinds, "station_id": [1, 2], "base_risk_score": score, "events": events}),
    )


def test_the_history_gates_leave_out_what_settles_and_say_so() -> None:
    before, odd = measures(NIGHTS, 200, 0.1, 1.0), measures([TONIGHT], 500, 0.5, 9.0)
    settling = Settling({"REMARK": frozenset({"speed"})}, frozenset({"REMARK"}), frozenset({"REMARK"}))
    checks = {check.gate: check for check in judge_history(before, odd, GateLimits(), settling)}
    note = "; not judged, because it changes later: REMARK"
    subjects = {name: (check.subjects, check.expected.partition(note)[1:]) for name, check in checks.items()}
    assert subjects == {
        "types_present": ((), (note, "")),
        "volumes_usual": (("FEEDBACK",), (note, "")),
        "null_shares_usual": (("speed",), (note, ".speed")),
        "risk_usual": (("FEEDBACK",), (note, "")),
        "station_risk_usual": (("2",), (note, "")),
    }
    assert checks["null_shares_usual"].observed == "speed NULL in FEEDBACK 50% (before 10%)"


def test_a_night_in_which_all_that_is_odd_settles_passes() -> None:
    before, odd = measures(NIGHTS, 200, 0.1, 1.0), measures([TONIGHT], 200, 0.5, 9.0)
    both = frozenset({"REMARK", "FEEDBACK"})
    settling = Settling(dict.fromkeys(both, frozenset({"speed"})), frozenset(), both)
    assert all(check.passed for check in judge_history(before, odd, GateLimits(), settling))


def test_earlier_nights_that_changed_as_expected_are_told_with_the_command_and_are_no_failure() -> None:
    changed = pd.DataFrame(
        [(date(2026, 11, 20), "REMARK"), (date(2026, 11, 19), "REMARK"), (date(2026, 11, 19), "FEEDBACK")],
        columns=["shift_date", "event_type"],
    )
    late = pd.DataFrame(columns=["shift_date", "event_type", "source", "warehouse"])
    check = check_late(late, 7, GateLimits(), changed)
    assert check.passed
    told = (
        "changed later, as expected: FEEDBACK in 2026-11-19; REMARK in 2026-11-19, 2026-11-20; to load it: "
        "sentinel-etl reconcile --days 8 --heal"
    )
    assert check.observed == told
    assert check_late(late, 7, GateLimits(), changed.iloc[:0]).observed == "no night has changed"
    late.loc[0] = (date(2026, 11, 20), "REMARK", 100, 50)
    failed = check_late(late, 7, GateLimits(), changed)
    assert (failed.passed, failed.observed) == (False, f"2026-11-20: REMARK +50; {told}")
