"""Running a window again: whatever happened before, the table is what one clean pass over the source leaves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from content_hash import content_hash
from sqlalchemy import Engine, func, select

from sentinel_etl.config.fact_table import PartitionBy, build_patrol_events, content_columns
from sentinel_etl.config.source_models import Patrol, PatrolLog
from sentinel_etl.databases import Databases
from sentinel_etl.errors import AuditFailed, WindowLocked
from sentinel_etl.ledger.ledger import read_runs
from sentinel_etl.pipeline import SENTINEL, Pipeline
from sentinel_etl.run.result import RunResult
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.source.locks import hold_locks
from sentinel_etl.warehouse.provision import prepare_tables
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.tables import ETL_RUNS, create_table
from sentinel_etl.window import Window

FACTS = SENTINEL.fact_table


def utc(day: int, hour: int, minute: int = 0, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


LAST_NIGHT = Window.night(date(2026, 11, 21))
NIGHT_BEFORE = Window.night(date(2026, 11, 20))
BOTH_NIGHTS = Window(utc(20, 0, 30), utc(22, 0, 30))
THREE_NIGHTS = Window(utc(19, 0, 30), utc(22, 0, 30))
SIX_HOURS = Window(utc(21, 17), utc(21, 23))
ACROSS_NIGHTS = Window(utc(20, 18), utc(21, 18))


def move(databases: Databases, window: Window, pipeline: Pipeline = SENTINEL, **options: Any) -> RunResult:
    settings = options.pop("settings", Settings(lock_wait_seconds=20))
    settings = settings.model_copy(update={"now": window.end + timedelta(minutes=10)})
    return run_window(
        window,
        source=databases.source,
        warehouse=databases.warehouse,
        pipeline=pipeline,
        settings=settings,
        **options,
    )


def publish(databases: Databases, *windows: Window, **options: Any) -> list[str]:
    """Move windows in turn; each must be published. Return how."""
    results = [move(databases, window, **options) for window in windows]
    assert [(result.verdict, result.cause) for result in results] == [("PUBLISHED", "")] * len(results)
    return [result.how for result in results]


def change(databases: Databases, *statements: str) -> None:
    """Change source rows; each statement must hit some."""
    with databases.source.begin() as connection:
        for statement in statements:
            assert connection.exec_driver_sql(statement).rowcount > 0, statement


def fingerprint(databases: Databases) -> tuple[int, str]:
    [row] = run_statement(databases.warehouse, select(func.count(), content_hash(FACTS)).select_from(FACTS))
    return int(row[0]), str(row[1])


def contents(databases: Databases) -> list[str]:
    """Write each row's content as text, in order."""
    row = f"toString(tuple({', '.join(content_columns(FACTS))}))"
    return [
        str(line) for (line,) in run_statement(databases.warehouse, f"SELECT {row} AS r FROM patrol_events ORDER BY r")
    ]


def bytes_of(databases: Databases, condition: str) -> tuple[int, str]:
    """Hash whole rows, with the run that wrote them and when."""
    [row] = run_statement(
        databases.warehouse,
        f"SELECT count(), hex(groupBitXor(cityHash64(tuple(*)))) FROM patrol_events WHERE {condition}",
    )
    return int(row[0]), str(row[1])


def staging_tables(databases: Databases) -> list[str]:
    tables = run_statement(
        databases.warehouse,
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND name LIKE '%__staging_%' ORDER BY 1",
    )
    return [str(name) for (name,) in tables]


@pytest.fixture
def clean_pass(databases: Databases, make_warehouse: Callable[[], Engine]) -> Callable[..., Databases]:
    """Load windows once, into a fresh warehouse, from the source as it is now."""

    def load(*windows: Window, **options: Any) -> Databases:
        fresh = Databases(databases.source, make_warehouse())
        publish(fresh, *windows, **options)
        return fresh

    return load


def assert_same(databases: Databases, clean: Databases) -> None:
    assert contents(databases) == contents(clean)
    assert fingerprint(databases) == fingerprint(clean)


def within(window: Window, column: str = "created_at") -> str:
    return f"{column} >= '{window.start.isoformat()}' AND {column} < '{window.end.isoformat()}'"


def few(table: str, key: str, window: Window, rows: int) -> str:
    return f"{key} IN (SELECT {key} FROM {table} WHERE {within(window)} ORDER BY {key} LIMIT {rows})"


