"""Where a source's columns go: which label each gets, and which type takes it without loss. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from sqlalchemy import DateTime, Table, Text, cast, func

from sentinel_etl.config.check_types import ENGINE_KINDS, carrier_of
from sentinel_etl.config.event_entry import RESERVED_LABELS
from sentinel_etl.config.event_type import label_of
from sentinel_etl.config.fact_table import ENGINE_COLUMNS
from sentinel_etl.onboarding.live.live_table import LiveColumn, LiveTable
from sentinel_etl.onboarding.live.personal import singular, words_of
from sentinel_etl.onboarding.suggestion.models import Written, quoted
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.type_mapping.fact_types import FactType
from sentinel_etl.type_mapping.pairs import find_pair
from sentinel_etl.type_mapping.source_types import SourceType, source_type
from sentinel_etl.warehouse.types import fact_types

__all__ = ["Destination", "destination_of", "prefixed"]


# Families whose values say little as text, or that a text of another kind stands for already.
LEFT_OUT = frozenset({"bytes", "unknown"})
LEFT_OUT_TYPES = ("tsvector", "tsquery", "xml", "geometry", "geography", "pg_lsn", "txid_snapshot", "pg_snapshot")

# Words that a fact column's name may have beyond the source's, by the family of its type.
TYPE_WORDS: Mapping[str, frozenset[str]] = {
    "json": frozenset({"json"}),
    "text": frozenset({"text"}),
    "array": frozenset({"list", "ids", "array"}),
    "boolean": frozenset({"flag", "is"}),
    "timestamp with time zone": frozenset({"at", "time"}),
}
OF_THE_EVENT = frozenset({"at", "event", "of", "the"})

KEYWORD = "LowCardinality(Nullable(String))"
PLAIN_TYPES: Mapping[str, str] = {
    "boolean": "Bool",
    "oid": "UInt32",
    "uuid": "UUID",
    "money": "Decimal(19, 2)",
    "date": "Date32",
    "timestamp with time zone": "DateTime64(6, 'UTC')",
}
INTEGERS = {"smallint": "Int16", "integer": "Int32"}


@dataclass(frozen=True)
class Destination:
    """A fact table, as far as an entry may fill it; ``facts`` is None where it is still to be made.

    ``placed``    labels that are no fact columns, and go into one by `Pipeline.coalesce`: label → fact column
    ``closed``    labels that an entry may not use
    ``carriers``  labels that other entries read → what carries their values, which must be the same
    """

    zone: ZoneInfo
    facts: Mapping[str, FactType] | None = None
    has_details: bool = True
    common: tuple[str, ...] = ()
    placed: Mapping[str, str] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()
    carriers: Mapping[str, str] = field(default_factory=dict)
    personal: Mapping[str, str] = field(default_factory=dict)
    weighted: frozenset[str] = frozenset()

    def variants(self, written: Written) -> Iterator[Written]:
        """Give the ways in which a column may be read, the plainest first."""
        yield written
        family, zone = source_type(written.value).family, self.zone.key
        if family == "timestamp without time zone":
            yield Written(func.timezone(zone, written.value), f"func.timezone({quoted(zone)}, {written.text})")
        if family == "date":
            midnight = cast(written.value, DateTime)
            yield Written(
                func.timezone(zone, midnight), f"func.timezone({quoted(zone)}, cast({written.text}, DateTime))"
            )
        if family not in ("text", "array"):
            yield Written(cast(written.value, Text), f"cast({written.text}, Text)")

    def fit(self, written: Written, fact: str) -> Written | None:
        """Find the way in which a column goes into a fact column without loss, its text only where all else fails."""
        taker = (self.facts or {})[fact]
        fitting = (each for each in self.variants(written) if find_pair(source_type(each.value), taker) is not None)
        return next(fitting, None)

    def fact_for(self, column: LiveColumn, written: Written, table: LiveTable, taken: frozenset[str]) -> str | None:
        """Find the one fact column that a column of the event's own table is for: by its name, or a longer one."""
        open_facts = [name for name in self.facts or {} if name not in taken]
        if column.name in open_facts:
            return column.name if self.fit(written, column.name) else None
        more = OF_THE_EVENT | table_words(table) | TYPE_WORDS.get(column.source_type.family, frozenset())
        alike = [name for name in open_facts if is_longer(name, column.name, more) and self.takes(written, name)]
        return alike[0] if len(alike) == 1 else None

    def takes(self, written: Written, fact: str) -> bool:
        """Tell whether a fact column takes the values as they are."""
        return find_pair(source_type(written.value), (self.facts or {})[fact]) is not None

    def is_free(self, label: str, kind: SourceType) -> bool:
        """Tell whether a label may be given to what has no fact column."""
        if label in self.closed or label in (self.facts or {}):
            return False
        return self.carriers.get(label, carrier_of(kind)) == carrier_of(kind)

    def is_left_out(self, column: LiveColumn) -> str:
        """Say why a column cannot be read, or is no use as text; empty: it can."""
        kind = column.source_type
        name = column.type_name.partition("(")[0].removesuffix("[]")
        if not column.readable:
            return "the role may not read it"
        if (kind.item or kind).family in LEFT_OUT or name in LEFT_OUT_TYPES:
            return column.type_name
        return "an array of arrays" if column.statistics.dimensions > 1 else ""

    def new_type(self, column: LiveColumn, personal: str) -> str:
        """Name the ClickHouse type of a column that a new fact table would have for it."""
        kind = column.source_type
        if personal:
            return "Nullable(String)"
        if kind.item is not None:
            return f"Array(Nullable({plain_type(kind.item, column.type_name.removesuffix('[]'))}))"
        if column.labels or column.keywords:
            return KEYWORD
        plain = plain_type(SourceType("timestamp with time zone") if is_naive(kind) else kind, column.type_name)
        return plain if plain.startswith("Map(") else f"Nullable({plain})"


