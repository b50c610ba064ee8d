"""What the environment says for other databases: nothing on the loopback, and named where a server is not reached."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest
from sqlalchemy import make_url

from sentinel_etl.city import City, create_source_tables, load_city
from sentinel_etl.errors import ConfigurationError, SentinelError, SourceUnreachable, WarehouseUnreachable
from sentinel_etl.local.credentials import POSTGRESQL, Login
from sentinel_etl.local.processes import RunningService
from sentinel_etl.local.stack import LocalStack
from sentinel_etl.local.status import describe_service
from sentinel_etl.source.connection import open_source
from sentinel_etl.source.snapshot import open_snapshot
from sentinel_etl.warehouse.engine import open_warehouse
from sentinel_etl.warehouse.query import query_df

NETWORK = "192.0.2.1"  # of documentation, RFC 5737; needs no name server

# Each by itself ends a connection to the local PostgreSQL, or takes it to another server.
OF_LIBPQ = {
    "PGSSLMODE": "require",
    "PGSSLNEGOTIATION": "direct",
    "PGSERVICE": "warehouse_team",
    "PGSERVICEFILE": "/nowhere/services",
    "PGHOSTADDR": NETWORK,
    "PGHOST": NETWORK,
    "PGPORT": "1",
    "PGREQUIREAUTH": "none",
    "PGCHANNELBINDING": "require",
    "PGTARGETSESSIONATTRS": "standby",
    "PGLOADBALANCEHOSTS": "nonsense",
    "PGMINPROTOCOLVERSION": "9.9",
    "PGSSLMINPROTOCOLVERSION": "TLSv9",
    "PGTZ": "Mars/Base",
    "PGDATESTYLE": "nonsense",
    "PGGEQO": "nonsense",
    "PGOPTIONS": "-c no_such_setting=1",
    "PGCLIENTENCODING": "nonsense",
    "PGCONNECT_TIMEOUT": "nonsense",
}
NOBODY = "127.0.0.1:1"  # a port where nothing answers
PROXIES = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*OF_LIBPQ, *PROXIES, "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", OF_LIBPQ)
def test_the_local_postgresql_is_reached_whatever_the_environment_says_of_others(
    name: str, stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, OF_LIBPQ[name])
    source = open_source(stack.source_url, 2)
    with open_snapshot(source) as snapshot:
        assert snapshot.answer_seconds > 0
    source.dispose()
    assert os.environ[name] == OF_LIBPQ[name]


def test_the_local_postgresql_is_reached_with_everything_set_at_once(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in OF_LIBPQ.items():
        monkeypatch.setenv(name, value)
    source = open_source(stack.source_url, 2)
    create_source_tables(source)
    load_city(source, City())
    source.dispose()
    assert {name: os.environ.get(name) for name in OF_LIBPQ} == OF_LIBPQ


def test_the_stack_s_status_tells_the_version_whatever_the_environment_says_of_others(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = make_url(stack.source_url)
    monkeypatch.setenv("PGSSLMODE", "require")
    me = psutil.Process()  # any that is alive: only the server is asked
    login = Login(int(url.port or 0), str(url.password))
    told = describe_service(POSTGRESQL, RunningService(me, login.port, ready=True), login, tmp_path)
    assert str(told.version).startswith("18")


@pytest.mark.parametrize("proxy", [f"http://{NOBODY}", f"socks5://{NOBODY}", "nonsense"])
@pytest.mark.parametrize("name", PROXIES)
def test_the_local_clickhouse_is_reached_without_a_proxy(
    name: str, proxy: str, stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, proxy)
    warehouse = open_warehouse(stack.warehouse_url, 2)
    assert query_df(warehouse, "SELECT 1 AS one")["one"].to_list() == [1]
    warehouse.dispose()


def refused_source(stack: LocalStack, error: type[SentinelError], host: str = "db.example") -> str:
    """The words for a server that is not on the loopback by its host, on the local server's port."""
    url = make_url(stack.source_url).set(host=host).render_as_string(hide_password=False)
    with pytest.raises(error) as refused:
        open_source(url, 2)
    return str(refused.value)


def test_a_server_s_error_names_the_variable_that_it_is_about(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSERVICE", "warehouse_team")
    monkeypatch.setenv("PGAPPNAME", "psql")
    assert "The environment has PGSERVICE, too" in refused_source(stack, ConfigurationError, NETWORK)


def test_a_server_s_error_names_the_variable_with_a_value_that_libpq_cannot_use(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLMODE", "requre")
    assert "The environment has PGSSLMODE, too" in refused_source(stack, ConfigurationError, NETWORK)


def test_a_server_s_error_names_the_variables_that_sent_it_elsewhere(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
    monkeypatch.setenv("PGSSLMODE", "require")
    monkeypatch.setenv("PGTZ", "UTC")
    assert "The environment has PGHOSTADDR and PGSSLMODE, too" in refused_source(stack, SourceUnreachable)


def test_what_the_url_says_itself_is_not_laid_on_the_environment(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGDATABASE", "none")
    assert "The environment" not in refused_source(stack, SourceUnreachable)


@pytest.mark.parametrize("name", PROXIES)
def test_a_warehouse_s_error_names_the_variable_of_the_proxy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, f"http://robot:hunter2@{NOBODY}")
    with pytest.raises(WarehouseUnreachable) as refused:
        open_warehouse("clickhouse+http://etl:secret@ch.example:8123/sentinel", 2)
    assert f"In the environment {name} sends it through a proxy" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_warehouse_that_no_proxy_names_is_not_laid_on_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://{NOBODY}")
    monkeypatch.setenv("no_proxy", "ch.invalid")
    with pytest.raises(WarehouseUnreachable) as refused:
        open_warehouse("clickhouse+http://etl:secret@ch.invalid:8123/sentinel", 2)
    assert "proxy" not in str(refused.value)
