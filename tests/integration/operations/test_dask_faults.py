"""Whatever becomes of a cluster, each group's end is a row of the driver's table, and no worker loads otherwise."""

from __future__ import annotations

import gc
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from content_hash import content_hash
from dask_cluster import dask_process, free_port, urls, wait_for_workers
from sqlalchemy import Engine, func, select

from sentinel_etl.context import Context, completed_context
from sentinel_etl.databases import Databases
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.ledger.ledger import read_runs
from sentinel_etl.ledger.states import RunState
from sentinel_etl.operations.backfill import plan_backfill, run_backfill
from sentinel_etl.operations.groups import GroupResult
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.catalog import has_table
from sentinel_etl.warehouse.query import read_number, run_statement
from sentinel_etl.warehouse.tables import ETL_RUNS
from sentinel_etl.window import Window

pytestmark = pytest.mark.skipif(
    find_spec("distributed") is None, reason="the extra [dask] is not installed: pip install '.[dask]'"
)

FIRST, LAST = date(2026, 11, 19), date(2026, 11, 21)
PACKAGE = Path(__file__).parents[3] / "sentinel_etl"


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    address = f"tcp://127.0.0.1:{free_port()}"
    home = tmp_path_factory.mktemp("dask") / "scheduler"
    with dask_process("scheduler", "--host", address, "--no-dashboard", "--no-show", home=home, settings={}):
        deadline = time.monotonic() + 60
        while "Scheduler at:" not in (home / "log").read_text():
            assert time.monotonic() < deadline, (home / "log").read_text()
            time.sleep(0.1)
        yield address


