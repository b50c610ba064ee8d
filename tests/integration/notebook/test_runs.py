"""Executed notebooks: what is archived, what the ledger says of it, and how a failure ends."""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import pytest
from given_servers import passwords_of
from nbformat.v4 import new_code_cell, new_notebook
from sqlalchemy import Engine

from sentinel_etl.cli.run import parse_parameters
from sentinel_etl.errors import AuditFailed, ConfigurationError, NotebookFailed, SentinelError
from sentinel_etl.ledger.ledger import read_runs
from sentinel_etl.notebook.execute import run_notebook
from sentinel_etl.notebook.notebook_run import NotebookRun
from sentinel_etl.notebook.parameters import check_parameters
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.tables import ETL_RUNS

# The run's own engines are not disposed of, so psycopg warns when they are collected.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <function BaseConnection.__del__:pytest.PytestUnraisableExceptionWarning"
)

CHECKOUT = Path(__file__).parents[3]
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
SPAN = "20261121T0030Z-20261122T0030Z"


@dataclass(frozen=True)
class Scene:
    """One source, one warehouse, and every notebook run that these tests look at."""

    settings: Settings
    source: Engine
    warehouse: Engine

    def files(self, folder: str = "2026-11-21") -> list[str]:
        return sorted(path.name for path in (self.settings.runs_dir / folder).iterdir())

    def ledger(self, run_id: str) -> dict[str, Any]:
        [run] = read_runs(self.warehouse, ETL_RUNS.c.run_id == run_id)
        return run

    def count(self) -> int:
        return int(run_statement(self.warehouse, "SELECT count() FROM patrol_events")[0][0])


