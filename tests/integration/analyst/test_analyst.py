"""The analyst's bench on the real warehouse: opened late, by itself, and in nobody's way."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from jupyter_client import BlockingKernelClient, KernelManager
from sqlalchemy import Engine, create_engine

from sentinel_etl.analyst import bench as analyst
from sentinel_etl.analyst import presentation
from sentinel_etl.analyst.bench import (
    choose_nights,
    count_nights,
    explain_risk,
    query_df,
    read_scores,
    sql_parameters,
    try_weights,
)
from sentinel_etl.databases import Databases
from sentinel_etl.errors import ConfigurationError, SentinelError, WarehouseUnreachable, WindowError
from sentinel_etl.ledger.ledger import RunRecord, record_run
from sentinel_etl.ledger.states import RunState
from sentinel_etl.load.load import load_data
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.transform.what_if import compare_scores
from sentinel_etl.warehouse.tables import ETL_RUNS, create_table
from sentinel_etl.window import Window

NOWHERE = "clickhouse+http://nobody:secret@127.0.0.1:9/nothing"
NIGHT = Window(datetime(2026, 11, 21, 0, 30, tzinfo=UTC), datetime(2026, 11, 22, 0, 30, tzinfo=UTC))


def event(number: int, moment: datetime, **other: Any) -> dict[str, Any]:
    """A fact row of which only what these tests look at is filled in."""
    night = date(2026, 11, 20) if moment < NIGHT.start else date(2026, 11, 21)
    row = dict.fromkeys(
        column.name for column in SENTINEL.fact_table.columns if column.name not in ("run_id", "loaded_at")
    )
    arrays: dict[str, Any] = {name: [] for name in ("visited_hotspots", "hotspots_to_visit", "assigned_crew_ids")}
    return {
        **row,
        **arrays,
        "event_id": f"REMARK:{number}",
        "patrol_id": 1,
        "officer_id": 1001,
        "event_timestamp": moment,
        "event_date": night,
        "shift_date": night,
        "event_type": "REMARK",
        "station_id": 1,
        "base_risk_score": 1.0,
        "risk_reasons": ["event_type=REMARK +1"],
        "run_id": "r1",
        "loaded_at": moment,
        **other,
    }


EVENTS = [
    event(1, datetime(2026, 11, 20, 0, 30, tzinfo=UTC), hotspot_id=101),  # the first night's first instant
    event(2, datetime(2026, 11, 20, 18, 0, tzinfo=UTC), hotspot_id=101),
    event(3, datetime(2026, 11, 21, 0, 30, tzinfo=UTC), hotspot_id=102),  # the second night's first instant
    event(
        4,
        datetime(2026, 11, 21, 20, 0, tzinfo=UTC),
        event_id="EMERGENCY_INCIDENT:4",
        event_type="EMERGENCY_INCIDENT",
        station_id=2,
        emergency_category="FIRE",
        base_risk_score=45.0,
        risk_reasons=["event_type=EMERGENCY_INCIDENT +20", "emergency_category=FIRE +25"],
    ),
]


@pytest.fixture(scope="module")
def facts(make_warehouse: Callable[[], Engine]) -> Iterator[Engine]:
    """A warehouse with four events of two nights, and a ledger that says that both are published."""
    warehouse = make_warehouse()
    create_table(warehouse, SENTINEL.fact_table)
    load_data(pd.DataFrame(EVENTS), SENTINEL.fact_table, warehouse)
    create_table(warehouse, ETL_RUNS)
    older = Window(datetime(2026, 11, 20, 0, 30, tzinfo=UTC), NIGHT.start)
    record_run(RunRecord("r2", "patrol_events", NIGHT, ("REMARK",), RunState.PUBLISHED_WITH_WARNINGS), warehouse)
    record_run(RunRecord("r1", "patrol_events", older, ("REMARK",), RunState.PUBLISHED), warehouse)
    later = Window(NIGHT.end, datetime(2026, 11, 23, 0, 30, tzinfo=UTC))
    record_run(RunRecord("r3", "patrol_events", later, ("REMARK",), RunState.NOT_PUBLISHED), warehouse)
    record_run(RunRecord("r4", "other_events", later, ("REMARK",), RunState.PUBLISHED), warehouse)
    yield warehouse
    warehouse.dispose()


@pytest.fixture(autouse=True)
def fresh_bench() -> Iterator[None]:
    """Each test has a kernel's bench of its own."""
    analyst.open_bench.cache_clear()
    yield
    analyst.open_bench.cache_clear()


