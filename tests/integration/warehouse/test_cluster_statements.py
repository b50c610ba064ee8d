"""The warehouse's statements before the real engine: a cluster's are parsed, one server's are run.

No cluster runs here. The engine is told of one, two shards that nobody answers for, so what it checks
before it connects is checked too.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from typing import Any

import pandas as pd
import pytest
from clickhouse_sqlalchemy import Table
from sqlalchemy import Connection, Engine, MetaData, Select, event, or_

from sentinel_etl.audit.changes.rerun import moved_here
from sentinel_etl.audit.changes.statements import (
    FactRows,
    Sides,
    count_columns,
    count_events,
    select_events,
    split_keys,
)
from sentinel_etl.audit.other_nights import OtherNights, tabulate
from sentinel_etl.config.fact_table import PARTITION_KEYS, PartitionBy, build_patrol_events
from sentinel_etl.errors import SentinelError
from sentinel_etl.load.load import Loader, load_data
from sentinel_etl.publish.partitions import partition_scheme
from sentinel_etl.publish.publish_rejected import WHOLE
from sentinel_etl.publish.publish_window import publish_window
from sentinel_etl.publish.turn import Turn
from sentinel_etl.warehouse.ddl import (
    add_column_statements,
    create_statements,
    create_view,
    drop_statements,
    quote_identifier,
    staging_statements,
)
from sentinel_etl.warehouse.insert import INSERT_SETTINGS
from sentinel_etl.warehouse.moves import Way, delete_statements, merge_statements, switch_statements
from sentinel_etl.warehouse.names import write_statement
from sentinel_etl.warehouse.projections import projection_statement
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.rows import rows_of_window
from sentinel_etl.warehouse.tables import build_ledger, build_rejected
from sentinel_etl.warehouse.types import server_type
from sentinel_etl.warehouse.views import VIEWS, view_statement
from sentinel_etl.window import Window

WAYS: tuple[Way, ...] = ("ATTACH", "REPLACE", "DROP")
STAGING = "patrol_events__staging_20261122t004000_0a1b2c"
PARTITION_OF: dict[PartitionBy, str] = {"month": "202611", "week": "20261116", "day": "20261121"}

TWO_SHARDS = """
<clickhouse><remote_servers><city>
  <shard><replica><host>127.0.0.1</host><port>9</port></replica></shard>
  <shard><replica><host>127.0.0.2</host><port>9</port></replica></shard>
</city></remote_servers></clickhouse>
"""

# Answers each statement of a list with the engine's error, or with nothing; both travel as JSON.
ASK_ENGINE = """
import json, os, sys
import chdb
connection = chdb.connect(sys.argv[1])
answers = []
for statement in json.load(sys.stdin):
    try:
        connection.query(statement)
        answers.append("")
    except Exception as error:
        answers.append(str(error))
print(json.dumps(answers), flush=True)
os._exit(0)
"""


def cluster_statements(partition_by: PartitionBy, cluster: str = "city") -> list[str]:
    """List every statement that a run sends for tables on a cluster."""
    facts = build_patrol_events(partition_by, cluster)
    staging = Table(STAGING, MetaData(), clickhouse_cluster=cluster)
    rejected = build_rejected(facts)
    partition = PARTITION_OF[partition_by]
    switches = [statement for way in WAYS for statement in switch_statements(facts, staging, partition, way)]
    return [
        *create_statements(build_ledger(cluster)),
        *create_statements(facts),
        projection_statement(facts)[1],
        *(
            create_view(name, facts, view_statement(name, facts), "ours", replace=name == "hotspot_risk")
            for name in VIEWS
        ),
        *add_column_statements(facts, facts.c.media_ref, "details_json"),
        *create_statements(rejected),
        *switch_statements(rejected, staging, WHOLE, "REPLACE"),
        *merge_statements(staging, WHOLE),
        *delete_statements(staging, ["REMARK:1", "REMARK:'\\"]),
        *staging_statements(facts, STAGING),
        *merge_statements(staging, partition),
        *switches,
        *drop_statements(staging),
    ]


@pytest.fixture(scope="module")
def ask_engine(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[str]], list[str]]:
    """Send statements to an engine that knows the cluster; return its error for each, or nothing."""
    folder = tmp_path_factory.mktemp("engine")
    config = folder / "cluster.xml"
    config.write_text(TWO_SHARDS)

    def ask(statements: list[str]) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", ASK_ENGINE, f"{folder / 'data'}?config-file={config}"],
            input=json.dumps(statements),
            capture_output=True,
            text=True,
            cwd=folder,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return [str(answer) for answer in json.loads(done.stdout)]

    return ask


@pytest.fixture(scope="module")
def parse(ask_engine: Callable[[list[str]], list[str]]) -> Callable[[list[str]], dict[str, str]]:
    """Parse statements; return the engine's error for each that it cannot read."""

    def refused(statements: list[str]) -> dict[str, str]:
        answers = ask_engine([f"EXPLAIN AST {statement}" for statement in statements])
        return {statement: answer for statement, answer in zip(statements, answers, strict=True) if answer}

    return refused


