"""Whoever is killed, whenever: the next run leaves what one clean pass leaves, and no reader saw half a night."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import make_url

from adversity.bench import LAST, NIGHTS, TESTS, Bench, Run, at, sum_states, whole_states
from adversity.oracle import State
from adversity.soak import SOAK, count
from sentinel_etl.local.stack import start_stack
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

THREE_NIGHTS = Window(Window.night(NIGHTS[0]).start, Window.night(LAST).end)

# Name → window, partition, whether the nights were loaded before and have changed since.
SCENES: dict[str, tuple[Window, str, bool]] = {
    "first load": (Window.night(LAST), "month", False),
    "re-run": (Window.night(LAST), "month", True),
    "overlap": (Window(at(20, 12), at(21, 20)), "month", True),
    "backfill": (THREE_NIGHTS, "day", True),
}
# Points that a first load of one part does not pass.
ONLY_BY_EXCHANGE = ("rows taken out", "clone made", "half kept")
SECONDS = 1.5  # a run's length, about: random instants lie within

CASES = [
    ("first load", "run", "amid load"),
    ("first load", "run", "switch done"),
    ("first load", "endpoint", "switch ready"),
    ("re-run", "run", "amid extraction"),
    ("re-run", "run", "half kept"),
    ("re-run", "run", "rows taken out"),
    ("re-run", "endpoint", "clone made"),
    ("re-run", "run", "ledger written"),
    ("re-run", "endpoint", "amid load"),
    ("re-run", "reader", "amid extraction"),
    ("overlap", "run", "switch ready"),
    ("overlap", "run", "random 1"),
    ("overlap", "endpoint", "random 2"),
    ("overlap", "lock holder", "audit passed"),
    ("backfill", "run", "switch done"),
    ("backfill", "endpoint", "switch done"),
    ("backfill", "run", "random 3"),
]


@pytest.fixture(scope="module")
def benches(make_bench: Callable[..., Bench]) -> dict[str, Bench]:
    """The scenes' benches, those of them loaded that were loaded before."""
    made = {}
    for scene, (_, partition_by, loaded) in SCENES.items():
        if loaded:
            made[scene] = make_bench(partition_by)
            made[scene].run(THREE_NIGHTS)
    return made


def edits(window: Window, seed: int) -> list[str]:
    """Change, delete, add and move some rows of the window; which ones depends on the seed."""
    start, end = window.start.isoformat(), window.end.isoformat()

    def few(table: str, rows: int) -> str:
        key = f"{table.removesuffix('s')}_id"
        return (
            f"{key} IN (SELECT {key} FROM {table} WHERE created_at >= '{start}' AND created_at < '{end}' "
            f"ORDER BY md5({key}::text || '{seed}') LIMIT {rows})"
        )

    return [
        f"UPDATE remarks SET remark_text = 'ಬದಲಾಗಿದೆ {seed}', latitude = 0, longitude = 0 WHERE {few('remarks', 4)}",
        "UPDATE vehicle_checks SET suspicious_activity = NOT coalesce(suspicious_activity, false) "
        f"WHERE {few('vehicle_checks', 4)}",
        f"DELETE FROM geofence_logs WHERE {few('geofence_logs', 2)}",
        "INSERT INTO geofence_logs (geofence_log_id, patrol_id, assigned_to_officer_id, hotspot_id, "
        "geofence_event_type, created_at) "
        # A copy may be copied again: its id has nothing of the one that it is of.
        f"SELECT 1000000000000000 + {seed} * 1000000::bigint + row_number() OVER (), patrol_id, "
        f"assigned_to_officer_id, hotspot_id, 'DWELL', created_at FROM geofence_logs WHERE {few('geofence_logs', 3)}",
        f"UPDATE stranger_encounters SET created_at = '{start}'::timestamptz + "
        f"(stranger_encounter_id %% 1000) * ('{end}'::timestamptz - '{start}') / 1000 "
        f"WHERE {few('stranger_encounters', 3)}",
    ]


