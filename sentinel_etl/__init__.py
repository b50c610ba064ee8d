"""Sentinel Warehouse ETL: a night of patrol events, from PostgreSQL into one ClickHouse fact table.

The package reads in the order in which the data flows::

    Window → extract_data → concatenate → transform_data → load_data (staging) → audit → publish →
    reconcile → ledger → report
"""

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
