"""Events that stand in another night: one that moved leaves it and is told of, a key that is in both is an error."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from payments import (
    AFTER,
    BY_BOTH,
    BY_NUMBER,
    FIRST,
    NIGHTS,
    ROWS,
    SECOND,
    THIRD,
    fill_payments,
    payments,
    put_payments,
    start,
)
from sqlalchemy import Engine

from sentinel_etl.audit import other_nights
from sentinel_etl.databases import Databases
from sentinel_etl.errors import AuditFailed, WindowLocked
from sentinel_etl.ledger.ledger import read_runs
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.reconcile.compare import compare_fingerprints
from sentinel_etl.run import stages
from sentinel_etl.run.result import RunResult
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.source.locks import hold_locks
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.tables import ETL_RUNS
from sentinel_etl.window import Window


@pytest.fixture
def databases(source_engine: Engine, warehouse: Engine) -> Databases:
    """Three nights of payments; the second and third lie in one month."""
    fill_payments(source_engine)
    return Databases(source_engine, warehouse)


def move(databases: Databases, *nights: date, pipeline: Pipeline = BY_NUMBER, **options: Any) -> RunResult:
    settings = options.pop("settings", Settings(now=AFTER, lookback_nights=0))
    window = Window(Window.night(nights[0]).start, Window.night(nights[-1]).end)
    return run_window(
        window,
        source=databases.source,
        warehouse=databases.warehouse,
        pipeline=pipeline,
        settings=settings,
        **options,
    )


def change(databases: Databases, statement: str) -> None:
    with databases.source.begin() as connection:
        assert connection.exec_driver_sql(statement).rowcount > 0


def nights_of(databases: Databases, *numbers: int) -> list[tuple[str, str]]:
    ids = ", ".join(f"'PAYMENT:{number}'" for number in numbers)
    statement = f"SELECT event_id, toString(shift_date) AS d FROM patrol_events WHERE event_id IN ({ids}) ORDER BY 1, 2"
    return [(str(event_id), str(night)) for event_id, night in run_statement(databases.warehouse, statement)]


def rows_of(databases: Databases) -> list[tuple[str, int]]:
    statement = "SELECT toString(shift_date) AS d, count() FROM patrol_events GROUP BY d ORDER BY d"
    return [(str(night), int(rows)) for night, rows in run_statement(databases.warehouse, statement)]


TO_SECOND = f"UPDATE payments SET paid_at = '{start(SECOND).isoformat()}' WHERE payment_id = "


@pytest.mark.parametrize(
    ("number", "night", "how"),
    [
        pytest.param(203, THIRD, "exchange 202612", id="in one partition"),
        pytest.param(3, FIRST, "exchange 202611, 202612", id="from another partition"),
    ],
)
def test_an_event_that_moved_is_told_of_with_its_night_and_stands_once(
    databases: Databases, number: int, night: date, how: str
) -> None:
    move(databases, *NIGHTS)
    change(databases, TO_SECOND + str(number))
    result = move(databases, SECOND, run_id="mover")
    assert (result.verdict, result.how) == ("PUBLISHED WITH WARNINGS", how)
    assert result.cause == (
        f"events stay in their nights: expected 0 rows of other nights taken, observed PAYMENT 1 from {night}"
    )
    assert result.moved.to_dict("records") == [{"event_type": "PAYMENT", "shift_date": night, "rows": 1}]
    assert nights_of(databases, number) == [(f"PAYMENT:{number}", str(SECOND))]
    [run] = read_runs(databases.warehouse, ETL_RUNS.c.run_id == "mover")
    assert run["cause"] == result.cause
    [check] = [check for check in result.checks if not check.passed]
    assert [row["event_id"] for row in check.examples] == [f"PAYMENT:{number}"]
    assert [row[0] for row in run_statement(databases.warehouse, check.query)] == [f"PAYMENT:{number}"]
    # Nothing is left to take.
    again = move(databases, SECOND)
    assert (again.verdict, again.cause, len(again.moved)) == ("PUBLISHED", "", 0)


def test_a_last_event_that_moved_away_leaves_no_partition(databases: Databases) -> None:
    by_day = payments("payment_id", partition_by="day")
    change(databases, "DELETE FROM payments WHERE payment_id BETWEEN 201 AND 299")
    move(databases, *NIGHTS, pipeline=by_day)
    change(databases, TO_SECOND + "200")
    assert move(databases, SECOND, pipeline=by_day).how == "exchange 20261201, 20261202"
    assert rows_of(databases) == [(str(FIRST), ROWS), (str(SECOND), ROWS + 1)]


def test_a_partition_that_an_event_left_is_waited_for_and_nothing_is_published_without_it(
    databases: Databases,
) -> None:
    move(databases, *NIGHTS)
    change(databases, TO_SECOND + "3")
    before = rows_of(databases)
    held = hold_locks(databases.source, ["patrol_events partition 202611"], "sentinel-etl run november", 0)
    with held, pytest.raises(WindowLocked, match="expected patrol_events partition 202611 to be free"):
        move(databases, SECOND, settings=Settings(now=AFTER, lock_wait_seconds=0.3, lookback_nights=0))
    assert rows_of(databases) == before
    move(databases, SECOND)
    assert nights_of(databases, 3) == [("PAYMENT:3", str(SECOND))]


def test_an_event_that_another_run_publishes_elsewhere_meanwhile_does_not_stand_twice(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    move(databases, FIRST)
    publish_rejected = stages.publish_rejected

    def be_overtaken(*arguments: Any) -> None:
        """After the audit the event moves to the night before, which another run publishes."""
        monkeypatch.setattr(stages, "publish_rejected", publish_rejected)
        change(databases, f"UPDATE payments SET paid_at = '{start(FIRST).isoformat()}' WHERE payment_id = 101")
        assert move(databases, FIRST).published
        publish_rejected(*arguments)

    monkeypatch.setattr(stages, "publish_rejected", be_overtaken)
    with pytest.raises(WindowLocked, match="found 1 row of them in nights that one has"):
        move(databases, SECOND)
    assert nights_of(databases, 101) == [("PAYMENT:101", str(FIRST))]
    move(databases, SECOND)
    assert nights_of(databases, 101) == [("PAYMENT:101", str(FIRST))]


@pytest.mark.parametrize(
    ("night", "numbers"),
    [
        pytest.param(THIRD, [101, 105], id="in one partition"),
        pytest.param(FIRST, [101, 105], id="in another partition"),
        pytest.param(THIRD, list(range(100, 120)), id="each key of the night"),
    ],
)
def test_a_key_that_two_nights_of_the_source_have_fails_the_audit_and_takes_no_row(
    databases: Databases, night: date, numbers: list[int]
) -> None:
    move(databases, *NIGHTS)
    put_payments(databases.source, night, numbers)
    before = rows_of(databases)
    result = move(databases, night)
    assert (result.verdict, result.published) == ("NOT PUBLISHED", False)
    first = " and ".join(sorted((str(SECOND), str(night))))
    assert result.cause.startswith(
        "each key is in one night: expected each key of PAYMENT to be in one night, observed "
        f"PAYMENT:{numbers[0]} in {first}; PAYMENT:{numbers[1]} in {first}"
    )
    assert result.cause.endswith(
        "so `key` (payments.payment_id) is not unique; put the column into `key` that tells these rows apart: "
        "`sentinel-etl check` names the table's unique keys"
    )
    assert rows_of(databases) == before
    with pytest.raises(AuditFailed) as caught:
        result.raise_for_verdict()
    assert caught.value.exit_code == 5
    # The whole key is one.
    assert move(databases, night, pipeline=BY_BOTH).published
    [check] = [check for check in result.checks if check.blocks]
    assert {row["shift_date"][:10] for row in check.examples} == {str(SECOND)}


def test_moved_events_beside_a_repeated_key_do_not_hide_it(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(other_nights, "KEYS_AT_A_TIME", 3)
    move(databases, *NIGHTS)
    change(databases, TO_SECOND[: TO_SECOND.rindex("WHERE")] + "WHERE payment_id BETWEEN 200 AND 206")
    assert move(databases, SECOND, dry_run=True).moved["rows"].tolist() == [7]
    put_payments(databases.source, SECOND, [219])
    result = move(databases, SECOND)
    assert result.verdict == "NOT PUBLISHED"
    assert "PAYMENT:219 in 2026-12-01 and 2026-12-02" in result.cause


def test_where_no_staged_event_stands_elsewhere_the_source_is_not_asked(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    move(databases, *NIGHTS)

    def refuse(*_: object) -> None:
        raise AssertionError("the source was asked")

    monkeypatch.setattr(other_nights, "open_snapshot", refuse)
    assert move(databases, SECOND).verdict == "PUBLISHED"


def test_a_row_that_stands_outside_of_a_window_within_its_night_counts_too(databases: Databases) -> None:
    move(databases, SECOND)
    put_payments(databases.source, SECOND, [110])
    evening = Window(start(SECOND) + timedelta(hours=1), Window.night(SECOND).end)
    result = run_window(
        evening,
        source=databases.source,
        warehouse=databases.warehouse,
        pipeline=BY_NUMBER,
        settings=Settings(now=AFTER, lookback_nights=0),
    )
    assert result.verdict == "NOT PUBLISHED"
    assert "observed PAYMENT:110 in 2026-12-01, so `key`" in result.cause


def compared(databases: Databases, pipeline: Pipeline = BY_NUMBER) -> list[tuple[str, int, int, bool, bool]]:
    table = compare_fingerprints(NIGHTS, pipeline, databases.source, databases.warehouse)
    return [
        (str(row.shift_date), row.source, row.warehouse, row.keys, row.content) for row in table.itertuples(index=False)
    ]


def test_a_window_of_both_nights_keeps_one_row_of_the_key_rejects_the_other_and_compares_equal(
    databases: Databases,
) -> None:
    put_payments(databases.source, THIRD, [101, 105])
    result = move(databases, *NIGHTS)
    assert result.rejected["reason"].tolist() == ["event_id: another row of the source has the same key"]
    assert nights_of(databases, 101, 105) == [("PAYMENT:101", str(SECOND)), ("PAYMENT:105", str(SECOND))]
    assert compared(databases) == [
        (str(FIRST), ROWS, ROWS, True, True),
        (str(SECOND), ROWS, ROWS, True, True),
        (str(THIRD), ROWS + 2, ROWS + 2, True, True),
    ]


def test_a_window_in_which_most_keys_repeat_says_that_the_key_may_not_be_unique(databases: Databases) -> None:
    for night in (SECOND, THIRD):
        put_payments(databases.source, night, range(1000, 1150))
    result = move(databases, SECOND, THIRD)
    assert result.verdict == "NOT PUBLISHED"
    assert "a join of the entry repeats rows, or its `key` is not unique" in result.cause


@pytest.mark.parametrize(
    "change_rows",
    [
        pytest.param("UPDATE payments SET payment_id = NULL", id="NULL"),
        pytest.param("UPDATE payments SET payment_id = 7, place = NULL", id="the same key"),
    ],
)
def test_rejected_rows_of_one_key_stay_with_their_own_nights(databases: Databases, change_rows: str) -> None:
    with databases.source.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE payments DROP CONSTRAINT payments_pkey")
        connection.exec_driver_sql("ALTER TABLE payments ALTER payment_id DROP NOT NULL")
    change(databases, f"{change_rows} WHERE place = 3")
    for night in (*NIGHTS, SECOND):
        assert move(databases, night).rejected["rows"].tolist() == [1]
    statement = "SELECT toString(shift_date) AS d FROM patrol_events_rejected ORDER BY d"
    assert [night for (night,) in run_statement(databases.warehouse, statement)] == list(map(str, NIGHTS))
    assert all(row[1:] == (ROWS, ROWS, True, True) for row in compared(databases))
