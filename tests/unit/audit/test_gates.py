from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sentinel_etl.audit import history_gates
from sentinel_etl.audit.checks import Severity
from sentinel_etl.audit.drift import drift_table, population_stability_index
from sentinel_etl.audit.gate_registry import GATES
from sentinel_etl.audit.history import Measures
from sentinel_etl.audit.history_gates import judge_history
from sentinel_etl.audit.late_gates import check_late

NIGHTS = [date(2026, 11, 21) - timedelta(days=n) for n in range(28, 0, -1)]
USUAL = {"REMARK": 100, "EMERGENCY_INCIDENT": 60}


def measures(
    nights: Mapping[date, Mapping[str, int]],
    latitude: float = 0.05,
    events: int = 1_000,
    scores: Mapping[float, int] | None = None,
) -> Measures:
    counts = [(night, name, events) for night, types in nights.items() for name, events in types.items()]
    scored = [("EMERGENCY_INCIDENT", score, events) for score, events in (scores or {30.0: 60, 60.0: 60}).items()]
    return Measures(
        counts=pd.DataFrame(counts, columns=["shift_date", "event_type", "events"]),
        nulls=pd.DataFrame(
            {"event_type": "REMARK", "column": ["latitude", "speed"], "share": [latitude, 0.6], "events": events}
        ),
        scores=pd.DataFrame(scored, columns=["event_type", "base_risk_score", "events"]).assign(station_id=3),
    )


BEFORE = measures(dict.fromkeys(NIGHTS, USUAL))


def night(**changes: int) -> dict[date, Mapping[str, int]]:
    return {date(2026, 11, 21): {**USUAL, **changes}}


def failures(tonight: Measures, before: Measures = BEFORE) -> dict[str, str]:
    return {check.name: check.observed for check in judge_history(before, tonight) if not check.passed}


def test_a_usual_night_passes_every_gate() -> None:
    assert failures(measures(night())) == {}


def test_every_judgement_has_the_severity_that_its_gate_declares(monkeypatch: pytest.MonkeyPatch) -> None:
    for check in judge_history(BEFORE, measures(night())):
        assert check.severity is GATES[check.gate].severity is Severity.WARN
    monkeypatch.setattr(history_gates, "VOLUMES", replace(history_gates.VOLUMES, severity=Severity.BLOCK))
    severities = {check.name: check.severity for check in judge_history(BEFORE, measures(night()))}
    assert [name for name, severity in severities.items() if severity is Severity.BLOCK] == ["volumes are as usual"]


def test_every_gate_has_rows_to_show_but_those_whose_rows_are_not_in_the_window() -> None:
    assert [gate.name for gate in GATES.values() if gate.evidence is None] == [
        "earlier nights are complete",
        "runs of earlier nights have ended",
        "the run is as fast as usual",
        "the night is in by its deadline",
    ]


def test_each_gate_has_an_identifier_and_words_of_its_own() -> None:
    assert all(gate.id == name for name, gate in GATES.items())
    assert len({gate.name for gate in GATES.values()}) == len(GATES) == 21


def test_a_missing_event_type_is_named() -> None:
    tonight = measures({date(2026, 11, 21): {"EMERGENCY_INCIDENT": 60}})
    assert failures(tonight) == {"every event type is there": "REMARK has none"}


def test_doubled_volume_is_named_with_its_ratio() -> None:
    assert failures(measures(night(REMARK=200))) == {"volumes are as usual": "REMARK 200 is 2.0 times the median 100"}


def test_halved_volume_is_named_too() -> None:
    assert failures(measures(night(REMARK=50))) == {"volumes are as usual": "REMARK 50 is 0.5 times the median 100"}


def test_nulls_in_30_of_100_positions_are_named() -> None:
    assert failures(measures(night(), latitude=0.30)) == {
        "NULLs are as usual": "latitude NULL in REMARK 30% (before 5%)"
    }


def test_nulls_in_a_few_events_are_chance() -> None:
    assert failures(measures(night(), latitude=0.30, events=60)) == {}


def test_shifted_risk_is_named_with_both_figures() -> None:
    found = failures(measures(night(), scores={30.0: 10, 60.0: 110}))
    assert found == {
        "risk is distributed as usual": "EMERGENCY_INCIDENT PSI 0.97, KS 0.42",
        "risk is distributed as usual at each station": "station 3 PSI 0.97, KS 0.42",
    }


def test_a_few_events_do_not_make_a_shift() -> None:
    assert failures(measures(night(), scores={30.0: 1, 60.0: 8})) == {}


def test_the_first_nights_are_not_judged_by_too_few() -> None:
    assert failures(measures(night(REMARK=1_000), latitude=0.9), measures({NIGHTS[-1]: USUAL})) == {}


def test_without_a_past_there_is_nothing_to_judge() -> None:
    assert failures(measures(night()), measures({}, scores={30.0: 0})) == {}


def test_ks_is_that_of_the_two_samples() -> None:
    rng = np.random.default_rng(7)
    values = [1.0, 6.0, 20.0, 80.0]
    tonight, before = rng.choice(values, 400), rng.choice(values, 900, p=[0.4, 0.2, 0.2, 0.2])

    def counted(sample: np.ndarray) -> pd.DataFrame:
        values, events = np.unique(sample, return_counts=True)
        return pd.DataFrame({"event_type": "A", "base_risk_score": values, "events": events})

    row = drift_table(counted(tonight), counted(before)).loc["A"]
    reference = stats.ks_2samp(tonight, before, method="asymp")
    assert row["KS"] == pytest.approx(reference.statistic)
    # scipy rounds the effective size to a whole number for its asymptotic p-value
    assert row["KS p"] == pytest.approx(reference.pvalue, rel=0.3)


def test_psi_of_the_same_shares_is_0_and_grows_with_the_shift() -> None:
    before = np.array([500.0, 300.0, 200.0])
    steps = [population_stability_index(before + np.array([0, -k, k]), before) for k in (0, 50, 100, 200)]
    assert steps[0] == 0
    assert steps == sorted(steps)


def late(*rows: tuple[str, int, int]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["event_type", "source", "warehouse"])
    return frame.assign(shift_date=date(2026, 11, 20))


def test_late_rows_are_named_with_their_night_and_type() -> None:
    check = check_late(late(("REMARK", 120, 100), ("GEOFENCE", 50, 50), ("FEEDBACK", 9, 10)))
    assert (check.passed, check.observed) == (False, "2026-11-20: REMARK +20, FEEDBACK -1")
    assert check.subjects == ("2026-11-20",)


@pytest.mark.parametrize("rows", [("REMARK", 1_015, 1_000), ("FEEDBACK", 19, 10)], ids=["of many", "few"])
def test_a_few_late_rows_are_no_warning(rows: tuple[str, int, int]) -> None:
    assert check_late(late(rows)).passed


def test_without_late_rows_no_night_has_changed() -> None:
    assert check_late(late()).observed == "no night has changed"
