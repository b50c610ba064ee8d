"""The benchmark of the analyst's controls runs, at toy size."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from given_servers import NEEDS_LOCAL_STACK
from sqlalchemy import Engine

from benchmarks import controls, queries


@NEEDS_LOCAL_STACK
def test_the_benchmark_of_the_controls_prints_a_ratio_for_each_move(
    make_warehouse: Callable[[], Engine],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SENTINEL_WAREHOUSE_URL", "")  # the benchmark sets it
    monkeypatch.setattr(queries, "FIRST_MONTH", date(2026, 9, 1))
    monkeypatch.setattr(queries, "MONTHS", 3)
    controls.compare({rows: make_warehouse() for rows in (300, 1_200)}, runs=1, state=tmp_path)
    assert len(re.findall(r"ratio \d+\.\d\d", capsys.readouterr().out)) == len(controls.MOVES)