def changed(window: Window) -> list[str]:
    return [
        "UPDATE remarks SET remark_text = 'ಬದಲಾಗಿದೆ', latitude = 0, longitude = 0, "
        "new_priority_ranking = CASE WHEN new_priority_ranking IS NULL THEN 2 END "
        f"WHERE {few('remarks', 'remark_id', window, 5)}",
        "UPDATE vehicle_checks SET suspicious_activity = NOT coalesce(suspicious_activity, false) "
        f"WHERE {few('vehicle_checks', 'vehicle_check_id', window, 6)}",
    ]


def deleted(window: Window) -> list[str]:
    return [
        f"DELETE FROM geofence_logs WHERE {few('geofence_logs', 'geofence_log_id', window, 7)}",
        f"DELETE FROM feedback WHERE {within(window)}",
    ]


def inserted(window: Window) -> list[str]:
    first, last = window.start.isoformat(), window.end.isoformat()
    return [
        "INSERT INTO emergency_incidents (emergency_incident_id, patrol_id, created_by_officer_id, category, "
        "created_at) SELECT n, (SELECT min(patrol_id) FROM patrols), 1001, 'FIRE', instant "
        f"FROM (VALUES (1, timestamptz '{first}'), (2, timestamptz '{last}' - interval '1 microsecond')) "
        "AS v (n, instant)"
    ]


def moved(window: Window) -> list[str]:
    return [
        f"UPDATE stranger_encounters SET created_at = '{window.start.isoformat()}'::timestamptz + "
        f"(stranger_encounter_id %% 100) * interval '1.000001 second' "
        f"WHERE {few('stranger_encounters', 'stranger_encounter_id', window, 6)}"
    ]


def every_change(window: Window) -> list[str]:
    return [*changed(window), *deleted(window), *inserted(window), *moved(window)]


@pytest.mark.parametrize(
    ("again", "statements"),
    [
        pytest.param(LAST_NIGHT, [], id="the same night, nothing changed"),
        pytest.param(LAST_NIGHT, every_change(LAST_NIGHT), id="the same night"),
        pytest.param(ACROSS_NIGHTS, every_change(ACROSS_NIGHTS), id="an overlapping window"),
        pytest.param(SIX_HOURS, every_change(SIX_HOURS), id="six hours inside a night"),
    ],
)
def test_a_window_run_again_leaves_what_one_clean_pass_leaves(
    databases: Databases, clean_pass: Callable[..., Databases], again: Window, statements: list[str]
) -> None:
    publish(databases, Window.night(date(2026, 11, 19)), BOTH_NIGHTS)
    before = fingerprint(databases)
    change(databases, *statements)
    assert publish(databases, again) == ["exchange 202611"]
    assert_same(databases, clean_pass(THREE_NIGHTS))
    assert (fingerprint(databases) != before) is bool(statements)


def test_rows_outside_the_window_keep_every_byte(databases: Databases) -> None:
    publish(databases, THREE_NIGHTS)
    change(databases, *every_change(SIX_HOURS))
    outside = f"NOT ({within(SIX_HOURS, 'event_timestamp').replace('+00:00', '')})"
    inside = outside.removeprefix("NOT ")
    before = bytes_of(databases, outside), bytes_of(databases, inside)
    publish(databases, SIX_HOURS)
    after = bytes_of(databases, outside), bytes_of(databases, inside)
    assert before[0][0] > 0
    assert after[0] == before[0]
    assert after[1] != before[1]


MOVE_TO_THE_NIGHT_BEFORE = "UPDATE stranger_encounters SET created_at = created_at - interval '1 day' WHERE " + few(
    "stranger_encounters", "stranger_encounter_id", SIX_HOURS, 4
)


@pytest.mark.parametrize(
    ("partition_by", "windows"),
    [
        pytest.param("month", [LAST_NIGHT, NIGHT_BEFORE], id="month, the night it left first"),
        pytest.param("month", [NIGHT_BEFORE], id="month, only the night it came to"),
        pytest.param("day", [NIGHT_BEFORE, LAST_NIGHT], id="day, the night it came to first"),
    ],
)
def test_an_event_moved_to_another_night_stands_there_and_only_there(
    databases: Databases, clean_pass: Callable[..., Databases], partition_by: PartitionBy, windows: list[Window]
) -> None:
    pipeline = replace(SENTINEL, fact_table=build_patrol_events(partition_by))
    publish(databases, BOTH_NIGHTS, pipeline=pipeline)
    change(databases, MOVE_TO_THE_NIGHT_BEFORE)
    results = [move(databases, window, pipeline) for window in windows]
    assert_same(databases, clean_pass(BOTH_NIGHTS, pipeline=pipeline))
    # Told by the run that takes them; where their old night ran first, there is nothing left to take.
    told = "events stay in their nights: expected 0 rows of other nights taken, observed STRANGER_ENCOUNTER 4 from 2026"
    first, *rest = results
    expected = ("PUBLISHED", "") if windows[0] == LAST_NIGHT else ("PUBLISHED WITH WARNINGS", f"{told}-11-21")
    assert (first.verdict, first.cause) == expected
    assert [(result.verdict, result.cause) for result in rest] == [("PUBLISHED", "")] * len(rest)


