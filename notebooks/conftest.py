"""Makes ``pytest --nbval notebooks/`` hermetic: each notebook runs over a sample city of its own.

The city is made once in a temporary folder, as `make demo` makes it, and each notebook gets a
copy: what one writes no other sees, so their order does not matter. Nothing stays behind.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from nbval.plugin import IPyNbCell

from sentinel_etl.context import open_context
from sentinel_etl.local.stack import start_stack, stop_stack
from sentinel_etl.operations.demo import prepare_city

# Ten past six after the night that the committed outputs show.
NOW = "2026-11-22T06:10:00+05:30"
SANITIZE = Path(__file__).parents[1] / "tests" / "notebooks" / "sanitize.cfg"


@contextmanager
def pinned_settings(home: Path) -> Iterator[None]:
    """Give this process and its kernels the settings of a machine of their own, and no others."""
    before = dict(os.environ)
    for name in before:
        if name.startswith("SENTINEL_"):
            del os.environ[name]
    os.environ |= {
        "SENTINEL_HOME": str(home),
        "SENTINEL_STATE_DIR": str(home / "state"),
        "SENTINEL_RUNS_DIR": str(home / "runs"),
        "SENTINEL_NOTEBOOKS_DIR": str(Path(__file__).parent),
        "SENTINEL_NOW": NOW,
    }
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def make_city() -> Iterator[Path]:
    """Make the sample city, and give the folder that holds its databases, stopped."""
    with tempfile.TemporaryDirectory(prefix="sentinel-") as folder:
        home = Path(folder) / "city"
        home.mkdir()
        try:
            with pinned_settings(home), open_context() as context:
                prepare_city(context)
        finally:
            stop_stack(home / "state")
        yield home


@contextmanager
def copied_city(city: Path) -> Iterator[None]:
    """Start a copy of the city's databases, and point the settings at it."""
    home = city.with_name("copy")
    # As root, PostgreSQL's files belong to another user; only cp keeps that.
    subprocess.run(["cp", "-a", str(city), str(home)], check=True)  # noqa: S603, S607
    try:
        with pinned_settings(home):
            start_stack(home / "state")
            yield
    finally:
        stop_stack(home / "state")
        shutil.rmtree(home)


class CityPerNotebook:
    """Keeps the city while notebooks run, and the copy that the present one works on."""

    def __init__(self) -> None:
        self.session = ExitStack()
        self.notebook = ExitStack()
        self.city: Path | None = None
        self.path: Path | None = None
        self.failure: Exception | None = None

    def enter(self, path: Path) -> None:
        if path == self.path:
            return
        if self.failure is not None:
            raise RuntimeError("the sample city could not be made: the first cell's error says why") from self.failure
        if self.city is None:
            try:
                self.city = self.session.enter_context(make_city())
            except Exception as error:
                self.failure = error
                raise
        self.notebook.enter_context(copied_city(self.city))
        self.path = path

    def leave(self) -> None:
        self.path = None
        self.notebook.close()

    def close(self) -> None:
        self.leave()
        self.session.close()


CITY = pytest.StashKey[CityPerNotebook]()


def pytest_configure(config: pytest.Config) -> None:
    config.option.nbval_sanitize_with = config.option.nbval_sanitize_with or str(SANITIZE)
    # The notebooks name the kernel python3; a user may have one of that name elsewhere.
    config.option.nbval_current_env = not config.option.nbval_kernel_name
    config.stash[CITY] = CityPerNotebook()
    config.add_cleanup(config.stash[CITY].close)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put each notebook's cells back in order, after pytest-randomly shuffled those of all notebooks."""
    first: dict[Path, int] = {}
    places = {}
    for place, item in enumerate(items):
        cell = isinstance(item, IPyNbCell)
        places[item] = (first.setdefault(item.path, place), item.cell_num) if cell else (place, 0)
    items.sort(key=places.__getitem__)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if isinstance(item, IPyNbCell):  # before nbval starts the notebook's kernel
        item.config.stash[CITY].enter(item.path)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    if isinstance(item, IPyNbCell) and (nextitem is None or nextitem.path != item.path):
        item.config.stash[CITY].leave()  # after nbval stopped it
