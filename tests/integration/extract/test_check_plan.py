"""Which index the check finds missing: as PostgreSQL plans the entry's own statement, and not by the catalog."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, DateTime, Engine, MetaData, Table, Text, func
from sqlalchemy.exc import IntegrityError

from sentinel_etl.config.parse_config import parse_event_config
from sentinel_etl.extract.check_source import check_source
from sentinel_etl.source.connection import connect_source

SEEN = Table(
    "seen",
    MetaData(),
    Column("seen_id", BigInteger, primary_key=True),
    Column("kind", Text),
    Column("at", DateTime(timezone=True)),
    Column("received_at", DateTime(timezone=True)),
)
ENTRY: dict[str, Any] = {"model": SEEN, "timestamp": SEEN.c.at, "key": SEEN.c.seen_id, "columns": [SEEN.c.kind]}
RAIDS = {**ENTRY, "filters": [SEEN.c.kind == "raid"]}
EITHER = {**ENTRY, "timestamp": func.coalesce(SEEN.c.at, SEEN.c.received_at)}
COLUMNS = "seen_id bigint, kind text, at timestamptz, received_at timestamptz"
TABLE = f"CREATE TABLE seen ({COLUMNS}, PRIMARY KEY (seen_id))"
DAYS = (
    f"CREATE TABLE seen ({COLUMNS}) PARTITION BY RANGE (at)",
    "CREATE TABLE seen_before PARTITION OF seen FOR VALUES FROM (MINVALUE) TO ('2020-01-01')",
    "CREATE TABLE seen_since PARTITION OF seen FOR VALUES FROM ('2020-01-01') TO (MAXVALUE)",
)
KINDS = (
    f"CREATE TABLE seen ({COLUMNS}) PARTITION BY LIST (kind)",
    "CREATE TABLE seen_raids PARTITION OF seen FOR VALUES IN ('raid')",
    "CREATE TABLE seen_others PARTITION OF seen DEFAULT",
)
VIEW = (f"CREATE TABLE all_seen ({COLUMNS})", "CREATE VIEW seen AS SELECT * FROM all_seen WHERE kind <> 'test'")
RENAMED = (
    "CREATE SCHEMA archive",
    f'CREATE TABLE archive."all seen" ({COLUMNS})',
    'CREATE VIEW seen AS SELECT seen_id, kind, received_at AS at, received_at FROM archive."all seen"',
)
GROUPED = (
    f"CREATE TABLE all_seen ({COLUMNS})",
    "CREATE INDEX ON all_seen (at)",
    "CREATE VIEW seen AS SELECT seen_id, kind, max(at) AS at, max(received_at) AS received_at FROM all_seen "
    "GROUP BY seen_id, kind",
)
ROWS = "INSERT INTO {} SELECT n, 'raid', now() - n * interval '1 minute', now() FROM generate_series(1, 5000) AS n"
EXPECTED = "SEEN: expected an index on {}, the time filter; every run reads the whole table. CREATE INDEX {}"
MISSING = EXPECTED.format("seen.at", "CONCURRENTLY ON seen (at)")

# Statements that make the source, the entry, and what the check says.
CASES: dict[str, tuple[tuple[str, ...], dict[str, Any], list[str]]] = {
    "none": ((TABLE,), ENTRY, [MISSING]),
    "none, and many rows": ((TABLE, ROWS.format("seen"), "ANALYZE seen"), ENTRY, [MISSING]),
    "a plain one": ((TABLE, "CREATE INDEX ON seen (at)"), ENTRY, []),
    "a plain one, and rows without statistics": ((TABLE, "CREATE INDEX ON seen (at)", ROWS.format("seen")), ENTRY, []),
    "a plain one, and statistics": (
        (TABLE, "CREATE INDEX ON seen (at)", ROWS.format("seen"), "ANALYZE seen"),
        ENTRY,
        [],
    ),
    "one that is read backwards": ((TABLE, "CREATE INDEX ON seen (at DESC NULLS LAST)"), ENTRY, []),
    "a BRIN": ((TABLE, "CREATE INDEX ON seen USING brin (at)"), ENTRY, []),
    "a BRIN of two columns": ((TABLE, "CREATE INDEX ON seen USING brin (kind, at)"), ENTRY, []),
    "a hash, which has no order": ((TABLE, "CREATE INDEX ON seen USING hash (at)"), ENTRY, [MISSING]),
    "one that begins with the time": ((TABLE, "CREATE INDEX ON seen (at, kind)"), ENTRY, []),
    "one that begins with another column": ((TABLE, "CREATE INDEX ON seen (kind, at)"), ENTRY, [MISSING]),
    "one that begins with what is filtered": ((TABLE, "CREATE INDEX ON seen (kind, at)"), RAIDS, []),
    "one of another column": ((TABLE, "CREATE INDEX ON seen (received_at)"), ENTRY, [MISSING]),
    "a part that the filter implies": ((TABLE, "CREATE INDEX ON seen (at) WHERE kind = 'raid'"), RAIDS, []),
    "a part of others": ((TABLE, "CREATE INDEX ON seen (at) WHERE kind = 'raid'"), ENTRY, [MISSING]),
    "a plain one beside a small part": (
        (TABLE, "CREATE INDEX ON seen (at)", "CREATE INDEX ON seen (seen_id) WHERE kind = 'raid'"),
        RAIDS,
        [],
    ),
    "one of the expression": ((TABLE, "CREATE INDEX ON seen (coalesce(at, received_at))"), EITHER, []),
    "none of the expression": (
        (TABLE, "CREATE INDEX ON seen (at)"),
        EITHER,
        [EXPECTED.format("seen.COALESCE(at, received_at)", "CONCURRENTLY ON seen ((COALESCE(at, received_at)))")],
    ),
    "partitions of other days, which are not read": (DAYS, ENTRY, []),
    "partitions with one": ((*KINDS, "CREATE INDEX ON seen (at)"), ENTRY, []),
    "partitions without": (KINDS, ENTRY, [EXPECTED.format("seen.at", "ON seen (at)")]),
    "one partition, which holds all": (
        (f"CREATE TABLE seen ({COLUMNS}) PARTITION BY RANGE (at)", "CREATE TABLE s PARTITION OF seen DEFAULT"),
        ENTRY,
        [EXPECTED.format("seen.at", "ON seen (at)")],
    ),
    "a table under a view": ((*VIEW, "CREATE INDEX ON all_seen (at)"), ENTRY, []),
    "none under a view": (VIEW, ENTRY, [EXPECTED.format("all_seen.at", "CONCURRENTLY ON all_seen (at)")]),
    "none under a view of another name": (
        RENAMED,
        ENTRY,
        [EXPECTED.format('archive."all seen".received_at', 'CONCURRENTLY ON archive."all seen" (received_at)')],
    ),
    "a view that groups": (
        GROUPED,
        ENTRY,
        [
            "SEEN: expected seen.at, the time filter, to reach an index of a table under this view; PostgreSQL makes "
            "all of the view's rows first, in every run. Filter within the view by what it is grouped by, or read "
            "from its tables"
        ],
    ),
    "a view of two tables": (
        (
            *(f"CREATE TABLE {name} ({COLUMNS})" for name in ("old", "new")),
            "CREATE INDEX ON new (at)",
            "CREATE VIEW seen AS SELECT * FROM old UNION ALL SELECT * FROM new",
        ),
        ENTRY,
        [EXPECTED.format("old.at", "CONCURRENTLY ON old (at)")],
    ),
    "a materialized view": (
        (f"CREATE TABLE all_seen ({COLUMNS})", "CREATE MATERIALIZED VIEW seen AS SELECT * FROM all_seen"),
        ENTRY,
        [MISSING],
    ),
    "a materialized view with one": (
        (
            f"CREATE TABLE all_seen ({COLUMNS})",
            "CREATE MATERIALIZED VIEW seen AS SELECT * FROM all_seen",
            "CREATE INDEX ON seen (at)",
        ),
        ENTRY,
        [],
    ),
}


@pytest.fixture(scope="module")
def empty(make_source: Callable[[str | None], Engine]) -> Engine:
    """A database whose public schema each test makes anew."""
    return make_source(None)


def make(engine: Engine, statements: tuple[str, ...]) -> None:
    with connect_source(engine) as connection:
        for statement in (
            "DROP SCHEMA public CASCADE",
            "DROP SCHEMA IF EXISTS archive CASCADE",
            "CREATE SCHEMA public",
        ):
            connection.exec_driver_sql(statement)
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.mark.parametrize("case", CASES)
def test_an_index_is_missed_where_postgresql_would_read_everything(empty: Engine, case: str) -> None:
    statements, entry, expected = CASES[case]
    make(empty, statements)
    kinds = parse_event_config({"SEEN": entry}).values()
    assert [str(difference) for difference in check_source(kinds, empty)] == expected
    assert not any(difference.blocking for difference in check_source(kinds, empty))


def test_an_index_that_was_not_finished_is_none(empty: Engine) -> None:
    make(empty, (TABLE, ROWS.format("seen"), "UPDATE seen SET at = now()"))
    with connect_source(empty) as connection, pytest.raises(IntegrityError):
        connection.exec_driver_sql("CREATE UNIQUE INDEX CONCURRENTLY half ON seen (at)")
    assert [str(each) for each in check_source(parse_event_config({"SEEN": ENTRY}).values(), empty)] == [MISSING]


@pytest.mark.parametrize("setting", ["enable_indexscan", "enable_bitmapscan", "enable_hashjoin"])
def test_what_the_database_has_set_for_its_planner_changes_nothing(source_engine: Engine, setting: str) -> None:
    make(source_engine, (TABLE, "CREATE INDEX ON seen (at)"))
    with connect_source(source_engine) as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {source_engine.url.database} SET {setting} = off")
    assert check_source(parse_event_config({"SEEN": ENTRY}).values(), source_engine) == []


def test_several_entries_of_a_table_tell_its_index_once(empty: Engine) -> None:
    make(empty, (TABLE,))
    kinds = parse_event_config({"SEEN": ENTRY, "RAID": RAIDS}).values()
    assert [str(each) for each in check_source(kinds, empty)] == [MISSING.replace("SEEN", "SEEN, RAID", 1)]