def kill(victim: str, bench: Bench, run: Run) -> None:
    if victim == "run":
        assert run.process.pid is not None
        os.kill(run.process.pid, signal.SIGKILL)
    elif victim == "endpoint":
        endpoint = bench.endpoint()
        endpoint.kill()
        endpoint.wait(10)
    else:
        name = "sentinel-etl run%" if victim == "lock holder" else "sentinel-etl"
        os.kill(bench.backend(name), signal.SIGKILL)


def kill_at(moment: str, victim: str, bench: Bench, window: Window, seed: int) -> tuple[str, Any]:
    """Start a run, kill the victim at a named point or a random instant, and return how the run ended."""
    named = not moment.startswith("random")
    run = bench.start(window, moment if named else "")
    run.wait_for("stopped" if named else "started")
    if not named:
        time.sleep(random.Random(seed).uniform(0, SECONDS))
    kill(victim, bench, run)
    if named and victim != "run":
        run.go_on()
    return run.end()


def try_crash(bench: Bench, scene: str, victim: str, moment: str, seed: int) -> None:
    """Kill once, let an ordinary run follow, and compare with the oracle."""
    window, _, loaded = SCENES[scene]
    nights = NIGHTS if loaded else [LAST]
    before = bench.expected(nights) if loaded else dict.fromkeys(nights, State())
    if loaded:
        bench.change(*edits(window, seed))
        if seed % 2:  # rows are taken out of a merged part one by one; a part of the window's own is dropped
            run_statement(bench.warehouse, "OPTIMIZE TABLE patrol_events FINAL")
    then = bench.expected(nights)
    assert sum_states(then) != sum_states(before)
    bench.seen.clear()
    with bench.polling():
        how, more = kill_at(moment, victim, bench, window, seed)
        result = bench.run(window)
    found = bench.state()
    strange = bench.seen - whole_states(before, then)
    wrong = found != sum_states(then)
    count(kills=1, states=bench.polls + 1, mismatches=len(strange) + wrong)
    bench.polls = 0
    assert how == {"run": "killed"}.get(victim, "failed") or moment.startswith("random"), more
    assert how != "failed" or more[1] in (3, 4), more
    assert how != "broken", more
    assert not wrong, f"{found} instead of {sum_states(then)}: {bench.differences(THREE_NIGHTS)}"
    assert strange == set(), f"a reader saw {[*map(str, strange)]}"
    assert bench.seen
    assert result.published
    wait_for_nothing_left(bench)


def wait_for_nothing_left(bench: Bench) -> None:
    """A killed client's session ends when PostgreSQL notices, which may take an instant."""
    deadline = time.monotonic() + 5
    while bench.left_over() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert bench.left_over() == []


@pytest.mark.parametrize(("scene", "victim", "moment"), CASES, ids=[", ".join(case) for case in CASES])
def test_after_a_kill_the_next_run_leaves_the_oracle_s_table(
    benches: dict[str, Bench], make_bench: Callable[..., Bench], scene: str, victim: str, moment: str
) -> None:
    bench = benches.get(scene) or make_bench()
    if scene in benches and bench.state() != sum_states(bench.expected()):
        bench.run(THREE_NIGHTS)  # another case of the scene failed before
    try_crash(bench, scene, victim, moment, seed=CASES.index((scene, victim, moment)))


