from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import sentinel_etl
from sentinel_etl import analyst
from sentinel_etl.analyst import questions

# The design names these; they stay.
DESIGN = [
    "EVENT_CONFIG",
    "Pipeline",
    "RISK_WEIGHTS",
    "Window",
    "coalesce_columns",
    "concatenate",
    "extract_data",
    "load_data",
    "run_window",
    "transform_data",
]

# What notebooks and scripts need beside them.
MORE = [
    "Context",
    "Databases",
    "GateLimits",
    "RunResult",
    "SENTINEL",
    "Settings",
    "choose_window",
    "load_pipeline",
    "load_settings",
    "open_context",
    "open_databases",
    "query_df",
]


def test_all_is_exactly_the_public_names() -> None:
    assert sorted(sentinel_etl.__all__) == sorted(DESIGN + MORE)


@pytest.mark.parametrize("name", DESIGN + MORE)
def test_each_public_name_can_be_imported(name: str) -> None:
    assert getattr(sentinel_etl, name) is not None


def test_the_analysts_names_are_where_notebooks_look_for_them() -> None:
    assert analyst.__all__ == [
        "choose_loaded_nights",
        "choose_nights",
        "count_nights",
        "explain_risk",
        "fact_table_name",
        "open_sections",
        "presentation",
        "query_df",
        "ranking",
        "read_scores",
        "readings",
        "sql_parameters",
        "try_weights",
        "tutorial",
    ]
    assert sorted(analyst.presentation.__all__) == sorted(questions.__all__)
    assert [name for name in analyst.__all__ if getattr(analyst, name).__doc__ is None] == []


def test_each_public_function_and_class_says_what_it_does() -> None:
    things = {name: getattr(sentinel_etl, name) for name in sentinel_etl.__all__}
    assert [name for name, thing in things.items() if callable(thing) and not thing.__doc__] == []


def test_importing_the_package_writes_nothing_and_starts_nothing(tmp_path: Path) -> None:
    program = (
        "import sys, threading, warnings; warnings.simplefilter('error', RuntimeWarning); import sentinel_etl; "
        "print(threading.active_count(), sorted({'papermill', 'jupyter_client', 'chdb'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "1 []\n"
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []
