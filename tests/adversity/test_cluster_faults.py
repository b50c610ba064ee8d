"""Ninety nights on a cluster whose workers, kernels and scheduler are killed all the time: each verdict is true."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from subprocess import Popen

import psutil
import pytest
from content_hash import content_hash
from dask_cluster import dask_process, free_port, urls
from pydantic import SecretStr
from sqlalchemy import Engine, func, select

from adversity.soak import SOAK, count
from sentinel_etl.city import City, create_source_tables, load_city, load_nights
from sentinel_etl.context import Context, completed_context
from sentinel_etl.databases import Databases
from sentinel_etl.errors import SentinelError
from sentinel_etl.operations.backfill import plan_backfill, run_backfill
from sentinel_etl.operations.groups import GroupResult
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

pytestmark = [
    pytest.mark.skipif(not SOAK, reason="part of make soak; test_dask_faults tries each"),
    pytest.mark.skipif(find_spec("distributed") is None, reason="the extra [dask] is not installed"),
]

NIGHTS, EVENTS, WORKERS = 90, 40, 3
LAST = date(2026, 11, 21)
FIRST = LAST - timedelta(days=NIGHTS - 1)
NOW = datetime(2026, 11, 22, 0, 40, tzinfo=UTC)
FAULTS = ("worker", "worker", "kernel", "kernel", "freeze", "scheduler")

Content = dict[date, tuple[int, str]]


class MortalCluster:
    """A scheduler and three workers, each of which is started anew when it has been killed."""

    def __init__(self, folder: Path, databases: Databases, chance: random.Random) -> None:
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self.faults = 0
        self._folder, self._urls, self._chance = folder, urls(databases), chance
        self._started = 0
        self._stack = ExitStack()
        self._scheduler = self._start("scheduler", "--host", self.address, "--no-dashboard", "--no-show")
        self._workers = [self._start_worker() for _ in range(WORKERS)]

    def _start(self, kind: str, *arguments: str) -> Popen[bytes]:
        self._started += 1
        home = self._folder / f"{kind} {self._started}"
        settings = self._urls if kind == "worker" else {}
        return self._stack.enter_context(dask_process(kind, *arguments, home=home, settings=settings))

    def _start_worker(self) -> Popen[bytes]:
        quick = ("--no-nanny", "--no-dashboard", "--nthreads", "1", "--death-timeout", "60")
        return self._start("worker", self.address, "--host", "127.0.0.1", *quick)

    def break_something(self) -> None:
        kind = self._chance.choice(FAULTS)
        victim = self._chance.randrange(WORKERS)
        worker = self._workers[victim]
        if kind == "scheduler":
            self._scheduler.kill()
            self._scheduler.wait()
            self._scheduler = self._start("scheduler", "--host", self.address, "--no-dashboard", "--no-show")
        elif kind == "worker":
            worker.kill()
            worker.wait()
        elif kind == "kernel":
            kernels = psutil.Process(worker.pid).children(recursive=True) if worker.poll() is None else []
            if not kernels:
                return
            self._chance.choice(kernels).kill()
        elif worker.poll() is None:
            os.kill(worker.pid, signal.SIGSTOP)
            time.sleep(2)
            os.kill(worker.pid, signal.SIGCONT)
        self.faults += 1
        self._workers = [each if each.poll() is None else self._start_worker() for each in self._workers]

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def many_nights(
    make_source: Callable[[str | None], Engine], make_warehouse: Callable[[], Engine], tmp_path: Path
) -> Iterator[Context]:
    source = make_source(None)
    create_source_tables(source)
    city = City()
    load_city(source, city)
    load_nights(source, city, LAST, NIGHTS, EVENTS)
    databases = Databases(source, make_warehouse())
    own = {name.removeprefix("SENTINEL_").lower(): SecretStr(url) for name, url in urls(databases).items()}
    places = {"runs_dir": tmp_path / "runs", "state_dir": tmp_path / "state"}
    settings = Settings(**own, **places, now=NOW, partition_by="day", worker_wait_seconds=45)
    with completed_context(settings, None, databases.source, databases.warehouse) as context:
        yield context


def content_of(warehouse: Engine) -> Content:
    facts = SENTINEL.fact_table
    columns = facts.c.shift_date, func.count(), content_hash(facts)
    rows = run_statement(warehouse, select(*columns).group_by(facts.c.shift_date))
    return {night: (int(number), str(content)) for night, number, content in rows}


def wrong_verdicts(results: list[GroupResult], planned: int, found: Content, oracle: Content) -> list[str]:
    """Name the results that are not so: a night told as in that is not as it should be, an end without a cause."""
    wrong = [f"{planned} groups, {len(results)} ends"] if len(results) != planned else []
    for result in results:
        [night] = result.group.window.shift_dates(SENTINEL.zone)
        if result.verdict.is_published and found.get(night) != oracle[night]:
            wrong.append(f"{night}: {result.verdict}, and it is not in")
        if not result.verdict.is_published and not (result.cause and result.error):
            wrong.append(f"{night}: {result.verdict} without a cause")
    return wrong


def test_whatever_is_killed_each_verdict_is_true_and_each_night_whole(
    many_nights: Context, make_warehouse: Callable[[], Engine], tmp_path: Path
) -> None:
    seed = int(os.environ.get("SOAK_SEED", time.time_ns() % 2**32))
    print(f"SOAK_SEED={seed}")
    chance = random.Random(seed)
    other = make_warehouse()
    whole = Window.nights(FIRST, LAST)
    run_window(whole, source=many_nights.source, warehouse=other, pipeline=SENTINEL, settings=many_nights.settings)
    oracle = content_of(other)
    cluster = MortalCluster(tmp_path, many_nights.databases, chance)
    stop = threading.Event()

    def break_things() -> None:
        while not stop.wait(chance.uniform(1, 5)):
            cluster.break_something()

    breaking = threading.Thread(target=break_things)
    wrong, told = [], 0
    try:
        breaking.start()
        while cluster.faults < SOAK:
            groups = plan_backfill(many_nights, FIRST, LAST, missing_only=True) or plan_backfill(
                many_nights, FIRST, LAST
            )
            try:
                results = run_backfill(groups, many_nights, dask=cluster.address)
            except SentinelError:
                continue  # the scheduler was being started anew
            wrong += wrong_verdicts(results, len(groups), content_of(many_nights.warehouse), oracle)
            told += len(results)
    finally:
        stop.set()
        breaking.join()
        cluster.close()
    for _ in range(2):  # what a lost worker had gone on with may end in between
        rest = run_backfill(plan_backfill(many_nights, FIRST, LAST, missing_only=True), many_nights, jobs=2)
    assert [result.cause for result in rest if not result.verdict.is_published] == []
    found = content_of(many_nights.warehouse)
    rows = sum(found.get(night) != expected for night, expected in oracle.items()) + len(found.keys() - oracle.keys())
    count(cluster_faults=cluster.faults, cluster_ends=told, cluster_verdicts=len(wrong), cluster_nights=rows)
    assert (wrong, rows) == ([], 0)
    assert told > 0
