"""The local stack as its users meet it: real services, in folders of the tests' own."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from sqlalchemy import URL, make_url

from sentinel_etl.errors import SourceUnreachable, WarehouseUnreachable
from sentinel_etl.local.clickhouse import launch
from sentinel_etl.local.stack import LocalStack, stack_status, start_stack, stop_stack

START = """
import pathlib, sys
from sentinel_etl.local.stack import start_stack
stack = start_stack(pathlib.Path(sys.argv[1]))
print(stack.source_url, stack.warehouse_url)
"""


@pytest.fixture(scope="module")
def shared_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A stack that most tests share: each begins by starting what another has stopped."""
    state_dir = tmp_path_factory.mktemp("stack") / ".sentinel"
    yield state_dir
    stop_stack(state_dir)


@pytest.fixture
def stack(shared_dir: Path) -> LocalStack:
    return start_stack(shared_dir)


@pytest.fixture
def fresh_dir(tmp_path: Path) -> Iterator[Path]:
    state_dir = tmp_path / ".sentinel"
    yield state_dir
    stop_stack(state_dir)


def connect(source_url: str, password: str | None = None) -> psycopg.Connection:
    url = make_url(source_url)
    return psycopg.connect(
        host=url.host,
        port=url.port,
        user=url.username,
        password=password or url.password,
        dbname=url.database,
        autocommit=True,
    )


def ask_source(source_url: str, statement: str) -> list[tuple[object, ...]]:
    with closing(connect(source_url)) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def ask_warehouse(warehouse_url: str, statement: str, password: str | None = None) -> httpx.Response:
    url = make_url(warehouse_url)
    return httpx.post(
        f"http://{url.host}:{url.port}/?database={url.database}",
        content=statement,
        headers={
            "X-ClickHouse-User": url.username or "",
            "X-ClickHouse-Key": password or str(url.password),
        },
        timeout=20,
        trust_env=False,
    )


def write_marks(stack: LocalStack, mark: int) -> None:
    ask_source(stack.source_url, "CREATE TABLE IF NOT EXISTS marks (n bigint)")
    ask_source(stack.source_url, f"INSERT INTO marks VALUES ({mark})")
    for statement in (
        "CREATE TABLE IF NOT EXISTS marks (n Int64) ENGINE = MergeTree ORDER BY n",
        f"INSERT INTO marks VALUES ({mark})",
    ):
        ask_warehouse(stack.warehouse_url, statement).raise_for_status()


def count_marks(stack: LocalStack, mark: int) -> tuple[object, object]:
    question = f"SELECT count(*) FROM marks WHERE n = {mark}"
    in_warehouse = ask_warehouse(stack.warehouse_url, question).raise_for_status().text
    return ask_source(stack.source_url, question)[0][0], int(in_warehouse)


def processes_of(state_dir: Path) -> list[psutil.Process]:
    mains = [psutil.Process(status.pid) for status in stack_status(state_dir) if status.pid]
    return [process for main in mains for process in (main, *main.children(recursive=True))]


def is_alive(process: psutil.Process) -> bool:
    return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)


def ports_of(stack: LocalStack) -> list[int | None]:
    return [make_url(url).port for url in (stack.source_url, stack.warehouse_url)]


def test_up_is_idempotent_and_keeps_its_urls_and_processes(stack: LocalStack, shared_dir: Path) -> None:
    before = [status.pid for status in stack_status(shared_dir)]
    assert start_stack(shared_dir) == stack
    assert [status.pid for status in stack_status(shared_dir)] == before


def test_up_takes_under_50_ms_when_everything_is_up(stack: LocalStack, shared_dir: Path) -> None:
    def seconds() -> float:
        begun = time.perf_counter()
        start_stack(shared_dir)
        return time.perf_counter() - begun

    assert min(seconds() for _ in range(5)) < 0.05


def test_sentinel_owns_a_utf8_city_with_the_c_locale_in_utc(stack: LocalStack) -> None:
    found = ask_source(
        stack.source_url,
        """SELECT current_user::text, datdba::regrole::text, pg_encoding_to_char(encoding), datcollate,
                  current_setting('TimeZone'), current_setting('fsync'), rolsuper
           FROM pg_database JOIN pg_roles ON rolname = current_user
           WHERE datname = current_database()""",
    )
    assert found == [("sentinel", "sentinel", "UTF8", "C", "UTC", "on", False)]


def test_postgresql_refuses_a_wrong_password(stack: LocalStack) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(stack.source_url, password="wrong")


def test_clickhouse_refuses_a_wrong_password(stack: LocalStack) -> None:
    assert ask_warehouse(stack.warehouse_url, "SELECT 1", password="wrong").status_code in (401, 403)
    assert ask_warehouse(stack.warehouse_url, "SELECT 1").text == "1\n"


def test_both_listen_on_loopback_only(stack: LocalStack) -> None:
    listening = {
        (connection.laddr.port, connection.laddr.ip)
        for connection in psutil.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port in ports_of(stack)
    }
    assert listening == {(port, "127.0.0.1") for port in ports_of(stack)}


def test_state_and_urls_survive_a_stop_and_a_start(stack: LocalStack, shared_dir: Path) -> None:
    write_marks(stack, 1)
    before = count_marks(stack, 1)
    stop_stack(shared_dir)
    assert start_stack(shared_dir) == stack
    assert count_marks(stack, 1) == before


def test_state_and_urls_survive_kill_9_of_both_with_a_backend_at_work(stack: LocalStack, shared_dir: Path) -> None:
    write_marks(stack, 2)
    before = count_marks(stack, 2)
    with closing(connect(stack.source_url)) as busy:
        # A backend that computes does not notice that its postmaster died.
        busy.pgconn.send_query(b"DO $$ BEGIN LOOP PERFORM 1; END LOOP; END $$")
        for status in stack_status(shared_dir):
            assert status.pid
            os.kill(status.pid, signal.SIGKILL)
        assert start_stack(shared_dir) == stack
    assert count_marks(stack, 2) == before


