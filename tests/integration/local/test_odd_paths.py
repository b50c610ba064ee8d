"""Folders whose names have spaces, quotes, other scripts' letters, or signs that a URL, a shell or an engine reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sentinel_etl.errors import SentinelError
from sentinel_etl.local.stack import LocalStack, start_stack, stop_stack
from sentinel_etl.source.connection import connect_source, open_source
from sentinel_etl.warehouse.engine import open_warehouse
from sentinel_etl.warehouse.query import query_df, run_statement

NAMES = ["Zürich", "शहर 東京 🚓", 'it\'s 100% "Ops" & more | #1? {x}=y;$HOME', "back\\slash\\n", "a&config-file=b"]


@pytest.fixture(params=NAMES)
def odd_dir(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / request.param / ".sentinel"
    yield folder
    stop_stack(folder)


def ask_both(stack: LocalStack) -> tuple[str, list[str]]:
    """Ask each database through its own drivers; write to the warehouse, and read both ways."""
    source = open_source(stack.source_url)
    with connect_source(source) as connection:
        database = str(connection.exec_driver_sql("SELECT current_database()").scalar_one())
    warehouse = open_warehouse(stack.warehouse_url)
    run_statement(warehouse, "CREATE TABLE IF NOT EXISTS words (word String) ENGINE = MergeTree ORDER BY word")
    run_statement(warehouse, "INSERT INTO words VALUES ('ü'), ('शहर')")
    rows = sorted(str(row[0]) for row in run_statement(warehouse, "SELECT word FROM words"))
    assert sorted(query_df(warehouse, "SELECT word FROM words")["word"]) == rows
    with pytest.raises(SentinelError, match=r"(?i)denied|privileges|not allowed"):
        run_statement(warehouse, "SELECT * FROM file('/etc/passwd', 'LineAsString')")
    source.dispose()
    warehouse.dispose()
    return database, rows


def test_the_local_stack_answers_in_a_folder_of_any_name_and_keeps_its_rows(odd_dir: Path) -> None:
    assert ask_both(start_stack(odd_dir)) == ("city", ["ü", "शहर"])
    stop_stack(odd_dir)
    assert ask_both(start_stack(odd_dir)) == ("city", ["ü", "ü", "शहर", "शहर"])
