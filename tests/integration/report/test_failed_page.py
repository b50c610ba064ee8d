"""The page of a run that a database broke off: its cause can be read at once."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from sentinel_etl.errors import SourceUnreachable
from sentinel_etl.ledger.ledger import read_runs
from sentinel_etl.notebook.execute import run_notebook
from sentinel_etl.settings import Settings


def test_the_page_of_a_run_that_the_source_broke_off_shows_the_cause_and_no_sql(
    environment: Settings, city: Engine, warehouse: Engine
) -> None:
    with city.begin() as connection:
        columns = connection.exec_driver_sql(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'feedback' ORDER BY ordinal_position"
        ).scalars()
        failing = {"feedback_text": "(1 / (length(feedback_text) * 0))::text AS feedback_text"}
        shown = ", ".join(failing.get(column, column) for column in columns)
        connection.exec_driver_sql("ALTER TABLE feedback RENAME TO kept_feedback")
        connection.exec_driver_sql(f"CREATE VIEW feedback AS SELECT {shown} FROM kept_feedback")
    with pytest.raises(SourceUnreachable, match="division by zero"):
        run_notebook(settings=environment)
    [page] = environment.runs_dir.glob("*/*.html")
    text = page.read_text(encoding="utf-8")
    assert "division by zero" in text
    assert "Query was" not in text
    assert "SELECT" not in text[text.index("<body") :]
    [run] = read_runs(warehouse)
    assert "SELECT" not in run["cause"]
