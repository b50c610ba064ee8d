"""Nights that the ledger says are in, and whose rows the table has lost or its own TTL has taken."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from click.testing import CliRunner, Result

from sentinel_etl.cli.main import cli
from sentinel_etl.context import Context
from sentinel_etl.databases import Databases
from sentinel_etl.errors import AuditFailed
from sentinel_etl.ledger.archive import Archive
from sentinel_etl.ledger.ledger import read_runs
from sentinel_etl.ledger.nights import loaded_nights
from sentinel_etl.notebook.index import write_index
from sentinel_etl.operations.backfill import plan_backfill
from sentinel_etl.operations.status import read_status
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

NIGHTS = [date(2026, 11, day) for day in (19, 20, 21)]
NIGHT_GONE = "ALTER TABLE patrol_events DELETE WHERE shift_date = '{night}' SETTINGS mutations_sync = 2"


@pytest.fixture
def context(databases: Databases, environment: Settings, monkeypatch: pytest.MonkeyPatch) -> Context:
    """Three nights that are in, and the databases that commands open."""
    context = Context(environment, SENTINEL, databases)
    monkeypatch.setattr("sentinel_etl.context.open_databases", lambda settings: databases)
    for night in NIGHTS:
        assert run_window(Window.night(night), context=context).published
    return context


def command(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


def forget_nights(context: Context) -> None:
    """Leave the ledger as it was before it counted nights."""
    run_statement(
        context.warehouse,
        "ALTER TABLE etl_runs UPDATE nights = '{}', switched_at = NULL WHERE 1 SETTINGS mutations_sync = 2",
    )


def test_check_and_schema_diff_tell_of_a_dropped_table(context: Context) -> None:
    assert "0 differences" in command("check").output
    run_statement(context.warehouse, "DROP TABLE patrol_events SYNC")
    checked = command("check")
    assert checked.exit_code == 0
    assert (
        "warning: patrol_events: expected the rows that runs have left in 3 nights, 2026-11-19 to 2026-11-21; found no "
        "table. `sentinel-etl backfill --from 2026-11-19 --to 2026-11-21 --missing-only` loads them again"
    ) in checked.output
    told = command("schema", "diff")
    assert "to add: patrol_events: the table is missing, and the ledger says that 3 runs published to it" in told.output
    assert command("schema", "apply").exit_code == 0
    assert command("schema", "diff").exit_code == 0
    assert "3 nights, 2026-11-19 to 2026-11-21; found " in command("check").output


def test_a_table_that_no_run_has_filled_is_no_difference(
    databases: Databases, environment: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sentinel_etl.context.open_databases", lambda settings: databases)
    assert command("schema", "diff").exit_code == 0
    assert "0 differences" in command("check").output


def test_check_tells_of_a_deleted_night(context: Context) -> None:
    run_statement(context.warehouse, NIGHT_GONE.format(night=NIGHTS[1]))
    output = command("check").output
    assert (
        "warning: patrol_events: expected the rows that runs have left in 1 night, 2026-11-20 to 2026-11-20" in output
    )


@pytest.mark.parametrize(
    "statement", [NIGHT_GONE.format(night=NIGHTS[2]), "DROP TABLE patrol_events SYNC"], ids=["a night", "the table"]
)
def test_a_night_from_before_the_ledger_counted_nights_is_told_too(context: Context, statement: str) -> None:
    forget_nights(context)
    assert read_status(context, 3).is_in
    run_statement(context.warehouse, statement)
    status = read_status(context, 3)
    assert NIGHTS[2] in {one.shift_date for one in status.lost}
    with pytest.raises(AuditFailed, match="night 2026-11-21: LOST"):
        status.raise_if_missing()
    assert plan_backfill(context, NIGHTS[2], NIGHTS[2], missing_only=True)


def test_the_calendar_shows_a_lost_night(context: Context) -> None:
    run_statement(context.warehouse, NIGHT_GONE.format(night=NIGHTS[1]))
    page = write_index(Archive(context.settings, SENTINEL, context.warehouse, context.source)).read_text("utf-8")
    assert 'aria-label="20 November 2026: lost: published, its rows are gone"' in page
    assert 'aria-label="21 November 2026: published' in page


@pytest.fixture
def expired(context: Context) -> Context:
    """The first night is past the table's TTL, which has taken its rows, and the last one is not."""
    days = (datetime.now(UTC).date() - NIGHTS[1]).days + 1
    run_statement(
        context.warehouse,
        f"ALTER TABLE patrol_events MODIFY TTL shift_date + INTERVAL {days} DAY SETTINGS mutations_sync = 2",
    )
    run_statement(context.warehouse, "OPTIMIZE TABLE patrol_events FINAL")
    return context