@pytest.fixture
def bench(facts: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that name the warehouse and no source at all."""
    monkeypatch.setenv("SENTINEL_WAREHOUSE_URL", facts.url.render_as_string(hide_password=False))


def test_importing_it_opens_nothing(tmp_path: Path) -> None:
    program = (
        "from sentinel_etl.analyst import query_df, presentation, explain_risk; "
        "from sentinel_etl.analyst.bench import open_bench; "
        "print(open_bench.cache_info().misses)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"SENTINEL_HOME": str(tmp_path), "SENTINEL_WAREHOUSE_URL": NOWHERE},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "0\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("bench")
def test_a_question_needs_the_warehouse_alone_and_opens_it_once(tmp_path: Path) -> None:
    assert query_df("SELECT count() AS events FROM patrol_events")["events"].to_list() == [4]
    engine = analyst.open_bench().warehouse
    query_df("SELECT 1")
    assert analyst.open_bench().warehouse is engine
    assert not (tmp_path / ".sentinel").exists()  # no local stack was started for a source


@pytest.mark.usefixtures("bench")
def test_parameters_are_values_and_never_part_of_the_statement() -> None:
    found = query_df(
        "SELECT event_id FROM patrol_events WHERE event_id = %(id)s OR station_id = %(station)s ORDER BY event_id",
        {"id": "x' OR '1' = '1", "station": 2},
    )
    assert found["event_id"].to_list() == ["EMERGENCY_INCIDENT:4"]


@pytest.mark.usefixtures("bench")
def test_a_refused_statement_is_one_sentence_and_leaves_the_bench_open() -> None:
    query_df("SELECT 1")
    with pytest.raises(SentinelError, match="the warehouse refused a statement"):
        query_df("SELECT nothing FROM nowhere")
    assert analyst.open_bench.cache_info().currsize == 1


def test_a_warehouse_that_does_not_answer_is_one_sentence_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_WAREHOUSE_URL", NOWHERE)
    with pytest.raises(WarehouseUnreachable, match=r"expected ClickHouse at 127\.0\.0\.1:9") as away:
        query_df("SELECT 1")
    assert "secret" not in str(away.value)


@pytest.mark.usefixtures("bench")
def test_a_warehouse_that_went_away_is_opened_anew_by_the_next_question(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as gone:  # opened, and then there is nobody where it was
        gone.setattr(analyst, "open_warehouse", lambda url, timeout: create_engine(NOWHERE))
        analyst.open_bench()
        with pytest.raises(WarehouseUnreachable):
            query_df("SELECT 1")
    assert len(query_df("SELECT 1")) == 1


@pytest.mark.usefixtures("bench")
def test_presentation_asks_without_an_engine_and_shows_so_in_its_signature() -> None:
    found = presentation.hotspot_risk(NIGHT.end, 72.0, since=date(2026, 11, 21))
    assert found["hotspot_id"].to_list() == [102]
    named = ["as_of", "half_life_hours", "since", "as_of_run"]
    assert list(inspect.signature(presentation.hotspot_risk).parameters) == named
    assert presentation.station_activity(as_of=NIGHT.end)["station_id"].to_list() == [2, 1]


@pytest.mark.usefixtures("bench")
def test_explain_risk_shows_the_parts_of_an_event_in_the_warehouse() -> None:
    shown = explain_risk("EMERGENCY_INCIDENT:4").text
    assert "EMERGENCY_INCIDENT:4: base_risk_score 45" in shown
    assert "2026-11-22 01:30:00 IST · station 2" in shown
    assert [line.split() for line in shown.splitlines()[3:]] == [
        ["event_type", "EMERGENCY_INCIDENT", "20.0"],
        ["emergency_category", "FIRE", "25.0"],
        ["sum", "45.0"],
    ]


@pytest.mark.usefixtures("bench")
@pytest.mark.parametrize("event_id", ["REMARK:999", "", "x' OR '1' = '1", "back\\slash %(event_id)s"])
def test_explain_risk_of_an_unknown_event_is_one_clear_sentence(event_id: str) -> None:
    with pytest.raises(ConfigurationError, match="expected the event_id of an event in patrol_events") as unknown:
        explain_risk(event_id)
    assert repr(event_id) in str(unknown.value)


@pytest.mark.usefixtures("bench")
def test_nights_end_where_the_last_published_run_of_this_table_ends() -> None:
    period = choose_nights(nights=2)
    assert period == Window(datetime(2026, 11, 20, 0, 30, tzinfo=UTC), NIGHT.end)
    assert count_nights(period) == 2


@pytest.mark.usefixtures("bench")
def test_nights_begin_at_a_nights_start_also_where_as_of_is_in_the_middle_of_one() -> None:
    period = choose_nights("2026-11-22T02:00:00+05:30", nights=2)
    assert period == Window(datetime(2026, 11, 20, 0, 30, tzinfo=UTC), datetime(2026, 11, 21, 20, 30, tzinfo=UTC))


@pytest.mark.usefixtures("bench")
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        pytest.param(("yesterday",), WindowError, "expected an instant such as", id="no instant"),
        pytest.param(("2026-11-22T02:00:00",), WindowError, "with a time zone", id="no zone"),
        pytest.param(("", 0), ConfigurationError, "nights: expected a number of at least 1, found 0", id="no night"),
    ],
)
def test_nights_that_cannot_be_are_refused(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        choose_nights(*arguments)


@pytest.mark.usefixtures("bench")
def test_a_period_without_events_names_the_nights_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match="found none there; its nights are 2026-11-20 to 2026-11-21"):
        count_nights(choose_nights("2026-11-19T06:00:00+05:30", 3))


@pytest.mark.parametrize("ledger", [False, True], ids=["no ledger", "an empty ledger"])
def test_an_empty_warehouse_says_what_to_do(ledger: bool, warehouse: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_WAREHOUSE_URL", warehouse.url.render_as_string(hide_password=False))
    create_table(warehouse, SENTINEL.fact_table)
    if ledger:
        create_table(warehouse, ETL_RUNS)
    with pytest.raises(ConfigurationError, match=r"expected a published run .* found none\. Run `sentinel-etl run`"):
        choose_nights()
    with pytest.raises(ConfigurationError, match="its nights are none"):
        count_nights(NIGHT)


@pytest.mark.usefixtures("bench")
def test_sql_parameters_cut_a_period_out_to_the_microsecond() -> None:
    parameters = sql_parameters(choose_nights("2026-11-21T06:00:00+05:30", nights=1))
    assert parameters == {
        "first_night": "2026-11-20",
        "start": "2026-11-20 00:30:00.000000",
        "end": "2026-11-21 00:30:00.000000",
        "zone": "Asia/Kolkata",
    }
    where = "WHERE shift_date >= %(first_night)s AND event_timestamp < %(end)s ORDER BY event_id"
    assert query_df(f"SELECT event_id FROM patrol_events {where}", parameters)["event_id"].to_list() == [
        "REMARK:1",
        "REMARK:2",
    ]


@pytest.mark.usefixtures("bench")
def test_scores_are_counted_by_all_that_they_follow_from_and_can_be_worked_out_anew() -> None:
    before, after = try_weights("event_type: {REMARK: 3}")
    scores = read_scores(choose_nights(nights=2), after)
    compared = compare_scores(scores, before, after)
    columns = [
        "event_type",
        "station_id",
        "hotspot_id",
        "events",
        "example",
        "base_risk_score",
        "score_before",
        "score_after",
    ]
    assert compared[columns].astype(object).fillna(0).to_numpy().tolist() == [
        ["EMERGENCY_INCIDENT", 2, 0, 1, "EMERGENCY_INCIDENT:4", 45.0, 45.0, 45.0],
        ["REMARK", 1, 101, 2, "REMARK:1", 1.0, 1.0, 3.0],
        ["REMARK", 1, 102, 1, "REMARK:3", 1.0, 1.0, 3.0],
    ]
    assert query_df("SELECT sum(base_risk_score) AS points FROM patrol_events")["points"].to_list() == [48.0]


@pytest.mark.usefixtures("bench")
def test_weights_of_one_event_type_are_tried_in_its_events_alone() -> None:
    before, after = try_weights({"REMARK": {"hotspot_id": {101: 5, 102: 0.5}}, "FEEDBACK": {"station_id": {1: 9}}})
    compared = compare_scores(read_scores(choose_nights(nights=2), after), before, after)
    assert compared[["example", "score_before", "score_after"]].to_numpy().tolist() == [
        ["EMERGENCY_INCIDENT:4", 45.0, 45.0],
        ["REMARK:1", 1.0, 6.0],
        ["REMARK:3", 1.0, 1.5],
    ]


@pytest.mark.usefixtures("bench")
def test_a_column_that_the_fact_table_does_not_have_cannot_be_weighted() -> None:
    with pytest.raises(ConfigurationError, match="expected columns of patrol_events, found weather"):
        read_scores(choose_nights(nights=2), ["weather"])


KERNEL = """
import threading
from sentinel_etl.analyst import query_df
from sentinel_etl.analyst.bench import open_bench

def count_events():
    return int(query_df("SELECT count() AS events FROM patrol_events")["events"].iloc[0])

def keep_asking():
    while not stop.is_set():
        seen.append(count_events())

connection = open_bench().warehouse.connect()
seen, stop = [count_events()], threading.Event()
asking = threading.Thread(target=keep_asking)
asking.start()
"""


@pytest.fixture
def kernel(environment: Settings) -> Iterator[BlockingKernelClient]:
    """A live kernel, as JupyterLab starts one, over the test's databases."""
    manager = KernelManager(kernel_name="python3", transport_encryption="required")
    manager.start_kernel()
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def say(kernel: BlockingKernelClient, code: str) -> str:
    """Run code in the kernel and give what it prints."""
    told: list[str] = []
    reply = kernel.execute_interactive(
        code, timeout=60, output_hook=lambda message: told.append(message["content"].get("text", ""))
    )
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(told)


def test_the_nightly_run_succeeds_while_a_kernel_asks_and_the_kernel_sees_whole_nights(
    databases: Databases, environment: Settings, kernel: BlockingKernelClient
) -> None:
    create_table(databases.warehouse, SENTINEL.fact_table)
    say(kernel, KERNEL)
    results = [
        run_window(NIGHT, source=databases.source, warehouse=databases.warehouse, settings=environment)
        for _ in ("attached", "replaced")
    ]
    seen = ast.literal_eval(say(kernel, "stop.set(); asking.join(); seen.append(count_events()); print(seen)"))
    events = int(results[0].counts["published"].sum())
    assert all(result.published for result in results)
    assert events > 0
    assert (seen[0], seen[-1], set(seen)) == (0, events, {0, events})
    assert len(seen) > 5  # it kept asking meanwhile
