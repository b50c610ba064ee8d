"""A night that is under way: refused as a whole, open where a part is loaded, closed by the run after its end."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from click.testing import CliRunner, Result

from sentinel_etl.cli.main import cli
from sentinel_etl.context import Context
from sentinel_etl.databases import Databases
from sentinel_etl.errors import AuditFailed, WindowError
from sentinel_etl.ledger.archive import Archive
from sentinel_etl.notebook.execute import run_notebook
from sentinel_etl.notebook.index import write_index
from sentinel_etl.operations.backfill import plan_backfill
from sentinel_etl.operations.status import read_status
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.report import first_screen
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings, window_so_far
from sentinel_etl.window import CITY_ZONE, Window

LAST = date(2026, 11, 21)
NIGHT = Window.night(LAST)
HALF = datetime(2026, 11, 21, 14, 0, tzinfo=CITY_ZONE)
SO_FAR = Window(NIGHT.start, HALF)


def at(moment: datetime, settings: Settings, databases: Databases) -> Context:
    return Context(settings.model_copy(update={"now": moment}), SENTINEL, databases)


@pytest.fixture
def half_way(settings: Settings, databases: Databases) -> Context:
    """The night under way at 14:00, of which the hours so far have been loaded."""
    context = at(HALF, settings, databases)
    assert run_window(SO_FAR, context=context).published
    return context


def command(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


def test_a_window_that_ends_after_now_is_refused_everywhere(
    environment: Settings, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = at(HALF, environment, databases)
    with pytest.raises(WindowError, match=r"expected an end that has passed, found .* and it is 2026-11-21 14:00"):
        run_window(NIGHT, context=context)
    with pytest.raises(WindowError, match="expected an end that has passed"):
        run_window(NIGHT, context=context, dry_run=True)
    with pytest.raises(WindowError, match="expected an end that has passed"):
        plan_backfill(context, LAST - timedelta(days=1), LAST, missing_only=True)
    with pytest.raises(WindowError, match="expected an end that has passed"):
        run_notebook(parameters={"window_end": NIGHT.end.isoformat()}, context=context)
    monkeypatch.setenv("SENTINEL_NOW", HALF.isoformat())
    monkeypatch.setattr("sentinel_etl.context.open_databases", lambda settings: databases)
    done = command("backfill", "--from", "2026-11-21", "--to", "2026-11-21")
    assert isinstance(done.exception, WindowError)
    assert "`sentinel-etl run --so-far`" in str(done.exception)
    assert not environment.runs_dir.exists()


def test_a_window_that_ends_now_is_not_refused(settings: Settings, databases: Databases) -> None:
    assert run_window(NIGHT, context=at(NIGHT.end, settings, databases)).published


def test_a_night_under_way_is_open_in_status_and_is_no_news_of_last_night(half_way: Context) -> None:
    status = read_status(half_way, 1)
    assert status.last_night == LAST - timedelta(days=1)
    [part] = status.open
    assert (part.shift_date, part.describe(CITY_ZONE)) == (LAST, "06:00–14:00 of 24 h")
    assert "night 2026-11-21: OPEN, 06:00–14:00 of 24 h are loaded; it is under way" in str(status)
    assert not status.is_in  # the night before was never loaded
    answer = status.as_dict()["open"]
    assert answer == [{"night": "2026-11-21", "loaded": "06:00–14:00 of 24 h", "under_way": True}]


def test_a_night_that_has_ended_open_stays_due_until_a_run_closes_it(
    half_way: Context, settings: Settings, databases: Databases
) -> None:
    morning = at(NIGHT.end + timedelta(minutes=45), settings, databases)
    status = read_status(morning, 1)
    assert str(status).startswith("night 2026-11-21: OPEN, 06:00–14:00 of 24 h are loaded; the rest is due")
    assert status.missing == (LAST,)
    with pytest.raises(AuditFailed, match=r"it is open, 06:00–14:00 of 24 h are loaded\. Run `sentinel-etl run`"):
        status.raise_if_missing()
    [group] = plan_backfill(morning, LAST, LAST, missing_only=True)
    assert group.window == NIGHT
    result = run_window(NIGHT, context=morning)
    assert result.open == ()
    closed = read_status(morning, 1)
    assert (closed.is_in, closed.open) == (True, ())
    assert plan_backfill(morning, LAST, LAST, missing_only=True) == []


def test_a_later_run_of_the_night_so_far_takes_the_place_of_the_one_before(
    half_way: Context, settings: Settings, databases: Databases
) -> None:
    later = at(HALF + timedelta(hours=1), settings, databases)
    result = run_window(Window(NIGHT.start, HALF + timedelta(hours=1)), context=later)
    assert [night.describe(CITY_ZONE) for night in result.open] == ["06:00–15:00 of 24 h"]
    [part] = read_status(later, 1).open
    assert part.describe(CITY_ZONE) == "06:00–15:00 of 24 h"


def test_stretches_with_a_gap_between_are_told_each(
    half_way: Context, settings: Settings, databases: Databases
) -> None:
    morning = at(NIGHT.end, settings, databases)
    evening = Window(HALF + timedelta(hours=4), HALF + timedelta(hours=6))
    assert run_window(evening, context=morning).published
    [part] = read_status(morning, 1).open
    assert part.describe(CITY_ZONE) == "06:00–14:00, 18:00–20:00 of 24 h"


def test_the_report_and_the_calendar_call_the_night_open(
    half_way: Context, settings: Settings, databases: Databases
) -> None:
    result = run_window(SO_FAR, context=half_way)
    assert (
        "the night 2026-11-21 is open: 06:00–14:00 of 24 h are loaded; a run after its end closes it"
        in first_screen(result, CITY_ZONE).text
    )
    archive = Archive(half_way.settings, SENTINEL, databases.warehouse, databases.source)
    assert 'aria-label="21 November 2026: open: a part is loaded"' in write_index(archive).read_text("utf-8")
    morning = at(NIGHT.end, settings, databases)
    ended = Archive(morning.settings, SENTINEL, databases.warehouse, databases.source)
    page = write_index(ended).read_text("utf-8")
    assert 'aria-label="21 November 2026: open: a part is loaded"' in page
    assert "<strong>OPEN</strong>" in page
    assert "To mend it: <code>sentinel-etl run</code>" in page


def test_so_far_is_the_window_from_six_to_this_minute(settings: Settings) -> None:
    moment = datetime(2026, 11, 21, 8, 30, 42, 7, tzinfo=UTC)
    assert window_so_far(settings.model_copy(update={"now": moment})) == SO_FAR
    with pytest.raises(WindowError, match="expected an end after its start"):
        window_so_far(settings.model_copy(update={"now": NIGHT.end}))


def test_the_command_runs_the_night_so_far_and_leaves_it_open(
    environment: Settings, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL_NOW", HALF.isoformat())
    done = command("run", "--so-far", "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    assert json.loads(done.output.splitlines()[-1])["window"] == str(SO_FAR)
    refused = command("run", "--so-far", "--window-hours", "3")
    assert "--so-far: expected no other window, found window_hours" in str(refused.exception)
    monkeypatch.setattr("sentinel_etl.context.open_databases", lambda settings: databases)
    [told] = json.loads(command("status", "--json", "--nights", "1").output)["open"]
    assert told == {"night": "2026-11-21", "loaded": "06:00–14:00 of 24 h", "under_way": True}