def test_an_event_moved_to_another_partition_leaves_its_old_one_in_the_same_run(
    databases: Databases, clean_pass: Callable[..., Databases]
) -> None:
    pipeline = replace(SENTINEL, fact_table=build_patrol_events("day"))
    publish(databases, BOTH_NIGHTS, pipeline=pipeline)
    change(databases, MOVE_TO_THE_NIGHT_BEFORE)
    assert move(databases, NIGHT_BEFORE, pipeline).how == "exchange 20261120, 20261121"
    repeated = "SELECT count() FROM (SELECT event_id FROM patrol_events GROUP BY event_id HAVING count() > 1)"
    assert run_statement(databases.warehouse, repeated) == [(0,)]
    assert_same(databases, clean_pass(BOTH_NIGHTS, pipeline=pipeline))
    publish(databases, LAST_NIGHT, pipeline=pipeline)
    assert_same(databases, clean_pass(BOTH_NIGHTS, pipeline=pipeline))


def shift(days: int) -> list[str]:
    """Move the whole city's events some days later."""
    tables = ("patrol_logs", "remarks", "vehicle_checks", "stranger_encounters", "emergency_incidents", "feedback")
    return [
        f"UPDATE {table} SET created_at = created_at + interval '{days} days'" for table in (*tables, "geofence_logs")
    ]


@pytest.mark.parametrize(
    ("partition_by", "days", "partitions"),
    [
        pytest.param("month", 10, ["202611", "202612"], id="the end of a month"),
        pytest.param("week", 9, ["20261123", "20261130"], id="the end of a week"),
        pytest.param("day", 10, ["20261130", "20261201"], id="the end of a night"),
    ],
)
def test_a_window_across_partitions_is_published_in_each(
    databases: Databases,
    clean_pass: Callable[..., Databases],
    partition_by: PartitionBy,
    days: int,
    partitions: list[str],
) -> None:
    pipeline = replace(SENTINEL, fact_table=build_patrol_events(partition_by))
    change(databases, *shift(days))
    both = Window(
        Window.night(date(2026, 11, 20 + days)).start, LAST_NIGHT.end + (LAST_NIGHT.end - utc(21, 0, 30)) * days
    )
    across = Window(ACROSS_NIGHTS.start + (both.end - LAST_NIGHT.end), ACROSS_NIGHTS.end + (both.end - LAST_NIGHT.end))
    assert publish(databases, both, pipeline=pipeline) == [f"exchange {', '.join(partitions)}"]
    change(databases, *every_change(across))
    assert publish(databases, across, pipeline=pipeline) == [f"exchange {', '.join(partitions)}"]
    assert_same(databases, clean_pass(both, pipeline=pipeline))
    found = run_statement(databases.warehouse, "SELECT DISTINCT _partition_id FROM patrol_events ORDER BY 1")
    assert [name for (name,) in found] == partitions


def empty(window: Window) -> list[str]:
    tables = ("patrol_logs", "remarks", "vehicle_checks", "stranger_encounters", "emergency_incidents", "feedback")
    return [f"DELETE FROM {table} WHERE {within(window)}" for table in (*tables, "geofence_logs")]


def test_a_window_whose_rows_all_vanished_is_emptied_only_when_told_so(
    databases: Databases, clean_pass: Callable[..., Databases]
) -> None:
    publish(databases, BOTH_NIGHTS)
    kept, gone = bytes_of(databases, "shift_date = '2026-11-20'"), bytes_of(databases, "shift_date = '2026-11-21'")
    change(databases, *empty(LAST_NIGHT))

    refused = move(databases, LAST_NIGHT)
    assert refused.verdict == "NOT PUBLISHED"
    assert "the window has not collapsed" in refused.cause
    assert "--allow-shrink" in refused.cause
    assert bytes_of(databases, "shift_date = '2026-11-21'") == gone

    allowed = move(databases, LAST_NIGHT, allow_shrink=True)
    assert (allowed.verdict, allowed.how) == ("PUBLISHED WITH WARNINGS", "exchange 202611")
    assert bytes_of(databases, "1") == kept
    assert_same(databases, clean_pass(NIGHT_BEFORE))


