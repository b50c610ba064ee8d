"""A user's profile changes no value, no count and no effect; and a user who may set nothing can read."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pandas as pd
import pytest
from given_servers import NEEDS_LOCAL_WAREHOUSE
from profiles import user_with
from sqlalchemy import Engine

from sentinel_etl import Databases, Window, run_window
from sentinel_etl.analyst import query_df
from sentinel_etl.analyst.bench import choose_nights, count_nights, open_bench
from sentinel_etl.analyst.questions import hotspot_risk, station_activity
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.reconcile.counts import count_warehouse
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse import query
from sentinel_etl.warehouse.catalog import has_table
from sentinel_etl.warehouse.engine import open_warehouse
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.session import PINNED

NIGHT = Window(datetime(2026, 11, 21, 0, 30, tzinfo=UTC), datetime(2026, 11, 22, 0, 30, tzinfo=UTC))

# What an administrator, or another team, may have set; each would change or break something.
PROFILE = {
    "additional_result_filter": "1 = 0",
    "aggregate_functions_null_for_empty": "1",
    "alter_sync": "0",
    "any_join_distinct_right_table_keys": "1",
    "apply_deleted_mask": "0",
    "async_insert": "1",
    "bool_true_representation": "ja",
    "cast_keep_nullable": "1",
    "count_distinct_implementation": "uniqHLL12",
    "data_type_default_nullable": "1",
    "date_time_input_format": "basic",
    "date_time_output_format": "unix_timestamp",
    "empty_result_for_aggregation_by_empty_set": "1",
    "enable_positional_arguments": "0",
    "extremes": "1",
    "filter": "1 = 0",
    "final": "1",
    "force_index_by_date": "1",
    "force_optimize_projection": "1",
    "force_primary_key": "1",
    "format_tsv_null_representation": "NIL",
    "group_by_use_nulls": "1",
    "http_write_exception_in_output_format": "1",
    "input_format_allow_errors_num": "1000",
    "input_format_null_as_default": "1",
    "input_format_values_interpret_expressions": "0",
    "insert_null_as_default": "0",
    "join_use_nulls": "1",
    "limit": "1",
    "max_partitions_per_insert_block": "1",
    "mutations_sync": "0",
    "offset": "1",
    "output_format_arrow_low_cardinality_as_dictionary": "1",
    "output_format_arrow_string_as_string": "0",
    "output_format": "JSON",
    "output_format_tsv_crlf_end_of_line": "1",
    "prefer_column_name_to_alias": "1",
    "session_timezone": "Asia/Kolkata",
    "transform_null_in": "1",
    "union_default_mode": "DISTINCT",
    "use_query_cache": "1",
    "wait_for_async_insert": "0",
}


def run_command(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sentinel_etl", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def summary(warehouse: Engine) -> list[tuple[object, ...]]:
    statement = "SELECT count(), groupBitXor(cityHash64(tuple(* EXCEPT (run_id, loaded_at)))) FROM patrol_events"
    return [tuple(row) for row in run_statement(warehouse, statement)]


@pytest.mark.parametrize("loader", ["arrow", "to_sql"])
def test_a_run_under_a_hostile_profile_leaves_what_a_run_without_one_leaves(
    databases: Databases, settings: Settings, make_warehouse: object, loader: str
) -> None:
    plain: Engine = make_warehouse()  # type: ignore[operator]
    chosen = settings.model_copy(update={"loader": loader})
    usual = run_window(NIGHT, settings=chosen, source=databases.source, warehouse=plain)
    with user_with(PROFILE, databases.warehouse.url) as url:
        warehouse = open_warehouse(url)
        for _ in range(2):
            result = run_window(NIGHT, settings=chosen, source=databases.source, warehouse=warehouse)
            assert result.verdict == usual.verdict
        assert summary(warehouse) == summary(plain)
        warehouse.dispose()
    assert summary(databases.warehouse) == summary(plain)
    plain.dispose()


@pytest.mark.parametrize("name", sorted(PROFILE))
def test_each_setting_of_a_profile_leaves_counts_and_values_as_they_are(warehouse: Engine, name: str) -> None:
    run_statement(warehouse, "CREATE TABLE a (n UInt8, w Nullable(String), b Bool) ENGINE = MergeTree ORDER BY n")
    run_statement(warehouse, "INSERT INTO a VALUES (1, NULL, true), (2, 'NIL', false)")
    with user_with({name: PROFILE[name]}, warehouse.url) as url:
        engine = open_warehouse(url)
        assert not has_table(engine, "nowhere")
        assert has_table(engine, "a")
        for rows in (
            [tuple(row) for row in run_statement(engine, "SELECT n, w, b FROM a ORDER BY n")],
            query.query_df(engine, "SELECT n, w, b FROM a ORDER BY n").astype(object).itertuples(index=False),
        ):
            words = [tuple(None if pd.isna(value) else str(value).lower() for value in row) for row in rows]
            assert words == [("1", None, "true"), ("2", "nil", "false")]
        engine.dispose()


def test_an_aggregate_of_no_rows_is_0_though_the_profile_may_not_be_changed(warehouse: Engine) -> None:
    profile = {"empty_result_for_aggregation_by_empty_set": "1", "readonly": "1"}
    with user_with(profile, warehouse.url) as url:
        engine = open_warehouse(url)
        assert not has_table(engine, "nowhere")
        engine.dispose()


@NEEDS_LOCAL_WAREHOUSE  # an older one knows fewer, and is sent no others
def test_the_server_knows_most_of_what_is_pinned(warehouse: Engine) -> None:
    names = ", ".join(f"'{name}'" for name in PINNED)
    [(known,)] = run_statement(warehouse, f"SELECT count() FROM system.settings WHERE name IN ({names})")
    assert known == len(PINNED)


@pytest.fixture
def reader(databases: Databases, environment: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A user who may set nothing, of a warehouse with a night in it; the settings name that user."""
    run_window(NIGHT, settings=environment, source=databases.source, warehouse=databases.warehouse)
    with user_with({"readonly": "1"}, databases.warehouse.url) as url:
        monkeypatch.setenv("SENTINEL_WAREHOUSE_URL", url)
        open_bench.cache_clear()
        engine = open_warehouse(url)
        yield engine
        engine.dispose()
        open_bench.cache_clear()


