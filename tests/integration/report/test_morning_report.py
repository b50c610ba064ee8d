"""Nights that went wrong, each made in the source, and what the first screen of their report says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import nbformat
import pytest
from sqlalchemy import Engine

from sentinel_etl import report
from sentinel_etl.audit import history_gates
from sentinel_etl.audit.checks import Check, Severity
from sentinel_etl.audit.gate_registry import GATES
from sentinel_etl.city import City, create_source_tables, load_city, load_nights
from sentinel_etl.databases import Databases
from sentinel_etl.errors import SourceUnreachable
from sentinel_etl.notebook.execute import run_notebook
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.result import RunResult
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import query_df, run_statement
from sentinel_etl.warehouse.tables import ETL_RUNS, create_table
from sentinel_etl.window import Window

ZONE = ZoneInfo("Asia/Kolkata")
LAST = date(2026, 11, 21)
NIGHT = Window.night(LAST, ZONE)
HISTORY = Window(Window.night(date(2026, 11, 12), ZONE).start, NIGHT.start)  # nine nights
EVENTS = 1_500

IN_NIGHT = f"created_at >= '{NIGHT.start.isoformat()}' AND created_at < '{NIGHT.end.isoformat()}'"
NIGHT_BEFORE = "created_at >= '2026-11-20T00:30:00+00:00' AND created_at < '2026-11-21T00:30:00+00:00'"
LOCATED = ("patrol_logs", "remarks", "vehicle_checks", "stranger_encounters", "geofence_logs")


def repeat_rows(table: str, key: str, where: str) -> str:
    """Insert a table's rows once more, under other keys."""
    return (
        f"CREATE TEMP TABLE again ON COMMIT DROP AS SELECT * FROM {table} WHERE {where}; "
        f"UPDATE again SET {key} = {key} + 500000000000; INSERT INTO {table} SELECT * FROM again"
    )


@pytest.fixture(scope="module")
def prepared(
    make_source: Callable[[str | None], Engine], make_warehouse: Callable[[], Engine]
) -> Iterator[tuple[str, Engine]]:
    """A source of ten nights and a warehouse with the first nine; both are copied, neither is changed."""
    source, warehouse = make_source(None), make_warehouse()
    city = City()
    create_source_tables(source)
    load_city(source, city)
    load_nights(source, city, LAST, 10, EVENTS)
    run_window(HISTORY, source=source, warehouse=warehouse, settings=Settings())
    source.dispose()
    yield str(source.url.database), warehouse
    warehouse.dispose()


@pytest.fixture
def databases(
    prepared: tuple[str, Engine], make_source: Callable[[str | None], Engine], make_warehouse: Callable[[], Engine]
) -> Iterator[Databases]:
    template, stocked = prepared
    source, warehouse = make_source(template), make_warehouse()
    create_table(warehouse, SENTINEL.fact_table)
    create_table(warehouse, ETL_RUNS)
    for table in (SENTINEL.fact_table.name, ETL_RUNS.name):
        run_statement(warehouse, f"INSERT INTO {table} SELECT * FROM {stocked.url.database}.{table}")
    yield Databases(source, warehouse)
    source.dispose()
    warehouse.dispose()


def run_after(databases: Databases, *changes: str) -> RunResult:
    with databases.source.begin() as connection:
        for change in changes:
            connection.exec_driver_sql(change)
    return run_window(NIGHT, source=databases.source, warehouse=databases.warehouse, settings=Settings())


def first_screen(result: RunResult) -> list[str]:
    return repr(report.first_screen(result, ZONE)).splitlines()


def told_of(result: RunResult, check: str) -> str:
    """What the first screen says that it observed, under the check's name."""
    told = first_screen(result)
    (severity,) = (gate.severity for gate in GATES.values() if gate.name == check)
    return told[told.index(f"{severity} · failed: {check}") + 2]


def test_a_usual_night_warns_of_nothing(databases: Databases) -> None:
    told = first_screen(run_after(databases))
    assert told[0] == "PUBLISHED"
    assert not [line for line in told if line.startswith(("warn", "block"))]


def test_a_missing_event_type_is_named(databases: Databases) -> None:
    result = run_after(databases, f"DELETE FROM feedback WHERE {IN_NIGHT}")
    assert first_screen(result)[0].startswith("PUBLISHED WITH WARNINGS: failed “every event type is there")
    assert told_of(result, "every event type is there") == "  observed FEEDBACK has none"


