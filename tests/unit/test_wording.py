from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

import sentinel_etl
from sentinel_etl.audit.checks import Check
from sentinel_etl.audit.history_gates import PRESENCE, VOLUMES, check_presence, check_volumes
from sentinel_etl.audit.window_gates import (
    check_accepted,
    check_counts,
    check_events,
    check_nulls,
    check_scores,
    check_shrink,
    check_window,
)
from sentinel_etl.ledger.presence import LostRows
from sentinel_etl.operations.backfill import raise_for_groups
from sentinel_etl.wording import plural


@pytest.mark.parametrize(
    ("count", "word"), [(0, "rows"), (1, "row"), (1.0, "row"), (2, "rows"), (1.5, "rows"), (-1, "rows")]
)
def test_one_is_singular_and_all_else_plural(count: float, word: str) -> None:
    assert plural(count, "row") == word
    assert plural(count, "row is", "rows are").startswith(word)


MANY = pd.DataFrame({"event_type": ["A"], "events": [50], "shift_date": [date(2026, 11, 21)]})
COUNTED = pd.DataFrame({"event_type": ["A"], "events": [1], "shift_date": [date(2026, 11, 21)]})


@pytest.mark.parametrize(
    "check",
    [
        lambda: check_counts({"A": 1}, {"A": 1}, {}),
        lambda: check_nulls({"a": 1}, {"a": 1}),
        lambda: check_window(1),
        lambda: check_scores(1),
        lambda: check_shrink(1, 1, 0.5, False),
        lambda: check_shrink(1, 0, 0.5, False),
        lambda: check_events(1),
        lambda: check_accepted({}, {("A", f"r{n}"): 1 for n in range(6)}, {"A": 9}),
        lambda: check_presence(pd.concat([MANY.assign(shift_date=n) for n in range(9)]), COUNTED, PRESENCE),
        lambda: check_volumes(COUNTED, COUNTED, 1, VOLUMES),
    ],
)
def test_a_check_speaks_of_one_in_the_singular(check: Callable[[], Check]) -> None:
    found = check()
    words = f"{found.expected}; {found.observed}"
    assert not re.search(r"\b1 (more |bad |event )?(rows|types|columns|NULLs|scores|events|reasons|nights)\b", words)
    assert re.search(r"\b1 (more |bad |event )?(row|type|column|NULL|score|event|reason|night)\b", words)


def test_messages_speak_of_one_in_the_singular() -> None:
    assert "left 1 row, the" in str(LostRows(date(2026, 11, 21), 1, 0))
    with pytest.raises(Exception, match="1 of 1 group is left"):
        raise_for_groups([object()], [])  # type: ignore[list-item]


# What is never one, by how it is counted: limits, constants, and what is only spoken of above one.
NEVER_ONE = {
    "{LEAST_LEARNT_FROM + WEEK} nights",
    "{RUNNING} nights",
    "{first} nights",
    "{name} events",
    "{100 * test['difference']:+.1f} points",
    "{SHORTEST_PII_KEY} bytes",
    "{HISTORY_NIGHTS} nights",
    "{NIGHT_STARTS.hour} hours",
    "{shift // HOUR} hours",
    "{int(bound.total_seconds())} seconds",
    "{self._limits.statement_bytes} bytes",
    "{self.nights} nights",
    "{len(given)} times",
    "{rows['after']:,} rows",
    "{band} events",
    "{gate.limit:g} times",
    "{ratio:.1f} times",
    "{word} reports",
    "{values[row, column]:+.1f} percentage points",
    "{SCORE_BAND:g} risk points",
    "{progress.rows_per_second:,.0f} rows",
}


def test_no_message_has_a_number_beside_a_word_that_is_always_plural() -> None:
    words = "bytes columns days differences events files groups hours hotspots nights NULLs partitions points reasons"
    words += " reports rows runs scores seconds tables times types"
    counted = rf"\{{(?!plural)[^{{}}]+\}} (?:[a-z]+ )?(?:{'|'.join(words.split())})\b"
    found = {
        match
        for path in Path(sentinel_etl.__file__).parent.rglob("*.py")
        for match in re.findall(counted, path.read_text())
    }
    assert found - NEVER_ONE == set()
