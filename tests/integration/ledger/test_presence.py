"""Nights whose rows the fact table has lost, whatever the ledger says."""

from __future__ import annotations

import json
from datetime import date

import pytest
from click.testing import CliRunner

from sentinel_etl.cli.main import cli
from sentinel_etl.context import Context
from sentinel_etl.databases import Databases
from sentinel_etl.errors import AuditFailed
from sentinel_etl.operations.backfill import plan_backfill
from sentinel_etl.operations.status import read_status
from sentinel_etl.operations.undo import undo_run
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

NIGHTS = [date(2026, 11, day) for day in (19, 20, 21)]
LOSSES = {
    "a part": (
        "ALTER TABLE patrol_events DELETE WHERE shift_date = '2026-11-21' AND event_type = 'REMARK' "
        "SETTINGS mutations_sync = 2",
        [NIGHTS[2]],
    ),
    "a night": (
        "ALTER TABLE patrol_events DELETE WHERE shift_date = '2026-11-20' SETTINGS mutations_sync = 2",
        [NIGHTS[1]],
    ),
    "other rows": (
        "ALTER TABLE patrol_events UPDATE run_id = 'of before' WHERE shift_date = '2026-11-21' "
        "SETTINGS mutations_sync = 2",
        [NIGHTS[2]],
    ),
    "all rows": ("TRUNCATE TABLE patrol_events", NIGHTS),
    "the table": ("DROP TABLE patrol_events SYNC", NIGHTS),
}


@pytest.fixture
def context(databases: Databases) -> Context:
    context = Context(Settings(now="2026-11-22T06:10:00+05:30"), SENTINEL, databases)
    for night in NIGHTS:
        assert run_window(Window.night(night), context=context).published
    return context


@pytest.mark.parametrize("loss", LOSSES)
def test_a_night_that_the_table_has_lost_is_told_and_loaded_again(context: Context, loss: str) -> None:
    assert read_status(context, 3).lost == ()
    statement, nights = LOSSES[loss]
    run_statement(context.warehouse, statement)
    status = read_status(context, 3)
    assert sorted(one.shift_date for one in status.lost) == nights
    assert status.missing == ()
    if NIGHTS[2] in nights:
        with pytest.raises(
            AuditFailed, match=r"night 2026-11-21: LOST, its last run left [0-9,]+ rows, the fact table"
        ):
            status.raise_if_missing()
    groups = plan_backfill(context, NIGHTS[0], NIGHTS[2], missing_only=True)
    assert sum(group.nights for group in groups) == len(nights)
    for night in nights:
        assert run_window(Window.night(night), context=context).published
    assert read_status(context, 3).lost == ()
    assert plan_backfill(context, NIGHTS[0], NIGHTS[2], missing_only=True) == []


def test_an_event_that_has_moved_to_another_night_and_an_undone_run_are_no_loss(context: Context) -> None:
    with context.source.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE remarks SET created_at = created_at + interval '1 day' WHERE remark_id = "
            "(SELECT min(remark_id) FROM remarks WHERE created_at < '2026-11-20T00:30:00+00:00')"
        )
    result = run_window(Window.night(NIGHTS[1]), context=context)
    assert set(result.moved["shift_date"]) == {NIGHTS[0]}
    assert read_status(context, 3).lost == ()
    undo_run(context)
    assert read_status(context, 3).lost == ()
    undo_run(context)  # the last night's first run
    status = read_status(context, 3)
    assert (status.lost, status.missing) == ((), (NIGHTS[2],))


def test_status_tells_of_losses_and_of_what_kept_states_hold(
    context: Context, environment: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sentinel_etl.context.open_databases", lambda settings: context.databases)
    with context.source.begin() as connection:
        connection.exec_driver_sql("UPDATE remarks SET remark_text = 'another'")
    run_window(Window.night(NIGHTS[2]), context=context)
    run_statement(context.warehouse, LOSSES["a night"][0])
    done = CliRunner().invoke(cli, ["status", "--nights", "3"])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0] == "night 2026-11-21: in"
    assert "night 2026-11-20: LOST, its last run left" in lines[-2]
    assert "`sentinel-etl backfill --missing-only` loads it again" in lines[-2]
    assert lines[-1].startswith("kept states to go back to: 1, which alone holds ")
    answer = json.loads(CliRunner().invoke(cli, ["status", "--nights", "3", "--json"]).output)
    assert [one["night"] for one in answer["lost"]] == ["2026-11-20"]
    assert answer["kept_versions"] == 1
    assert answer["kept_bytes"] > 0
