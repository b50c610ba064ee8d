"""Hostile rows: each is loaded as it is, or rejected with its reason; none is lost, none stops the others."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from adversity.soak import SOAK, count
from given_servers import drop_source, maintenance, new_name
from hostile import NIGHT, PIPELINE, HostileRow, Outcome, compare, gather, insert_rows
from psycopg.errors import UntranslatableCharacter
from sqlalchemy import Engine, make_url
from sqlalchemy.exc import DataError, DBAPIError

from sentinel_etl.databases import Databases
from sentinel_etl.errors import WindowError
from sentinel_etl.local.stack import LocalStack
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.reconcile.compare import compare_fingerprints
from sentinel_etl.run.result import RunResult
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.source.connection import open_source
from sentinel_etl.warehouse.provision import prepare_tables
from sentinel_etl.warehouse.query import query_df, run_statement
from sentinel_etl.window import Window

ROWS = 10_000 + 1_000 * SOAK


@pytest.fixture(scope="module")
def hostile_databases(
    make_source: Callable[[str | None], Engine], make_warehouse: Callable[[], Engine]
) -> Iterator[Databases]:
    databases = Databases(make_source(None), make_warehouse())
    yield databases
    databases.source.dispose()
    databases.warehouse.dispose()


@pytest.fixture(scope="module")
def moved(hostile_databases: Databases) -> tuple[list[HostileRow], RunResult, Outcome]:
    """Ten thousand hostile rows, moved once."""
    source, warehouse = hostile_databases.source, hostile_databases.warehouse
    rows = gather(ROWS, seed_number=SOAK)
    insert_rows(source, rows)
    settings = Settings(batch_rows=3_000)
    result = run_window(NIGHT, source=source, warehouse=warehouse, pipeline=PIPELINE, settings=settings)
    return rows, result, compare(rows, warehouse)


def test_of_ten_thousand_hostile_rows_none_is_lost_and_none_changed(
    moved: tuple[list[HostileRow], RunResult, Outcome],
) -> None:
    rows, _, outcome = moved
    lost = len(outcome.lost) + len(outcome.changed)
    count(rows=outcome.tried, loaded=outcome.loaded, rejected=outcome.rejected, lost=lost)
    assert len(rows) == ROWS
    assert outcome.lost == []
    assert outcome.changed == []
    assert outcome.misjudged == []
    assert outcome.tried == outcome.loaded + outcome.rejected
    assert min(outcome.loaded, outcome.rejected) > ROWS / 20


def test_the_run_tells_how_many_were_rejected_and_why(moved: tuple[list[HostileRow], RunResult, Outcome]) -> None:
    rows, result, outcome = moved
    assert result.verdict == "PUBLISHED WITH WARNINGS"
    assert result.rejected["rows"].sum() == outcome.rejected
    assert result.rejected.dtypes.astype(str).to_dict() == {"event_type": "str", "reason": "str", "rows": "int64"}
    [counts] = result.counts.to_dict("records")
    assert counts["source"] == counts["staged"] + counts["rejected"] == sum(row.in_night for row in rows)
    assert counts["rejected"] == outcome.rejected - sum(row.nightless for row in rows)
    # Every kind of misfit that the rows have was met.
    assert set(result.rejected["reason"]) == {
        "event_id: another row of the source has the same key",
        "event_id: no value, and the fact table needs one",
        "event_timestamp: infinite, so it lies in no night",
        "event_timestamp: no value, so it lies in no night",
        "event_timestamp: outside 1970-01-02 to 2149-06-04, so it lies in no night",
        "hotspot_id: a value that does not fit Int64",
        "latitude: outside -90 to 90",
        "longitude: outside -180 to 180",
        "new_priority_ranking: a value that does not fit Int16",
        "no row of hostile_patrols has its patrol_id",
        "officer_id: no value, and the fact table needs one",
        "seen_at: infinite, or outside the years 1 to 9999",
        "suspicion_details: a value that does not fit String",
        "suspicious_activity: a value that does not fit Bool",
        "visited_hotspots: an array of arrays, one that begins at another index than 1, or one with an infinity",
        "visited_hotspots: an array with a NULL in it",
    }


def test_both_engines_sum_hostile_rows_alike(
    moved: tuple[list[HostileRow], RunResult, Outcome], hostile_databases: Databases
) -> None:
    def compare_night() -> list[tuple[Any, ...]]:
        table = compare_fingerprints(
            [date(2026, 11, 21)], PIPELINE, hostile_databases.source, hostile_databases.warehouse
        )
        return list(table[["source", "warehouse", "keys", "content"]].itertuples(index=False, name=None))

    [counts] = moved[1].counts.to_dict("records")
    assert compare_night() == [(counts["source"], counts["source"], True, True)]
    loaded = "SELECT min(event_id) FROM patrol_events WHERE remark_text != ''"
    key = str(run_statement(hostile_databases.warehouse, loaded)[0][0]).removeprefix("HOSTILE:")
    change_remark = "UPDATE hostile_events SET remark = %s || remark WHERE event_key = %s"
    with hostile_databases.source.begin() as connection:
        connection.exec_driver_sql(change_remark, ("a", key))
    assert compare_night() == [(counts["source"], counts["source"], True, False)]
    with hostile_databases.source.begin() as connection:
        connection.exec_driver_sql("UPDATE hostile_events SET remark = substr(remark, 2) WHERE event_key = %s", (key,))
    assert compare_night() == [(counts["source"], counts["source"], True, True)]


CITY_NIGHT_CHANGES = """
ALTER TABLE remarks DROP CONSTRAINT remarks_patrol_id_fkey;
INSERT INTO patrols (patrol_id, station_id, assigned_to_officer_id, patrol_status, start_time)
    VALUES (1, 3, 3001, 'COMPLETED', 'infinity'), (2, 3, 3001, 'ABANDONED', '2026-11-21 16:30+00');
