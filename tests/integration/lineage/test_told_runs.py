"""What a collector of lineage gets of real runs: their start, their end, and nothing that is secret or personal."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import pytest
from click.testing import CliRunner
from given_servers import passwords_of
from loopback_server import LoopbackServer
from nbformat.v4 import new_code_cell, new_notebook
from pydantic import SecretStr
from sqlalchemy import text

from sentinel_etl.cli.main import cli
from sentinel_etl.databases import Databases
from sentinel_etl.errors import NotebookFailed, SourceUnreachable, WindowLocked
from sentinel_etl.ledger.states import RunState
from sentinel_etl.notebook.execute import run_notebook
from sentinel_etl.run.result import RunResult
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.source.locks import hold_locks
from sentinel_etl.window import Window

NIGHT = Window(datetime(2026, 11, 21, 0, 30, tzinfo=UTC), datetime(2026, 11, 22, 0, 30, tzinfo=UTC))
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


@pytest.fixture(autouse=True)
def no_collector_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("OPENLINEAGE"):
            monkeypatch.delenv(name)


@dataclass(frozen=True)
class Told:
    """A city whose runs are told to a collector."""

    databases: Databases
    settings: Settings
    server: LoopbackServer

    def run(self, **more: Any) -> RunResult:
        source, warehouse = self.databases.source, self.databases.warehouse
        return run_window(NIGHT, source=source, warehouse=warehouse, settings=self.settings, **more)

    @property
    def events(self) -> list[tuple[str, str]]:
        """Each event's kind, and what it says went wrong."""
        return [
            (event["eventType"], event["run"]["facets"].get("errorMessage", {}).get("message", ""))
            for event in self.server.documents
        ]


@pytest.fixture
def told(databases: Databases, settings: Settings, server: LoopbackServer) -> Told:
    # A machine that does much at once may take a while to answer.
    given = {"openlineage_url": SecretStr(server.url), "openlineage_seconds": 60}
    return Told(databases, settings.model_copy(update=given), server)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    ours = (record for record in caplog.records if record.name.startswith("sentinel_etl"))
    return [record.getMessage() for record in ours if record.levelno >= logging.WARNING]