def test_a_gate_that_is_declared_to_block_keeps_the_night_from_readers(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "every event type is there"
    monkeypatch.setattr(history_gates, "PRESENCE", replace(history_gates.PRESENCE, severity=Severity.BLOCK))
    result = run_after(databases, f"DELETE FROM feedback WHERE {IN_NIGHT}")
    assert first_screen(result)[0] == f"NOT PUBLISHED: failed “{name}”"
    (check,) = [check for check in result.checks if not check.passed]
    assert query_df(databases.warehouse, check.query)["events"].size == 9
    found = "SELECT count() FROM patrol_events WHERE shift_date = '2026-11-21'"
    assert run_statement(databases.warehouse, found) == [(0,)]


def test_doubled_volume_is_named(databases: Databases) -> None:
    result = run_after(databases, repeat_rows("vehicle_checks", "vehicle_check_id", IN_NIGHT))
    assert first_screen(result)[0].startswith("PUBLISHED WITH WARNINGS: failed “volumes are as usual")
    assert re.search(r"VEHICLE_CHECK [\d,]+ is [23]\.\d times the median", told_of(result, "volumes are as usual"))


def test_shifted_risk_is_named(databases: Databases) -> None:
    result = run_after(databases, f"UPDATE stranger_encounters SET id_type = 'NONE' WHERE {IN_NIGHT}")
    assert first_screen(result)[0].startswith("PUBLISHED WITH WARNINGS: failed “risk is distributed as usual")
    assert re.search(r"STRANGER_ENCOUNTER PSI \d\.\d\d, KS 0\.\d\d", told_of(result, "risk is distributed as usual"))


def test_nulls_in_30_of_100_positions_are_named(databases: Databases) -> None:
    forget = "UPDATE {table} SET latitude = NULL, longitude = NULL WHERE random() < 0.3 AND {night}"
    changes = [forget.format(table=table, night=IN_NIGHT) for table in LOCATED]
    result = run_after(databases, "SELECT setseed(0.5)", *changes)
    assert first_screen(result)[0].startswith("PUBLISHED WITH WARNINGS: failed “NULLs are as usual")
    observed = told_of(result, "NULLs are as usual")
    assert re.search(r"latitude and longitude NULL in .*GEOFENCE [23]\d% \(before \d%\)", observed)


def test_late_rows_of_an_earlier_night_are_named_with_the_command_that_mends_it(databases: Databases) -> None:
    result = run_after(databases, repeat_rows("remarks", "remark_id", f"{NIGHT_BEFORE} AND mod(remark_id, 5) = 0"))
    assert first_screen(result)[0].startswith("PUBLISHED WITH WARNINGS: failed “earlier nights are complete”")
    observed = told_of(result, "earlier nights are complete")
    late = re.search(r"2026-11-20: .*\bREMARK \+(\d+)", observed)
    assert late
    assert int(late[1]) >= 10
    told = first_screen(result)
    (line,) = [line for line in told[told.index("Late rows") :] if line.startswith("2026-11-20: ")]
    assert f"REMARK +{late[1]}" in line
    assert line.endswith(" → sentinel-etl run --window-end 2026-11-21T06:00:00+05:30")


def test_rejected_rows_are_named_with_their_reason(databases: Databases) -> None:
    result = run_after(
        databases, f"UPDATE vehicle_checks SET created_at = 'infinity' WHERE {IN_NIGHT} AND accuracy > 9"
    )
    told = first_screen(result)
    assert told[0].startswith("PUBLISHED WITH WARNINGS: failed “rows are accepted”")
    assert re.search(r"VEHICLE_CHECK \d+ × event_timestamp: infinite", told_of(result, "rows are accepted"))
    assert "infinite" in told[told.index(next(line for line in told if line.startswith("Rejected rows: "))) + 2]
    check = next(check for check in result.checks if check.name == "rows are accepted")
    more = query_df(databases.warehouse, check.query)
    assert more["event_id"].astype(str).to_list()[:5] == [row["event_id"] for row in check.examples]
    assert set(more.columns) == {"event_id", "event_type", "event_timestamp", "reason"}


def test_the_query_of_a_failed_check_shows_more_rows_of_it_and_no_personal_data(databases: Databases) -> None:
    result = run_after(databases, f"UPDATE geofence_logs SET heading = 400 WHERE {IN_NIGHT} AND speed < 1")
    check = next(check for check in result.checks if check.name == "values lie in their ranges")
    assert check.observed.startswith("heading in ")
    assert len(check.examples) == 5
    more = query_df(databases.warehouse, check.query)
    assert len(more) == int(re.findall(r"\d+", check.observed)[0])
    assert more["event_id"].astype(str).to_list()[:5] == [row["event_id"] for row in check.examples]
    assert not {"stranger_name", "stranger_purpose", "stranger_id_details", "remark_text"} & set(more.columns)
    assert f'sentinel-etl query "{check.query}"' in first_screen(result)


@pytest.fixture
def settings(databases: Databases, tmp_path: Path) -> Settings:
    checkout = Path(__file__).parents[3]
    return Settings(
        source_url=databases.source.url.render_as_string(hide_password=False),
        warehouse_url=databases.warehouse.url.render_as_string(hide_password=False),
        now=NIGHT.end,
        runs_dir=tmp_path / "runs",
        notebooks_dir=checkout / "notebooks",
        state_dir=tmp_path / "state",
    )


def opening(settings: Settings) -> tuple[list[str], str]:
    """The text of the first output of the only archived notebook, and its page."""
    (path,) = settings.runs_dir.rglob("*.ipynb")
    cells = nbformat.read(path, as_version=4).cells
    first = next(cell for cell in cells if cell.get("outputs"))
    return first.outputs[0]["data"]["text/plain"].splitlines(), path.with_suffix(".html").read_text(encoding="utf-8")


def test_a_run_that_broke_off_opens_with_its_verdict(environment: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source goes away: its password is no longer right."""
    wrong = re.sub(r":[^:@/]+@", ":wrong@", environment.source_url.get_secret_value())  # type: ignore[union-attr]
    broken = environment.model_copy(update={"source_url": type(environment.source_url)(wrong)})
    monkeypatch.setenv("SENTINEL_SOURCE_URL", wrong)
    with pytest.raises(SourceUnreachable):
        run_notebook(settings=broken)
    told, page = opening(environment)
    assert told[0] == "NOT PUBLISHED: the source does not answer"
    assert told[2] == "Readers see what they saw before the run; running it again is safe."
    assert told[-1] == "again: sentinel-etl run --window-end 2026-11-22T06:00:00+05:30"
    assert page.index("NOT PUBLISHED: the source does not answer") < page.index("<h1")
    assert "An Exception was encountered" not in page


REFUSE = f"UPDATE vehicle_checks SET longitude = -181 WHERE {IN_NIGHT}"


def staged(databases: Databases) -> set[str]:
    names = "SELECT name FROM system.tables WHERE database = currentDatabase() AND name LIKE '%__staging_%'"
    return {str(name) for (name,) in run_statement(databases.warehouse, names)}


def move_night(databases: Databases, *changes: str, **options: Any) -> RunResult:
    with databases.source.begin() as connection:
        for change in changes:
            connection.exec_driver_sql(change)
    return run_window(NIGHT, source=databases.source, warehouse=databases.warehouse, settings=Settings(), **options)


def accepted(result: RunResult) -> Check:
    return next(check for check in result.checks if check.name == "rows are accepted")


def test_the_query_is_one_that_a_person_would_type(databases: Databases) -> None:
    check = accepted(move_night(databases, f"{REFUSE} AND mod(vehicle_check_id, 9) = 0"))
    assert check.query == (
        "SELECT event_id, event_type, event_timestamp, reason FROM patrol_events_rejected "
        "WHERE event_type IN ('SUSPICIOUS_VEHICLE', 'VEHICLE_CHECK') "
        "AND (isNull(event_timestamp) OR shift_date = '2026-11-21') ORDER BY event_type, event_id"
    )
    assert check.answers == "until the window is loaded again"
    assert len(query_df(databases.warehouse, check.query)) > 0


def test_a_dry_run_s_query_gives_its_rows_until_the_next_run(databases: Databases) -> None:
    result = move_night(databases, f"{REFUSE} AND mod(vehicle_check_id, 9) = 0", dry_run=True)
    check = accepted(result)
    assert result.verdict == "DRY RUN"
    assert check.answers == "until the next run of patrol_events"
    assert f"it answers {check.answers}" in first_screen(result)
    assert len(query_df(databases.warehouse, check.query)) == result.rejected["rows"].sum()
    assert f"patrol_events_rejected__staging_{result.run_id}" in staged(databases)
    move_night(databases, dry_run=True)
    assert not any(name.endswith(result.run_id) for name in staged(databases))
    move_night(databases)
    assert staged(databases) == set()


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_refused_run_s_query_gives_its_rows_until_the_window_is_published(
    databases: Databases, dry_run: bool
) -> None:
    result = move_night(databases, REFUSE, f"UPDATE remarks SET latitude = 91 WHERE {IN_NIGHT}", dry_run=dry_run)
    check = accepted(result)
    assert result.verdict == "NOT PUBLISHED"
    assert check.answers == "until a later run of the window publishes"
    move_night(databases, dry_run=True)
    assert len(query_df(databases.warehouse, check.query)) == result.rejected["rows"].sum()
    unhurt = [
        f"UPDATE {table} SET {column} = NULL WHERE {IN_NIGHT}"
        for table, column in (("vehicle_checks", "longitude"), ("remarks", "latitude"))
    ]
    assert move_night(databases, *unhurt).published
    assert staged(databases) == set()
