"""Takes up rules that a run has kept: what transforms rows as that run did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from clickhouse_sqlalchemy import Table, engines
from sqlalchemy import Column, MetaData

from sentinel_etl.pipeline import Pipeline
from sentinel_etl.rules.describe import Rules, statement_for
from sentinel_etl.settings import PiiPolicy
from sentinel_etl.type_mapping.source_types import SourceType
from sentinel_etl.warehouse.types import NamedType
from sentinel_etl.window import Window

__all__ = ["StoredPipeline", "restore_pipeline"]


@dataclass(frozen=True)
class StoredPipeline(Pipeline):
    """A pipeline as a run had it. Its entries are statements, and no expressions: it reads and transforms rows.

    ``hidden``     the labels of personal data
    ``protected``  whether what is read has been protected already, as a kept extract is
    """

    statements: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Mapping[str, SourceType]] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    protected: bool = False

    @cached_property
    def detail_columns(self) -> dict[str, dict[str, SourceType]]:
        return {label: dict(found) for label, found in self.details.items()}

    @cached_property
    def personal_columns(self) -> frozenset[str]:
        return self.hidden

    @property
    def altered_columns(self) -> frozenset[str]:
        return self.hidden if self.protected or self.pii != "keep" else frozenset()

    def statement(self, event_type: str, window: Window) -> str:
        """Write the statement that read a type's rows, for a window."""
        return statement_for(self.statements[event_type], window)


def restore_pipeline(rules: Rules, today: Pipeline, table_name: str, *, protected: bool = False) -> StoredPipeline:
    """Make what transforms rows as the kept ``rules`` say, into a table of that name and of the kept columns.

    Of ``today`` only the key for personal data is taken, which is kept nowhere. ``protected``: the rows are of a kept
    extract, whose personal columns are protected, and which has the lengths of the texts in them.
    """
    hidden = frozenset(rules["personal"])
    policy: PiiPolicy = "keep" if protected else rules["personal_data"]
    lengths = {
        target: source
        for target, source in rules["text_lengths"].items()
        if not (protected and rules["personal_data"] != "keep" and source in hidden)
    }
    return StoredPipeline(
        event_config={},
        fact_table=build_table(rules, table_name),
        risk_weights=nest_weights(rules),
        coalesce={target: tuple(sources) for target, sources in rules["coalesce"].items()},
        unknown_values={tuple(group): tuple(values) for group, values in rules["unknown_values"]},
        text_lengths=lengths,
        bounds={name: (low, high) for name, (low, high) in rules["bounds"].items()},
        pii=policy,
        pii_key=today.pii_key,
        zone=ZoneInfo(rules["time_zone"]),
        gate_limits=today.gate_limits,
        statements={name: entry["statement"] for name, entry in rules["event_types"].items()},
        details={
            label: {kind: read_type(text) for kind, text in found.items()} for label, found in rules["details"].items()
        },
        hidden=hidden,
        protected=protected and rules["personal_data"] != "keep",
    )


def build_table(rules: Rules, name: str) -> Table:
    """Build a plain table of the kept columns: what is asked of it is its rows' content."""
    columns = [Column(column, NamedType(text)) for column, text in rules["fact_table"]["columns"].items()]
    return Table(name, MetaData(), *columns, engines.MergeTree(order_by=("event_id",)))


def nest_weights(rules: Rules) -> dict[str, Any]:
    weights: dict[str, Any] = {}
    for event_type, column, values in rules["risk_weights"]:
        (weights.setdefault(event_type, {}) if event_type else weights)[column] = values
    return weights


def read_type(text: str) -> SourceType:
    """Read what `SourceType` writes."""
    outer, _, item = text.partition(" of ")
    return SourceType("array", read_type(item)) if outer == "array" and item else SourceType(text)