def test_a_demo_night_is_told_at_its_start_and_its_end(
    told: Told, environment: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLINEAGE_URL", told.server.url)
    done = run_notebook(settings=environment)
    assert told.events == [("START", ""), ("COMPLETE", "")]
    start, end = told.server.documents
    assert start["run"]["runId"] == end["run"]["runId"]
    assert {tag["key"]: tag["value"] for tag in end["run"]["facets"]["tags"]["tags"]}["run_id"] == done.run_id
    source, warehouse = told.databases.source.url, told.databases.warehouse.url
    assert {table["namespace"] for table in end["inputs"]} == {f"postgres://{source.host}:{source.port}"}
    assert f"{source.database}.public.patrols" in [table["name"] for table in end["inputs"]]
    [output] = end["outputs"]
    assert (output["namespace"], output["name"]) == (
        f"clickhouse://{warehouse.host}:{warehouse.port}",
        f"{warehouse.database}.patrol_events",
    )
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == done.record["published_rows"] > 0
    told_checks = {each["name"]: each["success"] for each in output["facets"]["dataQualityAssertions"]["assertions"]}
    assert told_checks == {check["name"]: check["passed"] for check in done.record["checks"]}
    assert "latitude" in output["facets"]["columnLineage"]["fields"]


def test_a_failed_audit_is_told_as_a_failure_with_its_checks(told: Told) -> None:
    told.run()
    with told.databases.source.begin() as connection:
        connection.execute(text("DELETE FROM geofence_logs"))
        connection.execute(text("DELETE FROM patrol_logs"))
        connection.execute(text("DELETE FROM remarks"))
    result = told.run()
    assert result.verdict is RunState.NOT_PUBLISHED
    assert [kind for kind, _ in told.events] == ["START", "COMPLETE", "START", "FAIL"]
    assert told.events[-1][1] == result.cause
    [output] = told.server.documents[-1]["outputs"]
    assert output["outputFacets"] == {}
    failed = [each for each in output["facets"]["dataQualityAssertions"]["assertions"] if not each["success"]]
    assert "error" in {each["severity"] for each in failed}


def test_an_error_of_ours_is_told_in_its_words(told: Told) -> None:
    settings = told.settings.model_copy(update={"lock_wait_seconds": 0})
    with (
        hold_locks(told.databases.source, ["patrol_events partition 202611"], "somebody else", 0),
        pytest.raises(WindowLocked) as raised,
    ):
        Told(told.databases, settings, told.server).run()
    assert told.events == [("START", ""), ("FAIL", str(raised.value))]


def test_any_other_error_is_told_by_its_class_alone(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("Mr Li, 12 Main Street")

    monkeypatch.setattr("sentinel_etl.run.run_window.fill_staging", fail)
    with pytest.raises(KeyError):
        told.run()
    assert told.events == [("START", ""), ("FAIL", "KeyError")]


def test_a_dry_run_is_not_told_because_it_moves_nothing(told: Told) -> None:
    told.run(dry_run=True)
    assert told.events == []


def test_no_event_holds_a_password_or_what_anybody_said(told: Told) -> None:
    told.run()
    with told.databases.source.connect() as connection:
        asked = "SELECT name FROM stranger_encounters UNION SELECT remark_text FROM remarks"
        said = [row[0] for row in connection.execute(text(asked)) if row[0] and len(row[0]) > 8]
    events = json.dumps(told.server.documents, ensure_ascii=False)
    secrets = passwords_of(told.databases.source, told.databases.warehouse)
    assert len(said) > 10
    assert [value for value in (*said, *secrets) if value in events] == []


def test_a_collector_that_is_away_or_slow_leaves_the_night_as_it_is_and_is_a_warning(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    told.server.seconds = 600
    settings = told.settings.model_copy(update={"openlineage_seconds": 0.5})
    started = time.monotonic()
    result = Told(told.databases, settings, told.server).run()
    assert time.monotonic() - started < 300  # the collector takes twice that
    assert result.verdict is RunState.PUBLISHED
    assert warnings(caplog) == ["the run's lineage was not sent to 127.0.0.1: no answer within 0.5 s"]
    told.server.stop()
    caplog.clear()
    assert told.run().published
    assert warnings(caplog) == ["the run's lineage was not sent to 127.0.0.1: no connection (ConnectionError)"]


def test_the_command_warns_of_a_collector_that_its_kernel_did_not_reach(
    environment: Settings, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server.stop()
    monkeypatch.setenv("SENTINEL_OPENLINEAGE_URL", server.url)
    done = CliRunner().invoke(cli, ["run", "--json"])
    assert (done.exit_code, json.loads(done.stdout)["state"]) == (0, "PUBLISHED")
    assert warnings(caplog) == ["the run's lineage was not sent to 127.0.0.1: no connection (ConnectionError)"]


@pytest.fixture
def notebook(environment: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Execute a notebook that takes a run id and has this cell."""

    def execute(cell: str) -> None:
        parameters = new_code_cell('run_id: str = ""', metadata={"tags": ["parameters"]})
        cells = [parameters, new_code_cell(cell)]
        nbformat.write(new_notebook(cells=cells, metadata=KERNEL), tmp_path / "mine.ipynb")
        run_notebook("mine", settings=environment.model_copy(update={"notebooks_dir": tmp_path}))

    return execute


def test_a_run_whose_kernel_dies_is_told_by_who_started_it(
    told: Told, notebook: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLINEAGE_URL", told.server.url)
    dying = "import os\nfrom sentinel_etl import choose_window, run_window\nimport sentinel_etl.run.run_window as run\n"
    dying += "def die(*_):\n    import time\n    time.sleep(5)\n    os._exit(1)\n"
    dying += "run.fill_staging = die\nrun_window(choose_window(), run_id=run_id)"
    with pytest.raises(NotebookFailed):
        notebook(dying)
    assert [kind for kind, _ in told.events] == ["START", "FAIL"]
    start, end = told.server.documents
    assert start["run"]["runId"] == end["run"]["runId"]
    assert "the kernel died" in told.events[1][1]


def test_a_run_that_never_began_is_told_as_a_failure(
    told: Told, notebook: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLINEAGE_URL", told.server.url)
    with pytest.raises(SourceUnreachable):
        notebook("from sentinel_etl.errors import SourceUnreachable\nraise SourceUnreachable('no answer')")
    assert told.events == [("FAIL", "no answer")]
