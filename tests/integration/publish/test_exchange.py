"""Switching the table as a whole: what it carries goes with it, who reads it reads on, and who bends it is told."""

from __future__ import annotations

import threading
import time
from datetime import date
from typing import Any

import pytest
from given_servers import new_name

from sentinel_etl.context import Context
from sentinel_etl.databases import Databases
from sentinel_etl.errors import ConfigurationError, SentinelError
from sentinel_etl.operations import schema
from sentinel_etl.operations.schema import check_warehouse
from sentinel_etl.operations.undo import undo_run
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.publish import by_exchange, by_partition
from sentinel_etl.run.result import RunResult
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.catalog import count_parts, read_definition
from sentinel_etl.warehouse.engine import open_warehouse
from sentinel_etl.warehouse.provision import prepare_tables
from sentinel_etl.warehouse.query import open_arrow_client, run_statement
from sentinel_etl.window import Window

FIRST, SECOND = (Window.night(date(2026, 11, day)) for day in (20, 21))
EDIT = "UPDATE remarks SET remark_text = remark_text || ' again'"


@pytest.fixture
def context(databases: Databases) -> Context:
    return Context(Settings(), SENTINEL, databases)


def move(context: Context, window: Window) -> RunResult:
    result = run_window(window, context=context)
    assert result.published
    return result


def edit(context: Context) -> None:
    with context.source.begin() as connection:
        connection.exec_driver_sql(EDIT)


def ask(context: Context, statement: str) -> Any:
    return run_statement(context.warehouse, statement)[0][0]


# What a DBA may have given the table.
CHANGES = [
    "MODIFY COMMENT 'what the night patrols saw; ask the duty officer'",
    "MODIFY COLUMN remark_text CODEC(ZSTD(3))",
    "MODIFY COLUMN speed DEFAULT 1.5",
    "COMMENT COLUMN heading 'degrees'",
    "ADD INDEX ids event_id TYPE bloom_filter GRANULARITY 1",
    "ADD CONSTRAINT scored CHECK base_risk_score >= 0",
    "ADD PROJECTION by_type (SELECT event_type, count() GROUP BY event_type)",
    "MODIFY TTL shift_date + INTERVAL 30 YEAR",
    "MODIFY SETTING old_parts_lifetime = 61, merge_with_ttl_timeout = 3600",
]


def test_whatever_the_table_carries_goes_with_it(context: Context) -> None:
    prepare_tables(context.warehouse, SENTINEL.fact_table, SENTINEL.zone)
    for change in CHANGES:
        run_statement(context.warehouse, f"ALTER TABLE patrol_events {change}")
    defined = read_definition(context.warehouse, "patrol_events")
    assert [word for word in ("duty officer", "ZSTD(3)", "1.5", "bloom_filter", "scored") if word not in defined] == []
    for window in (FIRST, SECOND):
        move(context, window)
    edit(context)
    assert move(context, FIRST).how == "exchange 202611"
    assert read_definition(context.warehouse, "patrol_events") == defined
    counted = "SELECT event_type, count() AS c FROM patrol_events GROUP BY event_type ORDER BY event_type"
    by_rows = f"SELECT groupArray(c) FROM ({counted}) SETTINGS optimize_use_projections = 0"
    assert ask(context, f"SELECT groupArray(c) FROM ({counted})") == ask(context, by_rows)


def test_views_and_materialized_views_go_on_reading_the_table(context: Context) -> None:
    move(context, FIRST)
    for statement in (
        "CREATE VIEW counted AS SELECT count() AS events FROM patrol_events",
        "CREATE TABLE seen (event_id String) ENGINE = MergeTree ORDER BY event_id",
        "CREATE MATERIALIZED VIEW seeing TO seen AS SELECT event_id FROM patrol_events",
    ):
        run_statement(context.warehouse, statement)
    edit(context)
    move(context, FIRST)
    move(context, SECOND)
    rows = ask(context, "SELECT count() FROM patrol_events")
    assert ask(context, "SELECT events FROM counted") == rows
    by_hand = "INSERT INTO patrol_events (event_id, event_type, shift_date) VALUES ('X:1', 'X', '2026-11-20')"
    run_statement(context.warehouse, by_hand)
    assert ask(context, "SELECT groupArray(event_id) FROM seen") == "['X:1']"
    assert ask(context, "SELECT events FROM counted") == rows + 1


