"""Whatever a group of a backfill ends with is a row of the table; what a run has done is told by the run itself."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from forwarders import forwarded

from sentinel_etl.context import Context, completed_context
from sentinel_etl.databases import Databases
from sentinel_etl.errors import NotebookFailed
from sentinel_etl.ledger.ledger import read_runs
from sentinel_etl.ledger.states import RunState
from sentinel_etl.notebook.execute import run_notebook
from sentinel_etl.operations.backfill import backfill_table, plan_backfill, raise_for_groups, run_backfill
from sentinel_etl.settings import Settings, load_settings
from sentinel_etl.warehouse.engine import open_warehouse

FIRST, LAST = date(2026, 11, 19), date(2026, 11, 21)


@pytest.fixture
def context(databases: Databases, environment: Settings, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setenv("SENTINEL_PARTITION_BY", "day")
    with completed_context(load_settings(), None, databases.source, databases.warehouse) as context:
        return context


def write_startup(folder: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every kernel run some code as it starts, as a user's IPython profile may."""
    startup = folder / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text(code, encoding="utf-8")
    monkeypatch.setenv("IPYTHONDIR", str(folder))


def test_a_kernel_that_dies_at_its_start_is_a_failed_row_with_a_page_and_the_others_go_on(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = tmp_path / "once"
    code = f"import os, pathlib\nif not pathlib.Path({str(once)!r}).exists():\n"
    code += f"    pathlib.Path({str(once)!r}).touch()\n    os._exit(1)\n"
    write_startup(tmp_path / "ipython", code, monkeypatch)
    groups = plan_backfill(context, FIRST, LAST)
    results = run_backfill(groups, context)
    assert [result.verdict for result in results] == [RunState.FAILED, RunState.PUBLISHED, RunState.PUBLISHED]
    assert "the kernel" in results[0].cause
    page = (context.settings.runs_dir / results[0].report).with_suffix(".html").read_text(encoding="utf-8")
    assert "the kernel" in page
    table = backfill_table(groups, results)
    assert list(table["verdict"]) == [result.verdict for result in results]
    with pytest.raises(NotebookFailed, match="1 of 3 groups failed; the first: "):
        raise_for_groups(groups, results)
    again = plan_backfill(context, FIRST, LAST, missing_only=True)
    assert [group.window for group in again] == [groups[0].window]


def test_a_run_s_verdict_is_its_own_where_the_ledger_does_not_answer_afterwards(context: Context) -> None:
    """The kernel reaches the warehouse; the process that started it does not any more."""
    url = context.warehouse.url
    with forwarded((str(url.host), int(url.port or 0))) as port:
        gone = open_warehouse(url.set(port=port).render_as_string(hide_password=False), retry_seconds=1)
    away = replace(context, databases=Databases(context.source, gone))
    done = run_notebook(parameters={"window_end": "2026-11-20T06:00:00+05:30"}, context=away)
    gone.dispose()
    [run] = read_runs(context.warehouse)
    assert done.record["state"] is RunState.PUBLISHED
    assert done.record["published_rows"] > 0
    assert done.record["report_path"] != ""
    assert {**done.record, "report_path": ""} == run


def test_a_run_s_kernel_opens_the_databases_of_the_settings_it_was_given(
    databases: Databases, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The environment names no database; a kernel that went by it would start some in the home."""
    for name in [name for name in os.environ if name.startswith("SENTINEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SENTINEL_HOME", str(tmp_path))
    done = run_notebook(parameters={"window_end": "2026-11-20T06:00:00+05:30"}, settings=settings)
    [run] = read_runs(databases.warehouse)
    assert done.run_id == run["run_id"]
    assert run["state"] is RunState.PUBLISHED
    assert not (tmp_path / ".sentinel").exists()