def test_a_night_that_the_table_s_ttl_has_expired_is_told_as_expired(expired: Context) -> None:
    status = read_status(expired, 3)
    assert [one.shift_date for one in status.expired] == [NIGHTS[0]]
    assert (status.lost, status.missing, status.is_in) == ((), (), True)
    assert "night 2026-11-19: EXPIRED, its last run left " in str(status)
    assert [one["night"] for one in status.as_dict()["expired"]] == ["2026-11-19"]
    assert plan_backfill(expired, NIGHTS[0], NIGHTS[2], missing_only=True) == []
    assert "0 differences" in command("check").output
    page = write_index(Archive(expired.settings, SENTINEL, expired.warehouse, expired.source)).read_text("utf-8")
    assert "19 November 2026: expired by the table" in page


def test_an_expired_night_is_not_compared_with_its_source(expired: Context) -> None:
    assert loaded_nights(NIGHTS, SENTINEL, expired.warehouse) == NIGHTS[1:]


def test_a_night_that_is_lost_before_its_ttl_expires_is_told_as_lost(expired: Context) -> None:
    run_statement(expired.warehouse, NIGHT_GONE.format(night=NIGHTS[2]))
    status = read_status(expired, 3)
    assert [one.shift_date for one in status.lost] == [NIGHTS[2]]
    assert not status.is_in
    assert sum(group.nights for group in plan_backfill(expired, NIGHTS[0], NIGHTS[2], missing_only=True)) == 1


def test_a_last_night_that_has_expired_is_not_in(context: Context) -> None:
    run_statement(
        context.warehouse,
        "ALTER TABLE patrol_events MODIFY TTL event_date + INTERVAL 1 DAY SETTINGS mutations_sync = 2",
    )
    run_statement(context.warehouse, "OPTIMIZE TABLE patrol_events FINAL")
    with pytest.raises(AuditFailed, match="night 2026-11-21: EXPIRED"):
        read_status(context, 3).raise_if_missing()


def test_a_ttl_that_takes_one_event_type_leaves_last_night_in(context: Context) -> None:
    run_statement(
        context.warehouse,
        "ALTER TABLE patrol_events MODIFY TTL event_date + INTERVAL 1 DAY DELETE WHERE event_type = 'GEOFENCE' "
        "SETTINGS mutations_sync = 2",
    )
    run_statement(context.warehouse, "OPTIMIZE TABLE patrol_events FINAL")
    status = read_status(context, 1)
    assert (status.is_in, [one.shift_date for one in status.expired]) == (True, [NIGHTS[2]])
    assert "night 2026-11-21: in" in str(status)
    assert "night 2026-11-21: EXPIRED, its last run left " in str(status)


@pytest.mark.parametrize(
    "ttl",
    [
        "event_date + INTERVAL 1 DAY RECOMPRESS CODEC(ZSTD(3))",
        "event_date + INTERVAL 100 YEAR",
        "loaded_at + INTERVAL 30 DAY, event_date + INTERVAL 1 DAY RECOMPRESS CODEC(ZSTD(3))",
    ],
)
def test_a_ttl_that_has_taken_no_night_hides_no_loss(context: Context, ttl: str) -> None:
    run_statement(context.warehouse, f"ALTER TABLE patrol_events MODIFY TTL {ttl} SETTINGS mutations_sync = 2")
    run_statement(context.warehouse, NIGHT_GONE.format(night=NIGHTS[0]))
    assert [one.shift_date for one in read_status(context, 3).lost] == [NIGHTS[0]]


def test_a_night_that_a_later_run_emptied_on_purpose_is_not_lost(context: Context) -> None:
    with context.source.begin() as connection:
        for table in ("remarks", "vehicle_checks", "stranger_encounters", "emergency_incidents", "feedback"):
            connection.exec_driver_sql(f"DELETE FROM {table} WHERE created_at >= '2026-11-21T00:30:00+00:00'")
    result = run_window(Window.night(NIGHTS[2]), context=context, allow_shrink=True)
    assert result.published
    assert read_status(context, 3).is_in
    assert len(read_runs(context.warehouse)) == 4
    assert timedelta(0) < read_status(context, 3).late
