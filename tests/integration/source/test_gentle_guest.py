"""What the live source feels of a run: its pace, its locks, its transaction, its time limits, its replica."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest
from content_hash import content_hash
from sqlalchemy import Engine, func, select, text

from sentinel_etl.databases import Databases, open_databases
from sentinel_etl.errors import SourceUnreachable, WindowLocked
from sentinel_etl.extract.read import extract_batches
from sentinel_etl.extract.statements import count_events
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.result import RunResult
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.source.locks import hold_locks
from sentinel_etl.source.snapshot import Snapshot, open_snapshot
from sentinel_etl.threads import throttle
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

FACTS = SENTINEL.fact_table
LAST_NIGHT = Window.night(date(2026, 11, 21))
THREE_NIGHTS = Window(datetime(2026, 11, 19, 0, 30, tzinfo=UTC), LAST_NIGHT.end)


def rows(count: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.nulls(count)], names=["nothing"])


def move(databases: Databases, window: Window = LAST_NIGHT, **settings: Any) -> RunResult:
    return run_window(
        window,
        source=databases.source,
        warehouse=databases.warehouse,
        replica=databases.replica,
        settings=Settings(lock_wait_seconds=0).model_copy(update=settings),
    )


def fingerprint(databases: Databases) -> tuple[int, str]:
    [row] = run_statement(databases.warehouse, select(func.count(), content_hash(FACTS)).select_from(FACTS))
    return int(row[0]), str(row[1])


def test_a_throttle_lets_through_no_more_than_the_rate_asked_for() -> None:
    started = time.monotonic()
    for passed, batch in enumerate(throttle([rows(100)] * 6, rows_per_second=1_000), start=1):
        assert batch.num_rows == 100
        assert time.monotonic() - started >= 0.1 * (passed - 1)
    assert time.monotonic() - started >= 0.6


def test_a_throttle_takes_batches_of_any_size_at_the_same_pace() -> None:
    started = time.monotonic()
    sizes = [batch.num_rows for batch in throttle([rows(1), rows(0), rows(399)], rows_per_second=1_000)]
    assert sizes == [1, 0, 399]
    assert 0.4 <= time.monotonic() - started < 4


def test_a_throttle_gives_a_slow_consumer_no_further_delay() -> None:
    slept = 0.0
    started = time.monotonic()
    for _ in throttle([rows(10)] * 5, rows_per_second=1_000):
        slept += 0.1
        time.sleep(0.1)
    assert slept == pytest.approx(0.5)
    assert time.monotonic() - started < 0.5 + 0.4


def test_a_throttle_of_0_is_none() -> None:
    started = time.monotonic()
    assert sum(batch.num_rows for batch in throttle([rows(10**9)] * 3, rows_per_second=0)) == 3 * 10**9
    assert time.monotonic() - started < 4


def test_a_throttled_run_takes_its_time_and_leaves_the_same_table(
    databases: Databases, make_warehouse: Callable[[], Engine]
) -> None:
    move(databases)
    slow = Databases(databases.source, make_warehouse())
    result = move(slow, source_max_rows_per_second=500)
    moved = int(result.counts["published"].sum())
    assert result.verdict == "PUBLISHED"
    assert result.timings["extract"] >= moved / 500
    assert fingerprint(slow) == fingerprint(databases) != (0, "0" * 16)


@pytest.mark.parametrize("batch_rows", [1, 1_000, 1_777])
def test_rows_moved_in_any_portions_leave_the_same_table(
    databases: Databases, make_warehouse: Callable[[], Engine], batch_rows: int
) -> None:
    move(databases, THREE_NIGHTS, batch_rows=100_000)
    portions = Databases(databases.source, make_warehouse())
    move(portions, THREE_NIGHTS, batch_rows=batch_rows)
    assert fingerprint(portions) == fingerprint(databases)
    assert fingerprint(portions)[0] > 1_777


def own_sessions(source: Engine, columns: str, tables: str = "pg_stat_activity a") -> list[tuple[Any, ...]]:
    """Look at the run's own sessions in this database, from outside."""
    with source.connect() as connection:
        found = connection.exec_driver_sql(
            f"SELECT DISTINCT {columns} FROM {tables} WHERE a.datname = current_database() "
            "AND a.pid != pg_backend_pid() AND a.application_name LIKE 'sentinel-etl%%' ORDER BY 1"
        )
        return [tuple(row) for row in found]


