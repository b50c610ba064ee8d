"""How `sentinel-etl query` writes an answer: as a table, CSV, JSON and Markdown."""

from __future__ import annotations

import csv
import io
import json

import pytest

from sentinel_etl.cli.query import WRITERS
from sentinel_etl.warehouse.answer import Answer

ANSWER = Answer(
    ("id", "text", "score"),
    ("UUID", "Nullable(String)", "Nullable(Decimal(9, 2))"),
    [["61f0c404-5cb3-11e7-907b-a6006ad3dba0", "a|b", "1.50"], ["x", None, None]],
)
HOSTILE = "one\ntwo\tthree\r\x1b[31mred\x07\u202egnirts\x9b"


def test_a_table_has_numbers_to_the_right_and_says_null() -> None:
    assert WRITERS["table"](ANSWER) == (
        "id                                    text  score\n"
        "61f0c404-5cb3-11e7-907b-a6006ad3dba0  a|b    1.50\n"
        "x                                     NULL   NULL"
    )


def test_markdown_is_a_table_whose_cells_stay_cells() -> None:
    assert WRITERS["markdown"](ANSWER) == (
        "| id | text | score |\n"
        "| --- | --- | ---: |\n"
        "| 61f0c404-5cb3-11e7-907b-a6006ad3dba0 | a\\|b | 1.50 |\n"
        "| x | NULL | NULL |"
    )


def test_csv_and_json_give_each_value_back() -> None:
    answer = Answer(("t", "n", "a"), ("String", "UInt64", "Array(UInt8)"), [[HOSTILE, 2**64 - 1, [1, 2]]])
    [_, row] = csv.reader(io.StringIO(WRITERS["csv"](answer), newline=""))
    assert row == [HOSTILE, str(2**64 - 1), "[1, 2]"]
    assert json.loads(WRITERS["json"](answer)) == [{"t": HOSTILE, "n": 2**64 - 1, "a": [1, 2]}]


@pytest.mark.parametrize("how", ["table", "markdown"])
@pytest.mark.parametrize("value", [HOSTILE, [HOSTILE], {"key": HOSTILE}])
def test_what_a_terminal_would_obey_is_shown_by_its_code(how: str, value: object) -> None:
    text = WRITERS[how](Answer(("text",), ("String",), [[value]]))
    assert len(text.splitlines()) == (2 if how == "table" else 3)
    assert all(each.isprintable() for each in text.replace("\n", ""))
    assert "red" in text


def test_a_column_s_name_is_shown_so_too() -> None:
    assert WRITERS["table"](Answer(("a\nb",), ("UInt8",), [[1]])) == "a\\nb\n   1"


@pytest.mark.parametrize(("how", "text"), {"table": "no rows", "csv": "a", "json": "[]"}.items())
def test_no_rows_are_an_answer(how: str, text: str) -> None:
    assert WRITERS[how](Answer(("a",), ("UInt8",), [])) == text