def test_a_partition_of_which_nothing_is_left_is_dropped(databases: Databases) -> None:
    by_day = replace(SENTINEL, fact_table=build_patrol_events("day"))
    publish(databases, BOTH_NIGHTS, pipeline=by_day)
    kept = bytes_of(databases, "shift_date = '2026-11-20'")
    change(databases, *empty(LAST_NIGHT))
    result = move(databases, LAST_NIGHT, by_day, allow_shrink=True)
    assert result.how == "exchange 20261121"
    assert bytes_of(databases, "1") == kept


def test_a_window_that_never_had_rows_is_published_with_a_warning(databases: Databases) -> None:
    result = move(databases, Window.night(date(2026, 11, 10)))
    assert (result.verdict, result.how) == ("PUBLISHED WITH WARNINGS", "nothing to publish")
    assert result.cause == "the window has events: expected at least 1 event, observed 0 events"
    assert fingerprint(databases)[0] == 0


def test_a_window_may_lose_the_share_that_is_set_and_no_more(databases: Databases) -> None:
    publish(databases, LAST_NIGHT)
    change(databases, f"DELETE FROM geofence_logs WHERE {within(LAST_NIGHT)}")  # about a third of the night
    verdicts = [move(databases, LAST_NIGHT, settings=Settings(max_shrink=share)).verdict for share in (0.1, 0.9)]
    assert verdicts == ["NOT PUBLISHED", "PUBLISHED"]


def test_a_run_of_some_event_types_touches_only_those(
    databases: Databases, clean_pass: Callable[..., Databases]
) -> None:
    publish(databases, LAST_NIGHT)
    chosen = "event_type IN ('REMARK', 'GEOFENCE')"
    others = bytes_of(databases, f"NOT {chosen}")
    change(databases, *every_change(LAST_NIGHT))
    publish(databases, LAST_NIGHT, event_types=["REMARK", "GEOFENCE"])
    assert bytes_of(databases, f"NOT {chosen}") == others

    clean = clean_pass(LAST_NIGHT)
    for table in (databases, clean):
        run_statement(
            table.warehouse, f"ALTER TABLE patrol_events DELETE WHERE NOT {chosen} SETTINGS mutations_sync = 2"
        )
    assert_same(databases, clean)


def with_repeated_events() -> Pipeline:
    """Declare a join of many rows whose key stays out of the entry's: each remark comes once per log."""
    remark = {
        **SENTINEL.event_config["REMARK"],
        "joins": [
            *SENTINEL.event_config["REMARK"]["joins"],
            (PatrolLog, PatrolLog.patrol_id == Patrol.patrol_id, {"one_to_many": True}),
        ],
    }
    return replace(SENTINEL, event_config={**SENTINEL.event_config, "REMARK": remark})


def test_a_failed_audit_publishes_nothing_and_keeps_what_it_staged(databases: Databases) -> None:
    publish(databases, LAST_NIGHT)
    before = bytes_of(databases, "1")
    result = move(databases, LAST_NIGHT, with_repeated_events(), run_id="failed_one")
    assert result.verdict == "NOT PUBLISHED"
    assert result.cause.startswith("keys are unique: expected ")
    assert "a join of the entry repeats rows" in result.cause
    assert bytes_of(databases, "1") == before
    assert staging_tables(databases) == ["patrol_events__staging_failed_one"]
    [run] = read_runs(databases.warehouse, ETL_RUNS.c.run_id == "failed_one")
    assert (run["state"], run["cause"]) == ("NOT PUBLISHED", result.cause)
    assert [check["name"] for check in run["checks"] if not check["passed"]] == ["keys are unique"]
    with pytest.raises(AuditFailed, match="the table that ends in failed_one"):
        result.raise_for_verdict()


def test_what_a_failed_audit_kept_outlives_runs_of_other_windows_and_goes_with_the_next_good_run(
    databases: Databases,
) -> None:
    move(databases, LAST_NIGHT, with_repeated_events(), run_id="failed_one")
    publish(databases, NIGHT_BEFORE)
    assert staging_tables(databases) == ["patrol_events__staging_failed_one"]
    publish(databases, LAST_NIGHT)
    assert staging_tables(databases) == []


