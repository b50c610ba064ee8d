"""What a run ran on, and the fingerprint of its configuration."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import Engine

from sentinel_etl.config.risk_weights import weighted_columns
from sentinel_etl.extract.statements import select_events
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.source.connection import connect_source
from sentinel_etl.source.sql import compile_sql
from sentinel_etl.warehouse.engine import ask_version
from sentinel_etl.window import Window

__all__ = ["config_hash", "name_engine", "name_versions"]

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


def config_hash(pipeline: Pipeline, window: Window) -> str:
    """Fingerprint everything that decides what a run writes: statements, weights, fact table."""
    parts = [compile_sql(select_events(kind, window)) for kind in pipeline.event_types.values()]
    weights = weighted_columns(pipeline.risk_weights)
    parts += [repr(sorted((place.label, sorted(map(str, place.values.items()))) for place in weights))]
    parts += [
        str(pipeline.schema),
        repr(pipeline.coalesce),
        repr(pipeline.unknown_values),
        repr(sorted(pipeline.bounds.items())),
        f"{pipeline.pii}: {sorted(pipeline.personal_columns)}",
        str(pipeline.zone),
    ]
    for bound in (window.start, window.end):
        parts = [part.replace(str(bound), "") for part in parts]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
