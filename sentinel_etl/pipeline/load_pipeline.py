"""The pipeline that the settings name; the sample city's unless they say otherwise."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from traceback import extract_tb

from sentinel_etl.config.event_config import BOUNDS, COALESCE, COMMON_COLUMNS, EVENT_CONFIG, PERSONAL, UNKNOWN_VALUES
from sentinel_etl.config.event_kinds import CITY_KINDS
from sentinel_etl.config.fact_table import build_patrol_events
from sentinel_etl.config.risk_weights import RISK_WEIGHTS, read_risk_weights
from sentinel_etl.env_file import project_home
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.pipeline.home_modules import offer_home_modules
from sentinel_etl.pipeline.pipeline import Pipeline
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.ddl import cluster_of

__all__ = ["SENTINEL", "load_pipeline"]


SENTINEL = Pipeline(
    event_config=EVENT_CONFIG,
    fact_table=build_patrol_events(),
    risk_weights=RISK_WEIGHTS,
    common_columns=COMMON_COLUMNS,
    coalesce=COALESCE,
    unknown_values=UNKNOWN_VALUES,
    text_lengths={"remark_length": "remark_text"},
    bounds=BOUNDS,
    personal=PERSONAL,
    event_kinds=CITY_KINDS,
)


def load_pipeline(settings: Settings) -> Pipeline:
    """Import the pipeline that the settings name and apply their time zone, partition and weights.

    Raises:
        ConfigurationError: it cannot be imported, is no Pipeline, or does not pass its check.
    """
    pipeline = import_attribute(settings.pipeline)
    if not isinstance(pipeline, Pipeline):
        raise ConfigurationError(
            f"SENTINEL_PIPELINE: expected {settings.pipeline} to be a Pipeline, found {type(pipeline).__name__}"
        )
    cluster = settings.warehouse_cluster or None
    if pipeline is SENTINEL:
        pipeline = replace(pipeline, fact_table=build_patrol_events(settings.partition_by, cluster))
    elif cluster_of(pipeline.fact_table) != cluster:
        raise ConfigurationError(
            f"SENTINEL_WAREHOUSE_CLUSTER: expected {settings.pipeline} to define its fact table with "
            f"clickhouse_cluster={cluster!r}, found {cluster_of(pipeline.fact_table)!r}"
        )
    pipeline = replace(pipeline, zone=settings.zone, pii=settings.pii, pii_key=settings.pii_key)
    if settings.risk_weights is not None:
        pipeline = replace(pipeline, risk_weights=read_risk_weights(settings.risk_weights))
    pipeline.check()
    return pipeline


def import_attribute(name: str) -> object:
    """Import ``module:attribute``; a module that fails by itself is told apart from one that is not there."""
    module, _, attribute = name.partition(":")
    offer_home_modules(module)
    try:
        found = find_spec(module)
        if found is None:
            raise ModuleNotFoundError(f"No module named {module!r}, neither in {project_home()} nor installed")
    except (ImportError, ValueError) as error:
        raise ConfigurationError(f"SENTINEL_PIPELINE: expected module:attribute, found {name!r}: {error}") from error
    try:
        imported = import_module(module)
    except ConfigurationError:
        raise
    except Exception as error:
        lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == found.origin]
        where = f"{found.origin}, line {lines[-1]}" if lines else found.origin
        raise ConfigurationError(
            f"SENTINEL_PIPELINE: expected {module} to be imported; it fails at {where}: {type(error).__name__}: "
            f"{error}. Correct that module"
        ) from error
    if not hasattr(imported, attribute):
        raise ConfigurationError(
            f"SENTINEL_PIPELINE: expected module:attribute, found {name!r}: {module} has no {attribute!r}"
        )
    return getattr(imported, attribute)
