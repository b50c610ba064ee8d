"""The benchmarks run, at toy size: what they print is then a matter of a quiet machine.

`nightly`, `backfill` and `impact` start whole commands and take a minute at any size; they are left out.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from given_servers import NEEDS_LOCAL_STACK
from sqlalchemy import Engine

from benchmarks import emerging, gates, interval_coverage, memory, queries, rerun, switch, throughput
from benchmarks.__main__ import NAMES
from benchmarks.stand import Stand
from sentinel_etl.local.stack import LocalStack

CHECKOUT = Path(__file__).parents[2]


def compare_gates(stand: Stand, warehouse: Engine) -> None:
    with stand.city(30, 600) as source:
        gates.compare(source, warehouse, nights=30, events=600, step=1)


TOYS: dict[str, Callable[[Stand, Engine], None]] = {
    "throughput": lambda stand, warehouse: throughput.compare(stand, 2, 400, runs=1, literal_runs=1),
    "memory": lambda stand, warehouse: memory.compare(stand, 1, 2, 400, runs=1),
    "rerun": lambda stand, warehouse: rerun.compare(stand, rows=3_000, events=400, runs=1),
    "switch": lambda stand, warehouse: switch.compare(stand, rows=1_200, events=400, runs=1),
    "emerging": lambda stand, warehouse: emerging.compare(warehouse, mornings=4, cells=60),
    "gates": compare_gates,
    "queries": lambda stand, warehouse: queries.compare(warehouse, rows=1_200, runs=1, rival_runs=1),
}


@NEEDS_LOCAL_STACK  # they keep a city for the next call
@pytest.mark.parametrize("name", TOYS)
def test_a_benchmark_runs_and_prints_its_ratio(
    stack: LocalStack,
    warehouse: Engine,
    name: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (queries, switch):
        monkeypatch.setattr(module, "MONTHS", 3)
    TOYS[name](Stand(stack), warehouse)
    assert re.search(r"ratio \d+\.\d\d", capsys.readouterr().out)


def test_the_benchmark_of_intervals_runs_and_prints_its_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    covered = interval_coverage.compare(60, interval_coverage.SETTINGS[:2])
    assert min(covered.values()) > 0.85
    assert len(re.findall(r"ratio \d+\.\d\d", capsys.readouterr().out)) == 2


def test_every_benchmark_can_be_named_and_no_other(tmp_path: Path) -> None:
    assert {path.stem for path in (CHECKOUT / "benchmarks").glob("*.py")} >= set(NAMES)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "througput"], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "found througput" in done.stderr