def destination_of(fact_table: Table | None, pipeline: Pipeline | None, zone: ZoneInfo) -> Destination:
    """Read from a fact table and a pipeline what an entry may fill, and what is filled already."""
    closed = frozenset({*RESERVED_LABELS, *ENGINE_COLUMNS, *ENGINE_KINDS} - {"details_json"})
    if pipeline is not None:
        closed |= frozenset(pipeline.text_lengths)
    facts = None
    if fact_table is not None:
        facts = {name: each for name, each in fact_types(fact_table).items() if name not in closed}
        if pipeline is not None:
            coalesced = {name for name, sources in pipeline.coalesce.items() if name not in sources}
            facts = {name: each for name, each in facts.items() if name not in coalesced}
    if pipeline is None:
        return Destination(zone, facts, facts is None or "details_json" in facts, closed=closed)
    carriers = {
        label_of(column): carrier_of(source_type(column))
        for kind in pipeline.event_types.values()
        for column in kind.columns
    }
    return Destination(
        zone,
        facts,
        facts is None or "details_json" in facts,
        pipeline.common_columns,
        {name: target for target, sources in pipeline.coalesce.items() for name in sources},
        closed,
        carriers,
        pipeline.personal,
        frozenset(pipeline.risk_weights),
    )


def is_naive(kind: SourceType) -> bool:
    return kind.family == "timestamp without time zone"


def plain_type(kind: SourceType, type_name: str) -> str:
    """Name the ClickHouse type that holds a family's values; text where it has none of its own."""
    if kind.family == "integer":
        return INTEGERS.get(type_name, "Int64")
    if kind.family == "float":
        return "Float32" if type_name == "real" else "Float64"
    if kind.family == "numeric":
        digits = type_name.partition("(")[2].removesuffix(")")
        precision, _, scale = digits.partition(",")
        fits = precision.isdigit() and (scale or "0").isdigit() and int(scale or 0) <= int(precision) <= 76
        return f"Decimal({precision}, {scale or 0})" if fits else "Float64"
    if kind.family == "hstore":
        return "Map(String, String)"
    return PLAIN_TYPES.get(kind.family, "String")


def table_words(table: LiveTable) -> frozenset[str]:
    words = words_of(str(table.table.name))
    return frozenset({*words, *map(singular, words)})


def is_longer(longer: str, name: str, more: frozenset[str]) -> bool:
    """Tell whether a name is another with words before or behind it, all of them among ``more``."""
    words, inner = words_of(longer), words_of(name)
    for start in range(len(words) - len(inner) + 1):
        rest = words[:start] + words[start + len(inner) :]
        if words[start : start + len(inner)] == inner and rest and more.issuperset(rest):
            return True
    return False


def prefixed(table: LiveTable, name: str, hint: str = "") -> str:
    """Write a column's name behind its table's: ``station_name`` for ``stations.name``."""
    words = words_of(hint or str(table.table.name))
    return "_".join([*words[:-1], singular(words[-1]) if words else "", name]).strip("_")
