"""Sentinel Warehouse ETL: a night of patrol events, from PostgreSQL into one ClickHouse fact table.

The package reads in the order in which the data flows::

    Window → extract_data → concatenate → transform_data → load_data (staging) → audit → publish →
    reconcile → ledger → report
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentinel_etl.lazy_names import lazy_names

if TYPE_CHECKING:
    from sentinel_etl.config.event_config import EVENT_CONFIG
    from sentinel_etl.config.gates import GateLimits
    from sentinel_etl.config.risk_weights import RISK_WEIGHTS
    from sentinel_etl.context import Context, open_context
    from sentinel_etl.databases import Databases, open_databases
    from sentinel_etl.extract.read import extract_data
    from sentinel_etl.load.load import load_data
    from sentinel_etl.pipeline import SENTINEL, Pipeline, load_pipeline
    from sentinel_etl.run.result import RunResult
    from sentinel_etl.run.run_window import run_window
    from sentinel_etl.settings import Settings, choose_window, load_settings
    from sentinel_etl.transform.concatenate import concatenate
    from sentinel_etl.transform.facts import coalesce_columns, transform_data
    from sentinel_etl.warehouse.query import query_df
    from sentinel_etl.window import Window

__all__ = [
    "EVENT_CONFIG",
    "RISK_WEIGHTS",
    "SENTINEL",
    "Context",
    "Databases",
    "GateLimits",
    "Pipeline",
    "RunResult",
    "Settings",
    "Window",
    "choose_window",
    "coalesce_columns",
    "concatenate",
    "extract_data",
    "load_data",
    "load_pipeline",
    "load_settings",
    "open_context",
    "open_databases",
    "query_df",
    "run_window",
    "transform_data",
]

# Where each public name is: a command that needs a few of them would wait a second and a half for all.
MODULES = {
    "EVENT_CONFIG": "config.event_config",
    "GateLimits": "config.gates",
    "RISK_WEIGHTS": "config.risk_weights",
    "Context": "context",
    "open_context": "context",
    "Databases": "databases",
    "open_databases": "databases",
    "extract_data": "extract.read",
    "load_data": "load.load",
    "SENTINEL": "pipeline",
    "Pipeline": "pipeline",
    "load_pipeline": "pipeline",
    "RunResult": "run.result",
    "run_window": "run.run_window",
    "Settings": "settings",
    "choose_window": "settings",
    "load_settings": "settings",
    "concatenate": "transform.concatenate",
    "coalesce_columns": "transform.facts",
    "transform_data": "transform.facts",
    "query_df": "warehouse.query",
    "Window": "window",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, MODULES)
