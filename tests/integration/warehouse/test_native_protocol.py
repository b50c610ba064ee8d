"""The native protocol against a real server: Debian's, which is too old for a warehouse and says so."""

from __future__ import annotations

import gc
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from clickhouse_sqlalchemy import Table, engines, types
from clickhouse_sqlalchemy.exceptions import DatabaseException
from forwarders import forwarded, make_authority
from sqlalchemy import Column, Engine, MetaData, create_engine, make_url, select, text

from sentinel_etl.errors import ConfigurationError, SchemaMismatch, SentinelError, WarehouseUnreachable
from sentinel_etl.load.load import load_data
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.engine import open_warehouse, with_server_settings
from sentinel_etl.warehouse.failures import server_code, warehouse_may_recover
from sentinel_etl.warehouse.query import query_df, run_statement
from sentinel_etl.warehouse.tables import create_table

SERVER = shutil.which("clickhouse-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

pytestmark = [
    pytest.mark.skipif(
        SERVER is None,
        reason="the binary clickhouse-server is not installed; apt-get install clickhouse-server, as .ci/run does",
    ),
    # clickhouse-sqlalchemy forgets a native connection without closing its socket.
    pytest.mark.filterwarnings(r"ignore:Exception ignored in. <socket\.socket:pytest.PytestUnraisableExceptionWarning"),
]

CONFIG = """<?xml version="1.0"?>
<yandex>
  <logger><level>warning</level><console>true</console></logger>
  <listen_host>127.0.0.1</listen_host>
  <http_port>{http}</http_port>
  <tcp_port>{native}</tcp_port>
  <path>{folder}/data/</path>
  <tmp_path>{folder}/tmp/</tmp_path>
  <users_config>{folder}/users.xml</users_config>
  <default_profile>default</default_profile>
  <default_database>default</default_database>
  <mark_cache_size>5368709</mark_cache_size>
</yandex>
"""
USERS = """<?xml version="1.0"?>
<yandex>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users>
    <officer>
      <password>secret</password>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
    </officer>
  </users>
</yandex>
"""


@dataclass(frozen=True)
class OldServer:
    http: str
    native: str
    version: str


def free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(400):
        assert process.poll() is None, f"the server ended with {process.returncode}"
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the server does not listen")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OldServer]:
    """A private server on free loopback ports, stopped by its pid."""
    folder = tmp_path_factory.mktemp("clickhouse")
    http, native = free_ports()
    (folder / "config.xml").write_text(CONFIG.format(http=http, native=native, folder=folder))
    (folder / "users.xml").write_text(USERS)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(SERVER), f"--config-file={folder}/config.xml"], cwd=folder, stdout=log, stderr=log
        )
        try:
            urls = (
                f"clickhouse+http://officer:secret@127.0.0.1:{http}/default",
                f"clickhouse+native://officer:secret@127.0.0.1:{native}/default",
            )
            for port in (http, native):
                wait_for(port, process)
            engine = create_engine(urls[1])
            [(version,)] = run_statement(engine, "SELECT version()")
            engine.dispose()
            yield OldServer(*urls, version)
        finally:
            gc.collect()  # sockets left open are warned of here, and not in another module's test
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def too_old(server: OldServer) -> None:
    if int(server.version.partition(".")[0]) >= 22:
        pytest.skip(f"the clickhouse-server installed is {server.version}, new enough for a warehouse")


EVENTS = Table(
    "events",
    MetaData(),
    Column("event_id", types.String),
    Column("happened_at", types.DateTime("UTC")),
    Column("day", types.Date),
    Column("officer_id", types.Int64),
    Column("vehicle_id", types.Nullable(types.Int64)),
    Column("ranking", types.Nullable(types.Int16)),
    Column("latitude", types.Nullable(types.Float64)),
    Column("score", types.Float64),
    Column("words", types.Nullable(types.String)),
    Column("seen_at", types.Nullable(types.DateTime("UTC"))),
    Column("visited", types.Array(types.Int64)),
    Column("reasons", types.Array(types.String)),
    Column("source", types.String, server_default=text("'phone'")),
    engines.MergeTree(order_by=("event_id",)),
)


@pytest.fixture
def events(server: OldServer) -> Iterator[Engine]:
    """The server over the native protocol, with an empty table of events."""
    engine = create_engine(server.native)
    EVENTS.create(engine)
    yield engine
    EVENTS.drop(engine)
    engine.dispose()


AT = datetime(2026, 11, 21, 18, 30, 5, tzinfo=UTC)
FIRST: dict[str, Any] = {
    "event_id": "REMARK:1",
    "happened_at": AT,
    "day": date(2026, 11, 22),
    "officer_id": 10017,
    "vehicle_id": 102,
    "ranking": 1,
    "latitude": 12.9716,
    "score": 0.1 + 0.2,
    "words": "ok",
    "seen_at": AT,
    "visited": [1, 2],
    "reasons": ["event_type=REMARK +1"],
    "source": "phone",
}