INSERT INTO remarks (remark_id, patrol_id, created_by_officer_id, hotspot_id, remark_text, latitude, longitude,
                     created_at)
    VALUES (1, 999999999, 3002, 301, 'lost',      12.5, 77.5, '2026-11-21 17:00+00'),
           (2, 1,         3002, 301, 'never met', 12.5, 77.5, '2026-11-21 17:00+00'),
           (3, 2,         3002, 301, 'off Earth', 95.0, 77.5, '2026-11-21 17:00+00'),
           (4, 2,         3002, 301, 'for ever',  12.5, 77.5, 'infinity'),
           (5, 2,         3002, 301, 'the first', 12.5, 77.5, '0001-01-01 00:00+00'),
           (6, 2,         3002, 301, 'fine',      12.5, 77.5, '2026-11-21 17:00+00');
"""


def run_night(databases: Databases, **options: Any) -> RunResult:
    return run_window(NIGHT, source=databases.source, warehouse=databases.warehouse, settings=Settings(), **options)


def change(databases: Databases, statements: str) -> None:
    with databases.source.begin() as connection:
        connection.exec_driver_sql(statements)


def rejected_rows(databases: Databases) -> list[tuple[Any, ...]]:
    columns = "event_id, toString(event_timestamp), toString(shift_date), reason"
    rows = run_statement(databases.warehouse, f"SELECT {columns} FROM patrol_events_rejected ORDER BY ALL")
    return [tuple(row) for row in rows]


def ids(databases: Databases) -> set[str]:
    small = "match(event_id, ':[1-6]$')"
    return {row[0] for row in run_statement(databases.warehouse, f"SELECT event_id FROM patrol_events WHERE {small}")}


AT_FIVE = "2026-11-21 17:00:00.000000"
NOBODY = "no row of patrols has its patrol_id"
NIGHT_OF = "2026-11-21"
ENDLESS = "event_timestamp: infinite, so it lies in no night"
TOO_EARLY = "event_timestamp: outside 1970-01-02 to 2149-06-04, so it lies in no night"


def test_a_night_tells_orphans_from_what_a_join_leaves_out_on_purpose(databases: Databases) -> None:
    change(databases, CITY_NIGHT_CHANGES)
    result = run_night(databases)
    assert rejected_rows(databases) == [
        ("HIGH_INTEGRITY_VISITS:1", AT_FIVE, NIGHT_OF, NOBODY),
        ("HIGH_INTEGRITY_VISITS:2", AT_FIVE, NIGHT_OF, "start_time: infinite, or outside the years 1 to 9999"),
        ("REMARK:1", AT_FIVE, NIGHT_OF, NOBODY),
        ("REMARK:3", AT_FIVE, NIGHT_OF, "latitude: outside -90 to 90"),
        ("REMARK:4", None, None, ENDLESS),
        ("REMARK:5", None, None, TOO_EARLY),
    ]
    assert ids(databases) == {"REMARK:2", "REMARK:6"}
    assert result.verdict == "PUBLISHED WITH WARNINGS"
    assert result.cause.startswith(
        f"rows are accepted: expected 0 rows rejected, observed HIGH_INTEGRITY_VISITS 1 × {NOBODY}; "
    )


def test_the_raw_form_is_json_of_what_the_source_holds(databases: Databases) -> None:
    change(databases, CITY_NIGHT_CHANGES)
    run_night(databases)
    rows = run_statement(databases.warehouse, "SELECT event_id, raw FROM patrol_events_rejected")
    raw = {event_id: json.loads(text) for event_id, text in rows}
    assert raw["REMARK:3"].pop("received_at")
    assert raw["REMARK:3"] == {
        "event_timestamp": "2026-11-21 17:00:00+00:00",
        "patrol_id": 2,
        "station_id": 3,
        "created_by_officer_id": 3002,
        "assigned_to_officer_id": 3001,
        "remark_text": "off Earth",
        "hotspot_id": 301,
        "latitude": 95.0,
        "longitude": 77.5,
    }
    assert raw["REMARK:4"]["event_timestamp"] == "infinity"
    assert raw["HIGH_INTEGRITY_VISITS:2"]["start_time"] == "infinity"
    assert raw["REMARK:1"]["patrol_id"] == 999999999
    assert "station_id" not in raw["REMARK:1"]


def test_a_rejected_row_that_is_mended_is_loaded_by_the_next_run_and_no_longer_rejected(databases: Databases) -> None:
    change(databases, CITY_NIGHT_CHANGES)
    run_night(databases)
    before = rejected_rows(databases)
    run_night(databases)
    assert rejected_rows(databases) == before
    change(databases, "UPDATE remarks SET latitude = 12.5 WHERE remark_id = 3; DELETE FROM remarks WHERE remark_id = 1")
    change(databases, "UPDATE remarks SET created_at = '2026-11-21 17:00+00' WHERE remark_id IN (4, 5)")
    change(databases, "UPDATE patrols SET start_time = '2026-11-21 16:30+00' WHERE patrol_id = 1")
    assert run_night(databases).rejected.empty
    assert rejected_rows(databases) == []
    assert ids(databases) == {*(f"REMARK:{n}" for n in range(2, 7)), "HIGH_INTEGRITY_VISITS:2"}


def test_another_night_s_rejected_rows_stay(databases: Databases) -> None:
    change(databases, CITY_NIGHT_CHANGES)
    run_night(databases)
    before = [row for row in rejected_rows(databases) if row[1]]
    night = Window(NIGHT.start.replace(day=20), NIGHT.start)
    run_window(night, source=databases.source, warehouse=databases.warehouse, settings=Settings())
    assert [row for row in rejected_rows(databases) if row[1]] == before


def test_a_dry_run_rejects_in_its_result_alone(databases: Databases) -> None:
    change(databases, CITY_NIGHT_CHANGES)
    prepare_tables(databases.warehouse, SENTINEL.fact_table, SENTINEL.zone)
    assert run_night(databases, dry_run=True).rejected["rows"].sum() == 6
    assert rejected_rows(databases) == []


def test_nothing_of_a_run_is_left_beside_its_tables(databases: Databases) -> None:
    change(databases, CITY_NIGHT_CHANGES)
    run_night(databases)
    tables = run_statement(
        databases.warehouse,
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND name LIKE '%staging%'",
    )
    assert tables == []


def test_too_many_rejected_rows_stop_the_night_and_are_kept_for_inspection(databases: Databases) -> None:
    change(databases, "UPDATE remarks SET latitude = 91; UPDATE vehicle_checks SET longitude = -181")
    result = run_night(databases)
    assert result.verdict == "NOT PUBLISHED"
    assert result.cause.startswith("rows are accepted: expected at most 139 rows rejected, observed ")
    [(kept,)] = run_statement(
        databases.warehouse,
        "SELECT total_rows FROM system.tables WHERE database = currentDatabase() AND name = :name",
        {"name": f"patrol_events_rejected__staging_{result.run_id}"},
    )
    assert kept == result.rejected["rows"].sum()
    assert rejected_rows(databases) == []


def test_a_text_with_a_nul_never_reaches_us_because_postgresql_has_no_such_text(databases: Databases) -> None:
    with databases.source.connect() as connection, pytest.raises(DBAPIError) as caught:
        connection.exec_driver_sql("SELECT '\"\\u0000\"'::jsonb")
    assert isinstance(caught.value.orig, UntranslatableCharacter)
    with databases.source.connect() as connection, pytest.raises(DataError, match="NUL"):
        connection.exec_driver_sql("SELECT %s", ("a\x00b",))


def test_remarks_of_ten_megabytes_arrive_whole(databases: Databases) -> None:
    change(
        databases,
        "INSERT INTO remarks (remark_id, patrol_id, created_by_officer_id, remark_text, created_at) "
        "SELECT n, (SELECT min(patrol_id) FROM patrols), 3002, repeat(chr(65 + n) || '😀ಸಹಾ', 769231), "
        "'2026-11-21 17:00+00' FROM generate_series(1, 6) n",
    )
    assert run_night(databases).rejected.empty
    found = query_df(
        databases.warehouse,
        "SELECT event_id, remark_length, length(remark_text) AS bytes, lower(hex(MD5(remark_text))) AS digest "
        "FROM patrol_events WHERE remark_length > 1000 ORDER BY event_id",
    )
    with databases.source.connect() as connection:
        expected = connection.exec_driver_sql(
            "SELECT 'REMARK:' || remark_id, length(remark_text), octet_length(remark_text), md5(remark_text) "
            "FROM remarks WHERE remark_id <= 6 ORDER BY 1"
        ).all()
    assert list(found.itertuples(index=False, name=None)) == [tuple(row) for row in expected]
    assert found["bytes"].min() > 10_000_000


@pytest.mark.parametrize("year", [1, 1969, 2150, 9000])
def test_a_window_beyond_the_warehouse_s_calendar_is_refused(databases: Databases, year: int) -> None:
    window = Window(NIGHT.start.replace(year=year), NIGHT.end.replace(year=year))
    with pytest.raises(WindowError, match="expected nights from 1970-01-02 to 2149-06-04"):
        run_window(window, source=databases.source, warehouse=databases.warehouse, settings=Settings())


@pytest.mark.parametrize("stage", ["publish_rejected", "publish_window"])
def test_a_run_that_breaks_off_before_or_after_its_rejected_rows_are_in_is_made_good_by_the_next(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    change(databases, CITY_NIGHT_CHANGES)

    def broken_off(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setitem(vars(sys.modules["sentinel_etl.run.stages"]), stage, broken_off)
        with pytest.raises(KeyboardInterrupt):
            run_night(databases)
    change(databases, "UPDATE remarks SET latitude = 12.5 WHERE remark_id = 3")
    run_night(databases)
    assert [row[0] for row in rejected_rows(databases)] == [
        "HIGH_INTEGRITY_VISITS:1",
        "HIGH_INTEGRITY_VISITS:2",
        "REMARK:1",
        "REMARK:4",
        "REMARK:5",
    ]
    tables = "SELECT name FROM system.tables WHERE database = currentDatabase() AND name LIKE '%staging%'"
    assert run_statement(databases.warehouse, tables) == []


def test_the_rows_that_an_earlier_night_rejected_do_not_depend_on_the_order_of_the_runs(databases: Databases) -> None:
    change(databases, "UPDATE feedback SET latitude = 91 WHERE mod(feedback_id, 7) = 0")
    nights = [Window(NIGHT.start.replace(day=day), NIGHT.end.replace(day=day + 1)) for day in (19, 20, 21)]
    states = []
    for order in (nights, nights[::-1]):
        for night in order:
            run_window(night, source=databases.source, warehouse=databases.warehouse, settings=Settings())
        states.append(rejected_rows(databases))
    assert states[0] == states[1]
    assert {row[2] for row in states[0]} == {"2026-11-19", "2026-11-20", "2026-11-21"}


@pytest.mark.parametrize(("encoding", "loaded"), [("SQL_ASCII", ["HOSTILE:1"]), ("LATIN1", ["HOSTILE:1", "HOSTILE:2"])])
def test_a_database_in_another_encoding_is_read_as_it_is_or_row_by_row_rejected(
    stack: LocalStack, warehouse: Engine, encoding: str, loaded: list[str]
) -> None:
    name = new_name()
    with maintenance(stack.source_url) as run:
        run(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'")
    source = open_source(make_url(stack.source_url).set(database=name).render_as_string(hide_password=False))
    insert_rows(source, [])
    with source.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO hostile_events (row_id, event_key, happened_at, patrol_id, officer_id, remark) VALUES "
            "(1, '1', '2026-11-21 17:00+00', 1, 1, 'plain'), "
            "(2, '2', '2026-11-21 17:00+00', 1, 1, convert_from('\\xe9'::bytea, current_setting('server_encoding')))"
        )
    result = run_window(NIGHT, source=source, warehouse=warehouse, pipeline=PIPELINE, settings=Settings())
    assert result.published
    found = run_statement(warehouse, "SELECT event_id FROM patrol_events ORDER BY event_id")
    assert [row[0] for row in found] == loaded
    refused = run_statement(warehouse, "SELECT event_id, reason FROM patrol_events_rejected")
    assert [tuple(row) for row in refused] == (
        [("HOSTILE:2", "remark_text: bytes that are no UTF-8")] if encoding == "SQL_ASCII" else []
    )
    drop_source(source)
