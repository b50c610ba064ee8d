"""Connections that are refused, reset, silent or slow, at each phase: an end in time, and nothing half done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from adversity.bench import LAST, Bench, sum_states
from adversity.child import POINTS
from adversity.oracle import State
from adversity.proxy import Mode, Proxy
from sentinel_etl.errors import SentinelError, SourceUnreachable, WarehouseUnreachable
from sentinel_etl.source.connection import connect_source, open_source
from sentinel_etl.source.snapshot import open_snapshot
from sentinel_etl.warehouse.engine import open_warehouse
from sentinel_etl.warehouse.query import open_arrow_client, query_df, run_statement
from sentinel_etl.window import Window

NIGHT = Window.night(LAST)
# One second for an answer; libpq takes no less than two for a connection.
IMPATIENT = {"statement_timeout_seconds": 1, "connect_timeout_seconds": 2}


@pytest.fixture(scope="module")
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()


@pytest.fixture
def proxies(bench: Bench) -> Iterator[dict[str, Proxy]]:
    """A proxy before each database, and a fact table that is empty."""
    run_statement(bench.warehouse, "DROP TABLE IF EXISTS patrol_events SYNC")
    with ExitStack() as stack:
        source = Proxy(bench.source.url.render_as_string(hide_password=False))
        warehouse = Proxy(bench.warehouse_url)
        yield {"source": stack.enter_context(source), "warehouse": stack.enter_context(warehouse)}


def start(bench: Bench, proxies: dict[str, Proxy], point: str = "", **settings: Any) -> Any:
    urls = {"source_url": proxies["source"].url, "warehouse_url": proxies["warehouse"].url}
    return bench.start(NIGHT, point, **urls, settings=settings)


def assert_whole_after_the_next_run(bench: Bench) -> None:
    then = sum_states(bench.expected([LAST]))
    assert bench.state() in (State(), then)
    assert bench.run(NIGHT).published
    assert bench.state() == then
    assert [name for name in bench.left_over() if "staging" in name] == []


CUTS: list[tuple[str, Mode, str, int, str]] = [
    ("source", "reset", "amid extraction", 3, "broke off while rows were read"),
    ("source", "silent", "amid extraction", 3, "no answer within"),
    ("source", "silent", "audit passed", 3, "expected to hold the window's locks"),
    ("warehouse", "reset", "amid load", 4, "expected ClickHouse at"),
    ("warehouse", "refuse", "rows staged", 4, "Connection refused"),
    ("warehouse", "silent", "switch ready", 4, "timed out"),
    ("warehouse", "reset", "switch done", 4, "expected ClickHouse at"),
]


@pytest.mark.parametrize(("database", "mode", "point", "code", "sentence"), CUTS, ids=[" ".join(c[:3]) for c in CUTS])
def test_a_connection_cut_in_a_run_ends_in_the_documented_exit_code(
    bench: Bench, proxies: dict[str, Proxy], database: str, mode: Mode, point: str, code: int, sentence: str
) -> None:
    assert point in POINTS
    run = start(bench, proxies, point, **IMPATIENT)
    run.wait_for("stopped")
    proxies[database].set(mode)
    run.go_on()
    cut = time.monotonic()
    how, more = run.end()
    assert time.monotonic() - cut < 40
    assert (how, more[1]) == ("failed", code), more
    assert sentence in more[2]
    proxies[database].set("pass")
    assert_whole_after_the_next_run(bench)


@pytest.mark.parametrize("database", ["source", "warehouse"])
def test_what_may_be_repeated_outlasts_a_short_outage(bench: Bench, proxies: dict[str, Proxy], database: str) -> None:
    run = start(bench, proxies, "rows staged", retry_seconds=20)
    run.wait_for("stopped")
    # Of the source only new connections fail: a run whose locks are gone must not go on.
    if database == "source":
        proxies[database].stop_listening()
    else:
        proxies[database].set("refuse")
    threading.Timer(1.5, proxies[database].listen).start()
    run.go_on()
    assert run.end() == ("done", "PUBLISHED")
    assert bench.state() == sum_states(bench.expected([LAST]))


@pytest.mark.parametrize("database", ["source", "warehouse"])
def test_a_run_waits_for_a_database_that_is_only_just_starting(
    bench: Bench, proxies: dict[str, Proxy], database: str
) -> None:
    proxies[database].set("refuse")
    threading.Timer(1.5, proxies[database].set, ["pass"]).start()
    run = start(bench, proxies, retry_seconds=20)
    assert run.end() == ("done", "PUBLISHED")


def test_slow_connections_move_the_same_rows(bench: Bench, proxies: dict[str, Proxy]) -> None:
    for proxy in proxies.values():
        proxy.set("slow")
    assert start(bench, proxies).end() == ("done", "PUBLISHED")
    assert bench.state() == sum_states(bench.expected([LAST]))


@pytest.fixture
def silent_source(bench: Bench) -> Iterator[Proxy]:
    with Proxy(bench.source.url.render_as_string(hide_password=False)) as proxy:
        yield proxy


@pytest.fixture
def silent_warehouse(bench: Bench) -> Iterator[Proxy]:
    with Proxy(bench.warehouse_url) as proxy:
        yield proxy


def ask_source(engine: Engine) -> None:
    with connect_source(engine) as connection:
        connection.execute(text("SELECT 1"))


def snapshot_source(engine: Engine) -> None:
    with open_snapshot(engine, statement_timeout_seconds=1):
        pass


def ask_by_arrow(engine: Engine) -> None:
    with open_arrow_client(engine) as client:
        client.command("SELECT 1")


CLIENTS: dict[str, tuple[str, Callable[[Engine], Any]]] = {
    "psycopg": ("source", ask_source),
    "ADBC": ("source", snapshot_source),
    "clickhouse-sqlalchemy": ("warehouse", lambda engine: run_statement(engine, "SELECT 1")),
    "clickhouse-connect": ("warehouse", ask_by_arrow),
    "frames": ("warehouse", lambda engine: query_df(engine, "SELECT 1")),
}


@pytest.mark.filterwarnings("ignore:.*not explicitly closed:ResourceWarning")
@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_gives_up_on_a_silent_database(silent_source: Proxy, silent_warehouse: Proxy, client: str) -> None:
    database, ask = CLIENTS[client]
    proxy, error = silent_warehouse, WarehouseUnreachable
    if database == "source":
        proxy, error = silent_source, SourceUnreachable
        engine = open_source(proxy.url, 2, answer_seconds=1)
    else:
        engine = open_warehouse(proxy.url, 2, answer_seconds=1)
    ask(engine)
    proxy.set("silent")
    started = time.monotonic()
    with pytest.raises(error):
        ask(engine)
    assert time.monotonic() - started < 20
    engine.dispose()


@pytest.mark.parametrize("protocol", ["clickhouse+http", "clickhouse+native", "postgresql+psycopg"])
def test_nobody_waits_for_ever_for_a_server_that_takes_connections_and_says_nothing(
    silent_source: Proxy, protocol: str
) -> None:
    silent_source.set("silent")
    url = f"{protocol}://officer:word@127.0.0.1:{silent_source.port}/city"
    started = time.monotonic()
    open_database = open_source if protocol.startswith("postgresql") else open_warehouse
    with pytest.raises(SentinelError) as caught:
        open_database(url, 2, answer_seconds=1)
    assert caught.value.exit_code in (3, 4)
    assert time.monotonic() - started < 20


def test_a_refused_login_is_not_tried_again(bench: Bench) -> None:
    wrong = bench.source.url.set(password="wrong")
    started = time.monotonic()
    with pytest.raises(SourceUnreachable, match="password authentication failed"):
        open_source(wrong.render_as_string(hide_password=False), retry_seconds=30)
    wrong = create_engine(bench.warehouse_url).url.set(password="wrong")
    with pytest.raises(WarehouseUnreachable, match="is refused"):
        open_warehouse(wrong.render_as_string(hide_password=False), retry_seconds=30)
    assert time.monotonic() - started < 10
