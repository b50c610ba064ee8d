"""Tests on servers that are given: what they leave behind is nothing, and what they need is told."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from given_servers import COMMON, maintenance, names_in_source, names_in_warehouse
from sqlalchemy import Engine, make_url

from sentinel_etl.local.stack import LocalStack
from sentinel_etl.warehouse.engine import open_warehouse

TESTS = Path(__file__).parents[1]

# A shell lets its background jobs ignore SIGINT, and Python leaves it so.
PYTEST = """
import signal, sys, pytest
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(pytest.main(sys.argv[1:]))
"""
QUIET = ("-p", "conftest", "-p", "no:cacheprovider", "-p", "no:randomly", "-ra")

SAMPLES = """
import pathlib, time
import pytest
from sqlalchemy import text

def fill(source, warehouse):
    with source.begin() as connection:
        connection.execute(text("CREATE TABLE a (n int)"))
    with warehouse.connect() as connection:
        connection.execute(text("CREATE TABLE a (n UInt8) ENGINE = MergeTree ORDER BY n"))

@pytest.fixture(scope="module")
def kept(make_source, make_warehouse):
    return make_source(None), make_warehouse()

def test_that_passes(source_engine, warehouse, kept):
    fill(source_engine, warehouse)
    fill(*kept)

def test_that_fails(source_engine, warehouse):
    fill(source_engine, warehouse)
    assert source_engine.url.database.startswith("none")

def test_of_a_role(source_engine, new_role):
    with source_engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE {new_role()}"))
"""
WAITING = """
def test_that_waits(source_engine, warehouse, kept):
    fill(source_engine, warehouse)
    pathlib.Path("ready").touch()
    with source_engine.connect() as connection:
        connection.execute(text("SELECT pg_sleep(120)"))
"""


RUN = f"nested{os.getpid()}"


def command(source: str | None, warehouse: str | None, *options: str) -> tuple[list[str], dict[str, str]]:
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "SENTINEL_TEST_RUN": RUN}
    given = {"SENTINEL_TEST_SOURCE_URL": source, "SENTINEL_TEST_WAREHOUSE_URL": warehouse}
    environment |= {name: url for name, url in given.items() if url is not None}
    return [sys.executable, "-c", PYTEST, *QUIET, *options, "test_samples.py"], environment


def try_samples(
    folder: Path, source: str | None, warehouse: str | None, samples: str = SAMPLES
) -> subprocess.CompletedProcess[str]:
    (folder / "test_samples.py").write_text(samples)
    words, environment = command(source, warehouse)
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture
def names(stack: LocalStack) -> Iterator[Callable[[], list[str]]]:
    """List what stands on both servers under the prefix of the run that is tried here; others may be at work."""
    engine = open_warehouse(stack.warehouse_url)

    def read() -> list[str]:
        with maintenance(stack.source_url) as run:
            return names_in_source(run, COMMON + RUN) + names_in_warehouse(engine, COMMON + RUN)

    yield read
    engine.dispose()


def test_nothing_is_left_on_the_servers_after_passed_and_failed_tests(
    stack: LocalStack, warehouse: Engine, names: Callable[[], list[str]], tmp_path: Path
) -> None:
    done = try_samples(tmp_path, stack.source_url, stack.warehouse_url)
    assert "2 passed" in done.stdout, done.stdout
    assert "1 failed" in done.stdout
    assert "SENTINEL_TEST_SOURCE_URL: PostgreSQL 1" in done.stdout
    assert "SENTINEL_TEST_WAREHOUSE_URL: ClickHouse 2" in done.stdout
    assert names() == []
    told = (
        f"SENTINEL_TEST_WAREHOUSE_URL: other runs' are there: .*DATABASE {warehouse.url.database}.*; drop them, unless"
    )
    assert re.search(told, done.stdout)  # as a killed run would leave it


@pytest.mark.parametrize("options", [(), ("--numprocesses", "1")], ids=["one process", "a worker"])
def test_nothing_is_left_on_the_servers_after_ctrl_c(
    stack: LocalStack, names: Callable[[], list[str]], tmp_path: Path, options: tuple[str, ...]
) -> None:
    (tmp_path / "test_samples.py").write_text(SAMPLES + WAITING)
    words, environment = command(stack.source_url, stack.warehouse_url, *options, "-k", "waits")
    with subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, start_new_session=True) as run:
        deadline = time.monotonic() + 120
        while not (tmp_path / "ready").exists():
            assert run.poll() is None, run.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert len(names()) == 4
        os.killpg(run.pid, signal.SIGINT)
        said, _ = run.communicate(timeout=120)
    assert run.returncode == 2, said
    assert names() == []


@pytest.mark.parametrize("missing", ["source", "warehouse"])
def test_the_other_server_is_the_local_stack_s_where_one_is_given(
    stack: LocalStack, tmp_path: Path, missing: str
) -> None:
    urls = {"source": stack.source_url, "warehouse": stack.warehouse_url, missing: None}
    ports = {name: make_url(url).port for name, url in urls.items() if url is not None}
    samples = f"""
def test_ports(source_engine, warehouse):
    ports = {{"source": source_engine.url.port, "warehouse": warehouse.url.port}}
    assert ports.pop({missing!r})
    assert ports == {ports}
"""
    done = try_samples(tmp_path, urls["source"], urls["warehouse"], samples)
    assert "1 passed" in done.stdout, done.stdout


@pytest.mark.parametrize(("right", "code"), [("NOCREATEDB", 4), ("CREATEDB", 1)])
def test_what_the_role_may_not_do_is_told(
    stack: LocalStack, new_role: Callable[[], str], tmp_path: Path, right: str, code: int
) -> None:
    role = new_role()
    url = make_url(stack.source_url).set(username=role, password="word")
    with maintenance(stack.source_url) as run:
        run(f"CREATE ROLE {role} LOGIN {right} PASSWORD 'word'")
    done = try_samples(tmp_path, url.render_as_string(hide_password=False), stack.warehouse_url)
    with maintenance(stack.source_url) as run:
        run(f"DROP ROLE {role}")
    assert done.returncode == code, done.stdout
    if right == "NOCREATEDB":
        sentence = (
            "SENTINEL_TEST_SOURCE_URL: expected a role that may create databases; "
            f'found that {role} may not: permission denied to create database. ALTER ROLE "{role}" CREATEDB'
        )
        assert sentence in done.stderr
    else:
        assert "1 failed, 1 passed, 1 skipped" in done.stdout
        assert "the user of SENTINEL_TEST_SOURCE_URL may not create roles" in done.stdout


def test_a_server_that_does_not_answer_is_told_before_any_test(tmp_path: Path) -> None:
    done = try_samples(tmp_path, None, "clickhouse+http://nobody:hidden@127.0.0.1:1/none")
    assert (done.returncode, "test_that" in done.stdout) == (4, False), done.stdout
    assert "expected ClickHouse at 127.0.0.1:1, database none; found: Connection refused" in done.stderr
    assert "SENTINEL_TEST_WAREHOUSE_URL" in done.stderr
    assert "hidden" not in done.stderr + done.stdout