def test_the_staging_of_a_dead_run_is_swept_and_that_of_a_living_one_is_not(databases: Databases) -> None:
    publish(databases, NIGHT_BEFORE)
    for run_id in ("dead", "alive"):
        run_statement(databases.warehouse, f"CREATE TABLE patrol_events__staging_{run_id} AS patrol_events")
    with hold_locks(databases.source, ["run alive"], "sentinel-etl run alive", 0):
        publish(databases, LAST_NIGHT)
    assert staging_tables(databases) == ["patrol_events__staging_alive"]
    publish(databases, LAST_NIGHT)
    assert staging_tables(databases) == []


def test_a_dry_run_publishes_nothing_and_leaves_no_staging(databases: Databases) -> None:
    prepare_tables(databases.warehouse, FACTS, SENTINEL.zone)
    result = move(databases, LAST_NIGHT, dry_run=True)
    assert (result.verdict, result.how, result.published) == ("DRY RUN", "", False)
    assert result.counts["staged"].sum() == result.counts["source"].sum() > 0
    assert result.counts["published"].sum() == 0
    assert fingerprint(databases)[0] == 0
    assert staging_tables(databases) == []
    assert [run["state"] for run in read_runs(databases.warehouse)] == ["DRY RUN"]


def test_a_window_that_another_run_holds_is_refused_and_the_holder_named(databases: Databases) -> None:
    publish(databases, LAST_NIGHT)
    before = bytes_of(databases, "1")
    holder = hold_locks(databases.source, ["patrol_events partition 202611"], "sentinel-etl run the_first", 0)
    with holder, pytest.raises(WindowLocked, match=r"within 0\.3 s; sentinel-etl run the_first \(since ") as caught:
        move(databases, LAST_NIGHT, run_id="the_second", settings=Settings(lock_wait_seconds=0.3))
    assert "expected patrol_events partition 202611 to be free" in str(caught.value)
    assert bytes_of(databases, "1") == before
    assert staging_tables(databases) == []
    [run] = read_runs(databases.warehouse, ETL_RUNS.c.run_id == "the_second")
    assert run["state"] == "FAILED"
    publish(databases, LAST_NIGHT)


def test_a_window_of_another_partition_is_not_held_up(databases: Databases) -> None:
    with hold_locks(databases.source, ["patrol_events partition 202612"], "sentinel-etl run december", 0):
        publish(databases, LAST_NIGHT, settings=Settings(lock_wait_seconds=0))


def test_of_two_runs_at_once_one_waits_and_the_table_is_one_clean_pass(
    databases: Databases, clean_pass: Callable[..., Databases]
) -> None:
    create_table(databases.warehouse, FACTS)
    create_table(databases.warehouse, ETL_RUNS)
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda window: move(databases, window), [LAST_NIGHT, LAST_NIGHT]))
    assert [result.verdict for result in results] == ["PUBLISHED"] * 2
    assert sorted(result.how for result in results) == ["attach 202611", "exchange 202611"]
    assert_same(databases, clean_pass(LAST_NIGHT))
    assert staging_tables(databases) == []


def test_a_table_that_several_runs_create_at_once_is_there_for_all(warehouse: Engine) -> None:
    together = threading.Barrier(8)

    def create(_: int) -> None:
        together.wait()
        create_table(warehouse, FACTS)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(8)))


@contextmanager
def polling(databases: Databases) -> Iterator[list[tuple[int, str]]]:
    """Read count and content hash in one query, over and over, while the block lasts."""
    seen: list[tuple[int, str]] = []
    stop = threading.Event()

    def poll() -> None:
        while not stop.is_set():
            seen.append(fingerprint(databases))

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(poll)
        try:
            yield seen
        finally:
            stop.set()
        reader.result()


def test_a_reader_sees_the_old_night_or_the_new_one_and_nothing_between(databases: Databases) -> None:
    publish(databases, BOTH_NIGHTS)
    states = [fingerprint(databases)]
    with polling(databases) as seen:
        for statements in (changed(LAST_NIGHT), deleted(LAST_NIGHT), inserted(LAST_NIGHT)):
            change(databases, *statements)
            publish(databases, LAST_NIGHT)
            states.append(fingerprint(databases))
            read = len(seen)
            while len(seen) < read + 2:
                time.sleep(0.01)
    order = [state for place, state in enumerate(seen) if place == 0 or state != seen[place - 1]]
    assert len(set(states)) == 4
    assert order == states
