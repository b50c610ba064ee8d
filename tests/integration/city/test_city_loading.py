from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta

import pytest
from source_kinds import NEEDS_LETTERS
from sqlalchemy import Engine, func, select, text
from sqlalchemy.engine import make_url

from sentinel_etl.city import (
    City,
    create_source_tables,
    load_city,
    load_night,
    load_nights,
    night_tables,
)
from sentinel_etl.config.source_models import EmergencyIncident, Patrol, Remark, SourceBase, Station
from sentinel_etl.errors import ConfigurationError, SourceUnreachable

CITY = City()
NIGHT = date(2026, 11, 19)
CLOSES = datetime(2026, 11, 20, 6, tzinfo=CITY.zone)
TABLES = SourceBase.metadata.tables


@pytest.fixture
def city_engine(source_engine: Engine) -> Iterator[Engine]:
    create_source_tables(source_engine)
    load_city(source_engine, CITY)
    yield source_engine
    with source_engine.begin() as connection:
        SourceBase.metadata.drop_all(connection)


def rows_in(engine: Engine, name: str) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(TABLES[name])) or 0


def generated(events: int) -> dict[str, int]:
    return {name: table.num_rows for name, table in night_tables(CITY, NIGHT, events).items()}


def test_creating_the_tables_and_loading_the_city_again_changes_nothing(city_engine: Engine) -> None:
    create_source_tables(city_engine)
    load_city(city_engine, CITY)
    counts = {name: rows_in(city_engine, name) for name in ("stations", "officers", "vehicles", "hotspots")}
    assert counts == {"stations": 12, "officers": 300, "vehicles": 72, "hotspots": 120}


def test_a_night_is_written_whole_and_says_how_much(city_engine: Engine) -> None:
    written = load_night(city_engine, CITY, NIGHT, 1_000)
    assert written == generated(1_000)
    assert {name: rows_in(city_engine, name) for name in written} == written


def test_every_value_arrives_as_it_was_generated(city_engine: Engine) -> None:
    load_night(city_engine, CITY, NIGHT, 1_000)
    for name, rows in night_tables(CITY, NIGHT, 1_000).items():
        if name == "emergency_incidents":
            rows = rows.drop_columns(["details"])
        columns = [TABLES[name].c[column] for column in rows.column_names]
        with city_engine.connect() as connection:
            found = connection.execute(select(*columns).order_by(columns[0])).mappings()
            assert [dict(row) for row in found] == rows.to_pylist(), name


def test_details_arrive_as_json_that_the_database_can_look_into(city_engine: Engine) -> None:
    load_night(city_engine, CITY, NIGHT, 5_000)
    involved = EmergencyIncident.details["persons"]["involved"].as_integer()
    with city_engine.connect() as connection:
        assert (connection.scalar(select(func.sum(involved))) or 0) > 0


@NEEDS_LETTERS
def test_awkward_texts_survive(city_engine: Engine) -> None:
    load_night(city_engine, CITY, NIGHT, 20_000)
    with city_engine.connect() as connection:
        texts = set(connection.scalars(select(Remark.remark_text)))
    assert {
        None,
        "",
        "item\tcount\nbikes\t3",
        "All clear 👮🏽‍♀️✅",
        "path C:\\beats\\night\\4 written on the board",
    } <= texts


def test_a_night_that_is_there_is_left_as_it_is(city_engine: Engine) -> None:
    load_night(city_engine, CITY, NIGHT, 1_000)
    again = load_night(city_engine, CITY, NIGHT, 1_000)
    assert set(again.values()) == {0}


@pytest.mark.parametrize("events", [500, 2_000])
def test_a_night_with_other_parameters_is_not_mixed_in(city_engine: Engine, events: int) -> None:
    first = load_night(city_engine, CITY, NIGHT, 1_000)
    assert set(load_night(city_engine, CITY, NIGHT, events).values()) == {0}
    assert {name: rows_in(city_engine, name) for name in first} == first


def test_rows_that_come_late_are_added_later_and_nothing_else(city_engine: Engine) -> None:
    on_time = load_night(city_engine, CITY, NIGHT, 20_000, received_before=CLOSES)
    late = load_night(city_engine, CITY, NIGHT, 20_000, received_before=CLOSES + timedelta(hours=4))
    later = load_night(city_engine, CITY, NIGHT, 20_000)
    assert late["patrols"] == later["patrols"] == 0
    assert late["geofence_logs"] > 0
    assert later["geofence_logs"] > 0
    assert {name: on_time[name] + late[name] + later[name] for name in on_time} == generated(20_000)
    assert {name: rows_in(city_engine, name) for name in on_time} == generated(20_000)


