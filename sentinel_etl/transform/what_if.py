"""What other weights would do to scores that are already there. Pure: frames in, frames out.

A score follows from the columns that the weights name and from nothing else, so events that agree in
these columns are one row here, with how many they are: a year of events is a few thousand rows, and
no score in the warehouse is touched.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from operator import itemgetter
from typing import Any

import pandas as pd
import yaml
from clickhouse_sqlalchemy import Table

from sentinel_etl.arrow import as_arrow
from sentinel_etl.config.risk_weights import (
    RiskWeights,
    WeightedColumn,
    as_scored,
    check_risk_weights,
    weight_columns,
    weighted_columns,
)
from sentinel_etl.errors import ConfigurationError, NothingThere
from sentinel_etl.transform.risk import score_events

__all__ = ["change_weights", "changed_weights", "compare_scores", "has_value", "suggest_changes"]


def change_weights(
    weights: RiskWeights, changes: Mapping[Any, Any] | str, fact_table: Table, event_types: Collection[str] = ()
) -> RiskWeights:
    """Return the weights with the changes in place of what they name; the others stay.

    ``changes`` has the form of RISK_WEIGHTS, ``{column: {value: weight}}``, or that under one of the
    ``event_types``; or it is YAML text of that form. A value is known by how it is written, as in
    scoring: ``1`` and ``'1'`` are the same one.

    Raises:
        ConfigurationError: text that is not YAML, a column that the fact table does not have, or a
            weight that is not a finite number of at least 0.
    """
    wanted = read_changes(changes)
    check_risk_weights(wanted, fact_table, event_types)
    changed: dict[str, Any] = {}
    for place in weighted_columns(weights):
        columns_of(changed, place)[place.column] = dict(place.values)
    for place in weighted_columns(wanted):
        kept = columns_of(changed, place).setdefault(place.column, {})
        written = {as_scored(value): value for value in kept}
        for value, weight in place.values.items():
            kept[written.get(as_scored(value), value)] = float(weight)
    return changed


def columns_of(weights: dict[str, Any], place: WeightedColumn) -> dict[str, Any]:
    """Find where a column's weights stand: among those of every type, or those of its own."""
    return weights.setdefault(place.event_type, {}) if place.event_type else weights


def suggest_changes(weights: RiskWeights) -> dict[str, Any]:
    """Make changes to begin with: twice the heaviest weight, and nothing for the lightest that counts.

    Raises:
        NothingThere: there is no weight above 0.
    """
    counting = [
        (float(weight), place, value)
        for place in weighted_columns(weights)
        for value, weight in place.values.items()
        if weight > 0
    ]
    if not counting:
        raise NothingThere("What if the weights were others: the pipeline has none; give some in `weight_changes`")
    # Of equal ones the first is taken.
    lightest, heaviest = min(counting, key=itemgetter(0)), max(counting, key=itemgetter(0))
    changes: dict[str, Any] = {}
    for (_, place, value), weight in ((lightest, 0.0), (heaviest, 2 * heaviest[0])):
        columns_of(changes, place).setdefault(place.column, {})[value] = weight
    return changes


def read_changes(changes: Mapping[Any, Any] | str) -> Any:
    if not isinstance(changes, str):
        return changes
    try:
        return yaml.safe_load(changes) or {}
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(
            f"weight changes: expected YAML such as {{emergency_category: {{FIRE: 30}}}}, found {changes!r}: {reason}"
        ) from None


def changed_weights(before: RiskWeights, after: RiskWeights) -> pd.DataFrame:
    """List the weights that differ: column, value (text), before, after (risk points; 0 where there is none).

    The column of a weight of one event type alone is written behind it: ``RENTAL.rating``.
    """
    rows = []
    sides = [{place.label: place.values for place in weighted_columns(side)} for side in (before, after)]
    for column in dict.fromkeys([*sides[0], *sides[1]]):
        old, new = ({as_scored(v): float(w) for v, w in side.get(column, {}).items()} for side in sides)
        rows += [
            (column, value, old.get(value, 0.0), new.get(value, 0.0))
            for value in dict.fromkeys([*old, *new])
            if old.get(value, 0.0) != new.get(value, 0.0)
        ]
    return pd.DataFrame(rows, columns=["column", "value", "before", "after"]).astype(
        {"column": "str", "value": "str", "before": "float64", "after": "float64"}
    )


def has_value(groups: pd.DataFrame, column: str, value: str) -> pd.Series[bool]:
    """Tell which rows have the value of a weight, both as `changed_weights` writes them."""
    event_type, _, name = ("", "", column) if column in groups.columns else column.partition(".")
    found = groups[name].astype("str").str.lower() == value.lower()
    return found & (groups["event_type"].astype("str") == event_type) if event_type else found


def compare_scores(groups: pd.DataFrame, before: RiskWeights, after: RiskWeights) -> pd.DataFrame:
    """Score each row by both sets of weights.

    In: any frame that has the columns which the weights name. Out: the same rows with ``score_before``
    and ``score_after`` (float64, risk points), worked out anew from the columns.

    Raises:
        ConfigurationError: a weight's column is not in the frame, so its points would be missing.
    """
    needed = list(dict.fromkeys([*weight_columns(before), *weight_columns(after)]))
    missing = sorted({*needed} - set(groups.columns))
    if missing:
        raise ConfigurationError(f"what-if: expected the columns {', '.join(missing)} among those read; found none")
    events = as_arrow(groups[needed])
    scores = {
        name: score_events(events, weights)[0].to_numpy(zero_copy_only=False)
        for name, weights in (("score_before", before), ("score_after", after))
    }
    return groups.assign(**scores)
