"""A run made again: to the same hash, or with what made it another one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from sentinel_etl.cli.main import cli
from sentinel_etl.context import Context
from sentinel_etl.databases import Databases
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.ledger.ledger import RunRecord, read_runs, record_run, runs_of
from sentinel_etl.operations.replay import replay_run
from sentinel_etl.pipeline import SENTINEL, load_pipeline
from sentinel_etl.run.kept_extract import extract_folder
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

NIGHT = Window.night(date(2026, 11, 21))
IN_NIGHT = f"created_at >= '{NIGHT.start}' AND created_at < '{NIGHT.end}'"
FIRST_REMARK = f"(SELECT min(remark_id) FROM remarks WHERE {IN_NIGHT})"
EDIT = f"UPDATE remarks SET remark_text = 'edited' WHERE remark_id = {FIRST_REMARK}"
KEY = SecretStr("k" * 32)


@pytest.fixture
def make_context(databases: Databases, settings: Settings) -> Callable[..., Context]:
    def make(**changed: Any) -> Context:
        own = settings.model_copy(update=changed)
        return Context(own, load_pipeline(own), databases)

    return make


def load(context: Context, **options: Any) -> str:
    result = run_window(NIGHT, context=context, **options)
    assert result.content
    return result.run_id


def edit(context: Context) -> None:
    with context.source.begin() as connection:
        assert connection.exec_driver_sql(EDIT).rowcount == 1


def note(context: Context, run_id: str, **changed: Any) -> None:
    """Write a run's row as one of another version would have."""
    [run] = [run for run in read_runs(context.warehouse, runs_of(SENTINEL.fact_table)) if run["run_id"] == run_id]
    fields = {name: run[name] for name in RunRecord.__dataclass_fields__ if name in run}
    record = RunRecord(**fields | {"window": Window(run["window_start"], run["window_end"])})
    record_run(replace(record, **changed), context.warehouse)


def other_weights(context: Context) -> Context:
    weights = {**SENTINEL.risk_weights, "event_type": {**SENTINEL.risk_weights["event_type"], "REMARK": 3.0}}
    return replace(context, pipeline=replace(context.pipeline, risk_weights=weights))


@pytest.mark.parametrize("kept", [False, True], ids=["without an extract", "with its extract"])
@pytest.mark.parametrize("pii", ["keep", "drop", "hash"])
def test_a_night_is_replayed_to_the_same_hash(make_context: Callable[..., Context], kept: bool, pii: str) -> None:
    context = make_context(keep_extract=kept, pii=pii, pii_key=KEY)
    run_id = load(context)
    found = replay_run(context, run_id)
    assert found.is_same
    assert found.from_extract == (found.kept if kept else None)
    assert (found.causes, found.rules, found.code, found.changes) == ((), (), (), None)
    assert f"the same hash, {found.kept}: {found.rows:,} rows" in str(found)
    tables = run_statement(context.warehouse, "SHOW TABLES LIKE '%staging%'")
    assert tables == []


@pytest.mark.parametrize("kept", [False, True], ids=["without an extract", "with its extract"])
def test_an_edited_row_is_told_as_the_source_s(make_context: Callable[..., Context], kept: bool) -> None:
    context = make_context(keep_extract=kept)
    run_id = load(context)
    edit(context)
    found = replay_run(context, run_id)
    assert found.causes == ("source",)
    assert found.from_extract == (found.kept if kept else None)
    assert found.changes is not None
    assert found.changes.totals["changed"] == 1
    assert "source         differs from what the run read: rows: 0 added, 0 removed, 1 changed" in str(found)


def test_an_edited_weight_is_told_as_the_configuration_s_and_the_run_s_own_is_used(
    make_context: Callable[..., Context],
) -> None:
    context = make_context()
    run_id = load(context)
    found = replay_run(other_weights(context), run_id)
    assert found.is_same
    assert "configuration  today's differs from the run's, under which the rows were made again: " in str(found)
    assert [str(change) for change in found.rules] == ["risk weight event_type=REMARK 1 → 3"]


def test_another_version_of_the_code_is_named(make_context: Callable[..., Context]) -> None:
    context = make_context()
    run_id = load(context)
    [run] = read_runs(context.warehouse)
    note(context, run_id, versions={**run["versions"], "sentinel-etl": "0.0.9 (0123456789ab)"})
    found = replay_run(context, run_id)
    assert found.is_same
    [(name, then, _)] = found.code
    assert (name, then) == ("sentinel-etl", "0.0.9 (0123456789ab)")
    assert "code           differs: sentinel-etl 0.0.9 (0123456789ab) → " in str(found)


