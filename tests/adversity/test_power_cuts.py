"""The warehouse's machine loses power: a night is whole, or no longer told as in, and running again mends it."""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from adversity.bench import LAST, NIGHTS, Bench, move_events
from adversity.child import pipeline_of
from adversity.oracle import READ_STATE, State
from adversity.power_bench import PoweredWarehouse, mounted_disk
from adversity.soak import SOAK, count
from adversity.test_crashes import edits, wait_for_nothing_left
from adversity.volatile_disk import Cut
from sentinel_etl.context import Context
from sentinel_etl.databases import Databases
from sentinel_etl.errors import SentinelError
from sentinel_etl.ledger.ledger import read_runs
from sentinel_etl.operations.status import read_status
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

LATER = timedelta(days=10)  # moves the last of the city's nights into the next month
MONTHS_END = [night + LATER for night in NIGHTS]


@dataclass(frozen=True)
class Scene:
    """``nights`` are in the source, ``loaded`` of them in the table and durable; ``window`` is run."""

    nights: list[date]
    loaded: list[date]
    window: Window


def nights_window(nights: list[date]) -> Window:
    return Window(Window.night(nights[0]).start, Window.night(nights[-1]).end)


SCENES = {
    "first load": Scene(NIGHTS, [], Window.night(LAST)),
    "next night": Scene(NIGHTS, NIGHTS[:2], Window.night(LAST)),
    "re-run": Scene(NIGHTS, NIGHTS, Window.night(LAST)),
    "month's end": Scene(MONTHS_END, MONTHS_END, nights_window(MONTHS_END[1:])),
}
# When the power goes: up to so many seconds after the run has passed this point, or after its end.
MOMENTS = {"": 1.5, "audit passed": 0.6, "end": 0.0}
DIES = ("machine", "warehouse")  # the run on the same machine, or on another one: then it goes on


class Case(NamedTuple):
    scene: str
    moment: str
    dies: str
    kind: Cut


CASES = [
    Case("next night", "end", "warehouse", "writeback"),
    Case("re-run", "audit passed", "warehouse", "journal"),
    Case("re-run", "end", "machine", "writeback"),
    Case("month's end", "audit passed", "machine", "asked"),
    Case("month's end", "end", "warehouse", "journal"),
]


@pytest.fixture(scope="module")
def powered() -> Iterator[PoweredWarehouse]:
    """A warehouse of this file's own on a disk that forgets."""
    with tempfile.TemporaryDirectory(prefix="sentinel-") as folder, mounted_disk(Path(folder) / "disk") as disk:
        warehouse = PoweredWarehouse(disk, Path(folder) / "clickhouse.log")
        try:
            warehouse.start()
            yield warehouse
        finally:
            warehouse.kill()


@dataclass
class Benches:
    """The scenes' benches: a city each, and a database of the warehouse with the nights loaded before."""

    powered: PoweredWarehouse
    make: Callable[..., Bench]
    made: dict[str, Bench] = field(default_factory=dict)

    def give(self, name: str) -> Bench:
        scene = SCENES[name]
        if scene.loaded != scene.nights:
            self.forget(name)  # its nights may be loaded now
        if name not in self.made:
            bench = self.made[name] = self.make()
            if scene.nights is MONTHS_END:
                move_events(bench, LATER)
            bench.warehouse.dispose()
            bench.warehouse = self.powered.new_database()
            if scene.loaded:
                bench.run(nights_window(scene.loaded))
        return self.made[name]

    def forget(self, name: str) -> None:
        if bench := self.made.pop(name, None):
            run_statement(bench.warehouse, f"DROP DATABASE {bench.warehouse.url.database} SYNC")
            bench.warehouse.dispose()
            bench.source.dispose()


@pytest.fixture(scope="module")
def benches(powered: PoweredWarehouse, make_bench: Callable[..., Bench]) -> Iterator[Benches]:
    made = Benches(powered, make_bench)
    yield made
    for bench in made.made.values():
        bench.warehouse.dispose()


def states(bench: Bench, nights: list[date]) -> dict[date, State | None]:
    """Read each night's state; a table that is not there has no rows, and None stands for one that cannot be read."""
    try:
        return read_states(bench, nights)
    except SentinelError:
        return dict.fromkeys(nights)


def read_states(bench: Bench, nights: list[date]) -> dict[date, State | None]:
    found: dict[date, State | None] = dict.fromkeys(nights, State())
    if run_statement(bench.warehouse, "EXISTS TABLE patrol_events") == [(0,)]:
        return found
    by_night = READ_STATE.replace("SELECT ", "SELECT toString(shift_date), ", 1) + " GROUP BY shift_date"
    for night, rows, checksum in run_statement(bench.warehouse, by_night):
        found[date.fromisoformat(night)] = State(int(rows), int(checksum))
    return found


def nights_told_in(bench: Bench, scene: Scene) -> set[date]:
    """Ask for the nights that the status tells as in; none where it ends in an error."""
    morning = Window.night(scene.nights[-1]).end + timedelta(minutes=10)
    context = Context(Settings(now=morning), pipeline_of(bench.partition_by), Databases(bench.source, bench.warehouse))
    try:
        status = read_status(context, len(scene.nights))
    except SentinelError:
        return set()
    return set(scene.nights) - set(status.missing) - {loss.shift_date for loss in status.lost}