def test_the_oracle_sees_a_row_that_is_lost_doubled_or_changed(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    bench.run(Window.night(LAST))
    whole = sum_states(bench.expected([LAST]))
    assert bench.state() == whole
    assert bench.differences(Window.night(LAST)) == []
    spoil = {
        "lost": "ALTER TABLE patrol_events DELETE WHERE event_id = (SELECT min(event_id) FROM patrol_events)",
        "changed": "ALTER TABLE patrol_events UPDATE accuracy = 1e-9 "
        "WHERE event_id = (SELECT max(event_id) FROM patrol_events)",
        "doubled": "INSERT INTO patrol_events SELECT * FROM patrol_events WHERE event_type = 'FEEDBACK' LIMIT 1",
    }
    for number, statement in enumerate(spoil.values(), start=1):
        settings = " SETTINGS mutations_sync = 2" if statement.startswith("ALTER") else ""
        run_statement(bench.warehouse, statement + settings)
        assert bench.state() != whole
        assert len(set(bench.differences(Window.night(LAST)))) == number


def test_a_killed_kernel_is_a_failed_notebook_and_the_next_run_leaves_the_oracle_s_table(
    make_bench: Callable[..., Bench], tmp_path: Path
) -> None:
    bench = make_bench()
    environment = {
        **os.environ,
        "PYTHONPATH": str(TESTS),
        "SENTINEL_HOME": str(tmp_path),
        "SENTINEL_NOTEBOOKS_DIR": str(TESTS.parent / "notebooks"),
        "SENTINEL_SOURCE_URL": bench.source.url.render_as_string(hide_password=False),
        "SENTINEL_WAREHOUSE_URL": bench.warehouse_url,
        "SENTINEL_PIPELINE": "adversity.child:PIPELINE",
        "SENTINEL_NOW": "2026-11-22T06:10:00+05:30",
    }
    with bench.polling():
        command = subprocess.Popen(
            [sys.executable, "-m", "sentinel_etl", "run"], env=environment, stderr=subprocess.PIPE, text=True
        )
        kill_kernel_when_staging(bench, psutil.Process(command.pid))
        _, said = command.communicate(timeout=60)
        assert bench.run(Window.night(LAST)).published
    then = bench.expected([LAST])
    strange = bench.seen - {State(), sum_states(then)}
    count(kills=1, states=bench.polls + 1, mismatches=len(strange) + (bench.state() != sum_states(then)))
    assert (command.returncode, strange) == (7, set())
    assert "the kernel died" in said
    assert "report of the failed run" in said
    assert bench.state() == sum_states(then)
    wait_for_nothing_left(bench)


def kill_kernel_when_staging(bench: Bench, command: psutil.Process) -> None:
    deadline = time.monotonic() + 60
    while not any(name.startswith("patrol_events__staging") for name in bench.left_over()):
        assert time.monotonic() < deadline, "no staging table was made"
        time.sleep(0.02)
    [kernel] = [child for child in command.children() if any("be_kernel" in word for word in child.cmdline())]
    kernel.kill()


def test_a_local_warehouse_that_was_killed_is_started_by_the_next_run(
    make_bench: Callable[..., Bench], mortal_dir: Path
) -> None:
    bench = make_bench()
    bench.run(Window.night(LAST))
    endpoint = bench.endpoint()
    endpoint.kill()
    endpoint.wait(10)
    urls = start_stack(mortal_dir)
    assert bench.endpoint().pid != endpoint.pid
    assert bench.warehouse.url.password == make_url(urls.warehouse_url).password
    assert bench.state() == sum_states(bench.expected([LAST]))


VICTIMS = {"run": 6, "endpoint": 3, "reader": 1, "lock holder": 1}  # how often, against each other
POINTS_OF = {"reader": ["amid extraction"], "lock holder": ["rows staged", "audit passed", "switch ready"]}


@pytest.mark.skipif(not SOAK, reason="part of make soak")
def test_after_any_kill_at_all_the_next_run_leaves_the_oracle_s_table(
    benches: dict[str, Bench], make_bench: Callable[..., Bench]
) -> None:
    from adversity.child import POINTS

    seed = int(os.environ.get("SOAK_SEED", time.time_ns() % 2**32))
    print(f"SOAK_SEED={seed}")
    chance = random.Random(seed)
    for number in range(SOAK):
        scene = chance.choice([*SCENES])
        [victim] = chance.choices([*VICTIMS], [*VICTIMS.values()])
        points = POINTS_OF.get(victim) or [*POINTS, *["random"] * len(POINTS)]
        moment = chance.choice([p for p in points if scene != "first load" or p not in ONLY_BY_EXCHANGE])
        bench = benches.get(scene) or make_bench()
        try:
            try_crash(bench, scene, victim, moment, seed + number)
        except AssertionError as error:
            error.add_note(f"kill {number} of SOAK_SEED={seed}: {scene}, {victim}, {moment}")
            raise
