"""The whole pipeline with no more rights than the grants in deploy/ give, and what these do not allow."""

from __future__ import annotations

import hmac
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError
from starlette.datastructures import Headers

from adversity.bench import LAST, TESTS, Bench, sum_states
from adversity.child import Task, pipeline_of, settings_of
from sentinel_etl.config.fact_table import build_patrol_events
from sentinel_etl.errors import SentinelError
from sentinel_etl.local.clickhouse import requests
from sentinel_etl.local.clickhouse.errors import StatementFailed
from sentinel_etl.run.run_window import run_window
from sentinel_etl.source.connection import open_source
from sentinel_etl.source.snapshot import open_snapshot
from sentinel_etl.warehouse.engine import open_warehouse
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.tables import create_table
from sentinel_etl.window import Window

DEPLOY = TESTS.parent / "deploy"
NIGHT = Window.night(LAST)
PASSWORD = "another word"


@pytest.fixture(scope="module")
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()


@pytest.fixture(scope="module")
def reader(bench: Bench) -> Iterator[Engine]:
    """The source as the role of deploy/grants_source.sql."""
    owner = create_engine(bench.source.url, isolation_level="AUTOCOMMIT")
    with owner.connect() as connection:
        for statement in statements(DEPLOY / "grants_source.sql"):
            connection.exec_driver_sql(statement)
        connection.execute(text(f"ALTER ROLE sentinel_reader PASSWORD '{PASSWORD}'"))
    url = bench.source.url.set(username="sentinel_reader", password=PASSWORD)
    engine = open_source(url.render_as_string(hide_password=False))
    yield engine
    engine.dispose()
    with owner.connect() as connection:
        connection.exec_driver_sql("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM sentinel_reader")
        connection.exec_driver_sql("REVOKE ALL ON SCHEMA public FROM sentinel_reader")
        connection.exec_driver_sql("DROP ROLE sentinel_reader")
    owner.dispose()


def statements(path: Path) -> list[str]:
    plain = re.sub(r"--.*", "", path.read_text(encoding="utf-8"))
    return [statement.strip() for statement in plain.split(";") if statement.strip()]


# Starts an endpoint with small limits, whose one user has the rights named on its command line, and no others.
RESTRICTED = """
import sys
from functools import partial
from sentinel_etl.local.clickhouse import rights, server
rights._RIGHTS = tuple(sys.argv[1].split(";"))
server.RequestLimits = partial(server.RequestLimits, body_bytes=2_000_000, statement_bytes=1_000_000)
sys.exit(server.main(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A warehouse whose user has the rights of deploy/grants_warehouse.sql, and may make its database."""
    grants = [
        statement.replace(" TO sentinel_etl", "")
        for statement in statements(DEPLOY / "grants_warehouse.sql")
        if statement.startswith("GRANT")
    ]
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", RESTRICTED, ";".join([*grants, "GRANT CREATE DATABASE ON sentinel.*"])),
            *("--data", str(tmp_path_factory.mktemp("warehouse")), "--port", "0", "--user", "sentinel_etl"),
        ],
        env={**os.environ, "SENTINEL_LOCAL_PASSWORD": PASSWORD},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().rsplit(":", 1)[1])
        url = f"clickhouse+http://sentinel_etl:another%20word@127.0.0.1:{port}/sentinel"
        engine = open_warehouse(url, retry_seconds=20)
        yield engine
        engine.dispose()
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_the_whole_pipeline_runs_with_the_documented_grants_and_no_more(
    bench: Bench, reader: Engine, writer: Engine
) -> None:
    edit = "UPDATE remarks SET remark_text = 'changed' WHERE remark_id = (SELECT min(remark_id) FROM remarks)"
    hows = []
    for _ in range(2):
        result = run_window(
            NIGHT,
            source=reader,
            warehouse=writer,
            pipeline=pipeline_of("month"),
            settings=settings_of(Task("", "", NIGHT)),
        )
        hows.append((result.verdict, result.how))
        bench.change(edit)
    assert hows == [("PUBLISHED", "attach 202611"), ("PUBLISHED", "exchange 202611")]
    bench.warehouse, kept = writer, bench.warehouse
    try:
        assert bench.state() == sum_states(bench.expected([LAST]))
    finally:
        bench.warehouse = kept


WRITES = {
    "insert": "INSERT INTO feedback (feedback_id) VALUES (1)",
    "update": "UPDATE patrols SET patrol_status = 'ABORTED'",
    "delete": "DELETE FROM remarks",
    "truncate": "TRUNCATE remarks",
    "create": "CREATE TABLE mine (a int)",
    "alter": "ALTER TABLE remarks ADD COLUMN mine int",
    "drop": "DROP TABLE remarks",
    "lock": "LOCK TABLE remarks IN ACCESS EXCLUSIVE MODE",
    "officers, which no entry reads": "SELECT * FROM officers",
    "the server's files": "SELECT pg_read_file('/etc/passwd')",
    "a program": "COPY remarks TO PROGRAM 'cat'",
    "become the owner": "SET ROLE sentinel",
}


