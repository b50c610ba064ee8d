"""The controls of the analyst's notebooks: each move asks the warehouse again, and what is below is drawn anew.

Where nobody can answer, as under papermill and nbval, a panel shows what it would begin with, and ipywidgets is not
even imported.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pandas as pd

from sentinel_etl.analyst import readings, trial
from sentinel_etl.analyst.bench import choose_loaded_nights, lend_bench, open_sections
from sentinel_etl.analyst.trial import Asked
from sentinel_etl.config.dimensions import CITY, Dimensions
from sentinel_etl.config.risk_weights import RiskWeights
from sentinel_etl.errors import SentinelError
from sentinel_etl.report import hotspots, trial_pages, zoom_map
from sentinel_etl.report.pages import Page, lines_page, name_key
from sentinel_etl.report.sections import needs
from sentinel_etl.warehouse.decay import DEFAULT_HALF_LIFE_HOURS
from sentinel_etl.window import Window

if TYPE_CHECKING:
    from ipywidgets import Widget

__all__ = ["Panel", "can_answer", "city_map", "other_weights"]

Draw = Callable[[Asked], str]


@dataclass(frozen=True)
class Choices:
    """What a panel begins with, and what it lets one choose."""

    first: Asked
    zone: ZoneInfo
    event_types: tuple[str, ...]
    places: tuple[tuple[str, Any], ...]  # name, key


@dataclass(frozen=True, repr=False)
class Panel:
    """Controls where a front end can answer; ``still``, which a page can show, with them and in their place."""

    still: Any
    build: Callable[[], Widget]

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = self.show_still()
        if can_answer():
            data = {**self.build()._repr_mimebundle_(), **data}
        return data, metadata

    def show_still(self) -> tuple[dict[str, Any], dict[str, Any]]:
        if isinstance(self.still, zoom_map.ZoomMap):
            return self.still._repr_mimebundle_()
        return {"text/html": self.still._repr_html_(), "text/plain": repr(self.still)}, {}

    def __repr__(self) -> str:
        return repr(self.still)


def can_answer() -> bool:
    """Tell whether this cell was run from where a person can answer, and so move a control.

    JupyterLab, Notebook and VS Code say so with each cell; papermill, nbconvert and nbval say that nobody can:
    ``allow_stdin`` in https://jupyter-client.readthedocs.io/en/stable/messaging.html#execute
    """
    from IPython import get_ipython

    parent: dict[str, Any] = getattr(get_ipython(), "get_parent", dict)()
    return bool(parent.get("content", {}).get("allow_stdin"))


@needs("latitude", "longitude", "base_risk_score", optional=("ranking", "places", "stations"))
def city_map(
    period: Window,
    half_life_hours: float,
    incidents: pd.DataFrame,
    ranking: pd.DataFrame | None,
    places: pd.DataFrame | None,
    stations: pd.DataFrame | None,
    emerging: pd.DataFrame,
    nights: int,
    dimensions: Dimensions = CITY,
) -> Panel:
    """Show the map of `zoom_map`, with controls for the instant, the half-life, the event types and a place.

    Raises: as `zoom_map`.
    """
    still = zoom_map.zoom_map(incidents, ranking, places, stations, emerging, nights, dimensions=dimensions)
    asked = Asked(period.end, half_life_hours)
    keys = [] if ranking is None else ranking[dimensions.place].to_list()

    def draw(asked: Asked) -> str:
        return draw_map(asked, period, half_life_hours, places, stations)

    return Panel(still, lambda: build_controls(choose(asked, keys, dimensions), draw))


@needs("place", "base_risk_score")
def other_weights(
    period: Window,
    before: RiskWeights,
    after: RiskWeights,
    half_life_hours: float = DEFAULT_HALF_LIFE_HOURS,
    dimensions: Dimensions = CITY,
) -> Panel:
    """Show the places' decayed ranking as stored and under other weights, with controls for those, too.

    Raises: as `trial.rank_places_under`.
    """
    asked = Asked(period.end, half_life_hours, before=before, after=after)
    ranking = trial.rank_places_under(asked)
    still = trial_pages.trial_table(ranking, dimensions=dimensions)
    keys = ranking[dimensions.place].to_list()
    return Panel(still, lambda: build_controls(choose(asked, keys, dimensions), draw_trial))


def choose(asked: Asked, places: list[Any], dimensions: Dimensions) -> Choices:
    """Offer the pipeline's event types, and the places in order of their names."""
    with lend_bench() as bench:
        zone, event_types = bench.pipeline.zone, tuple(bench.pipeline.event_types)
    named = sorted(((name_key(dimensions.place, key, dimensions), key) for key in places), key=lambda pair: pair[1])
    return Choices(asked, zone, event_types, tuple(named))