def test_nothing_is_there_before_anything_was_received(city_engine: Engine) -> None:
    before = load_night(city_engine, CITY, NIGHT, 1_000, received_before=CLOSES - timedelta(days=1))
    assert set(before.values()) == {0}
    assert rows_in(city_engine, "patrols") == 0


def test_an_interrupted_night_leaves_nothing_and_can_be_loaded_again(city_engine: Engine) -> None:
    with city_engine.begin() as connection:
        connection.execute(text("ALTER TABLE geofence_logs ADD CONSTRAINT closed CHECK (false)"))
    with pytest.raises(Exception, match='violates check constraint "closed"'):
        load_night(city_engine, CITY, NIGHT, 1_000)
    assert {name: rows_in(city_engine, name) for name in ("patrols", "remarks")} == {
        "patrols": 0,
        "remarks": 0,
    }
    with city_engine.begin() as connection:
        connection.execute(text("ALTER TABLE geofence_logs DROP CONSTRAINT closed"))
    assert load_night(city_engine, CITY, NIGHT, 1_000) == generated(1_000)


def test_nights_are_loaded_oldest_first_with_progress(city_engine: Engine) -> None:
    seen: list[tuple[date, int]] = []
    written = load_nights(city_engine, CITY, NIGHT, 3, 500, progress=lambda night, rows: seen.append((night, rows)))
    assert [night for night, _ in seen] == [NIGHT - timedelta(days=back) for back in (2, 1, 0)]
    assert written == sum(rows for _, rows in seen) > 1_000
    with city_engine.connect() as connection:
        starts = connection.execute(select(func.min(Patrol.start_time), func.max(Patrol.start_time))).one()
    assert [(start.astimezone(CITY.zone) - timedelta(hours=6)).date() for start in starts] == [
        NIGHT - timedelta(days=2),
        NIGHT,
    ]


def test_every_foreign_key_holds_in_the_database(city_engine: Engine) -> None:
    load_night(city_engine, CITY, NIGHT, 5_000)
    with city_engine.connect() as connection:
        for table in TABLES.values():
            for key in table.foreign_keys:
                referred = key.column.table.alias()
                orphans = (
                    select(func.count())
                    .select_from(table.outerjoin(referred, key.parent == referred.c[key.column.name]))
                    .where(key.parent.is_not(None), referred.c[key.column.name].is_(None))
                )
                assert connection.scalar(orphans) == 0, f"{table.name}.{key.parent.name}"


def test_a_night_without_its_city_is_refused(city_engine: Engine) -> None:
    with city_engine.begin() as connection:
        for name in ("officers", "vehicles", "hotspots", "stations"):
            connection.execute(TABLES[name].delete())
    with pytest.raises(ConfigurationError, match="12 stations in the database, found 12 missing; call load_city"):
        load_night(city_engine, CITY, NIGHT, 500)


def test_a_role_without_privileges_loads_with_the_key_checks_on(
    city_engine: Engine, new_role: Callable[[], str]
) -> None:
    role = new_role()
    with city_engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD 'clerk'"))
        connection.execute(text(f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO {role}"))
    try:
        clerk = Engine(
            city_engine.pool,
            city_engine.dialect,
            city_engine.url.set(username=role, password="clerk"),
        )
        assert load_night(clerk, CITY, NIGHT, 500) == generated(500)
    finally:
        with city_engine.begin() as connection:
            connection.execute(text(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}"))
            connection.execute(text(f"DROP ROLE {role}"))


def test_a_limit_without_a_time_zone_is_refused(city_engine: Engine) -> None:
    with pytest.raises(ConfigurationError, match="received_before: expected a time with its zone"):
        load_night(city_engine, CITY, NIGHT, 500, received_before=datetime(2026, 11, 20, 6))


def test_a_database_that_does_not_answer_is_named_without_its_password(city_engine: Engine) -> None:
    url = make_url("postgresql+psycopg://clerk:secret@127.0.0.1:1/none")
    nowhere = Engine(city_engine.pool, city_engine.dialect, url)
    with pytest.raises(SourceUnreachable, match=r"postgresql://clerk:\*\*\*@127.0.0.1:1/none") as caught:
        load_city(nowhere, CITY)
    assert "secret" not in str(caught.value)


@NEEDS_LETTERS
def test_the_city_stands_where_its_names_say(city_engine: Engine) -> None:
    with city_engine.connect() as connection:
        names = list(connection.scalars(select(Station.name).order_by(Station.station_id)))
    assert names[3] == "ಹೊಸಪೇಟೆ (Hosapete)"
    assert len(set(names)) == 12
