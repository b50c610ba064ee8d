"""The local warehouse, a real server process with the real engine, through the drivers used against servers."""

from __future__ import annotations

import contextlib
import gzip
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import quote

import brotli
import clickhouse_connect
import httpx
import lz4.frame
import pandas as pd
import pyarrow as pa
import pytest
import zstandard
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError
from clickhouse_connect.driver.external import ExternalData
from clickhouse_sqlalchemy import Table, engines, get_declarative_base, types
from sqlalchemy import Column, Engine, MetaData, create_engine, func, inspect, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.ddl import CreateTable

from sentinel_etl.errors import ConfigurationError
from sentinel_etl.local.clickhouse.server import serve

PASSWORD = "pass word'"
SLOW = "SELECT sleepEachRow(0.1) FROM numbers({}) SETTINGS max_block_size = 1"


@dataclass
class Server:
    data: Path
    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, auth=("officer", PASSWORD), timeout=30)

    def resident_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


def start(data: Path, *options: str) -> Server:
    command = [sys.executable, "-m", "sentinel_etl.local.clickhouse.server", "--data", str(data), "--port", "0"]
    process = subprocess.Popen(
        [*command, "--user", "officer", "--database", "sentinel", *options],
        env={**os.environ, "SENTINEL_LOCAL_PASSWORD": PASSWORD},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("listening on 127.0.0.1:"):
        _, errors = process.communicate(timeout=10)
        raise AssertionError(f"no server: {errors}")
    server = Server(data, process, int(line.rsplit(":", 1)[1]))
    with server.client() as http:
        for _ in range(100):
            try:
                if http.get("/ping").text == "Ok.\n":
                    return server
            except httpx.ConnectError:
                time.sleep(0.05)
    raise AssertionError("the server does not answer /ping")


def stop(server: Server, number: int = signal.SIGTERM) -> tuple[int, str]:
    if server.process.poll() is None:
        server.process.send_signal(number)
    _, errors = server.process.communicate(timeout=20)
    return server.process.returncode, errors


@contextlib.contextmanager
def running(data: Path, *options: str) -> Iterator[Server]:
    server = start(data, *options)
    try:
        yield server
    finally:
        stop(server)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("warehouse")) as one:
        yield one


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def connect(server: Server) -> Iterator[Client]:
    client = new_connect(server)
    yield client
    client.close()


def new_connect(server: Server, **options: object) -> Client:
    return clickhouse_connect.get_client(
        host="127.0.0.1",
        port=server.port,
        username="officer",
        password=PASSWORD,
        database="sentinel",
        **options,
    )


@pytest.fixture(scope="module")
def alchemy(server: Server) -> Iterator[Engine]:
    engine = create_engine(f"clickhouse+http://officer:pass%20word%27@127.0.0.1:{server.port}/sentinel")
    yield engine
    engine.dispose()


