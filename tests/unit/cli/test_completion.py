"""What a shell completes: commands, options and choices, without a wait. README.md tells how it is switched on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from loaded_packages import HEAVY, loaded_by

README = Path(__file__).resolve().parents[3] / "README.md"
VARIABLE = (
    "_SENTINEL_ETL_COMPLETE"  # click's name for it: https://click.palletsprojects.com/en/stable/shell-completion/
)


def complete(line: str) -> list[str]:
    """Ask as bash does when Tab is pressed at the end of a line."""
    asked = {VARIABLE: "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    program = "import sys; from sentinel_etl.cli.main import main; sys.argv = ['sentinel-etl']; main()"
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | asked, capture_output=True, text=True, timeout=120, check=True
    )
    return [found.partition(",")[2] for found in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        pytest.param("sentinel-etl st", ["status"], id="a command"),
        pytest.param("sentinel-etl runs s", ["show"], id="a command of a group"),
        pytest.param("sentinel-etl backfill --m", ["--missing-only"], id="an option"),
        pytest.param("sentinel-etl query --format m", ["markdown"], id="a choice"),
    ],
)
def test_a_shell_completes_what_has_been_begun(line: str, found: list[str]) -> None:
    assert complete(line) == found


def test_completing_loads_nothing_heavy() -> None:
    asked = {VARIABLE: "bash_complete", "COMP_WORDS": "sentinel-etl ", "COMP_CWORD": "1"}
    assert loaded_by(environment=os.environ | asked) & HEAVY == set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_readme_switches_it_on_as_click_has_it(shell: str) -> None:
    assert f"{VARIABLE}={shell}_source sentinel-etl" in README.read_text(encoding="utf-8")
