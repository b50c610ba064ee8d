"""The widgets that the controls are made of; who imports this imports ipywidgets.

https://ipywidgets.readthedocs.io/en/stable/examples/Widget%20List.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import ipywidgets as widgets

from sentinel_etl.analyst.bench import lend_bench
from sentinel_etl.analyst.trial import Asked
from sentinel_etl.config.risk_weights import RiskWeights, WeightedColumn, weighted_columns
from sentinel_etl.transform.what_if import change_weights

__all__ = ["NO_PLACE", "make_weight_control", "make_widgets"]

WIDE = {"description_width": "13em"}
LAYOUT = {"width": "40em", "max_width": "100%"}
LONGEST_HALF_LIFE = 4  # 10^4 hours, more than a year: by then hardly anything fades
NO_PLACE = -1
HEAVIEST = 1_000_000.0  # risk points; a weight has no upper limit of its own


def make_widgets(first: Asked, zone: ZoneInfo, event_types: Sequence[str], places: Sequence[str]) -> dict[str, Any]:
    """Make a control for each thing that may be asked: name in `Asked` → widget.

    A slider tells its value when it is let go: what it passes on the way is no question. A place is told by its number
    among the names, and `NO_PLACE` is none.
    """
    local = first.as_of.astimezone(zone).replace(tzinfo=None)
    look = {"style": WIDE, "layout": LAYOUT}
    named = [(name, number) for number, name in enumerate(places)]
    return {
        "as_of": widgets.NaiveDatetimePicker(value=local, description=f"as of, {zone.key}", **look),
        "half_life_hours": widgets.FloatLogSlider(
            value=first.half_life_hours,
            base=10,
            min=-1,
            max=LONGEST_HALF_LIFE,
            step=0.01,
            readout_format=".1f",
            continuous_update=False,
            description="half-life, hours",
            **look,
        ),
        "event_types": widgets.SelectMultiple(
            options=list(event_types), value=list(event_types), rows=5, description="event types", **look
        ),
        "place": widgets.Dropdown(options=[("none", NO_PLACE), *named], value=NO_PLACE, description="a place", **look),
    }


def make_weight_control(before: RiskWeights, after: RiskWeights, tell: Callable[[RiskWeights], None]) -> Any:
    """Make a control that names a weight and gives it another value; ``tell`` gets all weights that are tried."""
    named_weights = [(place, value) for place in weighted_columns(after) for value in place.values]
    options = [(f"{place.label} = {value}", number) for number, (place, value) in enumerate(named_weights)]
    look = {"style": WIDE, "layout": LAYOUT}
    name = widgets.Dropdown(options=options, description="weight", **look)
    points = widgets.BoundedFloatText(min=0, max=HEAVIEST, step=1, description="risk points", **look)
    as_stored = widgets.Button(description="weights as stored")
    tried = {"weights": after}

    def show(_: Any = None) -> None:
        points.value = points_of(tried["weights"], *named_weights[name.value])

    def change(_: Any) -> None:
        place, value = named_weights[name.value]
        if points.value != points_of(tried["weights"], place, value):  # and not another weight that is shown
            tried["weights"] = with_points(tried["weights"], place, value, points.value)
            tell(tried["weights"])

    def go_back(_: Any) -> None:
        tried["weights"] = before
        show()
        tell(before)

    show()
    name.observe(show, "value")
    points.observe(change, "value")
    as_stored.on_click(go_back)
    return widgets.VBox([name, points, as_stored])


def points_of(weights: RiskWeights, weighted: WeightedColumn, value: Any) -> float:
    """Give the points of a value; 0 where the weights do not name it."""
    return next(
        (float(each.values.get(value, 0.0)) for each in weighted_columns(weights) if each.label == weighted.label), 0.0
    )


def with_points(weights: RiskWeights, weighted: WeightedColumn, value: Any, points: float) -> RiskWeights:
    """Give weights in which one value has other points; those that are given stay as they are."""
    values = {weighted.column: {value: points}}
    changes = {weighted.event_type: values} if weighted.event_type else values
    with lend_bench() as bench:
        return change_weights(weights, changes, bench.pipeline.fact_table, bench.pipeline.event_types)
