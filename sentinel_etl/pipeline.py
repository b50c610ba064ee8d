"""What another team swaps: its config, its fact table, its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from traceback import extract_tb
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
from clickhouse_sqlalchemy import Table
from pydantic import SecretStr

from sentinel_etl.config.check_types import check_engine_types, check_types
from sentinel_etl.config.event_config import BOUNDS, COALESCE, COMMON_COLUMNS, EVENT_CONFIG, PERSONAL, UNKNOWN_VALUES
from sentinel_etl.config.event_type import EventType, label_of
from sentinel_etl.config.fact_table import ENGINE_COLUMNS, build_patrol_events
from sentinel_etl.config.parse_config import parse_event_config
from sentinel_etl.config.risk_weights import RISK_WEIGHTS, RiskWeights, check_risk_weights, read_risk_weights
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.settings import PiiPolicy, Settings
from sentinel_etl.source.sql import compile_sql
from sentinel_etl.type_mapping.fact_types import COMPARABLE, FactType
from sentinel_etl.type_mapping.source_types import SourceType, source_type
from sentinel_etl.warehouse.ddl import cluster_of
from sentinel_etl.warehouse.types import arrow_schema, fact_types, is_nullable
from sentinel_etl.window import CITY_ZONE

__all__ = ["SENTINEL", "Pipeline", "load_pipeline"]


# A key that can be guessed is none: 16 bytes are 128 bits, if they are random.
SHORTEST_PII_KEY = 16


@dataclass(frozen=True)
class Pipeline:
    """One source database, one fact table, and the data that leads from one to the other.

    Raises:
        ConfigurationError: on `check`, everything that is wrong, before anything connects.
    """

    event_config: Mapping[str, Mapping[str, Any]]
    fact_table: Table
    risk_weights: RiskWeights = field(default_factory=dict)
    common_columns: tuple[str, ...] = ()
    coalesce: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unknown_values: Mapping[tuple[str, ...], tuple[float, ...]] = field(default_factory=dict)
    text_lengths: Mapping[str, str] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    personal: Mapping[str, str] = field(default_factory=dict)
    pii: PiiPolicy = "keep"
    pii_key: SecretStr | None = field(default=None, repr=False)
    zone: ZoneInfo = CITY_ZONE

    @cached_property
    def event_types(self) -> dict[str, EventType]:
        return parse_event_config(self.event_config, self.common_columns)

    @cached_property
    def schema(self) -> pa.Schema:
        return arrow_schema(self.fact_table)

    @cached_property
    def fact_types(self) -> dict[str, FactType]:
        return fact_types(self.fact_table)

    @cached_property
    def detail_columns(self) -> dict[str, dict[str, SourceType]]:
        """What ``details_json`` takes, in the order of its members: label → event type → type."""
        placed = {*self.schema.names, *(name for sources in self.coalesce.values() for name in sources)}
        found: dict[str, dict[str, SourceType]] = {}
        for kind in self.event_types.values():
            for column in kind.columns:
                if (label := label_of(column)) not in placed:
                    found.setdefault(label, {})[kind.name] = source_type(column)
        return found

    @property
    def own_details(self) -> str:
        """The member that a row's own ``details_json`` becomes beside others."""
        return "details" if "details" not in self.detail_columns else "details_json"

    @cached_property
    def personal_columns(self) -> frozenset[str]:
        """The labels of personal data: those that are classed, and what is coalesced into them."""
        return frozenset(self.personal).union(*(self.coalesce.get(name, ()) for name in self.personal))

    @property
    def altered_columns(self) -> frozenset[str]:
        """The columns that the warehouse holds otherwise than the source."""
        return frozenset() if self.pii == "keep" else self.personal_columns

    @property
    def pii_secret(self) -> bytes:
        return self.pii_key.get_secret_value().encode() if self.pii_key else b""

    def check(self) -> None:
        """Check the whole pipeline without connecting to anything.

        Raises:
            ConfigurationError: the first value that cannot work, by its name.
        """
        self.check_engine_columns()
        # Parsing EVENT_CONFIG checks it.
        labels = {label for event_type in self.event_types.values() for label in event_type.labels}
        self.check_statements()
        self.check_labels()
        check_engine_types(self.fact_types)
        check_types(self.event_types.values(), self.fact_types, self.coalesce)
        self.check_coalesce(labels)
        self.check_unknown_values()
        self.check_bounds()
        self.check_pii_key()
        self.check_personal(labels)
        self.check_text_lengths()
        check_risk_weights(self.risk_weights, self.fact_table)

    def check_engine_columns(self) -> None:
        missing = [name for name in ENGINE_COLUMNS if not self.has_column(name)]
        if missing:
            raise ConfigurationError(
                f"fact table {self.fact_table.name}: expected the columns {', '.join(ENGINE_COLUMNS)}; "
                f"missing {', '.join(missing)}"
            )

    def check_statements(self) -> None:
        """See that each entry can be written as SQL, with all its literals."""
        for kind in self.event_types.values():
            for expression in kind.expressions():
                try:
                    compile_sql(expression)
                except ConfigurationError as error:
                    raise ConfigurationError(f"EVENT_CONFIG.{kind.name}: {error}") from error

    def check_labels(self) -> None:
        """See that what each entry reads has a place to go to, and one that nothing else fills."""
        read = {name for sources in self.coalesce.values() for name in sources} | set(self.text_lengths.values())
        for kind in self.event_types.values():
            for label in kind.labels:
                if label in self.text_lengths:
                    raise ConfigurationError(
                        f"EVENT_CONFIG.{kind.name}: expected no column labelled {label}, because text_lengths computes "
                        "it; choose another label"
                    )
                if not (self.has_column(label) or self.has_column("details_json") or label in read):
                    raise ConfigurationError(
                        f"EVENT_CONFIG.{kind.name}: expected {self.fact_table.name} to have a column {label}, or "
                        f"details_json to keep it in; found {', '.join(self.fact_table.columns.keys())}. Correct the "
                        "label, or add the column"
                    )

    def check_coalesce(self, labels: set[str]) -> None:
        for target, sources in self.coalesce.items():
            self.expect_column(target, "coalesce")
            if not labels.intersection(sources):
                raise ConfigurationError(
                    f"coalesce.{target}: expected at least one of {', '.join(sources)} among the columns "
                    "that EVENT_CONFIG reads, found none"
                )

    def check_unknown_values(self) -> None:
        for group, values in self.unknown_values.items():
            if len(group) != len(values) or not all(self.has_numbers(name) for name in group):
                raise ConfigurationError(
                    f"unknown_values.{', '.join(group)}: expected columns of {self.fact_table.name} and a value for "
                    f"each, found {values!r}"
                )

    def check_bounds(self) -> None:
        for name, (low, high) in self.bounds.items():
            if not self.has_numbers(name) or not low <= high:
                raise ConfigurationError(
                    f"bounds.{name}: expected a column of {self.fact_table.name}, its least and its greatest value; "
                    f"found {low!r}, {high!r}"
                )

    def check_pii_key(self) -> None:
        if self.pii == "hash" and len(self.pii_secret) < SHORTEST_PII_KEY:
            raise ConfigurationError(
                f"SENTINEL_PII_KEY: expected a secret of at least {SHORTEST_PII_KEY} bytes, because SENTINEL_PII is "
                "hash; make one with `openssl rand -hex 32`, and keep it: with another the hashes do not match"
            )

    def check_personal(self, labels: set[str]) -> None:
        for name in self.personal:
            column = self.fact_table.columns.get(name)
            if column is None and name not in labels:
                raise ConfigurationError(
                    f"personal.{name}: expected a column of {self.fact_table.name} or one that EVENT_CONFIG reads, "
                    "found neither; a name that is misspelt would leave its column in clear"
                )
            if name in self.risk_weights:
                raise ConfigurationError(
                    f"personal.{name}: expected no risk weights for it, because risk_reasons would show its values"
                )
            if column is not None and not (is_nullable(column) and pa.types.is_string(self.schema.field(name).type)):
                raise ConfigurationError(
                    f"personal.{name}: expected a Nullable String, to hold a hash or nothing; found {column.type}"
                )

    def check_text_lengths(self) -> None:
        for target in self.text_lengths:
            self.expect_column(target, "text_lengths")

    def has_numbers(self, name: str) -> bool:
        return self.has_column(name) and self.fact_types[name].kind in COMPARABLE

    def has_column(self, name: str) -> bool:
        return name in self.fact_table.columns

    def expect_column(self, name: str, part: str) -> None:
        if not self.has_column(name):
            raise ConfigurationError(f"{part}.{name}: expected a column of {self.fact_table.name}")

    def select_event_types(self, names: list[str] | None) -> dict[str, EventType]:
        """Pick event types by name; all of them for an empty list.

        Raises:
            ConfigurationError: a name that EVENT_CONFIG does not have.
        """
        unknown = [name for name in names or [] if name not in self.event_types]
        if unknown:
            raise ConfigurationError(
                f"event types: expected some of {', '.join(self.event_types)}; found {', '.join(unknown)}"
            )
        return {name: kind for name, kind in self.event_types.items() if not names or name in names}


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
    try:
        found = find_spec(module)
        if found is None:
            raise ModuleNotFoundError(f"No module named {module!r}")
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