def test_the_engine_reads_every_statement_of_a_cluster(parse: Callable[[list[str]], dict[str, str]]) -> None:
    statements = [statement for scheme in PARTITION_KEYS for statement in cluster_statements(scheme)]
    assert len(statements) == 3 * 32
    assert parse(statements) == {}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        pytest.param("SYNC REPLICA ON", "SYNC REPLICAS ON", id="sync"),
        pytest.param("PARTITION ID '202611' FROM", "PARTITION IDENTITY '202611' FROM", id="switch"),
        pytest.param(" SETTINGS alter_sync = 2", " SETTINGS alter_sync 2", id="settings"),
        pytest.param("PARTITION BY toYYYYMM(shift_date)", "PARTITION toYYYYMM(shift_date)", id="create"),
        pytest.param('"city" SYNC', '"city" SYNCED', id="drop"),
    ],
)
def test_the_engine_would_say_what_it_cannot_read(
    parse: Callable[[list[str]], dict[str, str]], right: str, wrong: str
) -> None:
    statement = next(statement for statement in cluster_statements("month") if right in statement)
    [error] = parse([statement.replace(right, wrong)]).values()
    assert "Syntax error" in error


def test_the_engine_reads_them_for_a_cluster_whose_name_needs_quotes(
    parse: Callable[[list[str]], dict[str, str]],
) -> None:
    assert parse(cluster_statements("month", "north-west")) == {}


def test_a_statement_of_a_cluster_runs_on_every_server_or_over_all_shards() -> None:
    for statement in cluster_statements("month"):
        assert re.search(r' ON CLUSTER "?city"?', statement), statement


def test_the_engine_knows_every_setting_of_an_insert(warehouse: Engine) -> None:
    known = run_statement(
        warehouse,
        "SELECT name FROM system.settings WHERE name IN "
        f"({', '.join(repr(name) for name in INSERT_SETTINGS)}) AND NOT is_obsolete ORDER BY name",
    )
    assert [name for (name,) in known] == sorted(INSERT_SETTINGS)


@pytest.fixture(params=["arrow", "to_sql"])
def loader(request: pytest.FixtureRequest) -> Loader:
    chosen: Loader = request.param
    return chosen


def test_two_equal_blocks_are_two_where_the_table_drops_repeated_blocks(warehouse: Engine, loader: Loader) -> None:
    table = build_ledger()
    [create] = create_statements(table)
    run_statement(warehouse, f"{create} SETTINGS non_replicated_deduplication_window = 100")
    row = pd.DataFrame([{"run_id": "one", "state": "RUNNING", "event_types": ["REMARK"]}])
    for _ in range(2):
        load_data(row, table, warehouse, loader=loader)
    assert run_statement(warehouse, "SELECT count() FROM etl_runs") == [(2,)]


NOVEMBER = "SELECT event_id FROM patrol_events ORDER BY event_id"


def add(warehouse: Engine, table: str, *event_ids: str, night: str = "2026-11-21") -> None:
    """Insert one row for each id, each as a part of its own."""
    for event_id in event_ids:
        run_statement(
            warehouse,
            f"INSERT INTO {table} (event_id, shift_date, event_timestamp, event_type) "
            f"VALUES ('{event_id}', '{night}', '{night} 20:00:00', 'REMARK')",
        )


def names(warehouse: Engine, statement: str) -> list[str]:
    return [str(name) for (name,) in run_statement(warehouse, statement)]


@pytest.mark.parametrize("partition_by", list(PARTITION_KEYS))
def test_one_server_runs_every_statement(warehouse: Engine, partition_by: PartitionBy) -> None:
    facts, staging = build_patrol_events(partition_by), Table(STAGING, MetaData())
    partition = PARTITION_OF[partition_by]
    parts = (
        "SELECT toString(count()) FROM system.parts WHERE database = currentDatabase() "
        f"AND table = '{STAGING}' AND partition_id = '{partition}' AND active"
    )

    def run(statements: list[str]) -> None:
        for statement in statements:
            run_statement(warehouse, statement)

    run([*create_statements(facts), *create_statements(facts), *create_statements(build_ledger())])
    add(warehouse, "patrol_events", "REMARK:0", night="2026-10-01")
    run(staging_statements(facts, STAGING))
    add(warehouse, STAGING, "REMARK:1", "REMARK:2")
    assert names(warehouse, parts) == ["2"]
    run(merge_statements(staging, partition))
    assert names(warehouse, parts) == ["1"]
    run(switch_statements(facts, staging, partition, "ATTACH"))
    assert names(warehouse, NOVEMBER) == ["REMARK:0", "REMARK:1", "REMARK:2"]
    add(warehouse, STAGING, "REMARK:3")
    run(switch_statements(facts, staging, partition, "REPLACE"))
    assert names(warehouse, NOVEMBER) == ["REMARK:0", "REMARK:1", "REMARK:2", "REMARK:3"]
    run(switch_statements(facts, staging, partition, "DROP"))
    assert names(warehouse, NOVEMBER) == ["REMARK:0"]
    run([*drop_statements(staging), *drop_statements(staging)])
    assert names(warehouse, "SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY 1") == [
        "etl_runs",
        "patrol_events",
    ]


