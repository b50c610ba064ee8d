"""Every test that docs/guarantees.md names exists, and every promise names one."""

from __future__ import annotations

import re

import pytest

from adversity.bench import TESTS

PAGE = TESTS.parent / "docs" / "guarantees.md"
ROWS = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ") and "`tests/" in line]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:60])
def test_a_promise_names_tests_that_exist_and_what_they_do_not_cover(row: str) -> None:
    _, promise, tried_by, not_covered, _ = row.split("|")
    assert promise.strip()
    assert not_covered.strip()
    for path, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", tried_by):
        source = (TESTS.parent / path).read_text(encoding="utf-8")
        assert f"def {name or 'test_'}" in source, f"{path} has no {name}"


def test_the_page_has_a_row_for_each_promise() -> None:
    assert len(ROWS) >= 13