@pytest.fixture
def table(http: httpx.Client, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"t_{abs(hash(request.node.nodeid))}"
    run(http, f"CREATE TABLE {name} (id Int64, note String) ENGINE = MergeTree ORDER BY id")
    yield name
    run(http, f"DROP TABLE {name} SYNC")


def run(http: httpx.Client, sql: str | bytes, **params: str | int) -> str:
    answer = http.post("/", params=params, content=sql)
    assert answer.status_code == 200, answer.text
    return answer.text


# --- clickhouse-sqlalchemy ------------------------------------------------------------------------


def test_a_declared_table_is_created_and_reflected_with_its_engine(alchemy: Engine) -> None:
    base = get_declarative_base(metadata=MetaData())

    class Patrol(base):  # type: ignore[misc, valid-type]
        __tablename__ = "declared_patrol"
        night = Column(types.Date, primary_key=True)
        officer_id = Column(types.Nullable(types.Int64))
        crew = Column(types.Array(types.Int32))
        __table_args__ = (engines.MergeTree(partition_by=func.toYYYYMM(night), order_by=("night",)),)

    with alchemy.begin() as connection:
        connection.execute(CreateTable(Patrol.__table__))
    reflected = Table("declared_patrol", MetaData(), autoload_with=alchemy)
    assert isinstance(reflected.engine, engines.MergeTree)
    assert "declared_patrol" in inspect(alchemy).get_table_names()
    found = {column["name"]: type(column["type"]) for column in inspect(alchemy).get_columns("declared_patrol")}
    assert found == {"night": types.Date, "officer_id": types.Nullable, "crew": types.Array}
    with alchemy.begin() as connection:
        Patrol.__table__.drop(connection)
    assert "declared_patrol" not in inspect(alchemy).get_table_names()


def test_to_sql_in_chunks_and_read_sql_return_the_same_rows(alchemy: Engine, table: str) -> None:
    frame = pd.DataFrame({"id": [1, 2, 3], "note": ["it's", "tab\tline\nend", "नमस्ते \\ ;--"]})
    frame.to_sql(table, alchemy, if_exists="append", index=False, chunksize=2)
    back = pd.read_sql(f"select * from {table} order by id", alchemy)
    assert back.to_dict("list") == frame.to_dict("list")


def test_a_megabyte_of_rendered_values_is_inserted(alchemy: Engine, table: str) -> None:
    target = Table(table, MetaData(), autoload_with=alchemy)
    with alchemy.begin() as connection:
        connection.execute(target.insert(), [{"id": number, "note": "n" * 1000} for number in range(1500)])
        rows = connection.execute(select(target.c.id).order_by(target.c.id.desc()).limit(1)).all()
    assert rows == [(1499,)]


def test_an_error_reaches_sqlalchemy_with_its_code(alchemy: Engine) -> None:
    with alchemy.connect() as connection, pytest.raises((DBAPIError, Exception), match="Code: 60"):
        connection.exec_driver_sql("SELECT * FROM nowhere").all()


# --- clickhouse-connect ---------------------------------------------------------------------------


def test_connect_reads_versions_and_rows(connect: Client) -> None:
    assert connect.server_version.startswith("26.")
    assert connect.query("SELECT 1, 'a', [1, 2], NULL").result_rows == [(1, "a", [1, 2], None)]
    assert connect.command("SELECT 41 + 1") == 42
    assert connect.raw_query("SELECT 1 AS a FORMAT CSVWithNames") == b'"a"\n1\n'


def test_every_way_to_insert_with_connect_writes_its_rows(connect: Client, table: str) -> None:
    connect.insert(table, [[1, "insert"]], column_names=["id", "note"])
    connect.insert_df(table, pd.DataFrame({"id": [2], "note": ["insert_df"]}))
    summary = connect.insert_arrow(table, pa.table({"id": [3, 4], "note": ["insert_arrow", "again"]}))
    assert summary.written_rows == 2
    lines = (f"{number}\traw\n".encode() for number in (5, 6))
    connect.raw_insert(table, ["id", "note"], insert_block=lines, fmt="TabSeparated")
    rows = connect.query(f"SELECT id, note FROM {table} ORDER BY id").result_rows
    assert rows == [(1, "insert"), (2, "insert_df"), (3, "insert_arrow"), (4, "again"), (5, "raw"), (6, "raw")]


def test_every_way_to_read_with_connect_gives_the_same_rows(connect: Client) -> None:
    sql = "SELECT toInt64(number) AS n, toString(number) AS s FROM numbers(200000)"
    total = 199999 * 100000
    assert connect.query_df(sql)["n"].sum() == total
    assert connect.query_arrow(sql)["n"].to_pandas().sum() == total
    assert connect.query_df_arrow(sql)["n"].sum() == total
    with connect.query_arrow_stream(sql) as batches:
        assert sum(batch["n"].to_pandas().sum() for batch in batches) == total
    with connect.query_row_block_stream(sql) as blocks:
        assert sum(row[0] for block in blocks for row in block) == total


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        pytest.param("Int32", -5, id="integer"),
        pytest.param("String", "it's \\ a\ttab\nline", id="string with escapes"),
        pytest.param("Array(String)", ["a'b", "c\\d", ""], id="array of strings"),
        pytest.param("Nullable(Int64)", None, id="null"),
        pytest.param("Date", date(2026, 11, 22), id="date"),
        pytest.param("String", "x" * 100_000, id="long value, sent as a form"),
    ],
)
def test_a_bound_parameter_arrives_as_it_was(connect: Client, kind: str, value: object) -> None:
    rows = connect.query(f"SELECT {{value:{kind}}}", parameters={"value": value}).result_rows
    assert rows == [(value,)]


def test_an_insert_takes_bound_parameters(http: httpx.Client, table: str) -> None:
    run(http, "1\ta\n", query="INSERT INTO {to:Identifier} FORMAT TSV", param_to=table)
    assert run(http, f"SELECT id FROM {table}") == "1\n"


def test_external_data_stands_beside_a_query_and_is_gone_after(connect: Client) -> None:
    data = ExternalData(file_name="ids.csv", data=b"1,\x27a\x27\r\n2,b\n", fmt="CSV", structure="id Int32, n String")
    assert connect.query("SELECT sum(id) FROM ids", external_data=data).result_rows == [(3,)]
    with pytest.raises(DatabaseError, match="60"):
        connect.query("SELECT sum(id) FROM ids")


def test_a_form_that_breaks_off_is_refused_and_not_logged(tmp_path: Path) -> None:
    with running(tmp_path) as server, server.client() as http:
        whole = http.build_request("POST", "/", data={"query": "SELECT 1"}, files={"ids": ("ids", b"1")})
        for body in (whole.read()[:-4], b"no boundary" + whole.read()):
            answer = http.post("/", content=body, headers={"Content-Type": whole.headers["Content-Type"]})
            assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (400, "36")
            assert answer.text.startswith("Code: 36. DB::Exception: Cannot read the multipart body: ")
        assert stop(server) == (0, "")