def draw_map(
    asked: Asked,
    period: Window,
    half_life_hours: float,
    places: pd.DataFrame | None,
    stations: pd.DataFrame | None,
) -> str:
    """Ask for all that the map shows at an instant, and draw it with its ranking.

    The cells are those of as many nights as in ``period``, of every event type; emerging is what it is at the
    notebook's own half-life. Positions stay: a place does not move.
    """
    section = open_sections()
    zone = section.pipeline.zone
    nights, loaded = choose_loaded_nights(asked.as_of.isoformat(), len(period.shift_dates(zone)))
    ranking = section.read(trial.rank_places_under, asked)
    incidents = section.read(readings.find_incidents, nights)
    emerging = section.read(readings.find_emerging, nights, half_life_hours)
    headline = section.read(hotspots.headline_page, ranking, nights, asked.half_life_hours, zone)
    shown = (incidents, ranking, places, stations, emerging, loaded)
    drawn = section.read(zoom_map.draw_zoom_map, *shown, chosen=asked.place)
    svg = drawn.svg if isinstance(drawn, zoom_map.ZoomMap) else drawn.html
    return f"{headline.html}{svg}{draw_place(asked)}"


def draw_trial(asked: Asked) -> str:
    """Ask for the ranking under the weights that are tried, and say which they are."""
    section = open_sections()
    changes = [
        f"{column} = {value}: {before:g} → {after:g}"
        for column, value, before, after in asked.other_weights.itertuples(index=False)
    ]
    told = lines_page(changes or ["The weights are those of the stored scores."])
    ranking = section.read(trial.rank_places_under, asked)
    table = section.read(trial_pages.trial_table, ranking, asked.place)
    return f"{told.html}{table.html}{draw_place(asked)}"


def draw_place(asked: Asked) -> str:
    """Ask what the risk of the chosen place is made of; nothing where none is chosen."""
    if asked.place is None:
        return ""
    section = open_sections()
    parts = section.read(trial.explain_place, asked)
    page: Page = section.read(trial_pages.place_table, parts, asked.place, section.pipeline.zone)
    return page.html


def build_controls(choices: Choices, draw: Draw) -> Widget:
    """Make the controls, and below them what ``draw`` makes of where they stand: HTML."""
    import ipywidgets as widgets

    from sentinel_etl.analyst.control_widgets import make_weight_control, make_widgets

    made = make_widgets(choices.first, choices.zone, choices.event_types, [name for name, _ in choices.places])
    answer, status = widgets.HTML(), widgets.HTML()
    first, tried = choices.first, {"after": choices.first.after}

    def redraw(_: Any = None) -> None:
        started = time.perf_counter()
        try:
            answer.value = draw(replace(read_widgets(made, choices), after=tried["after"]))
        except SentinelError as error:  # the picture of before stays
            status.value = lines_page([str(error)]).html
        else:
            status.value = lines_page([f"asked and drawn in {time.perf_counter() - started:.2f} s"]).html

    def try_weights(after: RiskWeights) -> None:
        tried["after"] = after
        redraw()

    rows = list(made.values())
    if first.before is not None and first.after is not None:
        rows.append(make_weight_control(first.before, first.after, try_weights))
    for widget in made.values():
        widget.observe(redraw, "value")
    redraw()
    return widgets.VBox([*rows, status, answer])


def read_widgets(made: dict[str, Any], choices: Choices) -> Asked:
    """Read where the controls stand; all event types, or none, are no condition."""
    from sentinel_etl.analyst.control_widgets import NO_PLACE

    moment: datetime | None = made["as_of"].value
    chosen, number = tuple(made["event_types"].value), made["place"].value
    return replace(
        choices.first,
        as_of=choices.first.as_of if moment is None else moment.replace(tzinfo=choices.zone),
        half_life_hours=made["half_life_hours"].value,
        event_types=() if len(chosen) == len(choices.event_types) else chosen,
        place=None if number == NO_PLACE else choices.places[number][1],
    )
