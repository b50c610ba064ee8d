"""What another team swaps: its config, its fact table, its weights."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
from clickhouse_sqlalchemy import Table
from pydantic import SecretStr

from sentinel_etl.config.dimensions import CITY, Dimensions
from sentinel_etl.config.event_config import DEFAULT_TIMESTAMP
from sentinel_etl.config.event_kinds import EventKinds
from sentinel_etl.config.event_type import EventType, label_of
from sentinel_etl.config.fact_table import shown_columns
from sentinel_etl.config.gates import GateLimits
from sentinel_etl.config.parse_config import parse_event_config
from sentinel_etl.config.risk_weights import RiskWeights
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.pipeline.check_pipeline import check_pipeline
from sentinel_etl.pipeline.settling import Settling, find_settling
from sentinel_etl.settings import PiiPolicy
from sentinel_etl.type_mapping.fact_types import COMPARABLE, FactType
from sentinel_etl.type_mapping.source_types import SourceType, source_type
from sentinel_etl.warehouse.types import arrow_schema, fact_types
from sentinel_etl.window import CITY_ZONE

__all__ = ["Pipeline"]


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
    default_timestamp: str = DEFAULT_TIMESTAMP
    coalesce: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unknown_values: Mapping[tuple[str, ...], tuple[float, ...]] = field(default_factory=dict)
    text_lengths: Mapping[str, str] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    personal: Mapping[str, str] = field(default_factory=dict)
    pii: PiiPolicy = "keep"
    pii_key: SecretStr | None = field(default=None, repr=False)
    zone: ZoneInfo = CITY_ZONE
    gate_limits: GateLimits = field(default_factory=GateLimits)
    dimensions: Dimensions = CITY
    event_kinds: EventKinds = field(default_factory=EventKinds)

    @cached_property
    def event_types(self) -> dict[str, EventType]:
        return parse_event_config(self.event_config, self.common_columns, self.default_timestamp)

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

    @cached_property
    def settling(self) -> Settling:
        """What of a night changes after its events."""
        return find_settling(self)

    @property
    def own_details(self) -> str:
        """The member that a row's own ``details_json`` becomes beside others."""
        return "details" if "details" not in self.detail_columns else "details_json"

    @cached_property
    def personal_columns(self) -> frozenset[str]:
        """The labels of personal data: those that are classed, and what is coalesced into them."""
        return frozenset(self.personal).union(*(self.coalesce.get(name, ()) for name in self.personal))

    @cached_property
    def personal_keys(self) -> frozenset[str]:
        """The event types whose ``event_id`` holds personal data."""
        return frozenset(name for name, kind in self.event_types.items() if kind.key_holds(self.personal_columns))

    @cached_property
    def shown_columns(self) -> tuple[str, ...]:
        """What reports may show of a row."""
        return shown_columns(self.fact_table.columns.keys(), self.dimensions, self.personal_columns)

    @cached_property
    def breakdown(self) -> Dimensions:
        """The dimensions as reports, gates and questions use them: without those of which no value may be shown."""
        found = self.dimensions.found_in(self.personal_columns)
        hidden: dict[str, Any] = {role: "" for role in found if role != "person"}
        return replace(self.dimensions, **hidden)

    @cached_property
    def roles(self) -> dict[str, str]:
        """The dimensions that the fact table has: role → column."""
        return self.breakdown.found_in(self.fact_table.columns.keys())

    @property
    def altered_columns(self) -> frozenset[str]:
        """The columns that the warehouse holds otherwise than the source."""
        return frozenset() if self.pii == "keep" else self.personal_columns

    @property
    def pii_policy(self) -> str:
        """Name what is done with personal data, as the ledger has it: keep, drop, or hash and its key's id.

        The id tells two keys apart, and nothing of either.
        """
        return f"hash {self.key_id}" if self.pii == "hash" else self.pii

    @property
    def key_id(self) -> str:
        """Name the key for personal data; empty: there is none."""
        return hmac.digest(self.pii_secret, b"id of the key", "sha256").hex()[:8] if self.pii_secret else ""

    @property
    def pii_secret(self) -> bytes:
        return self.pii_key.get_secret_value().encode() if self.pii_key else b""

    def check(self) -> None:
        """Check the whole pipeline without connecting to anything.

        Raises:
            ConfigurationError: the first value that cannot work, by its name.
        """
        check_pipeline(self)

    def has_numbers(self, name: str) -> bool:
        return self.has_column(name) and self.fact_types[name].kind in COMPARABLE

    def has_column(self, name: str) -> bool:
        return name in self.fact_table.columns

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