@pytest.mark.parametrize(
    ("kept", "edited", "causes"),
    [
        (True, False, ("code",)),
        (True, True, ("source", "code")),
        (False, True, ("source or code",)),
    ],
)
def test_what_another_code_made_of_the_rows_is_told_apart_by_the_kept_extract(
    make_context: Callable[..., Context], kept: bool, edited: bool, causes: tuple[str, ...]
) -> None:
    context = make_context(keep_extract=kept)
    run_id = load(context)
    note(context, run_id, content="f" * 16, versions={"sentinel-etl": "0.0.9"})
    if edited:
        edit(context)
    assert replay_run(context, run_id).causes == causes


def test_a_run_of_some_types_and_an_odd_window_is_replayed_whatever_came_after(
    make_context: Callable[..., Context],
) -> None:
    context = make_context()
    window = Window(NIGHT.start, NIGHT.start.replace(hour=9, minute=17))
    run_id = run_window(window, context=context, event_types=["REMARK", "GEOFENCE"]).run_id
    load(other_weights(context))
    found = replay_run(context, run_id)
    assert found.is_same
    assert found.rows > 0


def test_an_extract_holds_no_personal_data_that_the_policy_keeps_out(make_context: Callable[..., Context]) -> None:
    context = make_context(keep_extract=True, pii="hash", pii_key=KEY)
    with context.source.begin() as connection:
        connection.exec_driver_sql("UPDATE remarks SET remark_text = 'Zerubbabel'")
        connection.exec_driver_sql("UPDATE stranger_encounters SET name = 'Zerubbabel'")
    run_id = load(context)
    files = sorted(extract_folder(context.settings.runs_dir, run_id).iterdir())
    assert len(files) >= 5
    assert not any(b"Zerubbabel" in file.read_bytes() for file in files)
    assert replay_run(context, run_id).from_extract == replay_run(context, run_id).kept


def test_rows_hashed_under_another_key_are_refused_in_a_sentence(
    make_context: Callable[..., Context],
) -> None:
    run_id = load(make_context(pii="hash", pii_key=KEY))
    with pytest.raises(ConfigurationError, match=r"whose id is [0-9a-f]{8}; found none"):
        replay_run(make_context(), run_id)
    with pytest.raises(ConfigurationError, match=r"whose id is [0-9a-f]{8}; found one whose id is [0-9a-f]{8}"):
        replay_run(make_context(pii_key=SecretStr("other" * 8)), run_id)


def test_a_folder_that_cannot_be_written_to_keeps_no_night_from_being_loaded(
    make_context: Callable[..., Context], caplog: pytest.LogCaptureFixture
) -> None:
    context = make_context(keep_extract=True)
    context.settings.runs_dir.mkdir(parents=True)
    (context.settings.runs_dir / "extracts").write_text("a file where the folder would be")
    run_id = load(context)
    assert "what the run read was not kept in " in caplog.text
    assert replay_run(context, run_id).is_same


def test_an_extract_that_cannot_be_read_is_refused_in_a_sentence(make_context: Callable[..., Context]) -> None:
    context = make_context(keep_extract=True)
    run_id = load(context)
    file = sorted(extract_folder(context.settings.runs_dir, run_id).iterdir())[0]
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ConfigurationError, match="kept extract: expected an Arrow file at "):
        replay_run(context, run_id)


def test_a_run_that_is_not_there_is_named_with_the_nearest_one(make_context: Callable[..., Context]) -> None:
    context = make_context()
    run_id = load(context)
    with pytest.raises(ConfigurationError, match=f"did you mean {run_id}"):
        replay_run(context, run_id[:-1])


def test_a_run_without_a_hash_is_refused(make_context: Callable[..., Context]) -> None:
    context = make_context()
    run_id = load(context)
    note(context, run_id, content="")
    with pytest.raises(ConfigurationError, match="expected a run that has noted the hash of its rows"):
        replay_run(context, run_id)


def test_the_command_s_exit_code_is_5_where_the_rows_are_others(
    make_context: Callable[..., Context], environment: Settings
) -> None:
    context = make_context()
    run_id = load(context)
    result = CliRunner().invoke(cli, ["replay", run_id, "--json"])
    assert result.exit_code == 0
    assert json.loads(result.output)["same"] is True
    edit(context)
    result = CliRunner().invoke(cli, ["replay", run_id])
    assert result.exception is not None
    assert result.exception.exit_code == 5  # type: ignore[attr-defined]
    assert "another hash" in result.output
    assert f"expected the rows that run {run_id} staged, found others: the source differs" in str(result.exception)
