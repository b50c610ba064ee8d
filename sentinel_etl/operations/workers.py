"""Who runs a backfill's groups: threads here, or the workers of a Dask cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sentinel_etl.allocator import choose_allocator
from sentinel_etl.context import Context
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.files import write_atomically
from sentinel_etl.notebook.parameters import notebook_path
from sentinel_etl.notebook.stopping import StopSignal
from sentinel_etl.operations.groups import Group, GroupResult, run_group
from sentinel_etl.settings import Settings, load_settings, project_home

__all__ = ["Work", "dask_workers", "local_workers"]

Work = Callable[[Group, Mapping[str, Any]], GroupResult]


@contextmanager
def local_workers(jobs: int, context: Context, stop: StopSignal) -> Iterator[tuple[ThreadPoolExecutor, Work, int]]:
    """Open threads, each of which waits for a group: what moves it is the notebook's kernel, a process apart."""
    with ThreadPoolExecutor(jobs) as executor:
        yield executor, partial(run_group, settings=context.settings, context=context, stop=stop), jobs


@contextmanager
def dask_workers(address: str, settings: Settings) -> Iterator[tuple[ThreadPoolExecutor, Work, int]]:
    """Open a Dask cluster's workers; a thread here waits for each group and writes its report."""
    try:
        from distributed import Client
    except ImportError:
        raise ConfigurationError(
            "--dask: expected the package distributed; install it with pip install 'sentinel-warehouse-etl[dask]'"
        ) from None
    try:
        client: Any = Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"--dask: expected a Dask scheduler at {address}, found: {error}") from error
    notebook = notebook_path("etl_nightly", settings).read_text(encoding="utf-8")
    environment = environment_of(settings)
    slots = max(1, sum(client.nthreads().values()))
    with client, ThreadPoolExecutor(slots) as executor:

        def work(group: Group, parameters: Mapping[str, Any]) -> GroupResult:
            away = client.submit(run_away, group, parameters, notebook, environment, pure=False, retries=0)
            result, reports = away.result()
            for path, text in reports.items():
                (settings.runs_dir / path).parent.mkdir(parents=True, exist_ok=True)
                write_atomically(settings.runs_dir / path, text)
            return GroupResult(**vars(result))

        yield executor, work, slots


def run_away(
    group: Group, parameters: Mapping[str, Any], notebook: str, environment: Mapping[str, str]
) -> tuple[GroupResult, dict[str, str]]:
    """Run a group on a machine that has the package and the two URLs, and nothing else of ours.

    The notebook and the driver's settings come along, and the reports go home: {path below runs/: text}. A pipeline's
    module is each machine's own, like the URLs: installed, or in the home folder, which the kernel is told.
    """
    environment = {**environment, "SENTINEL_HOME": str(project_home())}
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    choose_allocator()
    try:
        with TemporaryDirectory(prefix="sentinel-") as home:
            folders = {"notebooks_dir": Path(home) / "notebooks", "runs_dir": Path(home) / "runs"}
            settings = load_settings().model_copy(update=folders)
            settings.notebooks_dir.mkdir()
            (settings.notebooks_dir / "etl_nightly.ipynb").write_text(notebook, encoding="utf-8")
            result = run_group(group, parameters, settings)
            reports = sorted(settings.runs_dir.glob("*/*"))
            texts = {str(path.relative_to(settings.runs_dir)): path.read_text(encoding="utf-8") for path in reports}
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    return result, texts


def environment_of(settings: Settings) -> dict[str, str]:
    """Write the settings that were given, but for URLs and folders, which are each machine's own."""
    own = {"source_url", "source_replica_url", "warehouse_url", "notify_url"}
    own |= {"pii_key", "runs_dir", "notebooks_dir", "state_dir", "risk_weights"}
    given = settings.model_dump(include=settings.model_fields_set - own)
    return {f"SENTINEL_{name.upper()}": str(value) for name, value in given.items()}
