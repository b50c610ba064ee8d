"""Which hosts are this machine's own, and what of the environment counts for them."""

from __future__ import annotations

import os
import threading

import pytest
from loopback_server import LoopbackServer

from sentinel_etl.errors import AuditFailed
from sentinel_etl.loopback import is_loopback, libpq_variables, proxy_variable, without_libpq_variables
from sentinel_etl.notebook.notify import post_verdict

NOBODY = "http://127.0.0.1:1"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "localhost", "LOCALHOST.", "::1", "[::1]", "a.localhost"])
def test_a_host_on_the_loopback_is_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", [None, "", "db.example", "10.0.0.1", "localhost.example", "127.0.0.1.example", "::2"])
def test_any_other_host_is_not_on_the_loopback(host: str | None) -> None:
    assert not is_loopback(host)


def test_several_hosts_are_on_the_loopback_where_each_is() -> None:
    assert is_loopback("127.0.0.1,localhost")
    assert is_loopback(("127.0.0.1", "::1"))
    assert not is_loopback("127.0.0.1,db.example")


def test_variables_are_hidden_within_the_block_alone_also_where_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "require")
    monkeypatch.setenv("PGPASSFILE", "/somewhere/pgpass")
    seen: list[tuple[bool, bool]] = []

    def fail() -> None:
        with without_libpq_variables("127.0.0.1"):
            seen.append(("PGSSLMODE" in os.environ, "PGPASSFILE" in os.environ))
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - the one above
        fail()
    assert seen == [(False, True)]
    assert os.environ["PGSSLMODE"] == "require"


def test_a_connection_to_a_server_never_misses_what_is_hidden_for_the_loopback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    seen: list[str | None] = []
    hidden, done = threading.Event(), threading.Event()

    def hide() -> None:
        with without_libpq_variables("127.0.0.1"):
            hidden.set()
            done.wait(0.3)

    def connect() -> None:
        hidden.wait(5)
        with without_libpq_variables("db.example"):
            seen.append(os.environ.get("PGSSLMODE"))

    threads = [threading.Thread(target=work) for work in (hide, connect)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert seen == ["verify-full"]


def test_without_a_word_of_it_in_the_refusal_all_variables_that_count_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "standby")
    monkeypatch.setenv("PGPORT", "5433")
    monkeypatch.setenv("PGAPPNAME", "psql")
    assert libpq_variables("the server said no", {"port", "application_name"}) == ["PGTARGETSESSIONATTRS"]
    assert libpq_variables("port 5433 failed", {"application_name"}) == ["PGPORT"]


@pytest.mark.parametrize("name", ["http_proxy", "ALL_PROXY"])
def test_a_webhook_on_the_loopback_is_reached_without_a_proxy(
    name: str, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv(name, NOBODY)
    assert post_verdict(server.url, AuditFailed("keys doubled"), tries=1)


def test_the_variable_of_a_proxy_is_that_of_the_scheme_before_that_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ALL_PROXY", NOBODY)
    assert proxy_variable("https://ch.example/") == "ALL_PROXY"
    monkeypatch.setenv("http_proxy", NOBODY)
    assert proxy_variable("http://ch.example/") == "http_proxy"
    assert proxy_variable("http://localhost:8123/") is None
    monkeypatch.setenv("no_proxy", "ch.example")
    assert proxy_variable("http://ch.example/") is None
