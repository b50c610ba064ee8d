"""How a window's nights are judged each by those before it, and how their checks are told as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from sentinel_etl.audit.checks import Check, Severity
from sentinel_etl.audit.each_night import (
    HeldNights,
    check_each_accepted,
    check_each_event,
    check_each_kept,
    join_nights,
    judge_each_night,
)
from sentinel_etl.audit.history import Measures
from sentinel_etl.config.dimensions import CITY
from sentinel_etl.config.gates import GateLimits
from sentinel_etl.pipeline.settling import Settling
from sentinel_etl.window import Window

KOLKATA = ZoneInfo("Asia/Kolkata")
FIRST = date(2026, 9, 1)
NIGHTS = [FIRST + timedelta(days=number) for number in range(60)]
BEFORE = [FIRST - timedelta(days=number) for number in range(28, 0, -1)]


def window_of(nights: Sequence[date], hours_more: float = 0) -> Window:
    end = Window.night(nights[-1], KOLKATA).end + timedelta(hours=hours_more)
    return Window(Window.night(nights[0], KOLKATA).start, end)


def measures(
    nights: Sequence[date], events: Mapping[date, int] | None = None, scores: Mapping[date, float] | None = None
) -> Measures:
    """200 events of one type a night, all with the score 10, but where a night is given others."""
    rows = [(night, (events or {}).get(night, 200)) for night in nights]
    counts = pd.DataFrame([(night, "REMARK", count) for night, count in rows if count]).set_axis(
        ["shift_date", "event_type", "events"], axis=1
    )
    nulls = counts.assign(column="speed", share=0.1)
    scored = counts.assign(station_id=3, base_risk_score=[(scores or {}).get(n, 10.0) for n in counts["shift_date"]])
    return Measures(counts, nulls, scored)


def judge(staged: Measures, window: Window, settling: Settling | None = None) -> dict[str, tuple[str, ...]]:
    checks = judge_each_night(measures(BEFORE), staged, window, KOLKATA, GateLimits(), settling or Settling(), CITY)
    return {check.gate: check.nights for check in checks if not check.passed}


def test_sixty_usual_nights_pass_every_gate() -> None:
    assert judge(measures(NIGHTS), window_of(NIGHTS)) == {}


def test_of_sixty_nights_the_odd_one_is_named_by_each_gate_that_it_fails() -> None:
    odd = NIGHTS[45]
    assert judge(measures(NIGHTS, {odd: 500}, {odd: 30.0}), window_of(NIGHTS)) == {
        "volumes_usual": (str(odd),),
        "risk_usual": (str(odd),),
        "station_risk_usual": (str(odd),),
    }
    assert judge(measures(NIGHTS, {odd: 0}), window_of(NIGHTS)) == {"types_present": (str(odd),)}


def test_a_night_is_judged_by_the_28_before_it_and_no_earlier_ones() -> None:
    more = dict.fromkeys(NIGHTS[10:], 500)
    found = judge(measures(NIGHTS, more), window_of(NIGHTS))["volumes_usual"]
    # Of 28 nights the median moves once more than half have the new volume.
    assert found == tuple(str(night) for night in NIGHTS[10:24])


def test_a_part_of_a_night_is_neither_judged_nor_a_yardstick() -> None:
    nights = NIGHTS[:3]
    part = measures([*nights, NIGHTS[3]], {NIGHTS[3]: 20})
    assert judge(part, window_of(nights, hours_more=5)) == {}
    late_start = Window(window_of(nights).start + timedelta(hours=12), window_of(nights).end)
    assert judge(measures(nights, {nights[0]: 20}, {nights[0]: 90.0}), late_start) == {}


def test_what_changes_later_is_left_out_of_each_night() -> None:
    odd = NIGHTS[45]
    later = Settling({}, frozenset({"REMARK"}), frozenset({"REMARK"}))
    assert judge(measures(NIGHTS, {odd: 500}, {odd: 30.0}), window_of(NIGHTS), later) == {}


def held(
    staged: Mapping[int, Mapping[str, int]],
    loaded: Mapping[int, Mapping[str, int]] | None = None,
    rejected: Mapping[tuple[int | None, str, str], int] | None = None,
    limited: Sequence[str] = (),
    nights: Sequence[date] = NIGHTS[:4],
) -> HeldNights:
    return HeldNights(
        nights,
        nights,
        KOLKATA,
        {NIGHTS[place]: kinds for place, kinds in (loaded or {}).items()},
        {NIGHTS[place]: kinds for place, kinds in staged.items()},
        {(None if p is None else NIGHTS[p], kind, why): n for (p, kind, why), n in (rejected or {}).items()},
        limited,
    )


FULL = {place: {"REMARK": 100, "FEEDBACK": 10} for place in range(4)}


def test_a_night_that_keeps_its_share_hides_no_other_that_has_lost_it() -> None:
    after = {**FULL, 1: {"REMARK": 40, "FEEDBACK": 10}, 2: {}}
    check = check_each_kept(held(after, FULL), 0.5, False)
    assert check.blocks
    assert check.nights == ("2026-09-02", "2026-09-03")
    assert check.observed.startswith(
        "2026-09-02: 50 rows, REMARK 40 of 100; 2026-09-03: 0 rows, REMARK 0 of 100, FEEDBACK 0 of 10; "
        "if the source really lost them, `sentinel-etl backfill --from 2026-09-02 --to 2026-09-03 --allow-shrink`"
    )
    assert not check_each_kept(held(after, FULL), 0.5, True).blocks


def test_a_run_of_some_event_types_is_told_commands_for_these() -> None:
    after = {**FULL, 3: {"REMARK": 0}}
    check = check_each_kept(held(after, FULL, limited=["REMARK"]), 0.5, False)
    assert check.observed.endswith(
        "`sentinel-etl run --window-end 2026-09-05T06:00:00+05:30 --event-type REMARK --allow-shrink` accepts it; "
        "to load the other nights: "
        "`sentinel-etl run --window-end 2026-09-04T06:00:00+05:30 --window-hours 72 --event-type REMARK`"
    )


def test_a_window_within_one_night_is_told_as_it_always_was() -> None:
    check = check_each_kept(held({}, {0: {"REMARK": 9}}, nights=NIGHTS[:1]), 0.5, False)
    assert (check.expected, check.observed, check.nights) == (
        "at least 4 rows, after 9 before",
        "0 rows; if the source really lost them, run again with --allow-shrink",
        (),
    )


def test_each_whole_night_should_have_events() -> None:
    check = check_each_event(held({0: {"REMARK": 1}, 3: {"REMARK": 1}}))
    assert (check.expected, check.observed) == ("at least 1 event", "2026-09-02 to 2026-09-03: 0 events")
    assert check_each_event(held(FULL)).passed


@pytest.mark.parametrize(("rejected", "blocks"), [(100, False), (101, True)], ids=["as many as may be", "too many"])
def test_rejected_rows_are_judged_by_the_rows_of_their_own_night(rejected: int, blocks: bool) -> None:
    many = {**FULL, 0: {"REMARK": 10_000}}
    reasons = {(1, "REMARK", "no place"): rejected, (2, "REMARK", "no place"): 1, (None, "REMARK", "no time"): 2}
    check = check_each_accepted(held(many, rejected=reasons), {}, {}, GateLimits())
    assert check.blocks == blocks
    assert check.nights == ("2026-09-02", "2026-09-03")
    assert f"2026-09-02: REMARK {rejected} × no place" in check.observed
    assert "in no night: REMARK 2 × no time" in check.observed
    others = "`sentinel-etl backfill --from 2026-09-03 --to 2026-09-04`"
    assert (others in check.observed) == blocks


def test_of_several_checks_those_that_block_are_told_first_and_what_is_the_same_once() -> None:
    def failed(severity: Severity, observed: str) -> Check:
        return Check("kept", severity, False, "enough", observed, ("REMARK",))

    checks = {NIGHTS[place]: failed(Severity.WARN, "little") for place in range(3)}
    joined = join_nights({**checks, NIGHTS[3]: failed(Severity.BLOCK, "none")}, True)
    assert (joined.severity, joined.expected) == (Severity.BLOCK, "enough")
    assert joined.observed == "2026-09-04: none; 2026-09-01 to 2026-09-03: little"
    assert joined.subjects == ("REMARK",)