LOCKS = "pg_stat_activity a JOIN pg_locks l USING (pid) LEFT JOIN pg_class c ON c.oid = l.relation"


@pytest.fixture(scope="module")
def seen_locks(
    make_source: Callable[[str | None], Engine], make_warehouse: Callable[[], Engine], city_template: str
) -> set[tuple[str, str, str]]:
    """Every lock that was seen while a slow run went on: its kind, its mode, its table."""
    databases = Databases(make_source(city_template), make_warehouse())
    seen: set[tuple[str, str, str]] = set()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(move, databases, source_max_rows_per_second=250)
        while not running.done():
            seen.update(own_sessions(databases.source, "l.locktype, l.mode, coalesce(c.relname, '')", LOCKS))
            time.sleep(0.02)
        assert running.result().verdict == "PUBLISHED"
    databases.source.dispose()
    databases.warehouse.dispose()
    return seen


def test_a_run_locks_tables_against_nothing_but_their_removal(seen_locks: set[tuple[str, str, str]]) -> None:
    assert {mode for kind, mode, _ in seen_locks if kind == "relation"} == {"AccessShareLock"}
    assert {table for _, _, table in seen_locks} >= {"patrols", "patrol_logs", "remarks", "geofence_logs"}


def test_a_run_holds_otherwise_only_advisory_locks_and_its_own_transaction(
    seen_locks: set[tuple[str, str, str]],
) -> None:
    kinds = {kind for kind, _, _ in seen_locks}
    # PostgreSQL itself locks the database's name for the instant in which a session begins: "object".
    assert kinds - {"object"} == {"relation", "virtualxid", "advisory"}


def setting(snapshot: Snapshot, name: str) -> str:
    return str(snapshot.read_whole(select(func.current_setting(name).label("value")))["value"][0])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("transaction_read_only", "on"),
        ("transaction_isolation", "repeatable read"),
        ("TimeZone", "UTC"),
        ("application_name", "sentinel-etl"),
    ],
)
def test_a_snapshot_can_only_read_and_sees_one_instant(source_engine: Engine, name: str, value: str) -> None:
    with open_snapshot(source_engine) as snapshot:
        assert setting(snapshot, name) == value


def test_a_snapshot_sees_nothing_that_is_written_after_its_first_look(city: Engine) -> None:
    remarks = {"REMARK": count_events(SENTINEL.event_types["REMARK"], LAST_NIGHT)}
    with open_snapshot(city) as snapshot:
        before = snapshot.count(remarks.values())
        with city.begin() as connection:
            connection.exec_driver_sql("DELETE FROM remarks")
        assert snapshot.count(remarks.values()) == before
    assert before["REMARK"] > 0


def test_a_snapshot_s_transaction_ends_with_its_block_and_so_does_its_session(source_engine: Engine) -> None:
    with open_snapshot(source_engine) as snapshot:
        setting(snapshot, "TimeZone")
        assert len(own_sessions(source_engine, "a.pid")) == 1
        assert own_sessions(source_engine, "a.xact_start IS NOT NULL, a.backend_xmin IS NOT NULL") == [(True, True)]
    wait_for(lambda: own_sessions(source_engine, "a.pid") == [])


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.05)


def test_a_reader_that_stops_early_leaves_no_session_behind(city: Engine) -> None:
    with open_snapshot(city, batch_bytes=1 << 10) as snapshot:
        batches = extract_batches(SENTINEL.event_types["GEOFENCE"], THREE_NIGHTS, snapshot)
        assert next(batches).num_rows > 0
    wait_for(lambda: own_sessions(city, "a.pid") == [])


