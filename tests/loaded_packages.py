"""Which packages are heavy to import, and which of them a command has loaded when it ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

__all__ = ["HEAVY", "OF_NOTEBOOKS", "loaded_by"]

# What executes a notebook, draws its figures and makes its page, and what serves but a few: 0.1 to 2 s each.
OF_NOTEBOOKS = {
    "IPython",
    "apprise",
    "chdb",
    "clickhouse_driver",
    "dask",
    "distributed",
    "h3",
    "ipykernel",
    "ipywidgets",
    "jsonschema",
    "jupyter_client",
    "jupyterlab",
    "matplotlib",
    "nbclient",
    "nbconvert",
    "nbformat",
    "pandera",
    "papermill",
    "scipy",
    "zmq",
}

# What reads and writes databases, and settings: 0.02 to 0.3 s each.
HEAVY = OF_NOTEBOOKS | {
    "adbc_driver_manager",
    "asyncio",
    "clickhouse_connect",
    "clickhouse_sqlalchemy",
    "jinja2",
    "numpy",
    "pandas",
    "psutil",
    "psycopg",
    "pyarrow",
    "pydantic",
    "pydantic_settings",
    "requests",
    "sqlalchemy",
    "tenacity",
    "yaml",
}

PROGRAM = """
import sys
from sentinel_etl.cli.main import main
sys.argv[0] = "sentinel-etl"
try:
    main()
finally:
    sys.stdout.flush()
    names = {name.partition(".")[0] for name, module in sys.modules.items() if module is not None}
    print("\\n" + ",".join(sorted(names)))
"""


def loaded_by(*words: str, environment: Mapping[str, str], code: int = 0) -> set[str]:
    """Run a command in a process of its own, and name the top-level packages that are loaded at its end."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], env=dict(environment), capture_output=True, text=True, timeout=240
    )
    assert done.returncode == code, done.stderr
    return set(done.stdout.splitlines()[-1].split(","))
