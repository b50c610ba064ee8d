"""What a backfill's group tells of its nights: at the terminal, in its report, in `runs show` and in the calendar."""

from __future__ import annotations

import os
import re
from pathlib import Path

import many_nights
import pytest
from click.testing import CliRunner, Result
from many_nights import AFTER, FAULTS, NIGHTS, ODD, PIPELINE, by_night, fill_nights, spoil
from sqlalchemy import Engine

from sentinel_etl.cli.main import cli
from sentinel_etl.databases import Databases
from sentinel_etl.errors import AuditFailed
from sentinel_etl.ledger.archive import Archive, read_archive
from sentinel_etl.ledger.nights import NightState, judge_nights
from sentinel_etl.settings import Settings

FROM_TO = ("--from", str(NIGHTS[0]), "--to", str(NIGHTS[-1]))


@pytest.fixture
def databases(source_engine: Engine, warehouse: Engine) -> Databases:
    fill_nights(source_engine)
    return Databases(source_engine, warehouse)


@pytest.fixture
def commands(environment: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("SENTINEL_PIPELINE", "many_nights:PIPELINE")
    monkeypatch.setenv("PYTHONPATH", str(Path(many_nights.__file__).parent))
    monkeypatch.setenv("SENTINEL_NOW", AFTER.isoformat())
    return environment


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


def states(databases: Databases, settings: Settings) -> dict[NightState, list[str]]:
    archive = Archive(settings, PIPELINE, databases.warehouse, databases.source)
    found: dict[NightState, list[str]] = {}
    for night in judge_nights(NIGHTS, read_archive(archive), PIPELINE.event_types, PIPELINE.zone):
        found.setdefault(night.state, []).append(str(night.shift_date))
    return found


def test_a_group_tells_of_one_night_what_that_night_alone_would_tell(databases: Databases, commands: Settings) -> None:
    spoil(databases.source, FAULTS["risk moved"])
    done = run("backfill", *FROM_TO)
    assert done.exception is None, done.output
    assert "PUBLISHED WITH WARNINGS" in done.output
    [page] = commands.runs_dir.glob("*/etl_nightly_*.html")
    if keep := os.environ.get("KEEP_PAGE"):
        Path(keep).write_text(page.read_text())
    html = page.read_text(encoding="utf-8")
    row = re.search(rf"<th[^>]*>{ODD}</th>(.*?)</tr>", html)
    assert "Night by night" in html
    assert row is not None
    assert re.findall(r"<td[^>]*>(.*?)</td>", row[1]) == [
        "320",
        "0",
        "30.00",
        "warn: risk is distributed as usual; warn: risk is distributed as usual at each station",
    ]
    shown = run("runs", "show").output
    lines = {line.split()[0]: line for line in shown.splitlines() if line.startswith("2026-")}
    assert list(lines) == [str(night) for night in NIGHTS]
    assert {night for night, line in lines.items() if not line.endswith(" ok")} == {str(ODD)}
    calendar = states(databases, commands)
    assert calendar[NightState.WARNED] == [str(ODD)]
    assert len(calendar[NightState.PUBLISHED]) == len(NIGHTS) - 1


def test_a_group_in_which_a_night_has_vanished_ends_with_exit_code_5_and_its_commands_load_the_rest(
    databases: Databases, commands: Settings
) -> None:
    assert run("backfill", *FROM_TO).exception is None
    was = by_night(databases)[1]
    spoil(databases.source, FAULTS["all events gone"])
    refused = run("backfill", *FROM_TO)
    assert isinstance(refused.exception, AuditFailed)
    assert refused.exception.exit_code == 5
    assert by_night(databases)[1] == was
    told = re.findall(r"`sentinel-etl ([^`]+)`", str(refused.exception))
    assert told == [
        f"backfill --from {ODD} --to {ODD} --allow-shrink",
        f"backfill --from {NIGHTS[0]} --to {NIGHTS[9]}",
        f"backfill --from {NIGHTS[11]} --to {NIGHTS[-1]}",
    ]
    for command in told:
        assert run(*command.split()).exception is None
    source, facts = by_night(databases)
    assert facts == source
    assert states(databases, commands)[NightState.WARNED] == [str(ODD)]