def test_a_long_question_neither_fails_nor_holds_up_the_run(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    move(context, FIRST)
    edit(context)
    rows = int(ask(context, "SELECT count() FROM patrol_events"))
    slow = "SELECT sum(1 + sleepEachRow(0.003)) FROM patrol_events SETTINGS max_threads = 1"
    reader = open_warehouse(context.warehouse.url.render_as_string(hide_password=False))
    found: list[int] = []
    asking = threading.Thread(target=lambda: found.append(int(run_statement(reader, slow)[0][0])))
    exchange = by_exchange.exchange
    under_way: list[bool] = []

    def exchange_meanwhile(*arguments: Any) -> None:
        asking.start()
        time.sleep(0.5)
        exchange(*arguments)
        under_way.append(asking.is_alive())

    monkeypatch.setattr(by_exchange, "exchange", exchange_meanwhile)
    move(context, FIRST)
    asking.join(60)
    reader.dispose()
    assert (under_way, found) == ([True], [rows])


def test_a_redone_night_writes_no_other_part_anew(context: Context) -> None:
    of_first = "name IN (SELECT _part FROM patrol_events WHERE shift_date = '2026-11-20')"
    there = "active AND database = currentDatabase() AND table = 'patrol_events'"
    parts = f"SELECT toString(groupUniqArray(hash_of_all_files)) FROM system.parts WHERE {there} AND {of_first}"
    move(context, FIRST)
    before = ask(context, parts)
    move(context, SECOND)
    edit(context)
    move(context, SECOND)
    move(context, SECOND)
    assert ask(context, parts) == before
    assert count_parts(context.warehouse, "patrol_events") == {"202611": 2}


INTRUSIONS = {
    "a column": "ALTER TABLE patrol_events ADD COLUMN mood Nullable(String)",
    "a comment": "ALTER TABLE patrol_events MODIFY COMMENT 'another'",
    "rows": "INSERT INTO patrol_events (event_id, event_type, shift_date) VALUES ('X:1', 'X', '2026-10-20')",
}


@pytest.mark.parametrize("intrusion", INTRUSIONS)
def test_what_changes_the_table_while_it_is_cloned_is_told_and_nothing_is_lost(
    context: Context, monkeypatch: pytest.MonkeyPatch, intrusion: str
) -> None:
    move(context, FIRST)
    edit(context)
    check = by_exchange.check_clone

    def intrude(*arguments: Any) -> None:
        run_statement(context.warehouse, INTRUSIONS[intrusion])
        check(*arguments)

    state = "SELECT concat(toString(count()), ' ', toString(sum(cityHash64(event_id, remark_text)))) FROM patrol_events"
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(by_exchange, "check_clone", intrude)
        before = ask(context, state)
        with pytest.raises(SentinelError, match="something else has changed the table meanwhile"):
            run_window(FIRST, context=context)
    if intrusion == "rows":
        taken = "ALTER TABLE patrol_events DELETE WHERE event_id = 'X:1' SETTINGS mutations_sync = 2"
        run_statement(context.warehouse, taken)
    assert ask(context, state) == before
    if intrusion != "a column":
        assert move(context, FIRST).how == "exchange 202611"


def test_a_database_that_cannot_exchange_tables_is_switched_by_partition_where_that_is_durable(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = new_name()
    with open_arrow_client(databases.warehouse) as client:
        allowed = {"allow_deprecated_database_ordinary": 1}
        client.command(f"CREATE DATABASE {name} ENGINE = Ordinary", settings=allowed)
    plain = open_warehouse(databases.warehouse.url.set(database=name).render_as_string(hide_password=False))
    try:
        context = Context(Settings(), SENTINEL, Databases(databases.source, plain))
        for module in (by_partition, schema):
            monkeypatch.setattr(module, "server_version", lambda engine: by_partition.DURABLE_REPLACE)
        move(context, FIRST)
        [told] = check_warehouse(SENTINEL, plain)
        assert (told.blocking, "touches several partitions is switched one by one" in told.message) == (False, True)
        assert check_warehouse(SENTINEL, databases.warehouse) == []
        edit(context)
        assert move(context, FIRST).how == "replace 202611"
        monkeypatch.setattr(by_partition, "server_version", lambda engine: (25, 8))
        words = r"expected a database with the engine Atomic, or ClickHouse 26\.6"
        with pytest.raises(ConfigurationError, match=words):
            run_window(FIRST, context=context)
        assert move(context, SECOND).how == "attach 202611"
        with pytest.raises(ConfigurationError, match="undo: expected patrol_events to be a table of one server"):
            undo_run(context)
    finally:
        plain.dispose()
        run_statement(databases.warehouse, f"DROP DATABASE {name}")
