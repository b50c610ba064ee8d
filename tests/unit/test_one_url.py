"""One database named without the other: an error where both are opened, and nothing is started or read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sentinel_etl.cli.main import main
from sentinel_etl.databases import open_databases, opened_source, opened_warehouse
from sentinel_etl.errors import ConfigurationError, SentinelError
from sentinel_etl.origin import LOCAL
from sentinel_etl.settings import load_settings
from sentinel_etl.source.connection import open_source
from sentinel_etl.warehouse.engine import open_warehouse

# Of a port where nothing answers, so that what is opened all the same fails with another error.
SOURCE = "postgresql://reader:hunter2@127.0.0.1:1/patrols"
WAREHOUSE = "clickhouse+http://etl:hunter2@127.0.0.1:1/sentinel"
ONE = {
    "SENTINEL_SOURCE_URL": (SOURCE, "SENTINEL_WAREHOUSE_URL"),
    "SENTINEL_WAREHOUSE_URL": (WAREHOUSE, "SENTINEL_SOURCE_URL"),
    "SENTINEL_SOURCE_REPLICA_URL": (SOURCE, "SENTINEL_SOURCE_URL"),
}


@pytest.fixture(autouse=True)
def ask_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_RETRY_SECONDS", "0")


@pytest.mark.parametrize("given", ONE)
@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["check"],
        ["reconcile"],
        ["backfill", "--from", "2026-11-20", "--to", "2026-11-21"],
        ["undo"],
        ["diff"],
        ["schema", "diff"],
        ["schema", "apply"],
    ],
    ids=" ".join,
)
def test_a_command_that_opens_both_databases_wants_both_urls(
    command: list[str],
    given: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    url, missing = ONE[given]
    monkeypatch.setenv(given, url)
    monkeypatch.setattr(sys, "argv", ["sentinel-etl", *command])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(
        f"sentinel-etl: settings: expected {missing} beside {given}, found none. "
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "opened"), [("SENTINEL_SOURCE_URL", opened_warehouse), ("SENTINEL_WAREHOUSE_URL", opened_source)]
)
def test_a_database_that_is_not_named_is_not_the_local_stack_s(
    given: str, opened: type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(given, ONE[given][0])
    with pytest.raises(ConfigurationError, match=f"expected {ONE[given][1]} beside {given}"), opened(load_settings()):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["query", "SELECT 1"], ["runs", "list"]], ids=" ".join)
def test_an_analyst_needs_the_warehouse_s_url_alone(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("SENTINEL_WAREHOUSE_URL", WAREHOUSE)
    monkeypatch.setattr(sys, "argv", ["sentinel-etl", *command])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 4  # it has asked the warehouse that is named
    assert "127.0.0.1:1" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_empty_url_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_SOURCE_URL", "")
    monkeypatch.setenv("SENTINEL_WAREHOUSE_URL", WAREHOUSE)
    with pytest.raises(SentinelError, match="expected SENTINEL_SOURCE_URL beside SENTINEL_WAREHOUSE_URL"):
        open_databases()


def test_an_error_names_the_setting_that_the_url_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_SOURCE_URL", SOURCE)
    monkeypatch.setenv("SENTINEL_WAREHOUSE_URL", WAREHOUSE)
    monkeypatch.setenv("SENTINEL_SOURCE_REPLICA_URL", SOURCE)
    with pytest.raises(SentinelError, match="and that SENTINEL_SOURCE_REPLICA_URL is right"):
        open_databases()


def test_an_error_of_the_local_stack_names_no_setting_that_nobody_has_set() -> None:
    for fail in (lambda: open_source(SOURCE, 1, LOCAL), lambda: open_warehouse(WAREHOUSE, 1, setting=LOCAL)):
        with pytest.raises(SentinelError, match="`sentinel-etl local status` tells whether it runs") as refused:
            fail()
        assert "SENTINEL_" not in str(refused.value)
