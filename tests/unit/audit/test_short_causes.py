"""What a failed check says fits a phone, however many types, columns, stations and nights it is about."""

from __future__ import annotations

from datetime import date, timedelta

import pandas as pd
import pytest

from sentinel_etl.audit.checks import Check, Severity, describe_checks
from sentinel_etl.audit.history_gates import NULL_SHARES, PRESENCE, check_null_shares
from sentinel_etl.audit.late_gates import check_late
from sentinel_etl.audit.window_gates import check_counts, check_nulls
from sentinel_etl.wording import list_some

TYPES = [f"EVENT_TYPE_{n}" for n in range(10)]
FIRST = date(2026, 11, 13)


def late(nights: int, come: int = 60, gone: int = 0) -> pd.DataFrame:
    rows = [
        (FIRST + timedelta(days=night), kind, 1_000 + come - (come + gone) * (number % 2), 1_000)
        for night in range(nights)
        for number, kind in enumerate(TYPES)
    ]
    return pd.DataFrame(rows, columns=["shift_date", "event_type", "source", "warehouse"])


def test_seventy_late_counts_are_told_as_nights_and_totals() -> None:
    check = check_late(late(8, come=60, gone=40))
    assert check.observed == (
        "+2,400 and -1,600 rows in 8 nights: 2026-11-13 +300 and -200, 2026-11-14 +300 and -200, "
        "2026-11-15 +300 and -200, and 5 more nights"
    )
    assert len(check.subjects) == 8


def test_late_counts_that_one_line_can_name_are_named() -> None:
    assert check_late(late(1)[:3]).observed == "2026-11-13: EVENT_TYPE_0 +60, EVENT_TYPE_2 +60"


def test_nights_that_changed_as_expected_are_told_by_their_first_ones() -> None:
    check = check_late(late(0), changed=late(7)[["shift_date", "event_type"]])
    assert len(check.observed) < 350
    assert "2026-11-15, and 4 more nights; " in check.observed
    assert "; and 7 more types; to load it: " in check.observed


def test_a_check_of_many_subjects_names_five_and_counts_the_rest() -> None:
    check = PRESENCE.check_problems({f"S{n}": f"S{n} has none" for n in range(300)}, "events", "all")
    assert check.observed == "S0 has none; S1 has none; S2 has none; S3 has none; S4 has none; and 295 more"
    assert len(check.subjects) == 300


@pytest.mark.parametrize("judge", [check_counts, check_nulls])
def test_sides_that_differ_in_all_types_or_columns_are_told_in_a_line(judge: object) -> None:
    source, staged = dict.fromkeys(TYPES, 5), dict.fromkeys(TYPES, 4)
    check = check_counts(source, staged, {}) if judge is check_counts else check_nulls(source, staged)
    assert check.expected.endswith("EVENT_TYPE_4 5, and 5 more")
    assert check.observed.endswith("EVENT_TYPE_4 4, and 5 more")


def test_nulls_in_all_columns_of_all_types_are_told_in_a_line() -> None:
    shares = [(kind, f"column_{n}", 0.9, 500) for kind in TYPES for n in range(30)]
    tonight = pd.DataFrame(shares, columns=["event_type", "column", "share", "events"])
    check = check_null_shares(tonight.assign(share=0.1), tonight, 28, NULL_SHARES)
    assert not check.passed
    assert check.observed.startswith(
        "column_0, column_1, column_10, and 27 more NULL in EVENT_TYPE_0 90% (before 10%), "
    )
    assert len(check.observed) < 200


def test_the_cause_of_many_failed_checks_names_three_of_them() -> None:
    checks = [Check(f"c{n}", Severity.WARN, False, "x", "y") for n in range(5)]
    told = [f"c{n}: expected x, observed y" for n in range(3)]
    assert describe_checks(checks) == "; ".join([*told, "and 2 more checks"])
    assert describe_checks(checks[:4]) == "; ".join([*told, "and 1 more check"])


def test_a_list_that_is_short_is_whole() -> None:
    assert list_some(["a", "b"], 2) == "a; b"
    assert list_some([]) == ""
