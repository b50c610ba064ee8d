"""The fingerprints' SQL as text."""

from __future__ import annotations

from datetime import date

import pytest

from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.reconcile.covered import covered_columns
from sentinel_etl.reconcile.fingerprint import source_statement, warehouse_statement
from sentinel_etl.window import Window

WINDOW = Window.night(date(2026, 11, 20))
FEEDBACK = SENTINEL.event_types["FEEDBACK"]


@pytest.mark.parametrize(
    ("event_id", "written"),
    [
        pytest.param("FEEDBACK:it's", "'FEEDBACK:it''s'", id="a quote"),
        pytest.param("FEEDBACK:\\' :x", "'FEEDBACK:\\'' :x'", id="a backslash and a name behind a colon"),
        pytest.param("FEEDBACK:1\n2\r\n3", "'FEEDBACK:1\n2\r\n3'", id="line ends"),
        pytest.param("FEEDBACK:%s{}{{ 1 }}", "'FEEDBACK:%s{}{{ 1 }}'", id="marks of other languages"),
    ],
)
def test_a_rejected_id_is_quoted_whatever_characters_it_holds(event_id: str, written: str) -> None:
    content = covered_columns(FEEDBACK, SENTINEL)
    assert f"NOT IN ({written})" in source_statement(FEEDBACK, WINDOW, SENTINEL.zone, content, [event_id])


def test_every_row_counts_where_none_is_rejected() -> None:
    statement = source_statement(FEEDBACK, WINDOW, SENTINEL.zone, covered_columns(FEEDBACK, SENTINEL))
    assert "true AS accepted" in statement


def test_both_engines_write_the_same_fields_in_the_same_order() -> None:
    content = covered_columns(FEEDBACK, SENTINEL)
    here = source_statement(FEEDBACK, WINDOW, SENTINEL.zone, content).partition("FROM\n")[0]
    there = warehouse_statement(SENTINEL.fact_table, FEEDBACK, WINDOW, content)
    for statement, mark in ((here, "fact_{}"), (there, '"{}"')):
        places = [statement.index(mark.format(each.name)) for each in content]
        assert places == sorted(places)