def test_a_failure_in_mid_stream_is_an_error_for_the_client(connect: Client) -> None:
    sql = "SELECT number, throwIf(number = 3000000, 'too far') FROM numbers(5000000) SETTINGS max_block_size = 1000"
    with pytest.raises(StreamFailureError, match="too far"), connect.query_row_block_stream(sql) as blocks:
        for _ in blocks:
            pass


def test_a_failure_in_mid_stream_breaks_the_chunked_answer_off(http: httpx.Client) -> None:
    sql = "SELECT number, throwIf(number = 3000000, 'too far') FROM numbers(5000000) SETTINGS max_block_size = 1000"
    pieces: list[bytes] = []
    with http.stream("POST", "/", content=sql) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            pieces.extend(answer.iter_bytes())
    # list.extend keeps what came before the exception.
    received = b"".join(pieces)
    tag = answer.headers["X-ClickHouse-Exception-Tag"].encode()
    assert b"__exception__\r\n" + tag + b"\r\nCode: 395." in received
    assert received.endswith(b" " + tag + b"\r\n__exception__\r\n")


def test_with_wait_end_of_query_a_late_failure_has_a_status(http: httpx.Client) -> None:
    sql = "SELECT number, throwIf(number = 3000000) FROM numbers(5000000) SETTINGS max_block_size = 1000"
    answer = http.post("/", params={"wait_end_of_query": 1}, content=sql)
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (500, "395")


# --- settings and sessions ------------------------------------------------------------------------


def test_a_setting_in_the_url_holds_for_its_request_only(http: httpx.Client) -> None:
    sql = "SELECT getSetting('max_block_size')"
    before = run(http, sql)
    assert run(http, sql, max_block_size=77) == "77\n"
    assert run(http, "SET max_block_size = 78") == ""
    assert run(http, sql) == before


def test_a_session_keeps_what_it_sets_and_no_more(http: httpx.Client) -> None:
    sql = "SELECT getSetting('max_block_size'), getSetting('max_threads'), currentDatabase()"
    threads = run(http, "SELECT getSetting('max_threads')").strip()
    run(http, "SET max_block_size = 79", session_id="keeps")
    run(http, "CREATE TEMPORARY TABLE kept (a Int32)", session_id="keeps")
    assert run(http, sql, session_id="keeps", max_threads=1, database="system") == "79\t1\tsystem\n"
    assert run(http, sql, session_id="keeps") == f"79\t{threads}\tsentinel\n"
    run(http, "USE system", session_id="keeps", max_threads=1)
    assert run(http, sql, session_id="keeps") == f"79\t{threads}\tsystem\n"
    assert run(http, "SELECT count() FROM kept", session_id="keeps") == "0\n"
    assert http.post("/", content="SELECT count() FROM kept").headers["X-ClickHouse-Exception-Code"] == "60"


def test_a_session_in_use_is_locked(http: httpx.Client) -> None:
    slow = threading.Thread(target=run, args=(http, SLOW.format(20)), kwargs={"session_id": "locked"})
    slow.start()
    time.sleep(0.4)
    answer = http.post("/", params={"session_id": "locked"}, content="SELECT 1")
    slow.join()
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (500, "373")
    assert run(http, "SELECT 1", session_id="locked") == "1\n"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        pytest.param({"session_id": "nobody's", "session_check": "1"}, "372", id="session that must exist"),
        pytest.param({"session_id": "a", "session_timeout": "soon"}, "374", id="timeout that is no number"),
        pytest.param({"session_id": "a", "session_timeout": "99999"}, "374", id="timeout over the limit"),
        pytest.param({"no_such_setting": "1"}, "115", id="unknown setting"),
        pytest.param({"max_threads": "many"}, "27", id="setting that does not parse"),
        pytest.param({"a'; DROP": "1"}, "115", id="setting with SQL in its name"),
        pytest.param({"database": "nowhere"}, "81", id="unknown database"),
        pytest.param({"compress": "1"}, "48", id="native framing of the answer"),
        pytest.param({"decompress": "1"}, "48", id="native framing of the body"),
    ],
)
def test_a_request_that_cannot_be_is_refused(http: httpx.Client, params: dict[str, str], code: str) -> None:
    assert http.post("/", params=params, content="SELECT 1").headers["X-ClickHouse-Exception-Code"] == code


def test_a_session_ends_after_its_timeout(http: httpx.Client) -> None:
    run(http, "SET max_block_size = 80", session_id="short", session_timeout=1)
    time.sleep(1.2)
    answer = http.post("/", params={"session_id": "short", "session_check": "1"}, content="SELECT 1")
    assert answer.headers["X-ClickHouse-Exception-Code"] == "372"


