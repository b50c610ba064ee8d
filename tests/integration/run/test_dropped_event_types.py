"""An event type that is renamed or dropped: a run of all types owns every row of its window."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from sentinel_etl.cli.main import cli
from sentinel_etl.context import Context
from sentinel_etl.databases import Databases
from sentinel_etl.operations.check_nights import check_nights
from sentinel_etl.operations.heal import reconcile_nights
from sentinel_etl.operations.undo import undo_run
from sentinel_etl.pipeline import SENTINEL, Pipeline
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.tables import build_rejected
from sentinel_etl.window import Window

NIGHT, NEXT = date(2026, 11, 20), date(2026, 11, 21)
WINDOW = Window.night(NIGHT)


def renamed(**names: str) -> Pipeline:
    """The sample city's pipeline with some of its event types renamed; an empty name drops one."""
    config = {names.get(name, name): entry for name, entry in SENTINEL.event_config.items() if names.get(name, name)}
    weights = {kind: value for kind, value in SENTINEL.risk_weights.items() if kind not in names}
    return replace(SENTINEL, event_config=config, risk_weights=weights)


@pytest.fixture
def before(databases: Databases, settings: Settings) -> Context:
    """The night as it was loaded before the configuration changed."""
    context = Context(settings, SENTINEL, databases)
    with databases.source.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE remarks SET latitude = 91 WHERE remark_id = (SELECT min(remark_id) FROM remarks WHERE "
            f"created_at >= '{WINDOW.start.isoformat()}' AND created_at < '{WINDOW.end.isoformat()}')"
        )
    assert run_window(WINDOW, context=context).published
    return context


def kinds_of(context: Context) -> dict[str, int]:
    facts = SENTINEL.fact_table
    counted = select(facts.c.event_type, func.count()).where(facts.c.shift_date == NIGHT).group_by(facts.c.event_type)
    return {str(kind): int(rows) for kind, rows in run_statement(context.warehouse, counted)}


@pytest.mark.parametrize("name", ["STRANGER", ""], ids=["renamed", "dropped"])
def test_a_run_of_all_types_leaves_none_of_a_type_that_is_no_more(before: Context, name: str) -> None:
    there = kinds_of(before)
    after = replace(before, pipeline=renamed(STRANGER_ENCOUNTER=name))
    result = run_window(WINDOW, context=after)
    assert result.published
    rows = there.pop("STRANGER_ENCOUNTER")
    assert kinds_of(after) == there | ({name: rows} if name else {})
    assert result.changes is not None
    removed = result.changes.counts.set_index("event_type")["removed"]
    assert removed["STRANGER_ENCOUNTER"] == rows
    assert not [text for text in result.changes.examples["event_id"] if "STRANGER_ENCOUNTER:" in str(text)]
    rejected = build_rejected(SENTINEL.fact_table)
    assert not run_statement(after.warehouse, select(rejected).where(rejected.c.event_type == "STRANGER_ENCOUNTER"))


def test_a_run_that_is_limited_to_some_types_owns_those_alone(before: Context) -> None:
    there = kinds_of(before)
    after = replace(before, pipeline=renamed(STRANGER_ENCOUNTER="STRANGER"))
    assert run_window(WINDOW, context=after, event_types=["REMARK", "FEEDBACK"]).published
    assert kinds_of(after) == there


def test_the_collapse_guard_counts_rows_of_types_that_are_no_more(before: Context) -> None:
    few = replace(SENTINEL, event_config={"FEEDBACK": SENTINEL.event_config["FEEDBACK"]}, risk_weights={}, coalesce={})
    few = replace(few, text_lengths={}, unknown_values={}, bounds={}, personal=())
    result = run_window(WINDOW, context=replace(before, pipeline=few))
    assert not result.published
    assert "the window has not collapsed" in result.cause


def test_check_names_types_that_the_table_has_and_the_configuration_has_not(before: Context) -> None:
    after = replace(before, pipeline=renamed(STRANGER_ENCOUNTER="STRANGER"))
    assert check_nights(before.pipeline, before.warehouse) == []
    [told] = check_nights(after.pipeline, after.warehouse)
    assert (told.event_type, told.blocking) == ("STRANGER_ENCOUNTER", False)
    assert "`sentinel-etl backfill --from 2026-11-20 --to 2026-11-20` loads those nights without it" in told.message
    run_window(WINDOW, context=after)
    assert check_nights(after.pipeline, after.warehouse) == []


def test_check_tells_where_runs_of_another_pipeline_have_written_the_table(before: Context) -> None:
    other = renamed(**{name: f"OTHER_{name}" for name in SENTINEL.event_types})
    [told] = check_nights(other, before.warehouse)
    assert (told.event_type, told.blocking) == ("patrol_events", False)
    assert "expected runs of one pipeline" in told.message
    assert "Give the other pipeline a fact table of another name" in told.message


def test_the_next_night_and_reconcile_tell_of_the_old_type_and_heal_it(before: Context) -> None:
    after = replace(before, pipeline=renamed(STRANGER_ENCOUNTER=""))
    rows = kinds_of(before)["STRANGER_ENCOUNTER"]
    late = run_window(Window.night(NEXT), context=after).late
    assert [tuple(row) for row in late.itertuples(index=False)] == [(NIGHT, "STRANGER_ENCOUNTER", 0, rows)]
    found = reconcile_nights(after, 2)
    assert list(found.left["event_type"]) == ["STRANGER_ENCOUNTER"]


def test_an_undo_brings_the_old_type_and_its_rejected_rows_back(before: Context) -> None:
    there, rejected = kinds_of(before), build_rejected(SENTINEL.fact_table)
    refused = run_statement(before.warehouse, select(rejected.c.event_id, rejected.c.run_id))
    after = replace(before, pipeline=renamed(STRANGER_ENCOUNTER="STRANGER", REMARK="NOTE", HIGH_INTEGRITY_VISITS=""))
    assert run_window(WINDOW, context=after).published
    undo_run(after)
    assert kinds_of(after) == there
    assert run_statement(before.warehouse, select(rejected.c.event_id, rejected.c.run_id)) == refused


def test_the_command_check_prints_them_as_warnings(
    before: Context, environment: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sentinel_etl.context.open_databases", lambda settings: before.databases)
    run_statement(
        before.warehouse, "INSERT INTO patrol_events (event_type, shift_date) VALUES ('OLD_TYPE', '2026-11-20')"
    )
    done = CliRunner().invoke(cli, ["check"])
    assert done.exit_code == 0
    assert (
        "warning: OLD_TYPE: expected patrol_events to have event types of EVENT_CONFIG alone, found 1 row"
        in done.output
    )
