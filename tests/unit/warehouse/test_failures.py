"""ClickHouse's failures, told apart by the drivers' classes and the server's numbers."""

from __future__ import annotations

import subprocess
import sys

import pytest
import requests
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError
from clickhouse_driver.errors import NetworkError, ServerException, SocketTimeoutError
from clickhouse_sqlalchemy.drivers.http.exceptions import HTTPException
from clickhouse_sqlalchemy.exceptions import DatabaseException
from sqlalchemy import create_engine
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from sentinel_etl.errors import SentinelError, WarehouseUnreachable
from sentinel_etl.warehouse.failures import server_sentence, warehouse_failed, warehouse_may_recover

ENGINE = create_engine("clickhouse+http://officer:word@host:8123/city")


def over_http(text: str, status: int = 500) -> DatabaseException:
    """Make what clickhouse-sqlalchemy raises of an HTTP answer that is not 200."""
    answer = HTTPException(text)
    answer.code = status
    return DatabaseException(answer)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


CUT = ProtocolError("Connection aborted.", ConnectionResetError(104, "Connection reset by peer"))
REFUSED_STATEMENT = "the warehouse refused a statement: "
REFUSED_LOGIN = "found: the user, password or database is refused. "

CASES = [
    pytest.param(over_http("Code: 279. DB::Exception: …"), True, REFUSED_STATEMENT, id="HTTP 279"),
    pytest.param(over_http("Code: 210. DB::NetException: …"), True, "expected ClickHouse at", id="HTTP 210"),
    pytest.param(over_http("Code: 209. DB::NetException: …"), True, "expected ClickHouse at", id="HTTP 209"),
    pytest.param(over_http("Code: 47. DB::Exception: …"), False, REFUSED_STATEMENT, id="HTTP 47"),
    pytest.param(over_http("Code: 47. … Code: 210. …"), False, REFUSED_STATEMENT, id="the first number counts"),
    pytest.param(over_http("Code: 516. DB::Exception: …"), False, REFUSED_LOGIN, id="HTTP 516"),
    pytest.param(over_http("busy", status=503), False, "found: Orig exception: busy. ", id="HTTP without a number"),
    pytest.param(DatabaseException(ServerException("…", 60)), False, REFUSED_STATEMENT, id="native 60"),
    pytest.param(
        DatabaseException(ServerException("Database city does not exist", 81)),
        False,
        REFUSED_LOGIN,
        id="native 81, the URL's database",
    ),
    pytest.param(
        over_http("Code: 81. DB::Exception: Database cityhall does not exist. (UNKNOWN_DATABASE)"),
        False,
        f"{REFUSED_STATEMENT}Database cityhall does not exist. (UNKNOWN_DATABASE)",
        id="HTTP 81, a statement's database",
    ),
    pytest.param(DatabaseException(ServerException("…", 279)), True, REFUSED_STATEMENT, id="native 279"),
    pytest.param(
        DatabaseException(NetworkError("Connection refused (host:9000)")),
        True,
        "found: Connection refused. ",
        id="native, nobody there",
    ),
    pytest.param(
        DatabaseException(SocketTimeoutError("(host:9000)")), True, "expected ClickHouse at", id="native late"
    ),
    pytest.param(EOFError("Unexpected EOF while reading bytes"), True, "found: Unexpected EOF", id="native cut off"),
    pytest.param(TimeoutError("timed out"), True, "found: timed out. ", id="a socket's time is over"),
    pytest.param(BrokenPipeError(32, "Broken pipe"), True, "found: Broken pipe. ", id="a broken pipe"),
    pytest.param(DatabaseError("…", code=279), True, REFUSED_STATEMENT, id="clickhouse-connect 279"),
    pytest.param(DatabaseError("…", code=47), False, REFUSED_STATEMENT, id="clickhouse-connect 47"),
    pytest.param(DatabaseError("…", code=192), False, REFUSED_LOGIN, id="clickhouse-connect 192"),
    pytest.param(
        DatabaseError("server response: Code: 47. …"), False, REFUSED_STATEMENT, id="clickhouse-connect, no header"
    ),
    pytest.param(
        caused(OperationalError("Error …"), CUT), True, "expected ClickHouse at", id="clickhouse-connect cut off"
    ),
    pytest.param(
        caused(OperationalError("Error …"), ReadTimeoutError(None, "/", "Read timed out.")),  # type: ignore[arg-type]
        True,
        "expected ClickHouse at",
        id="clickhouse-connect late",
    ),
    pytest.param(OperationalError("HTTP status 503"), False, "found: HTTP status 503. ", id="clickhouse-connect 503"),
    pytest.param(requests.ConnectionError(CUT), True, "found: Connection reset. ", id="requests cut off"),
    pytest.param(requests.ReadTimeout("Read timed out."), True, "found: timed out. ", id="requests late"),
    pytest.param(
        requests.exceptions.ChunkedEncodingError(CUT), True, "found: Connection reset. ", id="requests cut off amid"
    ),
    pytest.param(requests.exceptions.InvalidURL("no host"), False, "found: no host. ", id="requests, no such URL"),
]