# --- bodies ---------------------------------------------------------------------------------------

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
    "lz4": lz4.frame.compress,
    "br": lambda data: brotli.compress(data, quality=1),
}
DECOMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    "lz4": lz4.frame.decompress,
    "br": brotli.decompress,
}


@pytest.mark.parametrize("encoding", COMPRESSORS)
def test_a_compressed_body_in_chunks_is_inserted(http: httpx.Client, table: str, encoding: str) -> None:
    lines = "".join(f"{number}\tnote {number}\n" for number in range(50_000))
    body = COMPRESSORS[encoding](lines.encode())
    answer = http.post(
        "/",
        params={"query": f"INSERT INTO {table} FORMAT TSV"},
        content=(body[start : start + 1000] for start in range(0, len(body), 1000)),
        headers={"Content-Encoding": encoding},
    )
    assert answer.status_code == 200, answer.text
    assert run(http, f"SELECT count(), sum(id), max(note) FROM {table}") == "50000\t1249975000\tnote 9999\n"


@pytest.mark.parametrize("encoding", COMPRESSORS)
def test_a_compressed_body_that_breaks_off_inserts_nothing(http: httpx.Client, table: str, encoding: str) -> None:
    body = COMPRESSORS[encoding]("".join(f"{number}\tnote\n" for number in range(50_000)).encode())
    answer = http.post(
        "/",
        params={"query": f"INSERT INTO {table} FORMAT TSV"},
        content=body[:-20],
        headers={"Content-Encoding": encoding},
    )
    assert answer.headers["X-ClickHouse-Exception-Code"] == "271"
    assert run(http, f"SELECT count() FROM {table}") == "0\n"


@pytest.mark.parametrize("encoding", DECOMPRESSORS)
@pytest.mark.parametrize("rows", [10, 500_000], ids=["held back", "streamed"])
def test_an_answer_is_compressed_when_asked(http: httpx.Client, encoding: str, rows: int) -> None:
    with http.stream(
        "POST",
        "/",
        params={"enable_http_compression": 1},
        content=f"SELECT number FROM numbers({rows})",
        headers={"Accept-Encoding": encoding},
    ) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["Content-Encoding"] == encoding
    assert DECOMPRESSORS[encoding](raw) == "".join(f"{number}\n" for number in range(rows)).encode()


def test_an_answer_is_plain_unless_compression_is_asked_for(http: httpx.Client) -> None:
    assert "Content-Encoding" not in http.post("/", content="SELECT 1", headers={"Accept-Encoding": "gzip"}).headers


@pytest.mark.parametrize(
    ("query", "body"),
    [
        pytest.param("", "INSERT INTO {t} VALUES (7, 'a;b')", id="values in the body"),
        pytest.param("INSERT INTO {t} VALUES", "(7, 'a;b')", id="values behind the URL"),
        pytest.param("INSERT INTO {t}", "FORMAT TSV\n7\ta;b\n", id="format in the body"),
        pytest.param("", "insert into {t} (id, note) format CSV\n7,a;b\n", id="data on the next line"),
        pytest.param("", 'INSERT INTO {t} FORMAT JSONEachRow {{"id":7,"note":"a;b"}}', id="data on the line"),
        pytest.param("", "/* a */ INSERT INTO {t} SETTINGS max_insert_threads = 1 FORMAT TSV\n7\ta;b", id="settings"),
        pytest.param("", "INSERT INTO {t} SELECT 7, 'a;b'", id="select"),
        pytest.param("", "INSERT INTO {t} WITH 7 AS x SELECT x, 'a;b';", id="with and select"),
    ],
)
def test_an_insert_is_understood_in_every_shape(http: httpx.Client, table: str, query: str, body: str) -> None:
    params = {"query": query.format(t=table)} if query else {}
    run(http, body.format(t=table), **params)
    assert run(http, f"SELECT * FROM {table}") == "7\ta;b\n"


@pytest.mark.parametrize(
    ("sql", "format_name", "text"),
    [
        pytest.param("SELECT 1 AS a", "TabSeparated", "1\n", id="default"),
        pytest.param("SELECT 1 AS a;  -- end", "TabSeparated", "1\n", id="comment at the end"),
        pytest.param("SELECT 1 AS a FORMAT CSVWithNames", "CSVWithNames", '"a"\n1\n', id="clause"),
        pytest.param("SELECT 1 AS a FORMAT CSV SETTINGS max_threads = 1", "CSV", "1\n", id="clause and settings"),
        pytest.param("SELECT 1 AS a SETTINGS max_threads = 1 FORMAT CSV", "CSV", "1\n", id="settings and clause"),
        pytest.param("SELECT 'FORMAT CSV' AS format", "TabSeparated", "FORMAT CSV\n", id="word in a literal"),
        pytest.param("(SELECT 1) UNION ALL (SELECT 1)", "TabSeparated", "1\n1\n", id="union"),
        pytest.param("WITH 1 AS x SELECT x FORMAT TSV", "TSV", "1\n", id="with"),
        pytest.param("EXISTS TABLE system.one FORMAT CSV", "CSV", "1\n", id="not a select"),
    ],
)
def test_a_format_clause_wins_over_the_default(http: httpx.Client, sql: str, format_name: str, text: str) -> None:
    answer = http.post("/", content=sql)
    assert (answer.text, answer.headers["X-ClickHouse-Format"]) == (text, format_name)