def test_a_user_who_may_set_nothing_asks_all_that_an_analyst_asks(reader: Engine) -> None:
    period = choose_nights(nights=1)
    assert count_nights(period) == 1
    assert int(query_df("SELECT count() AS n FROM patrol_events")["n"][0]) > 0
    [found] = query_df("SELECT event_id, risk_reasons FROM patrol_events LIMIT 1").to_dict("records")
    assert isinstance(found["event_id"], str)
    for ask in (hotspot_risk, station_activity):
        assert len(ask(reader, NIGHT.end)) > 0
    assert sum(count_warehouse(SENTINEL.fact_table, NIGHT, list(SENTINEL.event_types), reader).values()) > 0


@pytest.mark.parametrize(
    "command", [["status"], ["query", "SELECT count() AS n FROM patrol_events"], ["runs", "list"], ["check"]]
)
def test_the_commands_that_only_read_work_for_a_user_who_may_set_nothing(reader: Engine, command: list[str]) -> None:
    done = run_command(*command)
    assert (done.returncode, done.stderr) == (0, "")


def test_status_of_a_warehouse_without_a_ledger_is_told_to_a_user_who_may_set_nothing(
    databases: Databases, environment: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with user_with({"readonly": "1"}, databases.warehouse.url) as url:
        monkeypatch.setenv("SENTINEL_WAREHOUSE_URL", url)
        done = run_command("status")
    assert done.returncode == 5, done.stderr
    assert "MISSING" in done.stdout