@pytest.mark.parametrize(("error", "recovers", "sentence"), CASES)
def test_a_failure_is_told_by_its_class_and_number(error: Exception, recovers: bool, sentence: str) -> None:
    assert warehouse_may_recover(error) is recovers
    ours = warehouse_failed(ENGINE, error)
    assert sentence in str(ours)
    assert isinstance(ours, WarehouseUnreachable) is ("refused a statement" not in sentence)


def test_an_error_of_ours_may_pass_as_its_cause_may() -> None:
    assert warehouse_may_recover(caused(WarehouseUnreachable("…"), ConnectionRefusedError()))
    assert warehouse_may_recover(caused(WarehouseUnreachable("…"), caused(OperationalError("Error …"), CUT)))
    assert not warehouse_may_recover(caused(WarehouseUnreachable("…"), over_http("Code: 516. …")))
    assert not warehouse_may_recover(WarehouseUnreachable("expected ClickHouse 22.8 or newer; timed out"))
    assert not warehouse_may_recover(SentinelError("Connection refused"))


UNKNOWN = "Unknown table expression identifier 'nowhere'. (UNKNOWN_TABLE)"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        pytest.param(
            DatabaseError(
                "Received ClickHouse exception, code: 60, server response: Code: 60. DB::Exception: "
                f"{UNKNOWN} (version 26.9.2.1) (for url http://127.0.0.1:8123)",
                code=60,
            ),
            UNKNOWN,
            id="clickhouse-connect",
        ),
        pytest.param(
            over_http(f"Code: 60. DB::Exception: {UNKNOWN} (version 24.8.4.13 (official build))\n"), UNKNOWN, id="HTTP"
        ),
        pytest.param(
            DatabaseException(ServerException(f"DB::Exception: {UNKNOWN}. Stack trace:\n\n0. main() @ 0x1", 60)),
            UNKNOWN,
            id="native, with its stack",
        ),
        pytest.param(
            over_http(
                "Code: 62. DB::Exception: Syntax error: failed at position 1 (SELEC): SELEC 1. Expected one of: Query, "
                "EXPLAIN, SELECT query. (SYNTAX_ERROR) (version 26.9.2.1)"
            ),
            "Syntax error: failed at position 1 (SELEC): SELEC 1. (SYNTAX_ERROR)",
            id="what a parser expected",
        ),
        pytest.param(
            over_http("Code: 164. DB::Exception: no. (READONLY) (version 26.9.2.1). (READONLY) (version 26.9.2.1)"),
            "no. (READONLY)",
            id="told twice",
        ),
        pytest.param(over_http("busy"), "Orig exception: busy", id="not the server's words"),
    ],
)
def test_of_the_server_s_error_its_sentence_is_kept(error: Exception, sentence: str) -> None:
    assert server_sentence(error) == sentence


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Code: 243. DB::Exception: Cannot reserve 1.00 MiB", id="243"),
        pytest.param("Code: 75. DB::Exception: errno: 28, strerror: No space left on device", id="the system's words"),
    ],
)
def test_a_full_disk_is_said_with_the_remedy(text: str) -> None:
    assert "its disk is full; free some space there" in str(warehouse_failed(ENGINE, over_http(text)))


def test_over_http_the_native_driver_is_not_loaded() -> None:
    code = "import sys, sentinel_etl.databases; print('clickhouse_driver' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
