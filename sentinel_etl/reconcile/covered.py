"""Which fact columns both engines can write alike, how each writes them, and which they cannot, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, case, cast, func, literal, null, true

from sentinel_etl.config.event_type import EventType, label_of
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.reconcile.details import details_sql
from sentinel_etl.type_mapping.pairs import Pair, find_pair
from sentinel_etl.type_mapping.source_types import SourceType, source_type, unlabelled
from sentinel_etl.warehouse.ddl import quote_identifier

__all__ = ["Covered", "covered_columns", "uncovered_columns"]


@dataclass(frozen=True)
class Covered:
    """A fact column that both engines can write alike.

    ``values``  what the source has for it, each with its type
    ``pairs``   how each is written; the first that is not NULL counts
    ``labels``  of a ``details_json``, the members that the values are; its own text, if any, comes first
    """

    name: str
    values: tuple[ColumnElement[Any], ...]
    types: tuple[SourceType, ...]
    pairs: tuple[Pair, ...] = ()
    labels: tuple[str, ...] = ()

    def named_values(self) -> dict[str, ColumnElement[Any]]:
        """Give each value the name under which the statement's inner query selects it."""
        return {f"fact_{self.name}_{place}": value for place, value in enumerate(self.values)}

    def write_source(self, columns: Sequence[str], zone: str) -> str:
        """Write the column in PostgreSQL's SQL, from the SQL of its values."""
        if not self.pairs:
            return details_sql(self.labels, columns, self.types)
        texts = [
            str(pair.source).replace("{zone}", zone).replace("{value}", value)
            for pair, value in zip(self.pairs, columns, strict=True)
        ]
        return texts[0] if len(texts) == 1 else f"coalesce({', '.join(texts)})"

    def write_fact(self) -> str:
        """Write the column in ClickHouse's SQL."""
        column = quote_identifier(self.name)
        return str(self.pairs[0].fact).replace("{value}", column) if self.pairs else f"toString({column})"


def covered_columns(kind: EventType, pipeline: Pipeline) -> list[Covered]:
    """List the fact columns that both engines can write, in the fact table's order.

    Left out are those that the transformation computes: dates, lengths, scores.
    """
    left_out = uncovered_columns(kind, pipeline)
    read = read_columns(kind, pipeline)
    found = [
        cover(name, values, read, pipeline)
        for name in pipeline.schema.names
        if (values := read.get(name)) and name not in left_out and name not in pipeline.text_lengths
    ]
    if "details_json" in pipeline.schema.names and "details_json" not in left_out:
        found.append(cover_details(kind, pipeline))
    return found


def uncovered_columns(kind: EventType, pipeline: Pipeline) -> dict[str, str]:
    """List the fact columns of which an edit in the source is not seen: name → why."""
    hashed = pipeline.altered_columns if pipeline.pii == "hash" else frozenset()
    dropped = pipeline.altered_columns if pipeline.pii == "drop" else frozenset()
    found = {}
    for name, values in read_columns(kind, pipeline).items():
        pairs = [find_pair(source_type(each), pipeline.fact_types[name]) for each in values]
        if name in hashed:
            found[name] = "hashed"
        elif name in dropped:
            found[name] = "dropped"
        elif unlike := next((pair.unlike for pair in pairs if pair and pair.source is None), ""):
            found[name] = unlike
        elif None in pairs:
            found[name] = "an expression that says no type"
    members = {label_of(each): source_type(each) for each in kind.columns if label_of(each) in pipeline.detail_columns}
    if "details_json" in pipeline.schema.names:
        if hashed.intersection({*members, "details_json"}):
            found["details_json"] = "hashed"
        elif "details_json" in dropped:
            found["details_json"] = "dropped"
        elif any((each.item or each).family == "unknown" for each in members.values()):
            found["details_json"] = "an expression that says no type"
    return found


def read_columns(kind: EventType, pipeline: Pipeline) -> dict[str, list[ColumnElement[Any]]]:
    """Find what the source has for each fact column, but for ``details_json``: the first that is not NULL counts."""
    read = {label_of(each): unlabelled(each) for each in kind.columns}
    found = {name: [value] for name, value in read.items() if name in pipeline.schema.names}
    found["event_timestamp"] = [kind.timestamp]
    for target, sources in pipeline.coalesce.items():
        if present := [read[name] for name in sources if name in read]:
            found[target] = present
    found.pop("details_json", None)
    return found


def cover(
    name: str,
    values: list[ColumnElement[Any]],
    columns: Mapping[str, list[ColumnElement[Any]]],
    pipeline: Pipeline,
) -> Covered:
    types = [source_type(each) for each in values]
    if len(set(types)) == 1 and types[0].family != "float" and len(values) > 1:
        values, types = [func.coalesce(*values)], types[:1]
    read = {each: found[0] for each, found in columns.items() if len(found) == 1}
    pairs = [find_pair(each, pipeline.fact_types[name]) for each in types]
    return Covered(
        name,
        tuple(unknown_as_null(name, each, read, pipeline) for each in values),
        tuple(types),
        tuple(pair for pair in pairs if pair),
    )


def unknown_as_null(
    name: str, value: ColumnElement[Any], read: Mapping[str, ColumnElement[Any]], pipeline: Pipeline
) -> ColumnElement[Any]:
    """Write in SQL what the transformation makes of a phone's "unknown"."""
    for group, values in pipeline.unknown_values.items():
        if name in group and all(each in read for each in group):
            same = [read[each] == literal(unknown) for each, unknown in zip(group, values, strict=True)]
            value = case((and_(true(), *same), null()), else_=value)
    return value


def cover_details(kind: EventType, pipeline: Pipeline) -> Covered:
    """Cover ``details_json``: the type's own text for it, then its other members in the pipeline's order."""
    read = {label_of(each): unlabelled(each) for each in kind.columns}
    own: ColumnElement[Any] = cast(read["details_json"], Text) if "details_json" in read else cast(null(), Text)
    dropped = pipeline.altered_columns if pipeline.pii == "drop" else frozenset()
    labels = [name for name in pipeline.detail_columns if name in read and name not in dropped]
    return Covered(
        "details_json",
        (own, *(read[name] for name in labels)),
        (SourceType("text"), *(source_type(read[name]) for name in labels)),
        (),
        (pipeline.own_details, *labels),
    )
