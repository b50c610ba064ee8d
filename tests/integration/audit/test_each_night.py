"""A window of many nights is judged night by night: it hides nothing that one of them would tell alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import many_nights
import pytest
from many_nights import AFTER, FAULTS, NIGHTS, ODD, PIPELINE, WHOLE, by_night, fill_nights, spoil
from sqlalchemy import Engine

from sentinel_etl.databases import Databases
from sentinel_etl.run.result import RunResult
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import query_df
from sentinel_etl.window import Window

BLOCKED = {"all events gone": "window_kept", "most events gone": "window_kept", "most rows rejected": "rows_accepted"}


@pytest.fixture
def databases(source_engine: Engine, warehouse: Engine) -> Databases:
    fill_nights(source_engine)
    return Databases(source_engine, warehouse)


def move(databases: Databases, window: Window = WHOLE, **options: Any) -> RunResult:
    return run_window(
        window,
        source=databases.source,
        warehouse=databases.warehouse,
        pipeline=PIPELINE,
        settings=Settings(now=AFTER, lookback_nights=0),
        **options,
    )


def failed(result: RunResult) -> dict[str, str]:
    return {check.gate: check.severity.value for check in result.checks if not check.passed}


def nights_of(result: RunResult) -> set[str]:
    return {night for check in result.checks for night in check.nights}


@pytest.mark.parametrize("loaded", [False, True], ids=["first load", "loaded before"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_night_s_fault_fails_the_gates_of_its_window_that_it_fails_alone(
    databases: Databases, make_warehouse: Callable[[], Engine], fault: str, loaded: bool
) -> None:
    alone = Databases(databases.source, make_warehouse())
    before = NIGHTS[: NIGHTS.index(ODD)]
    if loaded:
        assert move(databases).verdict == "PUBLISHED"
        move(alone)
    was = by_night(databases)[1] if loaded else {}
    spoil(databases.source, FAULTS[fault])
    if not loaded:
        move(alone, Window(Window.night(before[0]).start, Window.night(before[-1]).end))
    night, window = move(alone, Window.night(ODD)), move(databases)
    assert failed(night)
    assert failed(window) == failed(night)
    assert nights_of(window) == {str(ODD)}
    assert window.published == night.published
    source, facts = by_night(databases)
    assert facts == (source if window.published else was)


def test_a_night_that_has_vanished_is_named_with_what_it_lost_and_what_to_run(databases: Databases) -> None:
    move(databases)
    spoil(databases.source, FAULTS["all events gone"])
    refused = move(databases)
    assert refused.verdict == "NOT PUBLISHED"
    assert refused.cause == (
        "the window has not collapsed: expected at least 160 rows, after 320 before, observed 2026-11-18: 0 rows, "
        "CALL 0 of 240, VISIT 0 of 80; if the source really lost them, "
        "`sentinel-etl backfill --from 2026-11-18 --to 2026-11-18 --allow-shrink` accepts it; "
        "to load the other nights: `sentinel-etl backfill --from 2026-11-08 --to 2026-11-17`, "
        "`sentinel-etl backfill --from 2026-11-19 --to 2026-11-21`"
    )
    allowed = move(databases, allow_shrink=True)
    assert allowed.verdict == "PUBLISHED WITH WARNINGS"
    source, facts = by_night(databases)
    assert facts == source


def test_a_night_without_any_row_in_the_middle_is_told(databases: Databases) -> None:
    spoil(databases.source, FAULTS["all events gone"])
    result = move(databases)
    checks = {check.gate: check for check in result.checks if not check.passed}
    assert checks["window_has_events"].observed == "2026-11-18: 0 events"
    assert checks["types_present"].observed == "2026-11-18: CALL has none; VISIT has none"


def test_what_a_night_s_check_speaks_of_is_shown_by_rows_of_that_night_alone(databases: Databases) -> None:
    spoil(databases.source, FAULTS["risk moved"])
    result = move(databases)
    [check] = [check for check in result.checks if check.gate == "risk_usual"]
    assert check.observed.startswith("2026-11-18: CALL PSI ")
    assert check.subjects == ("CALL",)
    shown = query_df(databases.warehouse, check.query)
    assert len(shown) == many_nights.CALLS
    assert set(shown["event_timestamp"].astype("str").str[:10]) == {"2026-11-18"}


def test_nights_with_one_fault_are_named_as_a_stretch_and_the_rest_is_counted(databases: Databases) -> None:
    for night in (*NIGHTS[7:10], NIGHTS[12]):
        spoil(databases.source, FAULTS["an event type gone"], night)
    result = move(databases)
    [check] = [check for check in result.checks if check.gate == "types_present"]
    assert check.observed == "2026-11-15 to 2026-11-17, 2026-11-20: VISIT has none"
    assert check.nights == ("2026-11-15", "2026-11-16", "2026-11-17", "2026-11-20")


def test_parts_of_nights_are_not_compared_with_whole_ones_and_the_whole_ones_among_them_are(
    databases: Databases,
) -> None:
    spoil(databases.source, FAULTS["risk moved"])
    hours = Window(Window.night(NIGHTS[0]).start, Window.night(ODD).start + (WHOLE.end - WHOLE.start) / 20)
    assert failed(move(databases, hours)) == {}
    over = Window(hours.start, Window.night(ODD).end + (WHOLE.end - WHOLE.start) / 20)
    assert nights_of(move(databases, over)) == {str(ODD)}


def test_a_night_s_yardstick_is_what_readers_will_see_of_the_nights_before_it(databases: Databases) -> None:
    """A change that lasts is odd at first and usual later, also where the warehouse has other rows of these nights."""
    move(databases)
    for night in NIGHTS:
        spoil(databases.source, FAULTS["an event type trebled"], night)
    assert failed(move(databases)) == {}
    assert failed(move(databases, Window.night(date(2026, 11, 21)))) == {}
