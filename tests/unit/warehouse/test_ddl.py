from __future__ import annotations

import pytest
from clickhouse_sqlalchemy import Table, engines, types
from sqlalchemy import Column, MetaData, text

from sentinel_etl.config.fact_table import PartitionBy, build_patrol_events
from sentinel_etl.warehouse.ddl import (
    cluster_of,
    create_statements,
    drop_statements,
    durable_statement,
    staging_statements,
    storage_name,
)
from sentinel_etl.warehouse.moves import Way, merge_statements, switch_statements
from sentinel_etl.warehouse.tables import build_ledger


def small_table(cluster: str | None) -> Table:
    """A fact table of three columns: a plain one, one with a default, one with a comment."""
    return Table(
        "visits",
        MetaData(),
        Column("visit_id", types.String),
        Column("night", types.Date, comment="the guard's night"),
        Column("loaded_at", types.DateTime64(6, "UTC"), server_default=text("now64(6)")),
        engines.MergeTree(partition_by=text("toYYYYMM(night)"), order_by=("night", "visit_id")),
        clickhouse_cluster=cluster,
    )


def staging_of(cluster: str | None) -> Table:
    return Table("visits__staging_run", MetaData(), clickhouse_cluster=cluster)


def in_one_line(statement: str) -> str:
    return " ".join(statement.split())


def test_on_one_server_a_table_is_one() -> None:
    assert [in_one_line(statement) for statement in create_statements(small_table(None))] == [
        "CREATE TABLE IF NOT EXISTS visits ( visit_id String, night Date COMMENT 'the guard''s night', "
        "loaded_at DateTime64(6, 'UTC') DEFAULT now64(6) ) ENGINE = MergeTree() "
        "PARTITION BY toYYYYMM(night) ORDER BY (night, visit_id)"
    ]


def test_on_a_cluster_a_table_is_two_one_replicated_and_one_over_all_shards() -> None:
    assert [in_one_line(statement) for statement in create_statements(small_table("city"))] == [
        "CREATE TABLE IF NOT EXISTS visits_local ON CLUSTER city ( visit_id String, "
        "night Date COMMENT 'the guard''s night', loaded_at DateTime64(6, 'UTC') DEFAULT now64(6) ) "
        "ENGINE = ReplicatedMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}') "
        "PARTITION BY toYYYYMM(night) ORDER BY (night, visit_id)",
        'CREATE TABLE IF NOT EXISTS "visits" ON CLUSTER "city" AS "visits_local" '
        "ENGINE = Distributed('city', currentDatabase(), 'visits_local', cityHash64(\"visit_id\"))",
    ]


@pytest.mark.parametrize(
    ("partition_by", "key"),
    [("month", "toYYYYMM(shift_date)"), ("week", "toMonday(shift_date)"), ("day", "shift_date")],
    ids=["month", "week", "day"],
)
def test_the_fact_table_keeps_its_columns_partition_and_order_on_a_cluster(partition_by: PartitionBy, key: str) -> None:
    [alone] = create_statements(build_patrol_events(partition_by))
    replicated, distributed = create_statements(build_patrol_events(partition_by, "city"))
    head, engine = "CREATE TABLE IF NOT EXISTS patrol_events", "MergeTree()"
    assert replicated == alone.replace(head, f"{head}_local ON CLUSTER city").replace(
        engine, "ReplicatedMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}')"
    )
    assert in_one_line(replicated).endswith(
        f"PARTITION BY {key} ORDER BY (shift_date, station_id, event_type, event_timestamp, event_id)"
    )
    assert distributed == (
        'CREATE TABLE IF NOT EXISTS "patrol_events" ON CLUSTER "city" AS "patrol_events_local" '
        "ENGINE = Distributed('city', currentDatabase(), 'patrol_events_local', cityHash64(\"event_id\"))"
    )


def test_the_ledger_keeps_the_newest_row_of_each_run_on_the_run_s_own_shard() -> None:
    replicated, distributed = create_statements(build_ledger("city"))
    assert in_one_line(replicated).startswith("CREATE TABLE IF NOT EXISTS etl_runs_local ON CLUSTER city ( run_id ")
    assert in_one_line(replicated).endswith(
        ") ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', updated_at) "
        "ORDER BY run_id"
    )
    assert distributed == (
        'CREATE TABLE IF NOT EXISTS "etl_runs" ON CLUSTER "city" AS "etl_runs_local" '
        "ENGINE = Distributed('city', currentDatabase(), 'etl_runs_local', cityHash64(\"run_id\"))"
    )


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        pytest.param(None, ['CREATE TABLE "visits__staging_run" AS "visits"'], id="one server"),
        pytest.param(
            "city",
            [
                'CREATE TABLE "visits__staging_run_local" ON CLUSTER "city" AS "visits_local"',
                'CREATE TABLE IF NOT EXISTS "visits__staging_run" ON CLUSTER "city" AS "visits__staging_run_local" '
                "ENGINE = Distributed('city', currentDatabase(), 'visits__staging_run_local', "
                'cityHash64("visit_id"))',
            ],
            id="cluster",
        ),
    ],
)
def test_staging_has_the_structure_of_the_table_that_holds_the_rows(cluster: str | None, expected: list[str]) -> None:
    assert staging_statements(small_table(cluster), "visits__staging_run") == expected


