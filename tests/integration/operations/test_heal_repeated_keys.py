"""Healing nights of which a run took rows because the key is not unique."""

from __future__ import annotations

import json
from pathlib import Path

import payments
import pytest
from click.testing import CliRunner
from payments import BY_NUMBER, SECOND, THIRD, fill_payments, put_payments
from sqlalchemy import Engine

from sentinel_etl.audit.other_nights import OtherNights
from sentinel_etl.cli.main import cli
from sentinel_etl.databases import Databases
from sentinel_etl.errors import AuditFailed
from sentinel_etl.run import judge
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window


@pytest.fixture
def databases(source_engine: Engine, warehouse: Engine) -> Databases:
    fill_payments(source_engine)
    return Databases(source_engine, warehouse)


@pytest.fixture
def robbed(databases: Databases, environment: Settings, monkeypatch: pytest.MonkeyPatch) -> Databases:
    """A warehouse in which the third night took rows from the second, as a run did that did not ask."""
    monkeypatch.setenv("SENTINEL_NOW", Window.night(THIRD).end.isoformat())
    monkeypatch.setenv("PYTHONPATH", str(Path(payments.__file__).parent))
    monkeypatch.setenv("SENTINEL_LOOKBACK_NIGHTS", "0")
    put_payments(databases.source, THIRD, [101, 105])
    with monkeypatch.context() as before:
        before.setattr(judge, "find_other_nights", lambda *_: OtherNights())
        for night in (SECOND, THIRD):
            window = Window.night(night)
            assert run_window(
                window, source=databases.source, warehouse=databases.warehouse, pipeline=BY_NUMBER, settings=Settings()
            ).published
    ids = "startsWith(event_id, 'PAYMENT:101') OR startsWith(event_id, 'PAYMENT:105')"
    taken = f"ALTER TABLE patrol_events DELETE WHERE shift_date = '{SECOND}' AND ({ids}) SETTINGS mutations_sync = 2"
    run_statement(databases.warehouse, taken)
    return databases


def nights_of_101(databases: Databases) -> list[str]:
    statement = (
        "SELECT toString(shift_date) AS d FROM patrol_events WHERE startsWith(event_id, 'PAYMENT:101') ORDER BY d"
    )
    return [str(night) for (night,) in run_statement(databases.warehouse, statement)]


def test_heal_says_which_key_keeps_a_night_from_being_mended(
    robbed: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL_PIPELINE", "payments:BY_NUMBER")
    done = CliRunner().invoke(cli, ["reconcile", "--days", "2", "--heal", "--json"])
    assert isinstance(done.exception, AuditFailed), done.output
    assert done.exception.exit_code == 5
    assert "PAYMENT:101 in 2026-12-01 and 2026-12-02; PAYMENT:105 in 2026-12-01 and 2026-12-02, so `key` (" in str(
        done.exception
    )
    answer = json.loads(done.output)
    assert {row["shift_date"] for row in answer["left"]} == {"2026-12-01"}
    assert nights_of_101(robbed) == ["2026-12-02"]


def test_heal_with_the_whole_key_settles(robbed: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_PIPELINE", "payments:BY_BOTH")
    done = CliRunner().invoke(cli, ["reconcile", "--days", "2", "--heal", "--json"])
    assert done.exception is None, done.output
    assert json.loads(done.output)["left"] == []
    assert nights_of_101(robbed) == ["2026-12-01", "2026-12-02"]
