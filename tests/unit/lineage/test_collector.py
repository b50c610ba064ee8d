"""Sending to a collector of lineage: which one, for how long at most, and what is said where it does not go."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from loopback_server import LoopbackServer
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from pydantic import SecretStr

from sentinel_etl.errors import ConfigurationError
from sentinel_etl.lineage.collector import describe, open_collector
from sentinel_etl.settings import Settings, load_settings

UUID = "01941f29-7c00-7087-8906-40e512c257bd"


@pytest.fixture(autouse=True)
def no_collector_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("OPENLINEAGE"):
            monkeypatch.delenv(name)


def make() -> RunEvent:
    return RunEvent(
        eventType=RunState.START, eventTime="2026-11-22T00:40:00Z", run=Run(UUID), job=Job("sentinel-etl", "load.x")
    )


def send(settings: Settings, *makers: Callable[[], object]) -> None:
    collector = open_collector(settings)
    assert collector is not None
    for each in makers or (make,):
        collector.send(each)
    collector.finish()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_settings_collector_gets_the_event_with_its_key(
    server: LoopbackServer, caplog: pytest.LogCaptureFixture
) -> None:
    send(Settings(openlineage_url=SecretStr(server.url), openlineage_api_key=SecretStr("k3y")), make, make)
    assert [path for path, _ in server.posted] == ["/api/v1/lineage"] * 2
    assert [document["run"]["runId"] for document in server.documents] == [UUID, UUID]
    assert server.headers[0]["Authorization"] == "Bearer k3y"
    assert warnings(caplog) == []


def test_openlineages_own_variables_name_one(server: LoopbackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_URL", server.url)
    monkeypatch.setenv("OPENLINEAGE_ENDPOINT", "events")
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "k3y")
    send(Settings())
    assert [path for path, _ in server.posted] == ["/events"]
    assert not [name for name in os.environ if name.startswith("OPENLINEAGE__")]
    assert server.headers[0]["Authorization"] == "Bearer k3y"


def test_a_transport_of_openlineages_own_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "file")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__LOG_FILE_PATH", str(tmp_path / "events"))
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__APPEND", "true")
    send(Settings())
    assert json.loads((tmp_path / "events").read_text("utf-8"))["run"]["runId"] == UUID


@pytest.mark.parametrize("name", [None, "OPENLINEAGE_DISABLED"])
def test_where_none_is_named_or_it_is_switched_off_there_is_no_collector(
    name: str | None, monkeypatch: pytest.MonkeyPatch, server: LoopbackServer
) -> None:
    if name:
        monkeypatch.setenv("OPENLINEAGE_URL", server.url)
        monkeypatch.setenv(name, "true")
    assert open_collector(Settings()) is None


def test_nothing_of_openlineage_is_imported_where_no_collector_is_named() -> None:
    program = (
        "import sys, sentinel_etl, sentinel_etl.cli.main, sentinel_etl.notebook.execute; "
        "from sentinel_etl.lineage.collector import open_collector; from sentinel_etl.settings import Settings; "
        "print(open_collector(Settings()), [name for name in sys.modules if name.startswith('openlineage')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "None []\n"


@pytest.mark.parametrize("before_the_host", ["", "user:hunter2@"], ids=["no user", "a user"])
@pytest.mark.parametrize(
    ("statuses", "posts", "problem"),
    [
        pytest.param([503, 201], 2, "", id="up again"),
        pytest.param([500, 503], 2, "status 503", id="down"),
        pytest.param([401], 1, "status 401", id="refused: not tried again"),
        pytest.param([302], 1, "TooManyRedirects", id="elsewhere: not followed"),
    ],
)
def test_an_event_is_sent_again_only_where_that_can_help(
    server: LoopbackServer,
    caplog: pytest.LogCaptureFixture,
    before_the_host: str,
    statuses: list[int],
    posts: int,
    problem: str,
) -> None:
    server.statuses = list(statuses)
    send(Settings(openlineage_url=SecretStr(f"http://{before_the_host}{server.host}/T0P-S3CRET?token=abc")))
    assert len(server.posted) == posts
    assert warnings(caplog) == ([f"the run's lineage was not sent to 127.0.0.1: {problem}"] if problem else [])


def test_a_collector_that_is_away_is_one_warning_without_the_secret_in_its_url(
    server: LoopbackServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    server.stop()
    settings = Settings(openlineage_url=SecretStr(f"http://user:hunter2@{server.host}/T0P-S3CRET"))
    send(settings, make, make)
    assert warnings(caplog) == ["the run's lineage was not sent to 127.0.0.1: no connection (ConnectionError)"]
    shown = capfd.readouterr()
    assert not any(word in caplog.text + shown.out + shown.err + repr(settings) for word in ("hunter2", "S3CRET"))


def test_a_collector_that_does_not_answer_is_waited_for_no_longer_than_the_setting_says(
    server: LoopbackServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.seconds = 30
    started = time.monotonic()
    send(Settings(openlineage_url=SecretStr(server.url), openlineage_seconds=0.5), make, make)
    assert time.monotonic() - started < 15
    assert warnings(caplog) == ["the run's lineage was not sent to 127.0.0.1: no answer within 0.5 s"]


def test_an_answer_that_is_late_is_not_asked_for_again(server: LoopbackServer) -> None:
    server.seconds = 30
    collector = open_collector(Settings(openlineage_url=SecretStr(server.url), openlineage_seconds=0.5))
    assert collector is not None
    with pytest.raises(requests.Timeout) as raised:
        collector.make_and_send(make)
    assert len(server.posted) == 1
    assert describe(raised.value, 0.5) == "no answer within 0.5 s"


def test_an_event_that_cannot_be_made_is_a_warning(server: LoopbackServer, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> object:
        raise KeyError("Mr Li")

    send(Settings(openlineage_url=SecretStr(server.url)), broken, make)
    assert warnings(caplog) == ["the run's lineage was not sent to 127.0.0.1: KeyError"]
    assert len(server.posted) == 1


def test_a_package_that_is_not_installed_is_told_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "openlineage.client", None)
    send(Settings(openlineage_url=SecretStr("https://lineage.example.org")))
    assert warnings(caplog) == [
        "the run's lineage was not sent to lineage.example.org: openlineage-python is not installed; install "
        "sentinel-warehouse-etl[openlineage]"
    ]


@pytest.mark.parametrize(
    "url", ["lineage.example.org/T0P-S3CRET", "ftp://T0P-S3CRET", "http://", "https:///T0P-S3CRET"]
)
def test_a_setting_that_is_no_url_is_refused_without_being_shown(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_OPENLINEAGE_URL", url)
    with pytest.raises(
        ConfigurationError, match=r"SENTINEL_OPENLINEAGE_URL: .*expected a URL such as https://"
    ) as refused:
        load_settings()
    assert "S3CRET" not in str(refused.value)