CASES: dict[str, dict[str, Any]] = {
    "every column": {},
    "every column NULL that may be": dict.fromkeys(["vehicle_id", "ranking", "latitude", "words", "seen_at"]),
    "empty text and empty arrays": {"words": "", "visited": [], "reasons": []},
    "quotes and backslashes": {"words": """it's "so" \\ \\n \\""", "reasons": ["'", '"', "\\", "a,b", "[]"]},
    "tabs and newlines": {"words": "a\tb\nc\r\n", "reasons": ["\t", "\n"]},
    "percent signs, colons and braces": {"words": "100% %s %(a)s :b {c} $1 ?", "reasons": ["%d", ":x"]},
    "Kannada, emoji, right to left": {"words": "ಅಧಿಕಾರಿ 🚓 مرحبا", "reasons": ["ಪೊಲೀಸ್", "👮🏽‍♀️", "שלום"]},
    "a NUL": {"words": "a\x00b"},
    "the largest numbers": {"officer_id": 2**63 - 1, "ranking": 2**15 - 1, "score": 1.7976931348623157e308},
    "the smallest numbers": {"officer_id": -(2**63), "ranking": -(2**15), "score": 5e-324},
    "the ends of time": {"happened_at": datetime(1970, 1, 1, tzinfo=UTC), "day": date(2105, 12, 31)},
}


@pytest.mark.parametrize("case", CASES)
def test_rows_come_back_as_they_were_sent(events: Engine, case: str) -> None:
    row = FIRST | CASES[case]
    assert load_data(pd.DataFrame([row]), EVENTS, events) == 1
    [found] = run_statement(events, "SELECT * FROM events")
    back = {
        name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
        for name, value in found._mapping.items()
    }
    assert {name: list(v) if isinstance(v, tuple) else v for name, v in back.items()} == row


def test_a_column_left_out_takes_its_default(events: Engine) -> None:
    rows = [{name: value for name, value in FIRST.items() if name != "source"}]
    load_data(pd.DataFrame(rows), EVENTS, events, loader="to_sql")
    assert run_statement(events, "SELECT source FROM events") == [("phone",)]


@pytest.mark.parametrize("chunk_rows", [1, 7, 20, 21])
def test_no_chunk_boundary_loses_or_repeats_a_row(events: Engine, chunk_rows: int) -> None:
    rows = [FIRST | {"officer_id": n, "vehicle_id": None if n % 3 else n} for n in range(20)]
    assert load_data(pd.DataFrame(rows), EVENTS, events, chunk_rows=chunk_rows) == 20
    found = run_statement(events, "SELECT officer_id, vehicle_id FROM events ORDER BY officer_id")
    assert [tuple(row) for row in found] == [(n, None if n % 3 else n) for n in range(20)]


def test_a_null_where_none_may_be_is_refused_and_nothing_is_written(events: Engine) -> None:
    with pytest.raises(SentinelError):
        load_data(pd.DataFrame([FIRST | {"officer_id": None}]), EVENTS, events)
    assert run_statement(events, "SELECT count() FROM events") == [(0,)]


def test_arrow_is_refused_and_an_unknown_column_too(events: Engine) -> None:
    with pytest.raises(ConfigurationError, match=r"found clickhouse\+native://; use to_sql, or the HTTP URL"):
        load_data(pd.DataFrame([FIRST]), EVENTS, events, loader="arrow")
    with pytest.raises(SchemaMismatch, match="events has no column colour"):
        load_data(pd.DataFrame([FIRST | {"colour": "red"}]), EVENTS, events)
    assert run_statement(events, "SELECT count() FROM events") == [(0,)]


def test_the_table_is_compared_with_its_definition(events: Engine) -> None:
    create_table(events, EVENTS)
    columns = [Column(c.name, c.type) for c in EVENTS.columns if c.name != "words"]
    other = Table("events", MetaData(), *columns, engines.MergeTree(order_by=("event_id",)))
    with pytest.raises(SchemaMismatch, match=r"words Nullable\(String\) is not in the code"):
        create_table(events, other)


def test_a_query_comes_back_as_a_frame(events: Engine) -> None:
    load_data(pd.DataFrame([FIRST, FIRST | {"words": None}]), EVENTS, events)
    frame = query_df(
        events,
        "SELECT words, count() AS n FROM events WHERE source = %(s)s GROUP BY words ORDER BY n, words",
        {"s": "phone"},
    )
    assert frame["words"].isna().tolist().count(True) == 1
    assert frame["n"].tolist() == [1, 1]


@pytest.mark.parametrize("protocol", ["http", "native"])
def test_a_server_older_than_22_8_is_refused(server: OldServer, protocol: str) -> None:
    too_old(server)
    with pytest.raises(WarehouseUnreachable, match=r"expected ClickHouse 22\.8 or newer at 127\.0\.0\.1; found 18\."):
        open_warehouse(getattr(server, protocol))


@pytest.mark.parametrize("protocol", ["http", "native"])
def test_a_server_is_found_at_an_ipv6_address(server: OldServer, protocol: str) -> None:
    too_old(server)
    url = make_url(getattr(server, protocol))
    with forwarded(("127.0.0.1", int(url.port or 0)), "::1") as port:
        there = url.set(host="::1", port=port).render_as_string(hide_password=False)
        with pytest.raises(WarehouseUnreachable, match=r"expected ClickHouse 22\.8 or newer at ::1; found 18\."):
            open_warehouse(there)