def test_the_default_format_comes_from_the_url_or_a_header(http: httpx.Client) -> None:
    assert run(http, "SELECT 1", default_format="JSONEachRow") == '{"1":1}\n'
    assert http.post("/", content="SELECT 'a'", headers={"X-ClickHouse-Format": "CSV"}).text == '"a"\n'


@pytest.mark.parametrize("format_name", ["ArrowStream", "Arrow", "Parquet"])
def test_a_large_result_is_one_document(http: httpx.Client, format_name: str) -> None:
    content = http.post("/", content=f"SELECT number FROM numbers(1000000) FORMAT {format_name}").content
    readers: dict[str, Callable[[pa.BufferReader], pa.Table]] = {
        "ArrowStream": lambda source: pa.ipc.open_stream(source).read_all(),
        "Arrow": lambda source: pa.ipc.open_file(source).read_all(),
        "Parquet": lambda source: __import__("pyarrow.parquet", fromlist=["x"]).read_table(source),
    }
    assert readers[format_name](pa.BufferReader(content)).num_rows == 1_000_000


# --- answers --------------------------------------------------------------------------------------


def test_an_answer_carries_clickhouses_headers(http: httpx.Client) -> None:
    headers = http.post("/", params={"query_id": "mine"}, content="SELECT number FROM numbers(5)").headers
    assert headers["X-ClickHouse-Query-Id"] == "mine"
    assert headers["X-ClickHouse-Server-Display-Name"] == "sentinel-local"
    assert headers["X-ClickHouse-Timezone"]
    assert '"read_rows":"5"' in headers["X-ClickHouse-Summary"]
    assert headers["Content-Type"] == "text/tab-separated-values; charset=UTF-8"


@pytest.mark.parametrize(
    ("sql", "status", "code"),
    [
        pytest.param("SELECT * FROM nowhere", 404, 60, id="unknown table"),
        pytest.param("SELECT nothing", 404, 47, id="unknown column"),
        pytest.param("SELEC 1", 400, 62, id="syntax"),
        pytest.param("", 400, 62, id="empty"),
        pytest.param("-- nothing\n", 400, 62, id="comment only"),
        pytest.param("SELECT 1; SELECT 2", 400, 62, id="two statements"),
        pytest.param("SELECT 1 FORMAT Nowhere", 404, 73, id="unknown format"),
        pytest.param("SELECT throwIf(1)", 500, 395, id="any other"),
        pytest.param("SELECT {a:Int32}", 500, 456, id="parameter not set"),
        pytest.param("INSERT INTO nowhere FORMAT TSV\n1", 404, 60, id="insert into nowhere"),
        pytest.param("SELECT ‘a’", 400, 62, id="typographic quotes"),
        pytest.param(
            "INSERT INTO nowhere SELECT * FROM input('a Int32') FORMAT TSV\n1;2", 501, 48, id="input, which chdb drops"
        ),
    ],
)
def test_an_error_has_clickhouses_code_and_status(http: httpx.Client, sql: str, status: int, code: int) -> None:
    answer = http.post("/", content=sql.encode())
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (status, str(code))
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
    assert answer.text.endswith(") (version 26.9.2.1)\n")


def test_a_row_that_does_not_parse_fails_the_insert(http: httpx.Client, table: str) -> None:
    answer = http.post("/", content=f"INSERT INTO {table} FORMAT TSV\n1\ta\nnext\tb\n")
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (400, "27")
    assert run(http, f"SELECT count() FROM {table}") == "0\n"


def test_get_reads_and_does_not_write(http: httpx.Client, table: str) -> None:
    assert http.get("/", params={"query": "SELECT 1"}).text == "1\n"
    for session in ({}, {"session_id": "reader"}):
        refused = http.get("/", params={"query": f"TRUNCATE TABLE {table}", **session})
        assert refused.headers["X-ClickHouse-Exception-Code"] == "164"


def test_other_methods_and_paths_are_answered_politely(http: httpx.Client) -> None:
    head = http.head("/", params={"query": "SELECT 1"})
    assert (head.status_code, head.content, head.headers["X-ClickHouse-Format"]) == (200, b"", "TabSeparated")
    assert http.request("OPTIONS", "/").status_code == 204
    assert http.put("/").status_code == 405
    assert http.get("/nowhere").status_code == 404
    assert http.get("/replicas_status").text == "Ok.\n"


