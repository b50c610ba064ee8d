"""Which facts of a night change after its events, because what they hang on is filled in later. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sentinel_etl.config.event_type import EventType
from sentinel_etl.config.risk_weights import weighted_columns

if TYPE_CHECKING:
    from sentinel_etl.pipeline.pipeline import Pipeline

__all__ = ["Settling", "find_settling"]


@dataclass(frozen=True)
class Settling:
    """What of a night is not yet as it will be when the night is loaded.

    ``columns``  event type → its fact columns that are filled in or changed later; none: those that never are
    ``counts``   the event types of which also how many there are hangs on such a column
    ``scores``   the event types whose scores do
    """

    columns: Mapping[str, frozenset[str]] = field(default_factory=dict)
    counts: frozenset[str] = frozenset()
    scores: frozenset[str] = frozenset()


def find_settling(pipeline: Pipeline) -> Settling:
    """Find what hangs on the columns that the entries say ``changes_later`` of."""
    kinds = {name: kind for name, kind in pipeline.event_types.items() if kind.changes_later}
    columns = {name: fact_columns(kind, pipeline) for name, kind in kinds.items()}
    scores = {
        name
        for name, changing in columns.items()
        for place in weighted_columns(pipeline.risk_weights)
        if place.column in changing and place.event_type in ("", name)
    }
    counts = {name for name, kind in kinds.items() if kind.count_changes_later}
    return Settling(columns, frozenset(counts), frozenset(scores))


def fact_columns(kind: EventType, pipeline: Pipeline) -> frozenset[str]:
    """List the fact columns that take, or are worked out from, what changes later; the score apart."""
    labels = set(kind.changes_later)
    found = labels & {*pipeline.schema.names}
    found |= {target for target, sources in pipeline.coalesce.items() if labels & {*sources}}
    if labels & {*pipeline.detail_columns}:
        found.add("details_json")
    # A group of values that means unknown becomes NULL together.
    found |= {name for group in pipeline.unknown_values for name in group if found & {*group}}
    return frozenset(found | {target for target, source in pipeline.text_lengths.items() if source in found})