def test_a_server_behind_tls_is_checked_against_the_url_s_authority(server: OldServer, tmp_path: Path) -> None:
    too_old(server)
    url = make_url(server.native)
    authority, context = make_authority(tmp_path)
    with forwarded(("127.0.0.1", int(url.port or 0)), context=context) as port:
        query = {"secure": "True", "verify": "True", "ca_certs": str(authority)}
        there = url.set(port=port, query=query).render_as_string(hide_password=False)
        with pytest.raises(WarehouseUnreachable, match="found 18"):
            open_warehouse(there)


@pytest.mark.parametrize("protocol", ["http", "native"])
@pytest.mark.parametrize("name", ["per%cent", "%s", "back\\slash", "a:b", "sum VALUES (a)", "{a}", "ಮಾತು"])
def test_a_column_of_any_name_is_written_and_read(server: OldServer, protocol: str, name: str) -> None:
    engine = with_server_settings(create_engine(getattr(server, protocol)))
    columns = [Column("n", types.Int64), Column(name, types.Nullable(types.String))]
    table = Table("named", MetaData(), *columns, engines.MergeTree(order_by=("n",)))
    create_table(engine, table)
    try:
        load_data(pd.DataFrame({"n": [1, 2], name: ["100%", None]}), table, engine, loader="to_sql")
        load_data(pd.DataFrame({"n": [3], name: ["%s"]}), table, engine, loader="to_sql")
        found = run_statement(engine, select(table).order_by(table.c.n))
        assert [tuple(row) for row in found] == [(1, "100%"), (2, None), (3, "%s")]
    finally:
        run_statement(engine, "DROP TABLE named")
        engine.dispose()


def test_what_is_pinned_has_the_last_word_over_the_url(server: OldServer) -> None:
    asked = create_engine(f"{server.native}?extremes=1&join_use_nulls=1&max_threads=3")
    engine = with_server_settings(asked, ["extremes", "join_use_nulls"])
    names = "'extremes', 'join_use_nulls', 'max_threads'"
    found = run_statement(engine, f"SELECT name, value FROM system.settings WHERE name IN ({names}) ORDER BY name")
    engine.dispose()
    assert [tuple(row) for row in found] == [("extremes", "0"), ("join_use_nulls", "0"), ("max_threads", "3")]


@pytest.mark.parametrize("protocol", ["http", "native"])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(("secret", "wrong-word"), id="wrong password"),
        pytest.param(("officer:", "nobody:"), id="unknown user"),
        pytest.param(("/default", "/nowhere"), id="unknown database"),
    ],
)
def test_a_refused_login_is_one_sentence_without_the_password(
    server: OldServer, protocol: str, change: tuple[str, str]
) -> None:
    with pytest.raises(WarehouseUnreachable, match="the user, password or database is refused") as caught:
        open_warehouse(getattr(server, protocol).replace(*change))
    assert "secret" not in str(caught.value)
    assert "wrong-word" not in str(caught.value)


@pytest.mark.parametrize("protocol", ["http", "native"])
@pytest.mark.parametrize(
    ("change", "statement", "code"),
    [
        pytest.param(("secret", "wrong-word"), "SELECT 1", 193, id="wrong password"),
        pytest.param(("officer:", "nobody:"), "SELECT 1", 192, id="unknown user"),
        pytest.param(("", ""), "SELECT nothing", 47, id="unknown column"),
        pytest.param(("", ""), "SELECT * FROM nowhere", 60, id="unknown table"),
    ],
)
def test_an_error_has_the_server_s_number_and_does_not_pass(
    server: OldServer, protocol: str, change: tuple[str, str], statement: str, code: int
) -> None:
    engine = create_engine(getattr(server, protocol).replace(*change))
    with pytest.raises(DatabaseException) as caught, engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
    assert server_code(caught.value) == code
    assert not warehouse_may_recover(caught.value)


@pytest.mark.parametrize("protocol", ["http", "native"])
def test_nobody_there_is_one_sentence(protocol: str) -> None:
    port, _ = free_ports()
    with pytest.raises(WarehouseUnreachable, match=rf"expected ClickHouse at 127\.0\.0\.1:{port}.*Connection refused"):
        open_warehouse(f"clickhouse+{protocol}://officer:secret@127.0.0.1:{port}/default")


def test_the_command_line_refuses_an_old_server_in_one_sentence(
    server: OldServer, environment: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    too_old(server)
    monkeypatch.setenv("SENTINEL_WAREHOUSE_URL", server.native)
    done = subprocess.run(
        [sys.executable, "-m", "sentinel_etl", "status"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == (
        f"sentinel-etl: expected ClickHouse 22.8 or newer at 127.0.0.1; found {server.version}. "
        "Upgrade the server, or point SENTINEL_WAREHOUSE_URL at a newer one\n"
    )