# --- who may ask ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "way",
    [
        pytest.param({"auth": ("officer", "{}")}, id="basic auth"),
        pytest.param({"headers": {"X-ClickHouse-User": "officer", "X-ClickHouse-Key": "{}"}}, id="headers"),
        pytest.param({"params": {"user": "officer", "password": "{}"}}, id="URL"),
    ],
)
def test_the_right_password_is_let_in_and_a_wrong_one_is_not(server: Server, way: dict[str, object]) -> None:
    def filled(password: str) -> dict[str, object]:
        return {
            kind: tuple(part.format(password) for part in values)
            if isinstance(values, tuple)
            else {name: value.format(password) for name, value in values.items()}
            for kind, values in way.items()  # type: ignore[attr-defined]
        }

    with httpx.Client(base_url=server.url) as http:
        assert http.post("/", content="SELECT 1", **filled(PASSWORD)).text == "1\n"
        refused = http.post("/", content="SELECT 1", **filled("wrong"))
        assert (refused.status_code, refused.headers["X-ClickHouse-Exception-Code"]) == (403, "516")


@pytest.mark.parametrize(
    "way",
    [
        pytest.param({}, id="nobody"),
        pytest.param({"auth": ("default", "")}, id="the engine's own user"),
        pytest.param({"auth": ("somebody", PASSWORD)}, id="another name"),
        pytest.param({"headers": {"Authorization": "Bearer abc"}}, id="token"),
        pytest.param({"headers": {"Authorization": "Basic ###"}}, id="not base64"),
        pytest.param({"auth": ("officer", PASSWORD), "params": {"user": "officer"}}, id="two ways at once"),
    ],
)
def test_everyone_else_is_refused(server: Server, way: dict[str, object]) -> None:
    refused = httpx.post(server.url, content="SELECT 1", **way)  # type: ignore[arg-type]
    assert (refused.status_code, refused.headers["X-ClickHouse-Exception-Code"]) == (403, "516")


def test_only_the_loopback_interface_listens(server: Server) -> None:
    listening = Path("/proc/net/tcp").read_text().splitlines()[1:]
    addresses = [line.split()[1] for line in listening if line.split()[3] == "0A"]
    assert [one for one in addresses if one.endswith(f":{server.port:04X}")] == [f"0100007F:{server.port:04X}"]


def test_the_password_is_in_no_command_line(server: Server) -> None:
    assert PASSWORD not in Path(f"/proc/{server.process.pid}/cmdline").read_text()


# --- what may not be reached ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        pytest.param("SELECT * FROM file('/etc/passwd', LineAsString)", id="file table function"),
        pytest.param("SELECT file('/etc/passwd')", id="file function"),
        pytest.param("SELECT FiLe /* c */ -- d\n ('/etc/passwd')", id="mixed case and comments"),
        pytest.param("SELECT \"file\"('/etc/passwd')", id="double quotes"),
        pytest.param("SELECT `file`('/etc/passwd')", id="backquotes"),
        pytest.param("SELECT `fi\\x6ce`('/etc/passwd')", id="escape in a quoted name"),
        pytest.param('SELECT * FROM "default".`/etc/passwd`', id="file as a table"),
        pytest.param("SELECT * FROM url('http://127.0.0.1:1/', CSV)", id="url"),
        pytest.param("SELECT * FROM s3('http://127.0.0.1:1/bucket/a', CSV)", id="s3"),
        pytest.param("SELECT * FROM remote('127.0.0.1', system.one)", id="remote"),
        pytest.param("SELECT * FROM postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')", id="postgresql"),
        pytest.param("SELECT * FROM executable('a.sh', TSV, 'x String')", id="executable"),
        pytest.param("SELECT * FROM python('x')", id="python"),
        pytest.param("INSERT INTO FUNCTION file('/tmp/x', CSV, 'a Int32') VALUES (1)", id="insert into file"),
        pytest.param("INSERT INTO TABLE FUNCTION url('http://127.0.0.1:1/', CSV, 'a Int32') VALUES (1)", id="to url"),
        pytest.param("SELECT 1 INTO OUTFILE '/tmp/never'", id="into outfile"),
        pytest.param("SELECT 1 INTO/**/outFile '/tmp/never' FORMAT CSV", id="into outfile, comment between"),
        pytest.param("SELECT 1 INTO /* /* */ ' */ OUTFILE '/tmp/never'", id="into outfile, nested comment"),
        pytest.param("SELECT 1 INTO\u00a0OUTFILE '/tmp/never'", id="into outfile, Unicode blank"),
        pytest.param("SELECT $a$ ' $a$ INTO OUTFILE '/tmp/never' -- '", id="into outfile, here-document"),
        pytest.param("SELECT 1$a$ ' $a$ INTO OUTFILE '/tmp/never' -- '", id="into outfile, after a number"),
        pytest.param("INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV", id="from infile"),
        pytest.param("CREATE TABLE t (a String) ENGINE = File(CSV)", id="engine File"),
        pytest.param("CREATE TABLE t (a String) ENGINE File(CSV, '/etc/passwd')", id="engine File, no equals sign"),
        pytest.param("CREATE TABLE t (a String) ENGINE/**/=/**/`URL`('http://127.0.0.1:1/', CSV)", id="engine URL"),
        pytest.param("CREATE TABLE t (a String) ENGINE = Executable('a.sh', TSV)", id="engine Executable"),
        pytest.param("CREATE DATABASE d ENGINE = Filesystem('/etc')", id="database Filesystem"),
        pytest.param(
            "CREATE DICTIONARY d (a UInt64) PRIMARY KEY a SOURCE(EXECUTABLE(COMMAND 'id' FORMAT 'TSV')) "
            "LAYOUT(FLAT()) LIFETIME(0)",
            id="dictionary that runs a command",
        ),
        pytest.param(
            "CREATE TABLE t (a Int32) ENGINE = MergeTree ORDER BY a "
            "SETTINGS disk = disk(type = s3, endpoint = 'http://127.0.0.1:1/b/x/')",
            id="disk of its own",
        ),
        pytest.param("BACKUP TABLE system.one TO File('/tmp/never')", id="backup"),
        pytest.param("RESTORE TABLE t FROM File('/tmp/never')", id="restore"),
        pytest.param("SYSTEM SHUTDOWN", id="shutdown"),
        pytest.param("SYSTEM KILL", id="kill"),
        pytest.param("GRANT ALL ON *.* TO default", id="grant"),
    ],
)
def test_what_reaches_outside_is_denied(http: httpx.Client, sql: str) -> None:
    answer = http.post("/", content=sql.encode())
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (403, "497"), answer.text
    assert not Path("/tmp/never").exists()  # noqa: S108


