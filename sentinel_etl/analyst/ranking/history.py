"""Reads what was known on each morning, summed by place, night and night of arrival; ClickHouse does the summing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from sqlalchemy import Engine

from sentinel_etl.analyst.questions import takes_latitude_first
from sentinel_etl.analyst.ranking.attribution import attribute
from sentinel_etl.config.risk_weights import as_scored, weighted_columns
from sentinel_etl.errors import NothingThere
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.warehouse.ddl import quote_identifier
from sentinel_etl.warehouse.decay import check_half_life
from sentinel_etl.warehouse.key_columns import key_columns
from sentinel_etl.warehouse.projections import CELL_RESOLUTION
from sentinel_etl.warehouse.query import query_df
from sentinel_etl.warehouse.render import render_sql, write_literal
from sentinel_etl.window import NIGHT_STARTS, Window, night_starts

__all__ = [
    "FIRST_DAY",
    "REACH_M",
    "By",
    "History",
    "check_subject",
    "ends_of",
    "number_nights",
    "put_at_places",
    "read_events",
    "read_history",
    "read_sql",
]

By = Literal["place", "cell"]

# Metres: an emergency that names no place is the nearest one's within this distance. A hotspot is a corner or a
# square, its fence some 100 m wide, and half of the phones' positions are off by less than 5 m, nearly all by less
# than 60. Beyond, it is counted as having happened elsewhere.
REACH_M = 250.0

FIRST_DAY = date(1970, 1, 1)


@dataclass(frozen=True)
class History:
    """What happened in each night, and when it was known; frames of sums, one row per combination that occurs.

    ``nights``       shift_dates, one after the other
    ``places``       the names of places or cells
    ``known``        place → number of the night in which the first event that names it arrived
    ``risk``         ``place``, ``night``, ``arrived`` (numbers), then a column for each half-life, and one for each
                     weight: risk points folded to 00:00 UTC of the night (see `warehouse.decay`)
    ``emergencies``  ``place``, ``night``, ``arrived`` (numbers), ``events``; place −1: at none of the places
    ``half_lives``   hours, the first the one whose ranking is judged; ``weights``: the names of the weights
    ``ends``         hours from 00:00 UTC of 1970 to the end of each night
    """

    nights: tuple[date, ...]
    places: tuple[Any, ...]
    known: npt.NDArray[np.int64]
    risk: pd.DataFrame
    emergencies: pd.DataFrame
    half_lives: tuple[float, ...]
    weights: tuple[tuple[str, float], ...] = ()
    ends: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))


def read_history(
    warehouse: Engine,
    pipeline: Pipeline,
    period: Window,
    by: By = "place",
    *,
    half_lives: Sequence[float],
    resolution: int = CELL_RESOLUTION,
    reach_m: float = REACH_M,
    with_weights: bool = False,
) -> History:
    """Read a period's nights; ``by`` places, or by H3 cells of incidents of the resolution.

    Raises:
        NothingThere: the pipeline has no places or cells, no scores, or does not say what an emergency is.
        WarehouseUnreachable: the server does not answer.
    """
    check_subject(pipeline, by)
    nights = tuple(period.shift_dates(pipeline.zone))
    hours = tuple(check_half_life(each) for each in half_lives)
    weights = list_weights(pipeline) if with_weights else []
    terms = {
        "by_cell": by == "cell",
        "half_lives": list(map(repr, hours)),
        "conditions": [condition for _, _, condition in weights],
        "resolution": resolution,
        "latitude_first": takes_latitude_first(warehouse) if by == "cell" else True,
    }
    risk = number_nights(read_sql(warehouse, pipeline, "risk", nights, **terms), nights)
    happened = read_events(warehouse, pipeline, nights, pipeline.event_kinds.emergencies)
    if by == "cell":
        known = risk.groupby("place")["arrived"].min()
        happened["place"] = name_cells(happened, resolution)
    else:
        known = number_nights(read_sql(warehouse, pipeline, "known_places", nights), nights).set_index("place")[
            "arrived"
        ]
        happened = put_at_places(happened, warehouse, pipeline, nights, reach_m)
    places = pd.Index(sorted(known.index, key=lambda name: (str(type(name)), name)))
    return History(
        nights,
        tuple(places),
        known.reindex(places).to_numpy(np.int64),
        risk.assign(place=places.get_indexer(risk["place"])),
        happened.assign(place=places.get_indexer(happened["place"])),
        hours,
        tuple((name, points) for name, points, _ in weights),
        ends_of(nights, pipeline),
    )


def check_subject(pipeline: Pipeline, by: By) -> None:
    """See that the pipeline has what can be ranked, scores to rank it by, and says what is to be foretold."""
    title = "Does the ranking foretell: left out"
    roles = ("place",) if by == "place" else ("latitude", "longitude")
    if missing := [pipeline.dimensions.column(role) for role in roles if role not in pipeline.roles]:
        names = " and no column ".join(missing)
        raise NothingThere(f"{title}, {pipeline.fact_table.name} has no column {names} to rank")
    if not pipeline.has_column("base_risk_score"):
        raise NothingThere(f"{title}, {pipeline.fact_table.name} has no base_risk_score to rank by")
    known = [name for name in pipeline.event_kinds.emergencies if name in pipeline.event_types]
    if not known:
        raise NothingThere(
            f"{title}, the pipeline does not say which event types are emergencies; name them in "
            "`event_kinds=EventKinds(emergencies=(…,))`"
        )


def list_weights(pipeline: Pipeline) -> list[tuple[str, float, str]]:
    """List the weights that count: name, points, and the condition that an event has it."""
    found = []
    for place in weighted_columns(pipeline.risk_weights):
        for value, points in place.values.items():
            condition = f"lower(toString({quote_identifier(place.column)})) = {write_literal(as_scored(value).lower())}"
            if place.event_type:
                condition = f"{condition} AND toString(event_type) = {write_literal(place.event_type)}"
            if points > 0:
                found.append((f"{place.label}={as_scored(value)}", float(points), f"ifNull({condition}, 0)"))
    return found


def read_sql(
    warehouse: Engine, pipeline: Pipeline, template: str, nights: Sequence[date], **terms: object
) -> pd.DataFrame:
    """Run one of the templates under ``ranking`` over the nights."""
    keys = key_columns(pipeline.fact_table, pipeline.breakdown)
    arrival = keys["arrival"]
    statement = render_sql(
        "sentinel_etl.warehouse",
        f"ranking/{template}",
        table=quote_identifier(pipeline.fact_table.name),
        **{**keys, "arrival": arrival if arrival and arrival.fact.kind == "instant" else None},
        zone=pipeline.zone.key,
        night_starts=NIGHT_STARTS.hour,
        first=nights[0],
        last=nights[-1],
        **terms,
    )
    # The statements' own names have a mark before them: a fact table may have columns of any name.
    frame = query_df(warehouse, statement).rename(columns=lambda name: str(name).removeprefix("ranked_"))
    return frame.astype({name: "float64" for name in frame.columns if name not in ("place", "night", "arrived")})


def number_nights(frame: pd.DataFrame, nights: Sequence[date]) -> pd.DataFrame:
    """Number nights from the first of the period on, in place of days since 1970."""
    first = (nights[0] - FIRST_DAY).days
    names = [name for name in ("night", "arrived") if name in frame.columns]
    return frame.assign(**{name: frame[name].astype("int64") - first for name in names})


def read_events(
    warehouse: Engine,
    pipeline: Pipeline,
    nights: Sequence[date],
    event_types: Sequence[str],
    *,
    half_life: float | None = None,
    digits: int | None = None,
) -> pd.DataFrame:
    """Count the events of some types by night, night of arrival, place and position; and their risk, folded."""
    terms = {"event_types": event_types, "half_life": half_life, "digits": digits}
    return number_nights(read_sql(warehouse, pipeline, "events", nights, **terms), nights)


def put_at_places(
    events: pd.DataFrame, warehouse: Engine, pipeline: Pipeline, nights: Sequence[date], reach_m: float = REACH_M
) -> pd.DataFrame:
    """Give the events that name no place the nearest one's within reach, where places and events have positions."""
    if not {"latitude", "longitude"} <= pipeline.roles.keys() or events["place"].notna().all():
        return events
    positions = number_nights(read_sql(warehouse, pipeline, "positions", nights), nights)
    found = attribute(events, positions, len(nights), reach_m)
    return events.assign(place=pd.Series(found, events.index, dtype=object))


def name_cells(happened: pd.DataFrame, resolution: int) -> list[str | None]:
    """Name the H3 cell of each position, as the warehouse does; None where there is none on Earth."""
    # Whoever only ranks places should not wait for this import.
    import h3

    pairs = zip(happened["latitude"], happened["longitude"], strict=True)
    return [
        h3.latlng_to_cell(float(north), float(east), resolution) if abs(north) <= 90 and abs(east) <= 180 else None
        for north, east in pairs
    ]


def ends_of(nights: Sequence[date], pipeline: Pipeline) -> npt.NDArray[np.float64]:
    """Give the hours since 1970 at which each night ends; a night may have 23 or 25 hours."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    moments = [night_starts(night + timedelta(days=1), pipeline.zone) for night in nights]
    return np.array([(moment - epoch) / timedelta(hours=1) for moment in moments])