@pytest.fixture(scope="module")
def scene(
    make_source: Callable[[str | None], Engine],
    make_warehouse: Callable[[], Engine],
    city_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    """The sample city, an empty warehouse, and notebooks that fail each in its way."""
    home = tmp_path_factory.mktemp("home")
    source, warehouse = make_source(city_template), make_warehouse()
    parameters = new_code_cell("depth = 1", metadata={"tags": ["parameters"]})
    for name, value in {
        "dies": [parameters, new_code_cell("import os; os._exit(1)")],
        "stumbles": [parameters, new_code_cell("print('before')"), new_code_cell("1 / 0")],
        "bare": [new_code_cell("1 + 1")],
        "looks": [parameters, new_code_cell("import os, time; time.sleep(1); print(*sorted(os.listdir()))")],
    }.items():
        (home / "notebooks").mkdir(exist_ok=True)
        nbformat.write(new_notebook(cells=value, metadata=KERNEL), home / "notebooks" / f"{name}.ipynb")
    settings = Settings(
        source_url=source.url.render_as_string(hide_password=False),
        warehouse_url=warehouse.url.render_as_string(hide_password=False),
        now=datetime(2026, 11, 22, 0, 40, tzinfo=UTC),
        runs_dir=home / "runs",
        notebooks_dir=CHECKOUT / "notebooks",
        state_dir=home / "state",
    )
    yield Scene(settings, source, warehouse)
    gc.collect()  # what is left open is warned of here, and not in another module's test
    source.dispose()
    warehouse.dispose()


@pytest.fixture(scope="module")
def kernels_see_settings(scene: Scene) -> Iterator[dict[str, str]]:
    """Put the scene's settings into the environment of the kernels to come."""
    values = {
        "SENTINEL_HOME": str(scene.settings.runs_dir.parent),
        "SENTINEL_SOURCE_URL": scene.source.url.render_as_string(hide_password=False),
        "SENTINEL_WAREHOUSE_URL": scene.warehouse.url.render_as_string(hide_password=False),
        "SENTINEL_NOW": "2026-11-22T06:10:00+05:30",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        yield values


@pytest.fixture(scope="module")
def by_papermill(scene: Scene, kernels_see_settings: dict[str, str]) -> tuple[int, Path]:
    """The nightly notebook by plain papermill, before any other run: rows published, and the output."""
    output = scene.settings.runs_dir.parent / "out.ipynb"
    end = ["-p", "window_end", "2026-11-22T06:00:00+05:30"]
    done = subprocess.run(
        [sys.executable, "-m", "papermill", "notebooks/etl_nightly.ipynb", str(output), "--no-progress-bar", *end],
        cwd=CHECKOUT,
        env={**os.environ, **kernels_see_settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return scene.count(), output


@pytest.fixture(scope="module")
def done(scene: Scene, by_papermill: tuple[int, Path]) -> NotebookRun:
    """The nightly notebook of last night, headless."""
    return run_notebook("etl_nightly", settings=scene.settings)


@pytest.fixture(scope="module")
def failed(scene: Scene, done: NotebookRun) -> SentinelError:
    """The same night again, after the source lost most of its rows."""
    with scene.source.begin() as connection:
        for table in ("patrol_logs", "geofence_logs", "remarks", "vehicle_checks"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    with pytest.raises(AuditFailed) as caught:
        run_notebook("etl_nightly", {"run_id": "the_failed_one"}, scene.settings)
    return caught.value


def fail(scene: Scene, name: str) -> SentinelError:
    settings = scene.settings.model_copy(update={"notebooks_dir": scene.settings.runs_dir.parent / "notebooks"})
    with pytest.raises(NotebookFailed) as caught:
        run_notebook(name, settings=settings)
    return caught.value


@pytest.fixture(scope="module")
def dead(scene: Scene, kernels_see_settings: dict[str, str]) -> SentinelError:
    return fail(scene, "dies")


@pytest.fixture(scope="module")
def stumbled(scene: Scene, kernels_see_settings: dict[str, str]) -> SentinelError:
    return fail(scene, "stumbles")


def test_plain_papermill_publishes_the_night(by_papermill: tuple[int, Path], scene: Scene) -> None:
    published, output = by_papermill
    with scene.source.connect() as connection:
        emergencies = connection.exec_driver_sql(
            "SELECT count(*) FROM emergency_incidents "
            "WHERE created_at >= '2026-11-21 00:30Z' AND created_at < '2026-11-22 00:30Z'"
        ).scalar()
    assert published > 600
    found = run_statement(scene.warehouse, "SELECT count() FROM patrol_events WHERE event_type = 'EMERGENCY_INCIDENT'")
    assert found == [(emergencies,)]
    assert "PUBLISHED" in output.read_text(encoding="utf-8")


def test_an_instant_may_be_given_as_any_other_parameter() -> None:
    instant = "2026-11-22T06:00:00+05:30"
    given = check_parameters(CHECKOUT / "notebooks" / "etl_nightly.ipynb", parse_parameters([("window_end", instant)]))
    assert given == {"window_end": instant}


def test_the_report_is_named_by_night_window_and_run(scene: Scene, done: NotebookRun) -> None:
    folder = scene.settings.runs_dir / "2026-11-21"
    assert done.report == folder / f"etl_nightly_{SPAN}_{done.run_id}.ipynb"
    assert done.page == folder / f"etl_nightly_{SPAN}_{done.run_id}.html"
    assert re.fullmatch(r"\d{8}t\d{6}_[0-9a-f]{6}", done.run_id)
    assert {done.report.name, done.page.name} <= set(scene.files())


def test_a_run_leaves_its_two_files_and_no_parts(scene: Scene, done: NotebookRun, failed: SentinelError) -> None:
    stems = {f"etl_nightly_{SPAN}_{run_id}" for run_id in (done.run_id, "the_failed_one")}
    assert {name for name in scene.files() if "etl_nightly" in name} == {
        f"{stem}.{suffix}" for stem in stems for suffix in ("html", "ipynb")
    }
    assert [path for path in scene.settings.runs_dir.rglob("*") if ".part" in path.name] == []


def test_the_ledger_knows_the_run_and_where_its_report_is(scene: Scene, done: NotebookRun) -> None:
    run = scene.ledger(done.run_id)
    assert run["report_path"] == f"2026-11-21/{done.report.name}"
    assert run["state"] == done.record["state"] == "PUBLISHED"
    assert run["published_rows"] == run["source_rows"] > 600


def test_the_notebook_was_given_what_it_did(done: NotebookRun) -> None:
    parameters = nbformat.read(done.report, as_version=4).metadata["papermill"]["parameters"]
    assert parameters == {"window_end": "2026-11-22T06:00:00+05:30", "run_id": done.run_id}


def test_every_cell_of_a_good_run_was_executed_without_error(done: NotebookRun) -> None:
    cells = [cell for cell in nbformat.read(done.report, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert [out for cell in cells for out in cell.outputs if out.output_type in ("error", "stream")] == []


REMOTE = re.compile(
    r"""<(?:script|link|img|iframe|source|object|embed)\b[^>]*\b(?:src|href|data)\s*=\s*["']?(?:https?:)?//"""
    r"""|@import\s+(?:url\()?["']?(?:https?:)?//|url\(\s*["']?(?:https?:)?//"""
    r"""|\bimport\s*\(?\s*["']https?://|\bfrom\s+["']https?://""",
    re.IGNORECASE,
)


@pytest.mark.parametrize(
    "loads",
    [
        '<script src="https://cdn.example/x.js">',
        "<link rel=stylesheet href=http://cdn.example/x.css>",
        "<img alt='' src='//cdn.example/x.png'>",
        "@import url(https://cdn.example/x.css)",
        "import mermaid from 'https://cdn.example/x.mjs'",
    ],
)
def test_the_search_for_remote_loads_finds_them(loads: str) -> None:
    assert REMOTE.search(loads)


def test_the_page_needs_no_network(done: NotebookRun) -> None:
    page = done.page.read_text(encoding="utf-8")
    assert REMOTE.findall(page) == []
    assert "data:image/png;base64," in page
    assert "PUBLISHED" in page


@pytest.mark.parametrize("suffix", [".ipynb", ".html"])
def test_a_report_holds_no_password_and_nothing_of_where_it_ran(
    scene: Scene, done: NotebookRun, failed: SentinelError, suffix: str
) -> None:
    reports = [path for path in (scene.settings.runs_dir / "2026-11-21").iterdir() if path.suffix == suffix]
    assert len(reports) >= 2
    private = [
        *passwords_of(scene.source, scene.warehouse),
        f"{Path.home()}/",
        f"{CHECKOUT}/",
        f"{scene.settings.runs_dir.parent}/",
    ]
    for report in reports:
        words = report.read_text(encoding="utf-8")
        assert [word for word in private if word in words] == [], report.name


def opening(path: Path) -> list[str]:
    """The lines of an archived notebook's first output."""
    cells = nbformat.read(path, as_version=4).cells
    first = next(cell for cell in cells if cell.get("outputs"))
    return list(first.outputs[0]["data"]["text/plain"].splitlines())


def test_a_failed_audit_opens_with_its_verdict_its_check_and_the_query(scene: Scene, failed: SentinelError) -> None:
    report = scene.settings.runs_dir / "2026-11-21" / f"etl_nightly_{SPAN}_the_failed_one.ipynb"
    told = opening(report)
    assert told[0] == "NOT PUBLISHED: failed “the window has not collapsed”"
    place = told.index("block · failed: the window has not collapsed")
    assert told[place + 1].startswith("  expected at least ")
    assert [line for line in told if re.match(r'sentinel-etl query "SELECT .* FROM patrol_events WHERE', line)]
    assert "An Exception was encountered" not in report.with_suffix(".html").read_text(encoding="utf-8")


def test_a_notebook_that_broke_off_opens_with_it_and_shows_no_traceback(
    scene: Scene, dead: SentinelError, stumbled: SentinelError
) -> None:
    for name in ("dies", "stumbles"):
        (path,) = (scene.settings.runs_dir / "2026-11-21").glob(f"{name}_*.ipynb")
        assert opening(path)[0] == "FAILED: the notebook broke off"
        assert opening(path)[-1].endswith(f"--notebook {name}")
        words = path.read_text(encoding="utf-8") + path.with_suffix(".html").read_text(encoding="utf-8")
        assert "Traceback" not in words


def test_a_failed_run_raises_the_pipeline_s_own_error_and_keeps_its_notebook(
    scene: Scene, failed: SentinelError
) -> None:
    assert type(failed) is AuditFailed
    assert "the window has not collapsed" in str(failed)
    assert str(failed).count("[audit") == 1
    report = scene.settings.runs_dir / "2026-11-21" / f"etl_nightly_{SPAN}_the_failed_one.ipynb"
    assert failed.__notes__ == [f"report of the failed run: {report}"]
    last = nbformat.read(report, as_version=4).cells[-1]
    assert [out.ename for out in last.outputs if out.output_type == "error"] == ["AuditFailed"]
    assert "NOT PUBLISHED" in report.with_suffix(".html").read_text(encoding="utf-8")


def test_the_ledger_knows_a_failed_run_s_report_too(scene: Scene, done: NotebookRun, failed: SentinelError) -> None:
    run = scene.ledger("the_failed_one")
    assert (run["state"], run["report_path"]) == (
        "NOT PUBLISHED",
        f"2026-11-21/etl_nightly_{SPAN}_the_failed_one.ipynb",
    )
    assert scene.count() == done.record["published_rows"]


def test_a_notebook_runs_in_its_folder_and_this_process_stays_in_its_own(
    scene: Scene, kernels_see_settings: dict[str, str]
) -> None:
    folder = scene.settings.runs_dir.parent / "notebooks"
    settings = scene.settings.model_copy(update={"notebooks_dir": folder})
    here, seen, ended = Path.cwd(), set(), threading.Event()

    def look() -> None:
        while not ended.wait(0.005):
            seen.add(Path.cwd())

    with ThreadPoolExecutor(1) as thread:
        thread.submit(look)
        try:
            report = run_notebook("looks", settings=settings).report
        finally:
            ended.set()
    assert seen == {here}
    cells = nbformat.read(report, as_version=4).cells
    assert [output.text for cell in cells for output in cell.get("outputs", ())] == [
        " ".join(sorted(path.name for path in folder.iterdir())) + "\n"
    ]


def test_a_dead_kernel_is_a_failed_notebook_that_is_kept(scene: Scene, dead: SentinelError) -> None:
    assert dead.exit_code == 7
    assert str(dead).startswith("dies.ipynb: the kernel died")
    assert [name for name in scene.files() if name.startswith("dies_") and name.endswith(".ipynb")] != []


def test_a_cell_s_own_error_is_a_failed_notebook_with_its_cell(scene: Scene, stumbled: SentinelError) -> None:
    assert stumbled.exit_code == 7
    assert str(stumbled) == "In [3] failed: ZeroDivisionError: division by zero"
    [kept] = [name for name in scene.files() if name.startswith("stumbles_") and name.endswith(".ipynb")]
    cells = nbformat.read(scene.settings.runs_dir / "2026-11-21" / kept, as_version=4).cells
    assert [out.text for cell in cells for out in cell.get("outputs", []) if out.output_type == "stream"] == [
        "before\n"
    ]


@pytest.mark.parametrize(
    ("name", "parameters", "sentence"),
    [
        pytest.param("bare", {}, r"bare\.ipynb: expected one cell tagged 'parameters', found none", id="no parameters"),
        pytest.param(
            "missing", {}, r"expected a notebook among bare, dies, looks, stumbles .*found 'missing'", id="no notebook"
        ),
        pytest.param("dies", {"dept": 2}, r"found 'dept'; did you mean 'depth'\?", id="a typo"),
    ],
)
def test_a_notebook_that_cannot_run_is_refused_before_a_kernel_starts(
    scene: Scene, name: str, parameters: dict[str, Any], sentence: str
) -> None:
    home = scene.settings.runs_dir.parent
    settings = scene.settings.model_copy(update={"notebooks_dir": home / "notebooks", "runs_dir": home / "no_runs"})
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        run_notebook(name, parameters, settings)
    assert caught.value.exit_code == 2
    assert not (home / "no_runs").exists()


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        pytest.param({"window_hour": 6}, r"found 'window_hour'; did you mean 'window_hours'\?", id="a typo"),
        pytest.param({"window_hours": "many"}, "window_hours: expected float, found 'many'", id="a word"),
        pytest.param({"dry_run": [1]}, r"dry_run: expected bool, found \[1\]", id="a list"),
        pytest.param({"event_types": "REMARK"}, r"event_types: expected list\[str\], found 'REMARK'", id="no list"),
        pytest.param({"window_hours": -24}, "window hours: expected a number above 0, found -24", id="no length"),
        pytest.param({"window_end": "yesterday"}, "expected an instant such as .* found 'yesterday'", id="no instant"),
        pytest.param({"window_end": "2026-11-22T06:00:00"}, "expected an instant with a time zone", id="no zone"),
    ],
)
def test_parameters_of_the_nightly_notebook_are_checked_before_a_kernel_starts(
    scene: Scene, parameters: dict[str, Any], sentence: str
) -> None:
    settings = scene.settings.model_copy(update={"runs_dir": scene.settings.runs_dir.parent / "no_runs"})
    with pytest.raises(ConfigurationError, match=sentence):
        run_notebook("etl_nightly", parameters, settings)
    assert not settings.runs_dir.exists()