@pytest.fixture
def rows_below_a_view(warehouse: Engine) -> Engine:
    """The rows in patrol_events_local; patrol_events is a view of them, and has no partitions of its own."""
    for name in ("patrol_events", STAGING):
        [create] = create_statements(build_patrol_events())
        run_statement(warehouse, create.replace("patrol_events", f"{name}_local", 1))
        run_statement(warehouse, f"CREATE VIEW {name} AS SELECT *, _partition_id FROM {name}_local")
    add(warehouse, "patrol_events_local", "REMARK:1", "REMARK:2")
    return warehouse


def test_the_partition_scheme_is_that_of_the_table_which_holds_the_rows(rows_below_a_view: Engine) -> None:
    assert partition_scheme(build_patrol_events("month", "city"), rows_below_a_view) == "month"


@pytest.fixture
def questions_of_publish(rows_below_a_view: Engine) -> list[str]:
    """What publishing on a cluster asks, up to the first statement that only a cluster takes."""
    sent: list[str] = []

    def note(connection: Connection, statement: Any, *rest: Any) -> None:
        if isinstance(statement, Select):
            sent.append(str(statement.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})))

    facts = build_patrol_events("month", "city")
    columns = [column._copy() for column in facts.columns]
    staging = Table(STAGING, MetaData(), *columns, clickhouse_cluster="city")
    add(rows_below_a_view, f"{STAGING}_local", "REMARK:3")
    event.listen(rows_below_a_view, "before_execute", note)
    with pytest.raises(SentinelError):
        publish_window(
            staging, facts, Window.night(date(2026, 11, 21)), ["REMARK"], ["202611"], True, rows_below_a_view, Turn("x")
        )
    event.remove(rows_below_a_view, "before_execute", note)
    return sent


def denied(statements: list[str], columns: str, ask_engine: Callable[[list[str]], list[str]]) -> list[str]:
    """Ask two shards that nobody answers for; return the errors that the engine has before it connects."""
    tables = [
        f"CREATE OR REPLACE TABLE {name} ({columns}) ENGINE = Distributed('city', currentDatabase(), '{name}_local')"
        for name in ("patrol_events", STAGING)
    ]
    prepare = ["CREATE DATABASE IF NOT EXISTS sentinel ENGINE = Atomic", "USE sentinel", *tables]
    errors = ask_engine([*prepare, *statements])
    assert errors[: len(prepare)] == [""] * len(prepare)
    return [error for error in errors[len(prepare) :] if "All connection tries failed" not in error]


def test_publishing_asks_nothing_that_a_cluster_of_two_shards_denies(
    questions_of_publish: list[str], ask_engine: Callable[[list[str]], list[str]]
) -> None:
    assert any(STAGING in statement for statement in questions_of_publish)
    columns = "event_id String, event_timestamp DateTime64(6, 'UTC'), event_type String"
    assert denied(questions_of_publish, columns, ask_engine) == []


def test_comparing_asks_nothing_that_a_cluster_of_two_shards_denies(
    ask_engine: Callable[[list[str]], list[str]],
) -> None:
    facts = build_patrol_events("month", "city")
    staging = Table(STAGING, MetaData(), *(column._copy() for column in facts.columns), clickhouse_cluster="city")
    others = OtherNights(tabulate([("REMARK", date(2026, 11, 20), "202611", 1)]))
    window = Window.night(date(2026, 11, 21))
    loaded = or_(rows_of_window(facts, window, ["REMARK"]), moved_here(staging, facts, window, others))
    sides = Sides(FactRows(facts, loaded), FactRows(staging))
    shares = list(split_keys(5, 3))
    questions = [
        *(count_events(sides, share, 5) for share in shares),
        *(count_columns(sides, ["REMARK"], share) for share in shares),
        select_events(sides, ["REMARK:1"], ["station_id", "risk_reasons"]),
    ]
    columns = ", ".join(f"{quote_identifier(column.name)} {server_type(column)}" for column in facts.columns)
    statements = [write_statement(question) for question in questions]
    assert denied(statements, columns, ask_engine) == []
    # What is asked once for all shards, and not by each of them.
    subqueries = re.findall(r"(\w+ IN) \(\s*SELECT", "\n".join(statements))
    assert set(subqueries) == {"GLOBAL IN"}
