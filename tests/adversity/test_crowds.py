"""Several runs at once, in one process and in several: one waits or is refused, and the table is the oracle's."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from adversity.bench import LAST, NIGHTS, Bench, at, sum_states, whole_states
from adversity.child import Task, pipeline_of, settings_of
from adversity.oracle import State
from sentinel_etl.run.run_window import run_window
from sentinel_etl.source.connection import open_source
from sentinel_etl.warehouse.engine import open_warehouse
from sentinel_etl.window import Window

NIGHT = Window.night(LAST)
THREE_NIGHTS = Window(Window.night(NIGHTS[0]).start, NIGHT.end)


@pytest.mark.parametrize(
    ("partition_by", "windows"),
    [
        pytest.param("month", [NIGHT, NIGHT], id="one window twice"),
        pytest.param("day", [Window(at(20, 18), at(21, 18)), NIGHT], id="two windows that overlap"),
        pytest.param("day", [THREE_NIGHTS, NIGHT], id="a backfill and the nightly"),
    ],
)
def test_runs_in_several_processes_leave_the_oracle_s_table(
    make_bench: Callable[..., Bench], partition_by: str, windows: list[Window]
) -> None:
    bench = make_bench(partition_by)
    bench.run(THREE_NIGHTS)
    before = bench.expected()
    edit = f"created_at >= '{NIGHT.start.isoformat()}' AND created_at < '2026-11-21T18:00:00Z'"
    bench.change(f"UPDATE remarks SET remark_text = 'changed' WHERE {edit}", f"DELETE FROM feedback WHERE {edit}")
    with bench.polling():
        runs = [bench.start(window) for window in windows]
        ends = [run.end() for run in runs]
    assert ends == [("done", "PUBLISHED")] * 2
    assert bench.state() == sum_states(bench.expected())
    assert bench.seen <= whole_states(before, bench.expected())
    assert bench.left_over() == []


def test_runs_in_one_process_leave_the_oracle_s_table(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(bench.run, [NIGHT, THREE_NIGHTS, Window(at(20, 18), at(21, 18))]))
    assert [result.verdict for result in results] == ["PUBLISHED"] * 3
    assert bench.state() == sum_states(bench.expected())
    assert bench.left_over() == []


def test_a_run_that_may_not_wait_is_refused_with_the_holder_s_name(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    first = bench.start(NIGHT, "rows staged", run_id="the_first")
    first.wait_for("stopped")
    second = bench.start(THREE_NIGHTS, run_id="the_second", settings={"lock_wait_seconds": 0.2})
    how, (name, code, message) = second.end()
    assert (how, name, code) == ("failed", "WindowLocked", 6)
    assert "sentinel-etl run the_first (since " in message
    first.go_on()
    assert first.end() == ("done", "PUBLISHED")
    assert bench.state() == sum_states(bench.expected([LAST]))
    assert bench.left_over() == []


def test_a_run_that_lost_its_lock_does_not_undo_what_the_next_one_published(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench()
    bench.run(NIGHT)
    edit = "UPDATE remarks SET remark_text = 'the {}' WHERE remark_id = (SELECT min(remark_id) FROM remarks)"
    bench.change(edit.format("first"))
    first = bench.start(NIGHT, "audit passed", run_id="the_first")
    first.wait_for("stopped")
    holder = bench.backend("sentinel-etl run the_first")
    with bench.source.connect() as connection:
        assert connection.exec_driver_sql(f"SELECT pg_terminate_backend({holder}, 5000)").scalar() is True
    bench.change(edit.format("second"))
    assert bench.run(NIGHT).published
    first.go_on()
    how, (_, code, message) = first.end()
    assert (how, code) == ("failed", 3), message
    assert bench.state() == sum_states(bench.expected([LAST]))
    assert bench.left_over() == []


def test_a_run_that_lost_its_lock_publishes_nothing_although_nobody_else_came(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench()
    first = bench.start(NIGHT, "audit passed", run_id="the_first")
    first.wait_for("stopped")
    holder = bench.backend("sentinel-etl run the_first")
    with bench.source.connect() as connection:
        assert connection.exec_driver_sql(f"SELECT pg_terminate_backend({holder}, 5000)").scalar() is True
    first.go_on()
    how, (_, code, message) = first.end()
    assert (how, code) == ("failed", 3), message
    assert "the session which held them is gone" in message
    assert bench.state() == State()


def test_runs_of_two_databases_do_not_wait_for_each_other(make_bench: Callable[..., Bench]) -> None:
    one, other = make_bench(), make_bench()
    held = one.start(NIGHT, "rows staged")
    held.wait_for("stopped")
    settings = settings_of(Task("", "", NIGHT, settings={"lock_wait_seconds": 0}))
    source = open_source(other.source.url.render_as_string(hide_password=False))
    result = run_window(
        NIGHT,
        source=source,
        warehouse=open_warehouse(other.warehouse_url),
        pipeline=pipeline_of("month"),
        settings=settings,
    )
    assert result.published
    held.go_on()
    assert held.end() == ("done", "PUBLISHED")
    source.dispose()
