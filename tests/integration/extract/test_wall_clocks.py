"""Events whose time is what a zone's clocks showed: which of them a window takes, and by which index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, Date, DateTime, Engine, MetaData, Table, func

from sentinel_etl.config.event_type import EventType
from sentinel_etl.config.parse_config import parse_event_config
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.extract.check_source import check_source
from sentinel_etl.extract.statements import count_events, select_events
from sentinel_etl.source.snapshot import open_snapshot
from sentinel_etl.source.sql import compile_sql
from sentinel_etl.window import Window

SEEN = Table(
    "seen",
    MetaData(),
    Column("seen_id", BigInteger, primary_key=True),
    Column("wall", DateTime, index=True),
    Column("day", Date, index=True),
    Column("at", DateTime(timezone=True)),
)

# A change of the clocks, in UTC: an hour twice, an hour never, half an hour twice, a day never.
CHANGES = {
    "New York falls back": ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
    "New York springs forward": ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    "Lord Howe falls back": ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    "Apia leaps a day": ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    "Kwajalein leaps a day": ("Pacific/Kwajalein", datetime(1993, 8, 21, 12, tzinfo=UTC)),
    "Kolkata never changes": ("Asia/Kolkata", datetime(2026, 11, 21, 18, 30, tzinfo=UTC)),
}


def seen_in(zone: str, column: str = "wall") -> EventType:
    timestamp = func.timezone(zone, SEEN.c[column])
    entry = {"model": SEEN, "timestamp": timestamp, "key": SEEN.c.seen_id, "columns": [SEEN.c.day.label("told")]}
    return parse_event_config({"SEEN": entry})["SEEN"]


@pytest.fixture(scope="module")
def seen(make_source: Callable[[str | None], Engine]) -> Iterator[Engine]:
    """A row for each ten minutes that a clock can show in four days about each change, whether it did or not."""
    engine = make_source(None)
    SEEN.metadata.create_all(engine)
    with engine.begin() as connection:
        for _, change in CHANGES.values():
            connection.exec_driver_sql(
                "INSERT INTO seen SELECT row_number() OVER () + (SELECT count(*) FROM seen), wall, wall::date, NULL "
                f"FROM generate_series('{change:%Y-%m-%d}'::timestamp - interval '2 days', "
                f"'{change:%Y-%m-%d}'::timestamp + interval '3 days', '10 minutes') AS wall"
            )
        connection.exec_driver_sql("INSERT INTO seen VALUES (0, NULL), (-1, 'infinity'), (-2, '-infinity')")
    yield engine
    engine.dispose()


def happened(engine: Engine, zone: str, window: Window, column: str = "wall") -> list[int]:
    """The rows whose instant lies in the window, by PostgreSQL's own reckoning."""
    with engine.connect() as connection:
        return list(
            connection.exec_driver_sql(
                f"SELECT seen_id FROM seen WHERE ({column}::timestamp AT TIME ZONE %s) >= %s "
                f"AND ({column}::timestamp AT TIME ZONE %s) < %s ORDER BY 1",
                (zone, window.start, zone, window.end),
            ).scalars()
        )


@pytest.mark.parametrize("case", CHANGES)
def test_a_window_takes_exactly_the_rows_whose_instant_lies_in_it(seen: Engine, case: str) -> None:
    zone, change = CHANGES[case]
    kind = seen_in(zone)
    taken = 0
    with open_snapshot(seen) as snapshot:
        for minutes in range(-180, 181, 30):
            edge = change + timedelta(minutes=minutes)
            for window in (Window(edge - timedelta(hours=1), edge), Window(edge, edge + timedelta(hours=24))):
                expected = happened(seen, zone, window)
                read = snapshot.read_whole(select_events(kind, window))["source_key"].to_pylist()
                assert sorted(read) == expected, window
                assert snapshot.count([count_events(kind, window)])["SEEN"] == len(expected)
                taken += len(expected)
    assert taken > 1_000


@pytest.mark.parametrize("case", CHANGES)
def test_windows_that_follow_each_other_take_each_row_once(seen: Engine, case: str) -> None:
    zone, change = CHANGES[case]
    first = change - timedelta(hours=30)
    edges = [first + timedelta(hours=hour) for hour in range(61)]
    with open_snapshot(seen) as snapshot:
        windows = [Window(start, end) for start, end in pairwise(edges)]
        read = [
            key
            for window in windows
            for key in snapshot.read_whole(select_events(seen_in(zone), window))["source_key"].to_pylist()
        ]
    assert sorted(read) == happened(seen, zone, Window(edges[0], edges[-1]))
    assert len(set(read)) == len(read)


def test_a_day_is_an_instant_at_its_first_midnight(seen: Engine) -> None:
    window = Window(datetime(2026, 11, 20, 18, 30, tzinfo=UTC), datetime(2026, 11, 21, 18, 30, tzinfo=UTC))
    with open_snapshot(seen) as snapshot:
        found = snapshot.read_whole(select_events(seen_in("Asia/Kolkata", "day"), window))
    assert found.num_rows == 144
    assert set(found["event_timestamp"].to_pylist()) == {window.start}
    assert sorted(found["source_key"].to_pylist()) == happened(seen, "Asia/Kolkata", window, "day")


@pytest.mark.parametrize("column", ["wall", "day"])
def test_postgresql_reads_the_window_by_the_column_s_index(seen: Engine, column: str) -> None:
    window = Window(datetime(2026, 11, 1, 10, tzinfo=UTC), datetime(2026, 11, 2, 11, tzinfo=UTC))
    statement = compile_sql(select_events(seen_in("America/New_York", column), window))
    with seen.connect() as connection:
        connection.exec_driver_sql("ANALYZE seen")
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement.replace('%', '%%')}").scalars())
    assert f"ix_seen_{column}" in plan
    assert "Seq Scan" not in plan


def test_the_index_s_range_is_the_window_where_no_clock_changes(seen: Engine) -> None:
    window = Window(datetime(2026, 11, 21, 0, 30, tzinfo=UTC), datetime(2026, 11, 22, 0, 30, tzinfo=UTC))
    statement = compile_sql(select_events(seen_in("Asia/Kolkata"), window))
    with seen.connect() as connection:
        plan = " ".join(connection.exec_driver_sql(f"EXPLAIN {statement.replace('%', '%%')}").scalars())
    assert "wall >= '2026-11-21 06:00:00'::timestamp" in plan
    assert "wall < '2026-11-22 06:00:00'::timestamp" in plan


@pytest.mark.parametrize("column", ["wall", "day"])
def test_a_column_on_wall_clocks_without_an_index_is_told_by_its_name(source_engine: Engine, column: str) -> None:
    SEEN.metadata.create_all(source_engine)
    kind = seen_in("Asia/Kolkata", column)
    assert check_source([kind], source_engine) == []
    with source_engine.begin() as connection:
        connection.exec_driver_sql(f"DROP INDEX ix_seen_{column}")
    [difference] = check_source([kind], source_engine)
    assert not difference.blocking
    assert difference.message.endswith(f"CREATE INDEX CONCURRENTLY ON seen ({column})")


def test_a_column_that_has_a_time_zone_is_no_wall_clock() -> None:
    entry: dict[str, Any] = {"model": SEEN, "key": SEEN.c.seen_id, "columns": [SEEN.c.day]}
    with pytest.raises(ConfigurationError, match=r"SEEN.timestamp: expected seen.at by itself, because it has a time"):
        parse_event_config({"SEEN": {**entry, "timestamp": func.timezone("Asia/Kolkata", SEEN.c.at)}})