def test_settings_that_name_files_cannot_be_changed(http: httpx.Client) -> None:
    answer = http.post("/", params={"format_template_row": "/etc/passwd"}, content="SELECT 1 FORMAT Template")
    assert answer.headers["X-ClickHouse-Exception-Code"] == "452"


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        pytest.param("SELECT 'INTO OUTFILE file(1)' AS a", "INTO OUTFILE file(1)\n", id="string"),
        pytest.param("SELECT 'it''s file(' /* url( */ AS `INTO OUTFILE`", "it\\'s file(\n", id="comment, alias"),
        pytest.param("SELECT $x$file('a')$x$", "file(\\'a\\')\n", id="here-document"),
        pytest.param("SELECT file + 1 FROM (SELECT 1 AS file)", "2\n", id="column of that name"),
        pytest.param("SELECT count() FROM numbers(3)", "3\n", id="numbers"),
    ],
)
def test_the_same_words_elsewhere_are_not_denied(http: httpx.Client, sql: str, text: str) -> None:
    assert run(http, sql) == text


def test_a_table_may_bear_a_denied_name(http: httpx.Client) -> None:
    run(http, "CREATE TABLE file (url String) ENGINE = MergeTree ORDER BY url")
    run(http, "INSERT INTO file (url) VALUES ('a')")
    assert run(http, "SELECT url FROM sentinel.file") == "a\n"
    run(http, "DROP TABLE file")


# --- side by side ---------------------------------------------------------------------------------


def test_two_readers_run_side_by_side(server: Server) -> None:
    def read(results: list[str]) -> None:
        with server.client() as http:
            results.append(run(http, SLOW.format(12)))

    results: list[str] = []
    readers = [threading.Thread(target=read, args=(results,)) for _ in range(2)]
    for reader in readers:
        reader.start()
    time.sleep(0.5)
    with server.client() as http:
        seen = run(http, "SELECT count() FROM system.processes WHERE query LIKE 'SELECT sleepEachRow%'")
    for reader in readers:
        reader.join()
    assert seen == "2\n"
    assert results == ["0\n" * 12] * 2


def test_kill_query_finds_a_query_by_the_clients_id(server: Server) -> None:
    answers: list[httpx.Response] = []

    def read() -> None:
        with server.client() as http:
            answers.append(http.post("/", params={"query_id": "victim"}, content=SLOW.format(29)))

    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(0.4)
    with server.client() as http:
        twin = http.post("/", params={"query_id": "victim"}, content="SELECT 1")
        assert twin.headers["X-ClickHouse-Exception-Code"] == "216"
        run(http, "KILL QUERY WHERE query_id = 'victim' SYNC")
    reader.join()
    assert answers[0].headers["X-ClickHouse-Exception-Code"] == "394"


def hang_up_after(server: Server, query: str, body: bytes) -> None:
    """Send a request whose body is announced one byte longer than it is, or is whole, and leave."""
    url = f"/?user=officer&password={quote(PASSWORD)}&query={quote(query)}"
    announced = len(body) + (1 if query.startswith("INSERT") else 0)
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(f"POST {url} HTTP/1.1\r\nHost: a\r\nContent-Length: {announced}\r\n\r\n".encode() + body)
        time.sleep(0.5)
        with server.client() as http:
            count = run(http, "SELECT count() FROM system.processes WHERE query NOT LIKE '%system.processes%'")
            assert count == "1\n"


