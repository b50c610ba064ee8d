"""What is written of the gates' false alarms and power: complete, and within what was promised."""

from __future__ import annotations

import pytest
from scipy import stats

from sentinel_etl.audit.chance import highest_rate
from sentinel_etl.audit.gate_registry import GATES, MEASURED, TOGETHER
from sentinel_etl.audit.history_gates import HISTORY_GATES
from sentinel_etl.audit.late_gates import LATE_GATES
from sentinel_etl.audit.window_gates import WINDOW_GATES

# Asked only where there is a dead run, or a TTL.
ASKED_AT_TIMES = {"nights_settled", "rows_not_expired"}


def test_each_gate_on_the_night_s_rows_or_their_past_was_measured() -> None:
    expected = {gate.id for gate in (*WINDOW_GATES, *HISTORY_GATES, *LATE_GATES)} - ASKED_AT_TIMES
    assert expected <= set(MEASURED) <= set(GATES)
    assert all(measured.power for name, measured in MEASURED.items() if name in expected)


def test_all_gates_together_warn_of_fewer_than_one_in_a_hundred_ordinary_nights() -> None:
    assert TOGETHER.nights >= 600
    assert highest_rate(TOGETHER.alarms, TOGETHER.nights) < 0.01
    assert sum(measured.alarms for measured in MEASURED.values()) >= TOGETHER.alarms


@pytest.mark.parametrize(("alarms", "nights"), [(0, 600), (2, 632), (9, 420), (5, 5)])
def test_the_upper_limit_of_a_rate_is_clopper_s_and_pearson_s(alarms: int, nights: int) -> None:
    exact = stats.binomtest(alarms, nights).proportion_ci(0.90, "exact").high
    assert highest_rate(alarms, nights) == pytest.approx(exact)
