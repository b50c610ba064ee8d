"""Which statements are sent again where the connection breaks: asked of a server that hangs up on each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, select

from sentinel_etl.errors import ConfigurationError, WarehouseUnreachable
from sentinel_etl.ledger.ledger import attach_report
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.publish.by_partition import merge_to_one_part
from sentinel_etl.retry import LIMITS_OPTION, TimeLimits
from sentinel_etl.warehouse.catalog import has_table
from sentinel_etl.warehouse.engine import with_server_settings
from sentinel_etl.warehouse.query import query_df, run_statement
from sentinel_etl.warehouse.rows import count_rows
from sentinel_etl.warehouse.tables import create_staging, create_table, drop_staging

FACTS = SENTINEL.fact_table

# What the dialect itself asks of a server, before the first statement.
FIRST_ANSWERS = {"select version()": "26.9.1.1", "select currentDatabase()": "city"}


@pytest.fixture
def hanging_up() -> Iterator[tuple[Engine, list[str]]]:
    """An engine on a server that takes statements and closes the connection; and the statements."""
    taken: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            statement = " ".join(self.rfile.read(int(self.headers["Content-Length"])).decode().split())
            if statement in FIRST_ANSWERS:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(f"answer\nString\n{FIRST_ANSWERS[statement]}\n".encode())
            else:
                taken.append(statement)
            self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Keep the test's stderr to what is tested."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    limits = {LIMITS_OPTION: TimeLimits(connect_seconds=5, answer_seconds=5, retry_seconds=0.5)}
    url = f"clickhouse+http://officer:word@127.0.0.1:{server.server_port}/city"
    engine = with_server_settings(create_engine(url, execution_options=limits))
    yield engine, taken
    engine.dispose()
    server.shutdown()
    server.server_close()


CASES: dict[str, tuple[Callable[[Engine], Any], str, bool]] = {
    "a SELECT that says so": (lambda e: run_statement(e, "SELECT 1", repeatable=True), "SELECT 1", True),
    "a statement that does not": (lambda e: run_statement(e, "SELECT 1"), "SELECT 1", False),
    "a frame": (lambda e: query_df(e, select(FACTS.c.event_id)), "SELECT", True),
    "rows counted": (lambda e: count_rows(FACTS, FACTS.c.event_id != "", e), "SELECT count(*)", True),
    "a table looked for": (lambda e: has_table(e, "etl_runs"), "SELECT count()", True),
    "a table made where there is none": (lambda e: create_table(e, FACTS), "CREATE TABLE IF NOT EXISTS", True),
    "a staging table made": (lambda e: create_staging(FACTS, "x", e), 'CREATE TABLE "patrol_events__', False),
    "a staging table dropped": (lambda e: drop_staging(FACTS, e), "DROP TABLE IF EXISTS", True),
    "a report noted, where the newest row counts": (
        lambda e: attach_report("x", "x.ipynb", e),
        "INSERT INTO etl_runs",
        True,
    ),
    "parts counted before a merge": (
        lambda e: merge_to_one_part(FACTS, "202611", e),
        "SELECT partition_id, count()",
        True,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_only_what_leaves_the_same_when_done_twice_is_sent_again(
    hanging_up: tuple[Engine, list[str]], case: str
) -> None:
    run, start, again = CASES[case]
    engine, taken = hanging_up
    with pytest.raises(WarehouseUnreachable):
        run(engine)
    assert (len(taken) > 1) is again
    assert len(set(taken)) == 1
    assert taken[0].startswith(start)


@pytest.mark.parametrize("statement", ["CREATE TABLE typed (n UInt8) ENGINE = Memory", "INSERT INTO kept SELECT 2"])
def test_a_statement_that_would_write_is_refused_as_a_frame_so_that_sending_it_again_does_nothing(
    warehouse: Engine, statement: str
) -> None:
    run_statement(warehouse, "CREATE TABLE kept (n UInt8) ENGINE = Memory")
    run_statement(warehouse, "INSERT INTO kept SELECT 1")
    with pytest.raises(ConfigurationError, match="expected one SELECT"):
        query_df(warehouse, statement)
    assert list(query_df(warehouse, "SELECT n FROM kept")["n"]) == [1]
    assert not has_table(warehouse, "typed")
