"""Switching the table, over and over: readers see whole states only, and a restart right after it changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from adversity.bench import LAST, NIGHTS, Bench, move_events, sum_states
from adversity.child import Task, pipeline_of, settings_of
from adversity.oracle import State
from adversity.soak import SOAK, count
from adversity.test_crashes import edits
from sentinel_etl.context import Context
from sentinel_etl.databases import Databases
from sentinel_etl.local.stack import start_stack
from sentinel_etl.operations.undo import undo_run
from sentinel_etl.window import Window

READS = 100_000 if SOAK else 2_000
RESTARTS = 20 if SOAK else 1
LATER = timedelta(days=10)  # the last of the city's nights lies in the next month then

ALL_NIGHTS = Window(Window.night(NIGHTS[0]).start, Window.night(LAST).end)


def test_no_reader_sees_a_mixed_state_of_a_window_over_a_month_s_end(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    move_events(bench, LATER)
    nights = [night + LATER for night in NIGHTS]
    assert len({night.month for night in nights}) == 2
    window = Window(Window.night(nights[0]).start, Window.night(nights[-1]).end)
    bench.run(window)
    whole = {sum_states(bench.expected(nights))}
    switches = 0
    with bench.polling(readers=4, pause=0):
        while bench.polls < READS:
            bench.change(*edits(window, switches))
            whole.add(sum_states(bench.expected(nights)))
            result = bench.run(window)
            assert result.how == "exchange 202611, 202612"
            switches += 1
    mixed = bench.seen - whole
    count(month_reads=bench.polls, month_switches=switches, mixed=len(mixed))
    assert mixed == set()
    assert len(bench.seen) > 1


def attach(bench: Bench) -> None:
    assert bench.run(Window.night(LAST)).how.startswith("attach")


def exchange(bench: Bench) -> None:
    bench.run(Window.night(LAST))
    bench.change(*edits(Window.night(LAST), 1))
    assert bench.run(Window.night(LAST)).how.startswith("exchange")


def exchange_several(bench: Bench) -> None:
    bench.run(ALL_NIGHTS)
    bench.change(*edits(ALL_NIGHTS, 2))
    assert bench.run(ALL_NIGHTS).how.count("202611") > 1


def undo(bench: Bench) -> None:
    """Take back a second night, so that the first one stands alone."""
    bench.run(Window.night(LAST))
    bench.run(Window.night(NIGHTS[0]))
    pipeline = pipeline_of(bench.partition_by)
    task = Task("", "", Window.night(LAST))
    undo_run(Context(settings_of(task), pipeline, Databases(bench.source, bench.warehouse)))


PUBLISHES = {"attach": attach, "exchange": exchange, "exchange of several partitions": exchange_several, "undo": undo}


@pytest.mark.parametrize("kind", PUBLISHES)
def test_a_restart_right_after_a_publish_shows_no_doubled_and_no_missing_row(
    make_bench: Callable[..., Bench], kind: str
) -> None:
    for _ in range(RESTARTS):
        bench = make_bench("day")
        PUBLISHES[kind](bench)
        nights = NIGHTS if kind == "exchange of several partitions" else [LAST]
        expected: State = sum_states(bench.expected(nights))
        assert bench.state() == expected
        endpoint = bench.endpoint()
        endpoint.kill()
        endpoint.wait(10)
        start_stack(bench.state_dir)
        found = bench.state()
        count(publish_restarts=1, mismatches=int(found != expected))
        assert found == expected
        bench.drop_warehouse()