@contextmanager
def workers(
    address: str, folder: Path, *each: dict[str, str], threads: int = 1
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run a worker for each set of variables."""
    homes = [folder / f"worker {number}" for number in range(len(each))]
    arguments = (address, "--host", "127.0.0.1", "--no-nanny", "--no-dashboard", "--nthreads", str(threads))
    with ExitStack() as running:
        processes = [
            running.enter_context(dask_process("worker", *arguments, home=home, settings=settings))
            for home, settings in zip(homes, each, strict=True)
        ]
        wait_for_workers(homes)
        yield processes


@pytest.fixture
def context(databases: Databases, settings: Settings) -> Iterator[Context]:
    given = {"partition_by": "day", "worker_wait_seconds": 20.0}
    with completed_context(settings.model_copy(update=given), None, *pair(databases)) as context:
        yield context


def pair(databases: Databases) -> tuple[Engine, Engine]:
    return databases.source, databases.warehouse


def backfill(context: Context, address: str, **options: object) -> list[GroupResult]:
    return run_backfill(plan_backfill(context, FIRST, LAST), context, dask=address, **options)  # type: ignore[arg-type]


def nights_of(warehouse: Engine) -> dict[date, tuple[int, str]]:
    facts = SENTINEL.fact_table
    columns = facts.c.shift_date, func.count(), content_hash(facts)
    rows = run_statement(warehouse, select(*columns).group_by(facts.c.shift_date))
    return {night: (int(count), str(content)) for night, count, content in rows}


def one_pass(context: Context, make_warehouse: Callable[[], Engine]) -> dict[date, tuple[int, str]]:
    """Load the nights here, into another warehouse: what each is to be like."""
    other = make_warehouse()
    window = Window(Window.night(FIRST).start, Window.night(LAST).end)
    run_window(window, source=context.source, warehouse=other, pipeline=context.pipeline, settings=context.settings)
    return nights_of(other)


def test_a_worker_s_own_settings_shape_nothing_and_nothing_of_one_driver_stays_for_the_next(
    context: Context, scheduler: str, tmp_path: Path, make_warehouse: Callable[[], Engine]
) -> None:
    otherwise = {"SENTINEL_TIMEZONE": "UTC", "SENTINEL_PII": "drop", "SENTINEL_BATCH_ROWS": "1000"}
    dropping = context.settings.model_copy(update={"pii": "drop"})
    with (
        workers(scheduler, tmp_path, {**urls(context.databases), **otherwise}, threads=2),
        completed_context(dropping, None, *pair(context.databases)) as other,
    ):
        assert {(result.verdict, result.cause) for result in backfill(other, scheduler)} == {(RunState.PUBLISHED, "")}
        texts = f"SELECT count(remark_text) FROM {SENTINEL.fact_table.name}"
        assert read_number(context.warehouse, texts) == 0
        assert {(result.error, result.error and result.cause) for result in backfill(context, scheduler)} == {("", "")}
    assert read_number(context.warehouse, texts) > 0
    assert nights_of(context.warehouse) == one_pass(context, make_warehouse)


def test_weights_of_the_driver_s_file_are_the_workers(context: Context, scheduler: str, tmp_path: Path) -> None:
    weights = tmp_path / "weights.yaml"
    weights.write_text("event_type: {REMARK: 77}\n", encoding="utf-8")
    weighted = context.settings.model_copy(update={"risk_weights": weights})
    with (
        completed_context(weighted, None, *pair(context.databases)) as other,
        workers(scheduler, tmp_path, urls(context.databases)),
    ):
        assert {(result.error, result.error and result.cause) for result in backfill(other, scheduler)} == {("", "")}
    scores = f"SELECT DISTINCT base_risk_score FROM {SENTINEL.fact_table.name} WHERE base_risk_score != 0"
    assert {float(score) for (score,) in run_statement(context.warehouse, scores)} == {77.0}


@pytest.fixture
def refusals(
    context: Context, make_source: Callable[[str | None], Engine], make_warehouse: Callable[[], Engine], tmp_path: Path
) -> dict[str, tuple[dict[str, str], str]]:
    """Name → what a worker has for itself, and the words of its refusal."""
    own = urls(context.databases)
    engine = tmp_path / "engine" / "sentinel_etl"
    shutil.copytree(PACKAGE, engine, ignore=shutil.ignore_patterns("__pycache__"))
    (engine / "wording.py").write_text((engine / "wording.py").read_text() + "\n# changed\n")
    emptied = Databases(make_source(None), make_warehouse())
    return {
        "no URLs": ({}, "expected SENTINEL_SOURCE_URL and SENTINEL_WAREHOUSE_URL in the worker's own environment"),
        "no warehouse": (
            {"SENTINEL_SOURCE_URL": own["SENTINEL_SOURCE_URL"]},
            "expected SENTINEL_WAREHOUSE_URL in the worker's own environment, found none; set it there",
        ),
        "another source": ({**own, "SENTINEL_SOURCE_URL": urls(emptied)["SENTINEL_SOURCE_URL"]}, "source: expected"),
        "another warehouse": (
            {**own, "SENTINEL_WAREHOUSE_URL": urls(emptied)["SENTINEL_WAREHOUSE_URL"]},
            "set SENTINEL_WAREHOUSE_URL there to the driver's warehouse",
        ),
        "another engine": ({**own, "PYTHONPATH": str(engine.parent)}, "engine: expected the driver's"),
        "a misspelt setting": ({**own, "SENTINEL_TIMEZON": "UTC"}, "did you mean SENTINEL_TIMEZONE"),
    }


def test_a_worker_that_is_not_as_the_driver_is_refused_before_anything_is_begun(
    context: Context, scheduler: str, refusals: dict[str, tuple[dict[str, str], str]], tmp_path: Path
) -> None:
    for number, (name, (own, words)) in enumerate(refusals.items()):
        folder = tmp_path / f"case {number}"
        folder.mkdir()
        with (
            workers(scheduler, folder, own) as [_],
            pytest.raises(
                ConfigurationError, match=r"^--dask: 1 worker cannot take part: tcp://127\.0\.0\.1:\d+: "
            ) as found,
        ):
            backfill(context, scheduler)
        assert words in str(found.value), name
        assert "sentinel:" not in str(found.value).split("tcp://", 1)[1], "no password is told"
        assert not (folder / "worker 0" / ".sentinel").exists(), f"{name}: it started databases of its own"
    assert runs_so_far(context.warehouse) == []


def test_a_worker_that_comes_later_and_is_not_as_the_driver_is_ends_its_group_with_its_reason(
    context: Context, scheduler: str, tmp_path: Path
) -> None:
    throttled = context.settings.model_copy(update={"source_max_rows_per_second": 300})
    late = ExitStack()
    (tmp_path / "late").mkdir()
    with (
        completed_context(throttled, None, *pair(context.databases)) as slow,
        late,
        workers(scheduler, tmp_path, urls(context.databases)) as [worker],
    ):
        joined = threading.Thread(
            target=lambda: (
                wait_for_run(context),
                late.enter_context(workers(scheduler, tmp_path / "late", {})),
                worker.kill(),
            )
        )
        joined.start()
        results = backfill(slow, scheduler)
        joined.join()
    assert {result.verdict for result in results} == {RunState.FAILED}
    assert "is lost" in results[0].cause
    for result in results[1:]:
        assert "expected SENTINEL_SOURCE_URL and SENTINEL_WAREHOUSE_URL" in result.cause


def test_a_cluster_without_workers_is_told_in_time(context: Context, scheduler: str) -> None:
    began = time.monotonic()
    with pytest.raises(
        ConfigurationError, match=r"^--dask: expected a worker at the Dask scheduler tcp://.* within 20 s"
    ):
        backfill(context, scheduler)
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("tls://127.0.0.1:1", "Name the certificates"),
        ("nowhere", "expected a Dask scheduler at nowhere"),
        ("ftp://127.0.0.1:1", "expected a Dask scheduler at ftp://127.0.0.1:1"),
        ("tcp://127.0.0.1:notaport", "expected a Dask scheduler at tcp://127.0.0.1:notaport"),
    ],
)
def test_an_address_that_cannot_be_is_one_sentence(context: Context, address: str, words: str) -> None:
    quick = context.settings.model_copy(update={"connect_timeout_seconds": 2})
    with completed_context(quick, None, *pair(context.databases)) as hasty:
        with pytest.raises(ConfigurationError, match=r"^--dask: expected ") as found:
            backfill(hasty, address)
        assert words in str(found.value)
        assert "\n" not in str(found.value)
    assert unclosed_clients() == []


def unclosed_clients() -> list[str]:
    """Tell which of Dask's clients are left to the garbage collector, which closes them whenever it comes."""
    from distributed import Client

    clients = [each for each in gc.get_objects() if issubclass(type(each), Client)]
    return [each.status for each in clients if each.status != "closed"]


def runs_so_far(warehouse: Engine) -> list[dict[str, Any]]:
    return read_runs(warehouse) if has_table(warehouse, ETL_RUNS.name) else []


def wait_for_run(context: Context, states: tuple[RunState, ...] = (RunState.RUNNING,)) -> None:
    deadline = time.monotonic() + 90
    while not any(run["state"] in states for run in runs_so_far(context.warehouse)):
        assert time.monotonic() < deadline, "no run began"
        time.sleep(0.05)


def test_a_group_whose_worker_is_killed_is_a_failed_row_with_its_report_and_the_others_go_on(
    context: Context, scheduler: str, tmp_path: Path, make_warehouse: Callable[[], Engine]
) -> None:
    throttled = context.settings.model_copy(update={"source_max_rows_per_second": 400, "retry_seconds": 1})
    own = urls(context.databases)
    lost: list[str] = []
    with (
        completed_context(throttled, None, *pair(context.databases)) as slow,
        workers(scheduler, tmp_path, own, own) as [victim, _],
    ):

        def kill() -> None:
            wait_for_run(context)
            victim.kill()

        killing = threading.Thread(target=kill)
        killing.start()
        results = backfill(slow, scheduler, progress=lambda result: lost.append(result.cause))
        killing.join()
    failed = [result for result in results if result.verdict is RunState.FAILED]
    assert len(results) == 3
    assert [result.cause for result in failed if "is lost" not in result.cause] == []
    assert len(failed) == 1
    assert "is lost: killed, or cut off" in failed[0].cause
    page = (context.settings.runs_dir / failed[0].report).with_suffix(".html").read_text(encoding="utf-8")
    assert "is lost: killed, or cut off" in page
    assert sum(result.verdict.is_published for result in results) == 2
    due = plan_backfill(context, FIRST, LAST, missing_only=True)
    assert [group.window for group in due] == [failed[0].group.window]
    assert {result.error for result in run_backfill(due, context)} == {""}
    assert nights_of(context.warehouse) == one_pass(context, make_warehouse)


def test_when_the_last_worker_is_gone_the_rest_is_told_and_not_waited_for(
    context: Context, scheduler: str, tmp_path: Path
) -> None:
    throttled = context.settings.model_copy(update={"source_max_rows_per_second": 100})
    with (
        completed_context(throttled, None, *pair(context.databases)) as slow,
        workers(scheduler, tmp_path, urls(context.databases)) as [only],
    ):
        killing = threading.Thread(target=lambda: (wait_for_run(context), only.kill()))
        killing.start()
        results = backfill(slow, scheduler)
        killing.join()
    assert [result.verdict for result in results] == [RunState.FAILED] * 3
    assert "is lost" in results[0].cause
    for result in results[1:]:
        assert result.cause.startswith("expected a worker at the Dask scheduler")
        assert "within 20 s, found none" in result.cause
        assert result.report


def test_a_scheduler_that_is_killed_ends_each_group_with_a_row(context: Context, tmp_path: Path) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    throttled = context.settings.model_copy(update={"source_max_rows_per_second": 400, "connect_timeout_seconds": 5})
    arguments = ("scheduler", "--host", address, "--no-dashboard", "--no-show")
    with (
        completed_context(throttled, None, *pair(context.databases)) as slow,
        dask_process(*arguments, home=tmp_path / "scheduler", settings={}) as scheduler,
        workers(address, tmp_path, urls(context.databases)),
    ):
        killing = threading.Thread(target=lambda: (wait_for_run(context), scheduler.kill()))
        killing.start()
        results = backfill(slow, address)
        killing.join()
    assert [result.verdict for result in results] == [RunState.FAILED] * 3, results
    assert all(result.cause and "\n" not in result.cause for result in results), results
    assert address in results[-1].cause