def wait_until_idle(http: httpx.Client) -> None:
    for _ in range(50):
        sql = "SELECT count() FROM system.processes WHERE query NOT LIKE '%system.processes%'"
        if run(http, sql) == "0\n":
            return
        time.sleep(0.1)
    raise AssertionError("still running")


def test_a_reader_that_hangs_up_stops_its_query(server: Server, http: httpx.Client) -> None:
    hang_up_after(server, "SELECT sum(sleepEachRow(0.1)) FROM numbers(600) SETTINGS max_block_size = 1", b"")
    wait_until_idle(http)  # it would take a minute


def test_a_writer_that_hangs_up_leaves_no_row_of_its_block(server: Server, http: httpx.Client, table: str) -> None:
    hang_up_after(server, f"INSERT INTO {table} FORMAT TSV", b"1\ta\n" * 1_000_000)
    wait_until_idle(http)
    assert run(http, f"SELECT count() FROM {table}") == "0\n"
    run(http, f"INSERT INTO {table} VALUES (1, 'after')")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads resident memory from /proc")
def test_memory_does_not_grow_with_the_size_of_a_body_or_an_answer(server: Server, http: httpx.Client) -> None:
    run(http, "CREATE TABLE hole (a String) ENGINE = Null")
    piece = (b"x" * 1023 + b"\n") * 1024
    # The engine gathers 256 MiB by default before it writes a block; that is not what is measured.
    blocks = {"max_insert_block_size": 10_000, "min_insert_block_size_rows": 0, "min_insert_block_size_bytes": 0}

    def peak_of(mebibytes: int) -> float:
        seen = [0.0]

        def pieces() -> Iterator[bytes]:
            yield b"INSERT INTO hole FORMAT TSV\n"
            for _ in range(mebibytes):
                seen.append(server.resident_mib())
                yield piece

        assert http.post("/", params=blocks, content=pieces()).status_code == 200
        sql = f"SELECT repeat('x', 1023) FROM numbers({mebibytes * 1024}) SETTINGS max_block_size = 1000"
        with http.stream("POST", "/", content=sql) as answer:
            size = 0
            for chunk in answer.iter_bytes(1024 * 1024):
                size += len(chunk)
                seen.append(server.resident_mib())
        assert size == mebibytes * 1024 * 1024
        return max(seen)

    small = peak_of(100)
    assert peak_of(500) - small < 250, "400 MiB more went in and out"
    run(http, "DROP TABLE hole")


# --- the process ----------------------------------------------------------------------------------


def test_a_second_process_on_the_same_data_is_refused_in_one_sentence(server: Server) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "sentinel_etl.local.clickhouse.server", "--data", str(server.data), "--port", "0"],
        env={**os.environ, "SENTINEL_LOCAL_PASSWORD": PASSWORD},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert f"{server.data} is in use by another process" in second.stderr


def test_an_empty_password_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="SENTINEL_LOCAL_PASSWORD is empty"):
        serve(tmp_path / "data", 0, "officer", "")
    assert not (tmp_path / "data").exists()


def test_no_acknowledged_insert_is_lost_by_kill_9_and_sigterm_finishes_what_runs(tmp_path: Path) -> None:
    acknowledged = 0
    with running(tmp_path, "--allow", "postgresql") as server, server.client() as http:
        run(http, "CREATE TABLE kept (id Int64) ENGINE = MergeTree ORDER BY id")
        killer = threading.Timer(1.0, server.process.kill)
        killer.start()
        with contextlib.suppress(httpx.TransportError):
            while True:
                run(http, f"INSERT INTO kept VALUES ({acknowledged})")
                acknowledged += 1
        killer.join()
        assert server.process.wait(timeout=5) == -signal.SIGKILL
    assert acknowledged > 10

    with running(tmp_path, "--allow", "postgresql") as server, server.client() as http:
        kept = int(run(http, "SELECT uniqExact(id) FROM kept"))
        # The last one may have been written and not yet acknowledged.
        assert kept in (acknowledged, acknowledged + 1)
        allowed = http.post("/", content="SELECT * FROM postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')")
        assert allowed.headers["X-ClickHouse-Exception-Code"] == "614"
        http.post("/", content="SELECT 'secret remark' FROM nowhere")
        http.post("/", content="SELECT 1", auth=("officer", "guess"))
        answers: list[str] = []
        reader = threading.Thread(target=lambda: answers.append(run(http, SLOW.format(12))))
        reader.start()
        time.sleep(0.4)
        code, errors = stop(server)
        reader.join()
    assert answers == ["0\n" * 12]
    # The log holds no SQL, no password and nothing about a clean end.
    assert (code, errors) == (0, "")
