"""A rule that changes: which nights carry the old one, what the change does to them, and how they are brought up."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from sentinel_etl.analyst.quality import read_coverage
from sentinel_etl.cli.main import cli
from sentinel_etl.context import Context
from sentinel_etl.databases import Databases
from sentinel_etl.ledger.nights import NightState
from sentinel_etl.operations.backfill import plan_stale
from sentinel_etl.operations.plan import compare_with_last
from sentinel_etl.operations.status import read_status
from sentinel_etl.pipeline import SENTINEL, load_pipeline
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

NIGHTS = [date(2026, 11, day) for day in (19, 20, 21)]
WEIGHTS = {**SENTINEL.risk_weights, "emergency_category": {**SENTINEL.risk_weights["emergency_category"], "FIRE": 30.0}}
CHANGED = "risk weight emergency_category=FIRE 25 → 30"


def load(context: Context, *nights: date, **options: object) -> None:
    window = Window(Window.night(nights[0]).start, Window.night(nights[-1]).end)
    assert run_window(window, context=context, **options).published  # type: ignore[arg-type]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of weights, of which one is another."""
    path = tmp_path / "weights.yaml"
    path.write_text(yaml.safe_dump(WEIGHTS, sort_keys=False), encoding="utf-8")
    return path


@pytest.fixture
def before(databases: Databases, settings: Settings) -> Context:
    return Context(settings, load_pipeline(settings), databases)


@pytest.fixture
def after(databases: Databases, settings: Settings, weights: Path) -> Context:
    own = settings.model_copy(update={"risk_weights": weights})
    return Context(own, load_pipeline(own), databases)


