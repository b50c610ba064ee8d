"""What the data-quality notebook reads, over both databases, against SQL written here by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date

import pytest
from sqlalchemy import Engine, text

from sentinel_etl.analyst.quality import (
    LAG_BOUNDS,
    compare_counts,
    last_nights,
    measure_lags,
    measure_nulls,
    read_coverage,
)
from sentinel_etl.context import Context
from sentinel_etl.databases import Databases
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

NIGHTS = [date(2026, 11, 19), date(2026, 11, 20), date(2026, 11, 21)]


@pytest.fixture(scope="module")
def loaded(
    make_source: Callable[[str | None], Engine], make_warehouse: Callable[[], Engine], city_template: str
) -> Iterator[Databases]:
    """Three nights, of which the first two are loaded; then a phone sends three remarks of the second."""
    databases = Databases(make_source(city_template), make_warehouse())
    both = Window(Window.night(NIGHTS[0]).start, Window.night(NIGHTS[1]).end)
    run_window(both, source=databases.source, warehouse=databases.warehouse, settings=Settings())
    with databases.source.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO remarks (remark_id, patrol_id, created_by_officer_id, remark_text, created_at, received_at) "
            "SELECT 700000000000 + n, p.patrol_id, p.assigned_to_officer_id, 'late', '2026-11-20T20:00:00+00:00', "
            "'2026-11-24T20:00:01+00:00' FROM generate_series(1, 3) AS n, (SELECT * FROM patrols LIMIT 1) AS p"
        )
    yield databases
    databases.source.dispose()
    databases.warehouse.dispose()


@pytest.fixture
def window(loaded: Databases, settings_of: Settings) -> Window:
    return last_nights(3, settings_of)


@pytest.fixture
def settings_of(loaded: Databases) -> Settings:
    return Settings(
        source_url=loaded.source.url.render_as_string(hide_password=False),
        warehouse_url=loaded.warehouse.url.render_as_string(hide_password=False),
        now="2026-11-22T06:10:00+05:30",
    )


def test_the_window_is_the_last_nights_up_to_06_00(window: Window) -> None:
    assert str(window) == "2026-11-19T00:30:00Z..2026-11-22T00:30:00Z"


def test_coverage_names_the_nights_that_are_in_and_the_one_that_is_not(
    loaded: Databases, window: Window, settings_of: Settings
) -> None:
    nights = read_coverage(window, Context(settings_of, SENTINEL, loaded))
    assert [(night.shift_date, night.state) for night in nights] == [
        (NIGHTS[0], "published"),
        (NIGHTS[1], "published"),
        (NIGHTS[2], "missing"),
    ]


def test_both_sides_are_counted_per_night_and_type(loaded: Databases, window: Window) -> None:
    counts = compare_counts(window, SENTINEL, loaded.source, loaded.warehouse)
    rows = {(r.shift_date, r.event_type): (r.source, r.warehouse) for r in counts.itertuples()}
    with loaded.source.connect() as connection:
        by_hand = {
            night: connection.execute(
                text(
                    "SELECT count(*) FROM remarks WHERE ((created_at AT TIME ZONE 'Asia/Kolkata') "
                    "- interval '6 hours')::date = :night"
                ),
                {"night": night},
            ).scalar()
            for night in NIGHTS
        }
    assert {night: rows[night, "REMARK"][0] for night in NIGHTS} == by_hand
    assert rows[NIGHTS[0], "REMARK"] == (by_hand[NIGHTS[0]],) * 2
    assert rows[NIGHTS[1], "REMARK"] == (by_hand[NIGHTS[1]], by_hand[NIGHTS[1]] - 3)
    assert rows[NIGHTS[2], "REMARK"] == (by_hand[NIGHTS[2]], 0)
    assert {name for _, name in rows} == set(SENTINEL.event_types)


def test_null_shares_are_those_of_each_nights_events(loaded: Databases, window: Window) -> None:
    shares = measure_nulls(window, SENTINEL, loaded.warehouse)
    assert list(shares.index) == NIGHTS[:2]
    [(expected,)] = run_statement(
        loaded.warehouse,
        "SELECT countIf(latitude IS NULL) / count() FROM patrol_events WHERE shift_date = '2026-11-20'",
    )
    assert shares.loc[NIGHTS[1], "latitude"] == pytest.approx(expected)
    assert 0 < expected < 1


def test_lags_are_those_between_happening_and_arrival(loaded: Databases, window: Window) -> None:
    lags = measure_lags(window, SENTINEL, loaded.source)
    remarks = lags[lags["event_type"] == "REMARK"].set_index("lag")
    with loaded.source.connect() as connection:
        total, quick, late = connection.exec_driver_sql(
            "SELECT count(*), count(*) FILTER (WHERE received_at - created_at <= interval '10 seconds'), "
            "count(*) FILTER (WHERE (received_at AT TIME ZONE 'Asia/Kolkata') >= "
            "((created_at AT TIME ZONE 'Asia/Kolkata') - interval '6 hours')::date + interval '1 day 6 hours') "
            "FROM remarks WHERE created_at >= '2026-11-19T00:30:00Z' AND created_at < '2026-11-22T00:30:00Z'"
        ).one()
    assert list(remarks.index) == [*(name for name, _ in LAG_BOUNDS), "later"]
    assert remarks["events"].sum() == total
    assert (remarks.loc["10 s", "events"], remarks.loc["later", "events"]) == (quick, 3)
    assert set(remarks["after_night"]) == {late}
    assert late >= 3


def test_a_type_whose_table_does_not_say_when_rows_arrived_has_no_lags(loaded: Databases, window: Window) -> None:
    assert measure_lags(window, SENTINEL, loaded.source, received="arrived").empty