def nights_of_another_run(bench: Bench, nights: set[date]) -> set[date]:
    """Find those of the nights whose rows are not the last run's that the ledger has published."""
    if not nights:  # the cut may have taken the table itself, before its first night
        return set()
    written = run_statement(
        bench.warehouse,
        "SELECT toString(shift_date), arrayStringConcat(groupUniqArray(run_id), ' ') "
        "FROM patrol_events GROUP BY shift_date",
    )
    by_night = {date.fromisoformat(night): run_ids for night, run_ids in written}
    published = [run for run in read_runs(bench.warehouse) if run["state"].is_published]
    last = {
        night: next(
            run["run_id"] for run in published if run["window_start"] < Window.night(night).end <= run["window_end"]
        )
        for night in nights
    }
    return {night for night in nights if by_night.get(night) != last[night]}


def cut_power(bench: Bench, powered: PoweredWarehouse, case: Case, seed: int) -> tuple[bool, str]:
    """Run the scene's window, let the power go, and return whether the run said done and what the disk forgot."""
    run = bench.start(SCENES[case.scene].window, case.moment if case.moment != "end" else "")
    if case.moment == "end":
        assert run.end() == ("done", "PUBLISHED")
        return True, powered.cut_power(case.kind, seed)
    run.wait_for("stopped" if case.moment else "started")
    if case.moment:
        run.go_on()
    time.sleep(random.Random(seed).uniform(0, MOMENTS[case.moment]))
    if case.dies == "machine":
        run.process.kill()
    forgotten = powered.cut_power(case.kind, seed)
    how, more = run.end()
    assert how in ("done", "killed") or (how == "failed" and more[1] in (3, 4)), more
    return how == "done", forgotten


def try_cut(benches: Benches, case: Case, seed: int) -> None:
    """Cut the power once, judge what stands, let an ordinary run follow, and compare with the oracle."""
    scene, bench = SCENES[case.scene], benches.give(case.scene)
    before = dict.fromkeys(scene.nights, State()) | bench_states(bench, scene.loaded)
    if scene.loaded == scene.nights:
        bench.change(*edits(scene.window, seed))
    touched = scene.window.shift_dates()
    then = before | bench_states(bench, touched)
    benches.powered.disk.settle()
    done, forgotten = cut_power(bench, benches.powered, case, seed)
    found, told_in = states(bench, scene.nights), nights_told_in(bench, scene)
    lost = [night for night in scene.nights if found[night] not in (before[night], then[night])]
    untold = sorted(told_in & {*lost} | nights_of_another_run(bench, told_in))
    undone = done and found != then
    problem = run_again(bench, sorted({*lost, *touched}), then)
    if problem:
        benches.forget(case.scene)
    count(cuts=1, cuts_that_lost=bool(lost), cuts_untold=bool(untold), undone=undone, cuts_not_mended=bool(problem))
    assert not problem, f"{forgotten}: {problem}"
    assert not untold, f"{forgotten}; the table has {found}, told as in are {told_in}"
    assert not lost, f"{forgotten}; the table has {found} instead of {before} or {then}"
    wait_for_nothing_left(bench)


def run_again(bench: Bench, nights: list[date], then: dict[date, State]) -> str:
    """Let an ordinary run follow; say what it left to be mended, empty for nothing."""
    try:
        bench.run(nights_window(nights))
        return "" if read_states(bench, [*then]) == then else f"differs in {bench.differences(nights_window([*then]))}"
    except SentinelError as error:
        return str(error)


def bench_states(bench: Bench, nights: list[date]) -> dict[date, State]:
    """Work out which states the nights should have; of no nights, none."""
    return bench.expected(nights) if nights else {}


@pytest.mark.parametrize("case", CASES, ids=", ".join)
def test_after_a_power_cut_a_night_is_whole_or_told_as_lost_and_the_next_run_mends_it(
    benches: Benches, case: Case
) -> None:
    try_cut(benches, case, seed=CASES.index(case))


@pytest.mark.skipif(not SOAK, reason="part of make soak")
def test_after_any_power_cut_at_all_a_night_is_whole_or_told_as_lost_and_the_next_run_mends_it(
    benches: Benches,
) -> None:
    seed = int(os.environ.get("SOAK_SEED", time.time_ns() % 2**32))
    print(f"SOAK_SEED={seed}")
    chance = random.Random(seed)
    kinds: list[Cut] = ["asked", "journal", "writeback"]
    for number in range(2 * SOAK):
        [moment] = chance.choices([*MOMENTS], [1, 3, 1])
        case = Case(chance.choice([*SCENES]), moment, chance.choice(DIES), chance.choice(kinds))
        try:
            try_cut(benches, case, seed + number)
        except AssertionError as error:
            error.add_note(f"cut {number} of SOAK_SEED={seed}: {', '.join(case)}")
            raise