def test_the_source_cancels_a_statement_after_the_time_that_is_set(source_engine: Engine) -> None:
    with open_snapshot(source_engine, statement_timeout_seconds=77) as snapshot:
        assert setting(snapshot, "statement_timeout") == "77s"


def test_the_source_ends_a_snapshot_that_idles(source_engine: Engine) -> None:
    with open_snapshot(source_engine) as snapshot:
        assert setting(snapshot, "idle_in_transaction_session_timeout") != "0"


@contextmanager
def locked_table(source: Engine, table: str) -> Iterator[None]:
    """Keep everybody out of a table, as a migration would."""
    with source.begin() as connection:
        connection.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
        yield


def test_a_run_waits_for_a_migration_no_longer_than_the_statement_timeout(databases: Databases) -> None:
    sentence = r"\[extract · GEOFENCE\] expected the statement to end within SENTINEL_STATEMENT_TIMEOUT_SECONDS"
    with locked_table(databases.source, "geofence_logs"), pytest.raises(SourceUnreachable, match=sentence):
        move(databases, statement_timeout_seconds=1)
    assert run_statement(databases.warehouse, select(func.count()).select_from(FACTS)) == [(0,)]
    assert move(databases).verdict == "PUBLISHED"


def test_a_throttle_slower_than_the_statement_timeout_is_cancelled_with_the_remedy(source_engine: Engine) -> None:
    numbers = select(func.generate_series(1, 3_000_000).label("n"))
    with (
        open_snapshot(source_engine, statement_timeout_seconds=1, batch_bytes=1 << 18) as snapshot,
        pytest.raises(SourceUnreachable, match="Raise the limit, or load a shorter window"),
    ):
        for _ in throttle(snapshot.read(numbers, "NUMBERS"), rows_per_second=500_000):
            pass


@pytest.fixture
def with_replica(
    databases: Databases, make_source: Callable[[str | None], Engine], city_template: str
) -> Iterator[Databases]:
    """A replica that says other words than the source does, so that one sees who was read."""
    replica = make_source(city_template)
    with replica.begin() as connection:
        connection.exec_driver_sql("UPDATE remarks SET remark_text = 'read from the replica'")
    yield Databases(databases.source, databases.warehouse, replica)
    replica.dispose()


def texts(databases: Databases) -> list[str]:
    found = run_statement(
        databases.warehouse, "SELECT DISTINCT remark_text FROM patrol_events WHERE event_type = 'REMARK' LIMIT 2"
    )
    return [str(words) for (words,) in found]


def test_rows_are_read_from_the_replica_and_locks_are_taken_on_the_source(with_replica: Databases) -> None:
    assert with_replica.replica is not None
    lock = "patrol_events partition 202611"
    with hold_locks(with_replica.replica, [lock], "someone on the replica", 0):
        assert move(with_replica).verdict == "PUBLISHED"
    assert texts(with_replica) == ["read from the replica"]
    with hold_locks(with_replica.source, [lock], "someone on the source", 0), pytest.raises(WindowLocked):
        move(with_replica)


def test_the_replica_that_the_settings_name_is_the_one_that_is_read(
    with_replica: Databases, settings: Settings
) -> None:
    assert with_replica.replica is not None
    url = with_replica.replica.url.render_as_string(hide_password=False)
    named = open_databases(Settings(**{**settings.model_dump(), "source_replica_url": url}))
    try:
        assert move(named).verdict == "PUBLISHED"
    finally:
        for engine in (named.source, named.warehouse, named.replica):
            assert engine is not None
            engine.dispose()
    assert texts(with_replica) == ["read from the replica"]


def test_without_a_replica_rows_are_the_source_s(databases: Databases) -> None:
    move(databases)
    assert "read from the replica" not in texts(databases)
    assert len(texts(databases)) == 2
