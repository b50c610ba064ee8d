"""What a control may ask: the places' risk at any instant and half-life, of some event types, under other weights.

Each question is asked of the warehouse anew. At the default half-life, with nothing else changed, nights come from the
projection, as in `questions.hotspot_risk`; everything else is summed from the rows that have a score.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
from clickhouse_sqlalchemy import Table
from sqlalchemy import ColumnElement, Float, case, func, literal, select

from sentinel_etl.analyst.bench import Bench, lend_bench
from sentinel_etl.analyst.questions import check_as_of, hotspot_risk
from sentinel_etl.config.risk_weights import RiskWeights
from sentinel_etl.report.sections import needs
from sentinel_etl.transform.what_if import changed_weights
from sentinel_etl.warehouse.decay import DEFAULT_HALF_LIFE_HOURS, check_half_life
from sentinel_etl.warehouse.key_columns import readable
from sentinel_etl.warehouse.query import query_df
from sentinel_etl.warehouse.rows import instant

__all__ = ["Asked", "explain_place", "rank_places_under"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WEEK = timedelta(weeks=1)

# Half-lives after which an event is not read: it adds less than 2^−30 of its points. All that a place has left out, of
# ten million points, is less than the digit that is shown. `decay.NEGLIGIBLE_HALF_LIVES` reads three quarters more.
FADED_HALF_LIVES = 30
MICROSECONDS_AN_HOUR = 3_600_000_000

# Hours of the shortest half-life at which a double holds both 2^(a week/half-life) and its inverse.
ONE_POWER_HALF_LIFE_HOURS = 1.0


@dataclass(frozen=True)
class Asked:
    """What is asked about; no event types: all of them; no weights: those of the stored scores."""

    as_of: datetime
    half_life_hours: float
    event_types: tuple[str, ...] = ()
    place: Any = None
    before: RiskWeights | None = None
    after: RiskWeights | None = None

    @property
    def other_weights(self) -> pd.DataFrame:
        """The weights that differ, as `changed_weights` lists them."""
        return changed_weights(self.before or {}, self.after or {})


@needs("place", "base_risk_score")
def rank_places_under(asked: Asked) -> pd.DataFrame:
    """Rank the places by the risk that is left at ``as_of``, of the events and under the weights that are asked about.

    Out, the highest risk first, ties in order of the place: the place; the station of its last event, where the fact
    table has stations; ``risk`` and ``risk_week_before`` as in `questions.hotspot_risk`; ``risk_as_stored`` (risk
    points at ``as_of`` under the scores that are stored). Other weights are added as differences to the stored scores.

    Raises: as `questions.hotspot_risk`.
    """
    half_life = check_half_life(asked.half_life_hours)
    moment = check_as_of(asked.as_of)
    with lend_bench() as bench:
        if half_life == DEFAULT_HALF_LIFE_HOURS and not asked.event_types and asked.other_weights.empty:
            ranking = hotspot_risk(bench.warehouse, moment, half_life, pipeline=bench.pipeline)
            return ranking.assign(risk_as_stored=ranking["risk"])
        table, roles = bench.pipeline.fact_table, bench.pipeline.roles
        place, stored = table.c[roles["place"]], func.toFloat64(table.c.base_risk_score, type_=Float)
        score = stored + points_added(table, asked.other_weights)
        now, before = decayed(table, moment, half_life), decayed_a_week_before(table, moment, half_life)
        shown = [readable(place).label(place.name)]
        if "station" in roles:
            station = table.c[roles["station"]]
            shown.append(func.argMax(readable(station), table.c.event_timestamp).label(station.name))
        risk = func.sum(score * now).label("risk")
        sums = [
            risk,
            func.sum(score * before).label("risk_week_before"),
            func.sum(stored * now).label("risk_as_stored"),
        ]
        statement = (
            select(*shown, *sums)
            .where(*of_these_events(bench, asked, moment, half_life), func.isNotNull(place))
            .where((stored != 0) | (score != 0))
            .group_by(place)
            .order_by(risk.desc(), place)
        )
        return query_df(bench.warehouse, statement)


@needs("place", "base_risk_score")
def explain_place(asked: Asked) -> pd.DataFrame:
    """Break down the risk that is left at the place that is asked about by event type, the most first.

    Out: ``event_type``; ``risk`` (risk points left at ``as_of``); ``events`` (with a score, not faded yet);
    ``last_event`` (UTC).

    Raises: as `rank_places_under`.
    """
    half_life, moment = check_half_life(asked.half_life_hours), check_as_of(asked.as_of)
    with lend_bench() as bench:
        table = bench.pipeline.fact_table
        place = table.c[bench.pipeline.roles["place"]]
        score = func.toFloat64(table.c.base_risk_score, type_=Float) + points_added(table, asked.other_weights)
        risk = func.sum(score * decayed(table, moment, half_life)).label("risk")
        last = func.max(table.c.event_timestamp).label("last_event")
        statement = (
            select(readable(table.c.event_type).label("event_type"), risk, func.count().label("events"), last)
            .where(*of_these_events(bench, asked, moment, half_life), readable(place) == asked.place, score != 0)
            .group_by(table.c.event_type)
            .order_by(risk.desc(), table.c.event_type)
        )
        return query_df(bench.warehouse, statement)


def of_these_events(
    bench: Bench, asked: Asked, moment: datetime, half_life_hours: float
) -> Sequence[ColumnElement[bool]]:
    """Build the conditions of the rows: up to the instant, not faded a week before it, of the types asked about."""
    table = bench.pipeline.fact_table
    days = math.ceil(min((moment - EPOCH).days, FADED_HALF_LIVES * half_life_hours / 24 + 9))
    first, last = (moment - timedelta(days=days)).date(), moment.date() + timedelta(days=1)
    conditions: list[ColumnElement[bool]] = [
        table.c.shift_date >= str(first),
        table.c.shift_date <= str(last),
        table.c.event_timestamp <= instant(moment),
    ]
    return [*conditions, table.c.event_type.in_(asked.event_types)] if asked.event_types else conditions


def decayed(table: Table, moment: datetime, half_life_hours: float) -> ColumnElement[float]:
    """Build what a point of an event that has happened is worth at an instant, 2^(−age/half-life)."""
    micros = literal((moment - EPOCH) // timedelta(microseconds=1))
    younger = func.toUnixTimestamp64Micro(table.c.event_timestamp) - micros
    return func.exp2(younger * literal(1 / (MICROSECONDS_AN_HOUR * half_life_hours)), type_=Float)


def decayed_a_week_before(table: Table, moment: datetime, half_life_hours: float) -> ColumnElement[float]:
    """Build what a point of an event was worth a week before an instant; nothing where it had not happened yet.

    It is what it is worth now, times the same for all events: working out one power a row is a third of the time.
    """
    if half_life_hours >= ONE_POWER_HALF_LIFE_HOURS:
        growth = 2.0 ** (WEEK / timedelta(hours=half_life_hours))
        worth = decayed(table, moment, half_life_hours) * literal(growth)
    else:
        worth = decayed(table, moment - WEEK, half_life_hours)
    return case((table.c.event_timestamp <= instant(moment - WEEK), worth), else_=literal(0.0))


def points_added(table: Table, weights: pd.DataFrame) -> ColumnElement[float]:
    """Build the points that other weights add to a row's stored score; in: `changed_weights`."""
    added: ColumnElement[float] = literal(0.0)
    for column, value, before, after in weights.itertuples(index=False):
        event_type, _, name = ("", "", column) if column in table.c else column.partition(".")
        has = func.toString(table.c[name]) == value
        if event_type:
            has = has & (table.c.event_type == event_type)
        added = added + case((has, literal(float(after) - float(before))), else_=literal(0.0))
    return added