@pytest.mark.parametrize("name", WRITES)
def test_the_source_role_can_do_nothing_but_read_its_tables(reader: Engine, name: str) -> None:
    with reader.connect() as connection:
        # Anyone may take this off again; what is left are the rights.
        connection.exec_driver_sql("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE")
        connection.exec_driver_sql("SET default_transaction_read_only = off")
        connection.commit()
        with pytest.raises(DBAPIError) as caught:
            connection.exec_driver_sql(WRITES[name])
        connection.rollback()
        connection.invalidate()
    assert getattr(caught.value.orig, "sqlstate", None) == "42501", caught.value  # insufficient_privilege


def test_the_source_role_s_transactions_are_read_only_by_themselves(reader: Engine) -> None:
    with reader.connect() as connection:
        assert connection.exec_driver_sql("SHOW transaction_read_only").scalar() == "on"
    with open_snapshot(reader) as snapshot:
        assert snapshot.read_whole(text("SELECT current_user AS name"))["name"].to_pylist() == ["sentinel_reader"]


REACHING_OUT = {
    "another database": "CREATE DATABASE other",
    "its own database": "DROP DATABASE sentinel",
    "truncate": "TRUNCATE TABLE patrol_events",
    "users": "CREATE USER mallory",
    "a column dropped": "ALTER TABLE patrol_events DROP COLUMN remark_text",
    "the server": "SYSTEM SHUTDOWN",
    "a dictionary": "CREATE DICTIONARY d (a UInt64) PRIMARY KEY a SOURCE(NULL()) LAYOUT(FLAT()) LIFETIME(0)",
}


@pytest.mark.parametrize("name", REACHING_OUT)
def test_the_warehouse_role_stays_in_its_tables(writer: Engine, name: str) -> None:
    create_table(writer, build_patrol_events())
    with pytest.raises(SentinelError, match="ACCESS_DENIED"):
        run_statement(writer, REACHING_OUT[name])


@pytest.mark.parametrize(
    ("query", "body"),
    [
        pytest.param("", b"SELECT '" + b"x" * 1_500_000 + b"'", id="a statement"),
        pytest.param("INSERT INTO notes FORMAT TSV", b"row\n" * 750_000, id="the data of an insert"),
    ],
)
def test_what_a_client_may_send_is_bounded(writer: Engine, query: str, body: bytes) -> None:
    run_statement(writer, "CREATE TABLE IF NOT EXISTS notes (note String) ENGINE = MergeTree ORDER BY note")
    answer = send(writer, query, body)
    assert answer.headers["X-ClickHouse-Exception-Code"] == "307" or "QUERY_IS_TOO_LARGE" in answer.text
    assert send(writer, "", b"SELECT 1").text == "1\n"


def send(warehouse: Engine, query: str, body: bytes) -> httpx.Response:
    url = warehouse.url
    return httpx.post(
        f"http://127.0.0.1:{url.port}/",
        params={"query": query} if query else {},
        content=body,
        auth=(str(url.username), str(url.password)),
        timeout=30,
    )


def test_a_url_without_end_is_refused(writer: Engine) -> None:
    """4 MB: what arrives in one piece may be somewhat longer than the limit of 1 MiB."""
    with socket.create_connection(("127.0.0.1", writer.url.port), timeout=30) as client:
        said = b""
        with suppress(OSError):
            client.sendall(b"GET /?query=" + b"x" * 4_000_000)
            said = client.recv(100)
    assert not said or said.startswith((b"HTTP/1.1 400", b"HTTP/1.1 431"))
    assert send(writer, "", b"SELECT 1").text == "1\n"


def test_a_statement_ends_after_the_time_that_is_set(writer: Engine) -> None:
    started = time.monotonic()
    endless = "SELECT count() FROM numbers(1e18) WHERE NOT ignore(sleep(0.001)) SETTINGS max_execution_time = 1"
    with pytest.raises(SentinelError, match="TIMEOUT_EXCEEDED"):
        run_statement(writer, endless)
    assert time.monotonic() - started < 10


def test_a_password_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timing itself cannot be tried here: the compare function of the standard library is what is asked."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(requests, "hmac", SimpleNamespace(compare_digest=compare))
    headers = Headers({"x-clickhouse-user": "mallory", "x-clickhouse-key": "guess"})
    with pytest.raises(StatementFailed):
        requests.check_credentials(headers, b"", "officer", "word")
    assert compared == [(b"mallory", b"officer"), (b"guess", b"word")]
