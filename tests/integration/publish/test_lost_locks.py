"""A run that has lost its locks switches neither the facts nor the rejected rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from payments import AFTER, BY_NUMBER, FIRST, fill_payments
from sqlalchemy import Engine

from sentinel_etl.databases import Databases
from sentinel_etl.errors import SourceUnreachable
from sentinel_etl.run import stages
from sentinel_etl.run.result import RunResult
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

Rows = list[tuple[str, int]]


@pytest.fixture
def databases(source_engine: Engine, warehouse: Engine) -> Databases:
    """Nights of payments whose key may be NULL, so that rows can be rejected."""
    fill_payments(source_engine)
    with source_engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE payments DROP CONSTRAINT payments_pkey")
        connection.exec_driver_sql("ALTER TABLE payments ALTER payment_id DROP NOT NULL")
    return Databases(source_engine, warehouse)


def move(databases: Databases, run_id: str) -> RunResult:
    return run_window(
        Window.night(FIRST),
        source=databases.source,
        warehouse=databases.warehouse,
        pipeline=BY_NUMBER,
        settings=Settings(now=AFTER, lookback_nights=0),
        allow_shrink=True,
        run_id=run_id,
    )


def break_keys(databases: Databases, numbers: str) -> None:
    with databases.source.begin() as connection:
        connection.exec_driver_sql(f"UPDATE payments SET payment_id = NULL WHERE payment_id IN ({numbers})")


def end_sessions(databases: Databases, run_id: str) -> None:
    with databases.source.connect() as connection:
        ended = connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name LIKE %(name)s",
            {"name": f"%%{run_id}%%"},
        ).all()
    assert ended


def tables(databases: Databases) -> dict[str, Rows]:
    """Count the rows of each run in both tables."""
    return {
        name: [
            (str(run_id), int(rows))
            for run_id, rows in run_statement(
                databases.warehouse, f"SELECT run_id, count() FROM {name} GROUP BY run_id ORDER BY run_id"
            )
        ]
        for name in ("patrol_events", "patrol_events_rejected")
    }


@pytest.mark.parametrize("before", ["publish_rejected", "publish_window"])
def test_neither_table_is_switched_and_another_run_s_rows_stay(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    """It loses them before the rejected rows, or between those and the facts; another run publishes meanwhile."""
    break_keys(databases, "1, 2, 3")
    move(databases, "first")
    break_keys(databases, "4, 5, 6, 7")
    step: Callable[..., Any] = getattr(stages, before)
    seen: dict[str, dict[str, Rows]] = {}

    def be_overtaken(*arguments: Any) -> Any:
        monkeypatch.setattr(stages, before, step)
        end_sessions(databases, "slow")
        with databases.source.begin() as connection:
            connection.exec_driver_sql("DELETE FROM payments WHERE payment_id IS NULL AND place <= 5")
        assert move(databases, "quick").published
        seen["then"] = tables(databases)
        return step(*arguments)

    monkeypatch.setattr(stages, before, be_overtaken)
    with pytest.raises(SourceUnreachable, match="the session which held them is gone"):
        move(databases, "slow")
    assert tables(databases) == seen["then"]
    assert {run_id for rows in seen["then"].values() for run_id, _ in rows} == {"quick"}
    assert move(databases, "last").published
    assert {run_id for rows in tables(databases).values() for run_id, _ in rows} == {"last"}