def test_processes_that_start_it_at_once_get_one_stack(fresh_dir: Path) -> None:
    command = [sys.executable, "-c", START, str(fresh_dir)]

    def up(_: int) -> str:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    with ThreadPoolExecutor() as pool:
        urls = set(pool.map(up, range(2)))
    stack = start_stack(fresh_dir)
    assert urls == {f"{stack.source_url} {stack.warehouse_url}\n"}


def test_status_tells_what_runs_and_what_does_not(stack: LocalStack, shared_dir: Path) -> None:
    up = {status.name: status for status in stack_status(shared_dir)}
    assert list(up) == ["postgresql", "clickhouse"]
    assert [status.port for status in up.values()] == ports_of(stack)
    for status in up.values():
        assert status.running
        assert psutil.pid_exists(status.pid or 0)
        assert (status.version or "")[:2].isdigit()
        assert status.since
        assert timedelta(0) <= datetime.now(UTC) - status.since < timedelta(minutes=5)
        assert status.data_bytes > 0
    stop_stack(shared_dir)
    for status in stack_status(shared_dir):
        assert (status.running, status.pid, status.version, status.since) == (False, None, None, None)
        assert status.port == up[status.name].port


def test_status_and_stop_of_a_stack_that_never_was_touch_nothing(tmp_path: Path) -> None:
    stop_stack(tmp_path / "none")
    assert [status.running for status in stack_status(tmp_path / "none")] == [False, False]
    assert not list(tmp_path.iterdir())


def test_stop_leaves_no_process_and_may_be_repeated(stack: LocalStack, shared_dir: Path) -> None:
    started = processes_of(shared_dir)
    assert len(started) > 2
    stop_stack(shared_dir)
    assert [process for process in started if is_alive(process)] == []
    stop_stack(shared_dir)


def test_only_the_owner_reads_the_credentials(stack: LocalStack, shared_dir: Path) -> None:
    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    assert mode(shared_dir) == 0o700
    assert mode(shared_dir / "credentials.json") == 0o600
    assert [path.name for path in shared_dir.iterdir() if mode(path) & 0o077] == []


def test_repr_hides_the_passwords() -> None:
    urls = (
        URL.create("postgresql+psycopg", "u", "se/cret", "h"),
        URL.create("clickhouse+http", "u", "se/cret"),
    )
    shown = repr(LocalStack(*(url.render_as_string(hide_password=False) for url in urls)))
    assert shown.count("***") == 2
    assert "cret" not in shown


def test_a_port_that_a_stranger_took_is_replaced_for_good(stack: LocalStack, shared_dir: Path) -> None:
    stop_stack(shared_dir)
    strangers = [socket.create_server(("127.0.0.1", port or 0)) for port in ports_of(stack)]
    try:
        moved = start_stack(shared_dir)
    finally:
        for stranger in strangers:
            stranger.close()
    assert not set(ports_of(moved)) & set(ports_of(stack))
    assert ask_source(moved.source_url, "SELECT 1") == [(1,)]
    kept = json.loads((shared_dir / "credentials.json").read_text())
    assert [login["port"] for login in kept.values()] == ports_of(moved)


def test_lost_credentials_are_replaced_and_the_data_stays(stack: LocalStack, shared_dir: Path) -> None:
    write_marks(stack, 3)
    before = count_marks(stack, 3)
    (shared_dir / "credentials.json").unlink()
    renewed = start_stack(shared_dir)
    assert renewed != stack
    assert count_marks(renewed, 3) == before


def test_a_recycled_pid_is_neither_believed_nor_killed(stack: LocalStack, shared_dir: Path) -> None:
    postmaster = (shared_dir / "postgres" / "postmaster.pid").read_text().splitlines()
    stop_stack(shared_dir)
    with subprocess.Popen(["sleep", "60"]) as bystander:
        try:
            started = round(psutil.Process(bystander.pid).create_time())
            (shared_dir / "clickhouse.pid").write_text(json.dumps({"pid": bystander.pid, "started": started}))
            stale = "\n".join([str(bystander.pid), *postmaster[1:]])
            (shared_dir / "postgres" / "postmaster.pid").write_text(f"{stale}\n")
            assert [status.running for status in stack_status(shared_dir)] == [False, False]
            stop_stack(shared_dir)
            assert start_stack(shared_dir) == stack
            assert bystander.poll() is None
        finally:
            bystander.kill()


def break_source(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (state_dir / "postgres").mkdir(parents=True)


def break_endpoint(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "MODULE", "no_such_endpoint")


def break_folder(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state_dir.write_text("a file where the folder should be")


@pytest.mark.parametrize(
    ("spoil", "error", "named"),
    [
        pytest.param(break_source, SourceUnreachable, "the local PostgreSQL", id="postgresql"),
        pytest.param(break_endpoint, WarehouseUnreachable, "no_such_endpoint", id="clickhouse"),
        pytest.param(break_folder, SourceUnreachable, ".sentinel", id="state folder"),
    ],
)
def test_what_cannot_start_is_one_sentence_with_the_next_step(
    spoil: Callable[[Path, pytest.MonkeyPatch], None],
    error: type[Exception],
    named: str,
    fresh_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spoil(fresh_dir, monkeypatch)
    with pytest.raises(error) as raised:
        start_stack(fresh_dir)
    message = str(raised.value)
    assert "\n" not in message
    assert [part for part in (named, "expected", "found", "SENTINEL_") if part not in message] == []
