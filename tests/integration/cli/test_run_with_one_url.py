"""A night is not run into a warehouse whose source nobody named: the sample city's rows were staged there once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine

from sentinel_etl.warehouse.query import run_statement


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("SENTINEL_SORCE_URL", "did you mean SENTINEL_SOURCE_URL?"),
        ("OTHER_URL", "expected SENTINEL_SOURCE_URL beside SENTINEL_WAREHOUSE_URL, found none"),
    ],
    ids=["misspelt", "not named"],
)
def test_a_run_whose_source_is_not_named_is_exit_2_and_stages_nothing(
    name: str, words: str, source_engine: Engine, warehouse: Engine, tmp_path: Path
) -> None:
    urls = {name: source_engine, "SENTINEL_WAREHOUSE_URL": warehouse}
    given = {key: engine.url.render_as_string(hide_password=False) for key, engine in urls.items()}
    done = subprocess.run(
        [sys.executable, "-m", "sentinel_etl", "run"],
        env={**os.environ, **given, "SENTINEL_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert run_statement(warehouse, "SHOW TABLES") == []
    assert not (tmp_path / ".sentinel").exists()
