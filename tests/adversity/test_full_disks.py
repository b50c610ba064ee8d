"""Disks that are full or read-only, and a ledger that is gone: a clear end, nothing half published."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adversity.bench import LAST, TESTS, Bench, sum_states
from adversity.child import Task, pipeline_of, settings_of
from adversity.oracle import State
from sentinel_etl.errors import SentinelError
from sentinel_etl.ledger.ledger import read_runs
from sentinel_etl.notebook.folder import choose_report_folder
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.engine import open_warehouse
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

NIGHT = Window.night(LAST)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """A file system of its own, of some size or read-only."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"this machine does not let root mount: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def run_command(bench: Bench, home: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SENTINEL_")} | {
        "PYTHONPATH": str(TESTS),
        "SENTINEL_HOME": str(home),
        "SENTINEL_NOTEBOOKS_DIR": str(TESTS.parent / "notebooks"),
        "SENTINEL_NOW": "2026-11-22T06:10:00+05:30",
        "SENTINEL_SOURCE_URL": bench.source.url.render_as_string(hide_password=False),
        "SENTINEL_WAREHOUSE_URL": bench.warehouse_url,
        "SENTINEL_PIPELINE": "adversity.child:PIPELINE",
    }
    command = [sys.executable, "-m", "sentinel_etl", "run", "--json"]
    return subprocess.run(command, env=environment | settings, capture_output=True, text=True, check=False)


@needs_root
def test_where_runs_is_read_only_the_night_is_loaded_and_the_report_kept_elsewhere(
    make_bench: Callable[..., Bench], tmp_path: Path
) -> None:
    bench = make_bench()
    with small_disk(tmp_path / "runs", "ro"):
        done = run_command(bench, tmp_path)
    assert done.returncode == 0, done.stderr
    kept = tmp_path / ".sentinel" / "reports" / str(LAST)
    assert f"warning: a report cannot be written to {tmp_path / 'runs'}: Read-only file system" in done.stderr
    assert f"it is kept in {kept}" in done.stderr
    facts = json.loads(done.stdout)
    assert facts["state"] == "PUBLISHED"
    assert sorted(path.suffix for path in kept.iterdir()) == [".html", ".ipynb"]
    [run] = read_runs(bench.warehouse)
    assert Path(run["report_path"]).is_file()
    assert bench.state() == sum_states(bench.expected([LAST]))


@needs_root
def test_where_the_disk_fills_up_under_the_report_it_is_said_and_the_night_is_whole(
    make_bench: Callable[..., Bench], tmp_path: Path
) -> None:
    bench = make_bench()
    # Room for what is tried before, and not for the notebook and its page.
    with small_disk(tmp_path / "runs", "size=64k"):
        done = run_command(bench, tmp_path, PYTHONSTARTUP="", TMPDIR=str(tmp_path), **without_trying(tmp_path))
    # The exit code tells of the night: what had been published when the disk was full is in.
    assert (done.returncode, bench.state()) in ((0, sum_states(bench.expected([LAST]))), (1, State()))
    assert "the report: expected to write" in done.stderr
    assert "No space left on device" in done.stderr
    assert "sentinel-etl status" in done.stderr
    assert bench.run(NIGHT).published
    assert bench.state() == sum_states(bench.expected([LAST]))


def without_trying(folder: Path) -> dict[str, str]:
    """Make the command think that there was room when it began: a disk that fills up later."""
    patch = "import sentinel_etl.notebook.folder as f; f.try_to_write = lambda folder: None"
    (folder / "sitecustomize.py").write_text(patch)
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(TESTS)])}


@needs_root
def test_a_full_runs_folder_is_noticed_before_the_run(tmp_path: Path) -> None:
    settings = Settings(runs_dir=tmp_path / "runs", state_dir=tmp_path / "state")
    assert choose_report_folder("2026-11-21", settings) == tmp_path / "runs" / "2026-11-21"
    full = settings.model_copy(update={"runs_dir": tmp_path / "full"})
    with small_disk(tmp_path / "full", "size=64k"):
        assert choose_report_folder("2026-11-21", full) == tmp_path / "state" / "reports" / "2026-11-21"


@needs_root
def test_a_full_warehouse_disk_publishes_nothing_and_says_so(make_bench: Callable[..., Bench], tmp_path: Path) -> None:
    bench = make_bench()
    with small_disk(tmp_path / "disk", "size=64m") as disk:
        command = [sys.executable, "-m", "sentinel_etl.local.clickhouse.server", "--data", str(disk), "--port", "0"]
        server = subprocess.Popen(
            command, env={**os.environ, "SENTINEL_LOCAL_PASSWORD": "word"}, stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline().rsplit(":", 1)[1])
            bench.warehouse, kept = (
                open_warehouse(f"clickhouse+http://sentinel:word@127.0.0.1:{port}/sentinel", retry_seconds=20),
                bench.warehouse,
            )
            move(bench)
            whole = sum_states(bench.expected([LAST]))
            assert bench.state() == whole
            bench.change("UPDATE remarks SET remark_text = 'changed'")
            filler = fill(disk)
            with pytest.raises(SentinelError, match="its disk is full; free some space there"):
                move(bench)
            assert bench.state() == whole
            filler.unlink()
            move(bench)
            assert bench.state() == sum_states(bench.expected([LAST])) != whole
            assert [name for name in bench.left_over() if "staging" in name] == []
            bench.warehouse = kept
        finally:
            server.terminate()
            server.communicate(timeout=30)


def move(bench: Bench) -> None:
    settings = settings_of(Task("", "", NIGHT))
    result = run_window(
        NIGHT, source=bench.source, warehouse=bench.warehouse, pipeline=pipeline_of("month"), settings=settings
    )
    assert result.published


def fill(disk: Path) -> Path:
    """Write until nothing more fits."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as stream:
        try:
            while stream.write(bytes(4096)):
                pass
        except OSError:
            return filler
    return filler


def test_a_ledger_that_is_gone_ends_the_run_clearly_and_the_table_is_whole(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    run = bench.start(NIGHT, "all published")
    run.wait_for("stopped")
    run_statement(bench.warehouse, "DROP TABLE etl_runs SYNC")
    run.go_on()
    how, (_, code, message) = run.end()
    assert (how, code) == ("failed", 2)
    assert "expected a table etl_runs in the warehouse, found none" in message
    assert bench.state() == sum_states(bench.expected([LAST]))
    assert bench.run(NIGHT).published
    assert [one["state"] for one in read_runs(bench.warehouse)] == ["PUBLISHED"]


def test_a_ledger_that_cannot_be_written_stops_the_run_before_it_moves_anything(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench()
    run_statement(bench.warehouse, "CREATE VIEW etl_runs AS SELECT 1 AS a")
    with pytest.raises(SentinelError, match="etl_runs"):
        bench.run(NIGHT)
    assert bench.state() == State()
    assert bench.left_over() == []
