"""The package without its checkout: a wheel in an environment of its own, run from a folder that has no notebooks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from sentinel_etl.ledger.ledger import read_runs
from sentinel_etl.local.stack import stop_stack
from sentinel_etl.settings import Settings

CHECKOUT = Path(__file__).parents[3]
OF_THE_BUILD = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "sentinel_etl", "notebooks")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `pip install .` would install, built from a copy of what it is built from."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in OF_THE_BUILD:
        copy = shutil.copytree if (CHECKOUT / name).is_dir() else shutil.copy
        copy(CHECKOUT / name, source / name)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source)]
    done = subprocess.run(build, capture_output=True, text=True)
    if "No matching distribution found for setuptools" in done.stderr:
        pytest.skip("no package index answers, which pip builds with")
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Path:
    """The Python of an environment with the wheel, which borrows all other packages from this one."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(subprocess.check_output([python, "-c", ask], text=True).strip())
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    borrowed = [path for path in sys.path if path.endswith("site-packages")] or [sysconfig.get_path("purelib")]
    (packages / "borrowed.pth").write_text("\n".join(borrowed), encoding="utf-8")
    return python


def test_the_wheel_holds_every_template_and_script_of_the_pages(wheel: Path) -> None:
    kept = {
        str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "sentinel_etl").rglob("templates/*") if path.is_file()
    }
    assert {path for path in kept if path.endswith(".js")}
    assert kept <= set(zipfile.ZipFile(wheel).namelist())


def test_an_installed_package_runs_the_nightly_notebook_from_a_folder_that_has_none(
    installed: Path, settings: Settings, warehouse: Engine, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    assert settings.source_url is not None
    assert settings.warehouse_url is not None
    (home / ".env").write_text(
        f"SENTINEL_SOURCE_URL={settings.source_url.get_secret_value()}\n"
        f"SENTINEL_WAREHOUSE_URL={settings.warehouse_url.get_secret_value()}\n"
        f"SENTINEL_NOW={settings.now}\nSENTINEL_PIPELINE=pipeline:PIPELINE\n",
        encoding="utf-8",
    )
    (home / "pipeline.py").write_text(
        "from dataclasses import replace\nfrom sentinel_etl import SENTINEL\n"
        "PIPELINE = replace(SENTINEL, risk_weights={'event_type': {'REMARK': 77.0}})\n",
        encoding="utf-8",
    )
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("SENTINEL_", "PYTHONPATH"))}
    done = subprocess.run(
        [str(installed), "-c", "from sentinel_etl.cli.main import main; main()", "run"],
        cwd=home,
        env={**bare, "JUPYTER_PATH": str(Path(sys.prefix) / "share" / "jupyter")},  # borrowed too: the pages' templates
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    (report,) = home.glob("runs/2026-11-21/etl_nightly_*.ipynb")
    assert "PUBLISHED" in report.read_text(encoding="utf-8")
    (run,) = read_runs(warehouse)
    assert run["report_path"] == str(report.relative_to(home / "runs"))
    assert {path.name for path in home.iterdir()} - {"__pycache__"} == {".env", "pipeline.py", "runs"}


def command(python: Path, folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command in a folder, with no settings but those that are given."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("SENTINEL_", "PYTHONPATH"))}
    return subprocess.run(
        [str(python), "-m", "sentinel_etl", *arguments],
        cwd=folder,
        env={**bare, **settings, "JUPYTER_PATH": str(Path(sys.prefix) / "share" / "jupyter")},
        capture_output=True,
        text=True,
        timeout=400,
    )


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Path]:
    """An empty folder; a local stack that a test starts there is stopped."""
    folder = tmp_path / "anywhere"
    folder.mkdir()
    yield folder
    stop_stack(folder / ".sentinel")


@pytest.mark.parametrize("arguments", [["status"], ["query", "SELECT 1"], ["run"], ["runs", "list"]], ids=" ".join)
def test_outside_a_checkout_a_command_says_so_and_starts_nothing(
    arguments: list[str], installed: Path, empty: Path
) -> None:
    done = command(installed, empty, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"sentinel-etl: expected a project's folder, found {empty}: ")
    assert "SENTINEL_HOME" in done.stderr
    assert list(empty.iterdir()) == []


def test_outside_a_checkout_the_demonstration_runs_and_its_folder_is_known_from_then_on(
    installed: Path, empty: Path
) -> None:
    done = command(installed, empty, "demo")
    assert (done.returncode, done.stdout.split()[0]) == (0, "PUBLISHED"), done.stderr
    assert len(list(empty.glob("runs/*/etl_nightly_*.html"))) == 1
    assert command(installed, empty, "status").returncode == 0
