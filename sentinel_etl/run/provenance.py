"""What a run ran on."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import Engine

from sentinel_etl.source.connection import connect_source
from sentinel_etl.warehouse.engine import ask_version

__all__ = ["name_code", "name_engine", "name_versions"]

PACKAGE = Path(__file__).resolve().parents[1]


def name_versions(source: Engine, warehouse: Engine) -> dict[str, str]:
    """Name what a run ran on: the package, Python, PostgreSQL and ClickHouse."""
    with connect_source(source) as connection:
        postgres = str(connection.exec_driver_sql("SHOW server_version").scalar()).split()[0]
    return {
        "sentinel-etl": version("sentinel-warehouse-etl"),
        "Python": platform.python_version(),
        "PostgreSQL": postgres,
        "ClickHouse": ask_version(warehouse),
    }


@cache
def name_engine() -> str:
    """Name this engine: the package's version, and a fingerprint of its code, which tells two checkouts apart."""
    digest = hashlib.sha256()
    for file in sorted(path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".j2")):
        digest.update(file.relative_to(PACKAGE).as_posix().encode() + b"\0" + file.read_bytes())
    return f"{version('sentinel-warehouse-etl')} ({digest.hexdigest()[:12]})"


def name_code() -> dict[str, str]:
    """Name what of a run is code: the engine with its fingerprint, Python, and what computes with rows."""
    libraries = {name: version(name) for name in ("pandas", "pyarrow", "SQLAlchemy")}
    return {"sentinel-etl": name_engine(), "Python": platform.python_version(), **libraries}
