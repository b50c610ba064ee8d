"""What a command loads before it answers: a budget by names of packages, which no slow machine changes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from loaded_packages import HEAVY, OF_NOTEBOOKS, loaded_by

import sentinel_etl
from sentinel_etl.cli.main import cli


def commands(command: click.Command, *path: str) -> Iterator[str]:
    """List every command below one, groups too, as the words that ask for it."""
    yield " ".join(path)
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from commands(below, *path, name)


@pytest.fixture
def environment() -> dict[str, str]:
    """Name databases that nobody is to reach."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("SENTINEL_")}
    return given | {
        "SENTINEL_NOW": "2026-11-22T06:10:00+05:30",
        "SENTINEL_SOURCE_URL": "postgresql+psycopg://nobody@nowhere.invalid/none",
        "SENTINEL_WAREHOUSE_URL": "clickhouse+http://nobody@nowhere.invalid/none",
    }


def test_the_help_loads_nothing_heavy(environment: dict[str, str]) -> None:
    assert loaded_by("--help", environment=environment) & HEAVY == set()


def test_no_command_s_help_loads_anything_heavy(environment: dict[str, str]) -> None:
    program = (
        "import sys; from click.testing import CliRunner; from sentinel_etl.cli.main import cli\n"
        "for words in sys.argv[1:]: assert CliRunner().invoke(cli, [*words.split(), '--help']).exit_code == 0, words\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *commands(cli)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    # click's own runner for tests needs some of the standard library that the command does not.
    assert set(done.stdout.split()) & HEAVY - {"asyncio"} == set()


@pytest.mark.parametrize("words", [["paln"], ["run", "--window-ned", "x"]], ids=["no such command", "no such option"])
def test_wrong_usage_is_told_before_anything_heavy_is_loaded(words: list[str], environment: dict[str, str]) -> None:
    assert loaded_by(*words, environment=environment, code=2) & HEAVY == set()


def test_a_plan_loads_nothing_of_the_notebooks(environment: dict[str, str]) -> None:
    assert loaded_by("plan", environment=environment) & OF_NOTEBOOKS == set()


def test_importing_the_package_loads_nothing_heavy(environment: dict[str, str]) -> None:
    program = "import sys, sentinel_etl; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert set(done.stdout.split()) & HEAVY == set()


def test_each_public_name_has_the_module_that_it_is_imported_from() -> None:
    assert sorted(sentinel_etl.MODULES) == sorted(sentinel_etl.__all__)
    assert set(sentinel_etl.__all__) <= set(dir(sentinel_etl))


def test_a_name_that_the_package_does_not_have_is_an_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'extract_date'"):
        _ = sentinel_etl.extract_date


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        pytest.param("notebook.kernel_process", {"numpy", "pyarrow"}, id="before the kernel's process starts"),
        pytest.param(
            "notebook.execute",
            HEAVY - {"IPython", "apprise", "ipywidgets", "matplotlib", "nbconvert", "pandas", "scipy"},
            id="before the kernel is told what to run",
        ),
        pytest.param(
            "notebook.conclude_run",
            HEAVY - {"IPython", "apprise", "ipywidgets", "matplotlib", "pandas", "scipy"},
            id="while the kernel works",
        ),
    ],
)
def test_a_run_loads_no_more_than_it_needs(module: str, allowed: set[str], environment: dict[str, str]) -> None:
    program = f"import sys, sentinel_etl.{module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert set(done.stdout.split()) & HEAVY <= allowed
