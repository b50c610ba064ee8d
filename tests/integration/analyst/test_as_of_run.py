"""Reading the fact table as a run has left it."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pandas as pd
import pytest
from sqlalchemy import func, select

from sentinel_etl.analyst import questions
from sentinel_etl.analyst.as_of_run import query_as_of_run
from sentinel_etl.context import Context
from sentinel_etl.databases import Databases
from sentinel_etl.errors import ConfigurationError, SentinelError
from sentinel_etl.operations.undo import undo_run
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.window import Window

NIGHTS = [Window.night(date(2026, 11, day)) for day in (19, 20, 21)]
AS_OF = datetime(2026, 11, 22, 0, 30, tzinfo=UTC)
FACTS = SENTINEL.fact_table


def by_night(databases: Databases, run_id: str = "") -> dict[str, float]:
    statement = "SELECT toString(shift_date) AS night, sum(base_risk_score) AS risk FROM patrol_events GROUP BY night"
    frame = query_as_of_run(databases.warehouse, f"{statement} ORDER BY night", run_id, SENTINEL)
    return dict(zip(frame["night"], frame["risk"].round(6), strict=True))


def double_the_risk(databases: Databases) -> None:
    """Let each incident of the last night be two."""
    with databases.source.begin() as connection:
        connection.exec_driver_sql("UPDATE emergency_incidents SET category = 'ARMED_ROBBERY'")


def test_each_run_s_state_is_read_as_it_was_whatever_came_after(databases: Databases) -> None:
    context = Context(Settings(), SENTINEL, databases)
    seen: list[tuple[str, dict[str, float], pd.DataFrame]] = []

    def note(run_id: str) -> None:
        ranked = questions.hotspot_risk(databases.warehouse, AS_OF, pipeline=SENTINEL)
        seen.append((run_id, by_night(databases), ranked))

    for window in NIGHTS[:2]:
        note(run_window(window, context=context).run_id)
    double_the_risk(databases)
    for window in (NIGHTS[1], NIGHTS[2], NIGHTS[0]):
        note(run_window(window, context=context).run_id)
    note(undo_run(context).run_id)
    assert len({str(state) for _, state, _ in seen}) == 5  # the undo's is that of the run before the last
    for run_id, state, ranked in seen:
        assert by_night(databases, run_id) == state
        again = questions.hotspot_risk(databases.warehouse, AS_OF, pipeline=SENTINEL, as_of_run=run_id)
        pd.testing.assert_frame_equal(again, ranked, rtol=1e-9)


def test_a_select_of_any_form_reads_that_state_or_is_refused(databases: Databases) -> None:
    context = Context(Settings(), SENTINEL, databases)
    first, second = (run_window(window, context=context).run_id for window in NIGHTS[:2])
    double_the_risk(databases)
    run_window(NIGHTS[0], context=context)
    database = databases.warehouse.url.database
    rows = {run_id: len(query(databases, "SELECT event_id FROM patrol_events", run_id)) for run_id in (first, second)}
    assert 0 < rows[first] < rows[second]
    forms = [
        "SELECT count() AS n FROM patrol_events",
        'select count() as n from "patrol_events" as p',
        "WITH counted AS (SELECT count() AS n FROM patrol_events) SELECT n FROM counted",
        "\n  with 1 AS one SELECT sum(one) AS n FROM patrol_events",
        "SELECT (SELECT count() FROM patrol_events) AS n",
        "SELECT count() AS n FROM patrol_events WHERE event_id IN (SELECT event_id FROM patrol_events)",
        select(func.count().label("n")).select_from(FACTS),
    ]
    for form in forms:
        assert [int(query(databases, form, run_id)["n"][0]) for run_id in rows] == [*rows.values()]
    for form in (
        f"SELECT count() FROM {database}.patrol_events",
        f"SELECT max(event_id) FROM {database}.patrol_events",
    ):
        with pytest.raises(SentinelError, match="it reads the table of now"):
            query(databases, form, first)
    view = "SELECT * FROM station_activity(as_of='2026-11-22 00:30:00', since='1970-01-01')"
    with pytest.raises(SentinelError, match="it reads the table of now"):
        query(databases, view, first)


def query(databases: Databases, statement: object, run_id: str) -> pd.DataFrame:
    return query_as_of_run(databases.warehouse, statement, run_id, SENTINEL)  # type: ignore[arg-type]


def test_a_run_that_changed_nothing_and_a_state_that_is_not_kept_are_told(databases: Databases) -> None:
    context = Context(Settings(keep_versions=1), SENTINEL, databases)
    first = run_window(NIGHTS[0], context=context).run_id
    for number in range(2):
        double_the_risk(databases)
        run_window(NIGHTS[0], context=context, run_id=f"again_{number}")
    with pytest.raises(ConfigurationError, match="before run again_0 to be kept"):
        by_night(databases, first)
    dry = run_window(NIGHTS[0], context=context, dry_run=True).run_id
    with pytest.raises(ConfigurationError, match=f"found '{dry}'"):
        by_night(databases, dry)
