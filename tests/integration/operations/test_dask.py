"""A backfill on a Dask cluster: a real scheduler and two worker processes that know two URLs and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from dask_cluster import dask_process, free_port, urls, wait_for_workers, without_settings
from sqlalchemy import Engine
from two_months import ALL_NIGHTS, MORNING_AFTER, fingerprint, move_to_two_months

from sentinel_etl.databases import Databases
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import run_statement

pytestmark = pytest.mark.skipif(
    find_spec("distributed") is None, reason="the extra [dask] is not installed: pip install '.[dask]'"
)

NOTEBOOKS = Path(__file__).parents[3] / "notebooks"


@dataclass(frozen=True)
class Cluster:
    """A scheduler's address, its workers' folders, and the databases that the workers know."""

    address: str
    worker_homes: list[Path]
    databases: Databases

    def backfill(self, home: Path, *arguments: str, **settings: str) -> tuple[int, list[dict[str, Any]], str]:
        """Run the command as a driver whose home is ``home``: exit code, table of groups, stderr."""
        return backfill(home, {**urls(self.databases), **settings}, "--dask", self.address, *arguments)


def backfill(home: Path, settings: dict[str, str], *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    own = {
        "SENTINEL_HOME": str(home),
        "SENTINEL_NOTEBOOKS_DIR": str(NOTEBOOKS),
        "SENTINEL_NOW": "2026-12-02T06:10:00+05:30",
    }
    done = subprocess.run(
        [sys.executable, "-m", "sentinel_etl", "backfill", "--json", *arguments],
        env={**without_settings(), **own, **settings},
        capture_output=True,
        text=True,
        cwd=home,
        timeout=300,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else [], done.stderr


@pytest.fixture(scope="module")
def running_cluster(
    make_source: Callable[[str | None], Engine],
    make_warehouse: Callable[[], Engine],
    city_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cluster]:
    databases = Databases(make_source(city_template), make_warehouse())
    move_to_two_months(databases.source)
    folder = tmp_path_factory.mktemp("dask")
    homes = [folder / "one", folder / "two"]
    address = f"tcp://127.0.0.1:{free_port()}"
    with ExitStack() as processes:
        scheduler = ("--host", address, "--no-dashboard", "--no-show")
        processes.enter_context(dask_process("scheduler", *scheduler, home=folder / "scheduler", settings={}))
        for home in homes:
            worker = (address, "--host", "127.0.0.1", "--no-nanny", "--no-dashboard", "--nthreads", "1")
            processes.enter_context(dask_process("worker", *worker, home=home, settings=urls(databases)))
        wait_for_workers(homes)
        yield Cluster(address, homes, databases)
    databases.source.dispose()
    databases.warehouse.dispose()


@pytest.fixture
def cluster(running_cluster: Cluster) -> Iterator[Cluster]:
    """The running cluster, its warehouse as empty as each test expects it."""
    yield running_cluster
    for table in ("patrol_events", "etl_runs"):
        run_statement(running_cluster.databases.warehouse, f"DROP TABLE IF EXISTS {table} SYNC")


def test_a_backfill_on_a_cluster_leaves_what_one_clean_pass_leaves_and_its_reports_come_home(
    cluster: Cluster, warehouse: Engine, tmp_path: Path
) -> None:
    code, groups, said = cluster.backfill(tmp_path, "--from", "2026-11-29", "--to", "2026-12-01")
    assert (code, said) == (0, "")
    assert [(group["partition"], group["nights"], group["verdict"]) for group in groups] == [
        ("202611", 2, "PUBLISHED"),
        ("202612", 1, "PUBLISHED"),
    ]
    source = cluster.databases.source
    settings = Settings(now=MORNING_AFTER)
    run_window(ALL_NIGHTS, source=source, warehouse=warehouse, pipeline=SENTINEL, settings=settings)
    rows, content = fingerprint(warehouse)
    assert fingerprint(cluster.databases.warehouse) == (rows, content)
    assert sum(group["rows"] for group in groups) == rows

    home = sorted(str(path.relative_to(tmp_path / "runs")) for path in (tmp_path / "runs").glob("*/*"))
    reports = [group["report"] for group in groups]
    assert home == sorted([*reports, *(report.replace(".ipynb", ".html") for report in reports)])
    for report in reports:
        text = (tmp_path / "runs" / report).read_text(encoding="utf-8")
        assert json.loads(text)["nbformat"] == 4
        assert "PUBLISHED" in text
    assert [left for home in cluster.worker_homes for left in left_behind(home)] == []


def left_behind(worker_home: Path) -> list[str]:
    """List a worker's files, but for its log, what Dask keeps while it runs, and caches under its HOME."""
    names = [path.relative_to(worker_home) for path in worker_home.rglob("*") if path.is_file()]
    return [
        str(name) for name in names if name.parts[0] not in ("log", "dask-scratch-space") and "sentinel" in str(name)
    ]


def test_the_driver_s_settings_hold_on_the_workers(cluster: Cluster, tmp_path: Path) -> None:
    night = ("--from", "2026-11-30", "--to", "2026-11-30")
    code, _, said = cluster.backfill(tmp_path, *night, SENTINEL_TIMEZONE="Europe/London")
    assert (code, said) == (0, "")
    found = run_statement(
        cluster.databases.warehouse,
        "SELECT DISTINCT toString(event_date) FROM patrol_events "
        "WHERE event_timestamp >= '2026-11-30 20:00:00' AND event_timestamp < '2026-11-30 23:00:00'",
    )
    assert [day for (day,) in found] == ["2026-11-30"]


def test_workers_take_the_pipeline_of_their_own_home(cluster: Cluster, tmp_path: Path) -> None:
    for home in (tmp_path, *cluster.worker_homes):
        (home / "pipeline_of_dask.py").write_text(
            "from dataclasses import replace\nfrom sentinel_etl import SENTINEL\n"
            "ONLY = replace(SENTINEL, event_config={'REMARK': SENTINEL.event_config['REMARK']})\n",
            encoding="utf-8",
        )
    night = ("--from", "2026-11-30", "--to", "2026-11-30")
    code, groups, said = cluster.backfill(tmp_path, *night, SENTINEL_PIPELINE="pipeline_of_dask:ONLY")
    assert (code, said, len(groups)) == (0, "", 1)
    found = run_statement(cluster.databases.warehouse, "SELECT DISTINCT event_type FROM patrol_events")
    assert [kind for (kind,) in found] == ["REMARK"]


def test_a_scheduler_that_is_not_there_is_one_sentence_and_exit_code_2(databases: Databases, tmp_path: Path) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    night = ("--from", "2026-11-21", "--to", "2026-11-21")
    code, groups, said = backfill(tmp_path, urls(databases), "--dask", address, *night)
    assert (code, groups) == (2, [])
    assert said.splitlines()[-1].startswith(f"sentinel-etl: --dask: expected a Dask scheduler at {address} that ")
    assert said.count("\n") == 1
    assert list(tmp_path.rglob("*.ipynb")) == []