@pytest.fixture
def invoke(environment: Settings, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Calls the command line under the changed weight."""
    monkeypatch.setenv("SENTINEL_RISK_WEIGHTS", str(weights))

    def call(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    return call


def stale(context: Context) -> tuple[date, ...]:
    found = read_status(context).stale
    return found.nights if found else ()


def test_a_changed_weight_is_named_shown_and_mended(before: Context, invoke: Callable[..., Result]) -> None:
    load(before, *NIGHTS)
    planned = invoke("plan").output
    assert f"--   {CHANGED}\n" in planned
    assert f"-- loaded under other rules: 3 nights from {NIGHTS[0]} to {NIGHTS[-1]}\n" in planned
    fires, points = run_statement(
        before.warehouse,
        f"SELECT countIf(emergency_category = 'FIRE'), sum(base_risk_score) FROM patrol_events "
        f"WHERE shift_date = '{NIGHTS[-1]}'",
    )[0]
    effect = json.loads(invoke("plan", "--effect", str(NIGHTS[-1]), "--json").output)["effect"]
    assert effect["changed"] == fires > 0
    assert effect["points_after"] - effect["points_before"] == pytest.approx(5 * fires)
    assert effect["points_before"] == pytest.approx(points)
    told = invoke("plan", "--effect", str(NIGHTS[-1])).output
    assert f"-- What today's rules would change of the night {NIGHTS[-1]}" in told
    assert f"0 added, 0 removed, {fires} changed" in told
    status = invoke("status").output
    assert f"warning: rules: 3 nights from {NIGHTS[0]} to {NIGHTS[-1]} were loaded under other rules" in status
    assert f"{CHANGED}. `sentinel-etl backfill --stale` loads them again" in status
    assert "PUBLISHED" in invoke("backfill", "--stale").output
    assert "rules:" not in invoke("status").output
    assert json.loads(invoke("status", "--json").output)["stale"] is None
    assert invoke("backfill", "--stale").output == (
        "nothing to do: no night was loaded under other rules than today's\n"
    )
    again = invoke("plan").output
    assert "-- the rules are those of the last run" in again
    assert "-- no night was loaded under other rules\n" in again


def test_a_plan_stays_sql_whatever_it_tells(before: Context, invoke: Callable[..., Result]) -> None:
    load(before, NIGHTS[-1])
    output = invoke("plan", "--event-type", "REMARK", "--effect", str(NIGHTS[-1])).output
    statement = "\n".join(line for line in output.splitlines() if not line.startswith("--"))
    with before.source.connect() as connection:
        assert connection.exec_driver_sql(statement.replace("%", "%%")).fetchall()


def test_only_the_nights_that_are_asked_for_are_loaded_again(before: Context, after: Context) -> None:
    load(before, *NIGHTS)
    load(after, NIGHTS[1])
    assert stale(after) == (NIGHTS[0], NIGHTS[2])
    assert stale(before) == (NIGHTS[1],)
    assert sum(group.nights for group in plan_stale(after)) == 2
    load(after, NIGHTS[0])
    load(after, NIGHTS[2])
    assert (stale(after), plan_stale(after)) == ((), [])


def test_a_night_that_is_loaded_again_in_part_is_stale_still(before: Context, after: Context) -> None:
    load(before, NIGHTS[-1])
    load(after, NIGHTS[-1], event_types=["EMERGENCY_INCIDENT"])
    assert stale(after) == (NIGHTS[-1],)


def test_the_calendar_marks_nights_of_other_rules(before: Context, after: Context) -> None:
    load(before, *NIGHTS)
    load(after, NIGHTS[-1])
    window = Window(Window.night(NIGHTS[0]).start, Window.night(NIGHTS[-1]).end)
    states = {night.shift_date: night.state for night in read_coverage(window, after)}
    assert [states[night] for night in NIGHTS] == [NightState.STALE, NightState.STALE, NightState.PUBLISHED]


def test_a_night_of_a_version_that_kept_no_rules_is_not_called_stale(before: Context, after: Context) -> None:
    load(before, NIGHTS[-1])
    run_statement(before.warehouse, "DROP TABLE etl_rules SYNC")
    assert stale(after) == ()
    assert "did not keep its rules" in str(compare_with_last(after.settings, after.pipeline))


def test_another_order_of_columns_makes_no_night_stale(before: Context) -> None:
    load(before, NIGHTS[-1])
    config = {name: dict(SENTINEL.event_config[name]) for name in reversed(SENTINEL.event_config)}
    config["REMARK"]["columns"] = [*config["REMARK"]["columns"]][::-1]
    turned = replace(before, pipeline=replace(before.pipeline, event_config=config))
    assert stale(turned) == ()


def test_rules_are_kept_once_however_many_runs_have_them(before: Context, after: Context) -> None:
    for context in (before, before, after, before):
        load(context, NIGHTS[-1])
    assert run_statement(before.warehouse, "SELECT count(), uniqExact(config_hash) FROM etl_rules") == [(2, 2)]


def test_a_plan_without_an_answer_prints_its_statements_and_says_why_nothing_was_compared(
    environment: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SENTINEL_WAREHOUSE_URL", "clickhouse+http://nobody:x@127.0.0.1:9/x")
    with caplog.at_level(logging.WARNING):
        result = CliRunner().invoke(cli, ["plan"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "SELECT " in result.output
    assert "-- not compared with the last run's rules: " in result.output


def test_a_plan_where_nothing_is_configured_starts_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_STATE_DIR", str(tmp_path / "state"))
    result = CliRunner().invoke(cli, ["plan"], catch_exceptions=False)
    assert "-- not compared with the last run's rules: the local stack is not running\n" in result.output
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("given", [(), ("--from", "2026-11-21"), ("--stale", "--to", "2026-11-21")])
def test_a_backfill_that_names_no_nights_is_refused_in_a_sentence(
    environment: Settings, given: tuple[str, ...]
) -> None:
    result = CliRunner().invoke(cli, ["backfill", *given])
    assert result.exit_code == 2
    assert "Expected --from and --to, or --stale without both; found " in result.output


def test_the_effect_on_a_night_that_is_not_loaded_is_refused(before: Context, invoke: Callable[..., Result]) -> None:
    load(before, NIGHTS[-1])
    result = CliRunner().invoke(cli, ["plan", "--effect", str(NIGHTS[0])])
    assert f"--effect: expected a night that is loaded, found none of {NIGHTS[0]}" in str(result.exception)