@pytest.mark.parametrize(
    ("way", "alone", "clustered"),
    [
        pytest.param(
            "ATTACH",
            """ALTER TABLE "visits" ATTACH PARTITION ID '202611' FROM "visits__staging_run\"""",
            """ALTER TABLE "visits_local" ON CLUSTER "city" ATTACH PARTITION ID '202611' """
            'FROM "visits__staging_run_local" SETTINGS alter_sync = 2',
            id="attach",
        ),
        pytest.param(
            "REPLACE",
            """ALTER TABLE "visits" REPLACE PARTITION ID '202611' FROM "visits__staging_run\"""",
            """ALTER TABLE "visits_local" ON CLUSTER "city" REPLACE PARTITION ID '202611' """
            'FROM "visits__staging_run_local" SETTINGS alter_sync = 2',
            id="replace",
        ),
        pytest.param(
            "DROP",
            """ALTER TABLE "visits" DROP PARTITION ID '202611'""",
            """ALTER TABLE "visits_local" ON CLUSTER "city" DROP PARTITION ID '202611' SETTINGS alter_sync = 2""",
            id="drop",
        ),
    ],
)
def test_a_switch_on_a_cluster_waits_for_staging_s_replicas_before_and_the_fact_table_s_after(
    way: Way, alone: str, clustered: str
) -> None:
    assert switch_statements(small_table(None), staging_of(None), "202611", way) == [alone]
    assert switch_statements(small_table("city"), staging_of("city"), "202611", way) == [
        'SYSTEM SYNC REPLICA ON CLUSTER "city" "visits__staging_run_local"',
        clustered,
    ]


def test_a_merge_on_a_cluster_waits_until_every_replica_has_all_rows() -> None:
    assert merge_statements(staging_of(None), "20261116") == [
        """OPTIMIZE TABLE "visits__staging_run" PARTITION ID '20261116' FINAL SETTINGS optimize_throw_if_noop = 1"""
    ]
    assert merge_statements(staging_of("city"), "20261116") == [
        'SYSTEM SYNC REPLICA ON CLUSTER "city" "visits__staging_run_local"',
        """OPTIMIZE TABLE "visits__staging_run_local" ON CLUSTER "city" PARTITION ID '20261116' FINAL""",
    ]


def test_a_drop_on_a_cluster_drops_the_view_of_all_shards_before_the_rows() -> None:
    assert drop_statements(staging_of(None)) == ['DROP TABLE IF EXISTS "visits__staging_run" SYNC']
    assert drop_statements(staging_of("city")) == [
        'DROP TABLE IF EXISTS "visits__staging_run" ON CLUSTER "city" SYNC',
        'DROP TABLE IF EXISTS "visits__staging_run_local" ON CLUSTER "city" SYNC',
    ]


@pytest.mark.parametrize(
    ("cluster", "storage"), [(None, "visits"), ("city", "visits_local")], ids=["one server", "cluster"]
)
def test_a_table_says_its_cluster_and_where_its_rows_are(cluster: str | None, storage: str) -> None:
    assert cluster_of(small_table(cluster)) == cluster
    assert storage_name(small_table(cluster)) == storage


def test_a_name_that_needs_quotes_has_them() -> None:
    table = Table('night "one"', MetaData(), clickhouse_cluster="north-west")
    assert drop_statements(table)[0] == 'DROP TABLE IF EXISTS "night ""one""" ON CLUSTER "north-west" SYNC'


def test_making_statements_changes_no_table() -> None:
    table = build_patrol_events("month", "city")
    before = (table.name, [column.name for column in table.columns], table.engine.name)
    assert create_statements(table) == create_statements(table)
    assert (table.name, [column.name for column in table.columns], table.engine.name) == before


def test_a_setting_that_a_table_names_stays_as_it_is_and_the_others_are_added() -> None:
    named = (
        "(`visit_id` String) ENGINE = MergeTree ORDER BY visit_id SETTINGS fsync_after_insert = 1, "
        "fsync_part_directory = 1, min_compressed_bytes_to_fsync_after_merge = 1, min_rows_to_fsync_after_merge = 0"
    )
    assert durable_statement(small_table(None), named) == ""
    chosen = "(`visit_id` String) ENGINE = MergeTree ORDER BY visit_id SETTINGS fsync_after_insert = 0"
    assert durable_statement(small_table("city"), chosen) == (
        'ALTER TABLE "visits_local" ON CLUSTER "city" MODIFY SETTING fsync_part_directory = 1, '
        "min_compressed_bytes_to_fsync_after_merge = 1, min_rows_to_fsync_after_merge = 1"
    )
