"""Says how much of what is known of a place depends on how long patrols were there.

A ranking that is fed by what patrols find sends them where they have been: what they find there confirms it, although
nothing has become worse there. D. Ensign, S. A. Friedler, S. Neville, C. Scheidegger and S. Venkatasubramanian, Runaway
feedback loops in predictive policing, Proceedings of Machine Learning Research 81, 2018, 160-171; K. Lum and W. Isaac,
To predict and serve?, Significance 13(5), 2016, 14-19.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special
from sqlalchemy import Engine

from sentinel_etl.analyst.bench import lend_bench
from sentinel_etl.analyst.questions import hotspot_risk
from sentinel_etl.analyst.ranking.history import FIRST_DAY, number_nights, put_at_places, read_events, read_sql
from sentinel_etl.config.event_kinds import EventKinds
from sentinel_etl.errors import NothingThere
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.report.sections import needs
from sentinel_etl.warehouse.ddl import quote_identifier
from sentinel_etl.warehouse.decay import DEFAULT_HALF_LIFE_HOURS, check_half_life
from sentinel_etl.warehouse.render import write_literal
from sentinel_etl.window import Window

__all__ = ["CAVEAT", "Association", "Presence", "associate", "correlate", "measure_presence"]

Floats = npt.NDArray[np.float64]

CAVEAT = (
    "What patrols find depends on where they are. Where found events make the ranking, it sends patrols to where they "
    "have been, and what they find there seems to confirm it (Ensign et al. 2018; Lum and Isaac 2016). Reports by "
    "citizens do not depend on patrols in this way, but they have gaps of their own: not everybody calls. No number "
    "here tells a place that is bad from one that is watched; compare both rankings before patrols are sent."
)

DIGITS = 4  # of a degree: 11 m, finer than most fixes, so that neighbouring rows are one
Z95 = 1.959964  # of the normal distribution
STEPS_OF_NEWTON = 50


@dataclass(frozen=True)
class Association:
    """A number, the ends of its 95% interval, and the places that it is of; NaN where there are too few."""

    value: float
    low: float
    high: float
    places: int


@dataclass(frozen=True)
class Presence:
    """How what is known of places depends on patrols' presence.

    ``places``        a row for each, the highest risk first: the place; ``hours`` of patrols there; ``reported`` and
                      ``found`` (events); ``reported_per_hour``, ``found_per_hour``; ``risk`` (as it is ranked),
                      ``rank``; ``risk_reported`` (of reported events alone), ``rank_reported``
    ``rank_correlation``  ranking → Spearman's correlation of its risk with the hours, over the places
    ``doubling``      kind → by what factor its events rise at the same place in nights of twice the hours
    """

    places: pd.DataFrame
    rank_correlation: dict[str, Association]
    doubling: dict[str, Association]


@needs("place", "outing", "base_risk_score")
def measure_presence(period: Window, half_life_hours: float = DEFAULT_HALF_LIFE_HOURS) -> Presence:
    """Measure a period's events per patrol-hour at each place, and what would be ranked by reported events alone.

    The hours are those between an outing's arrival at a place and its leaving, without its rests. Events that name no
    place are the nearest one's, as in `history.read_history`. Ranks are as of the period's end.

    Raises:
        NothingThere: the pipeline does not say which events are reported, which are found, and what tells of presence;
            or there are none.
        WarehouseUnreachable: the server does not answer.
    """
    half_life = check_half_life(half_life_hours)
    with lend_bench() as bench:
        pipeline, warehouse = bench.pipeline, bench.warehouse
        check_kinds(pipeline)
        hours = read_hours(warehouse, pipeline, period)
        kinds = {
            name: read_kind(warehouse, pipeline, period, getattr(pipeline.event_kinds, name), half_life)
            for name in ("reported", "found")
        }
        ranked = hotspot_risk(warehouse, period.end, half_life, pipeline=pipeline)
    place = pipeline.roles["place"]
    risk = pd.Series(ranked["risk"].to_numpy(np.float64), index=ranked[place].astype("str"), name="risk")
    return relate(hours, kinds, risk, dict(zip(ranked[place].astype("str"), ranked[place], strict=True)))


def check_kinds(pipeline: Pipeline) -> None:
    kinds: EventKinds = pipeline.event_kinds
    missing = [name for name in ("reported", "found", "steps") if not getattr(kinds, name)]
    if missing or not any(name in pipeline.event_types for name in kinds.steps):
        raise NothingThere(
            "Does the ranking feed on itself: left out, the pipeline does not say "
            f"{' and '.join(missing) or 'steps'} in `event_kinds=EventKinds(…)`"
        )


def read_hours(warehouse: Engine, pipeline: Pipeline, period: Window) -> pd.DataFrame:
    """Sum the hours of outings at each place in each night: ``place`` (text), ``night``, ``hours``."""
    nights = period.shift_dates(pipeline.zone)
    steps = [
        (step, f"toString(event_type) = {write_literal(kind)} AND {is_value(column, value)}")
        for kind, by_column in pipeline.event_kinds.steps.items()
        for column, by_value in by_column.items()
        for value, step in by_value.items()
    ]
    terms = {"steps": steps, "event_types": list(pipeline.event_kinds.steps)}
    return number_nights(read_sql(warehouse, pipeline, "hours", nights, **terms), nights)


def is_value(column: str, value: str) -> str:
    return f"ifNull(toString({quote_identifier(column)}) = {write_literal(value)}, 0)"


def read_kind(
    warehouse: Engine, pipeline: Pipeline, period: Window, event_types: tuple[str, ...], half_life: float
) -> pd.DataFrame:
    """Count the events of a kind at each place in each night, and their risk at the period's end."""
    nights = period.shift_dates(pipeline.zone)
    events = read_events(warehouse, pipeline, nights, event_types, half_life=half_life, digits=DIGITS)
    events = put_at_places(events, warehouse, pipeline, nights).dropna(subset="place")
    midnight = 24.0 * ((nights[0] - FIRST_DAY).days + events["night"].to_numpy(np.float64))
    age = period.end.timestamp() / 3600 - midnight
    events = events.assign(place=events["place"].astype("str"), risk=events["risk"] * np.exp2(-age / half_life))
    return events.groupby(["place", "night"], as_index=False)[["events", "risk"]].sum()


def relate(hours: pd.DataFrame, kinds: dict[str, pd.DataFrame], risk: pd.Series, names: dict[str, Any]) -> Presence:
    """Put hours, events and both rankings side by side. Pure.

    Raises:
        NothingThere: no patrol was at any place.
    """
    if hours.empty or risk.empty:
        raise NothingThere("Does the ranking feed on itself: left out, no patrol was at any place in these nights")
    places = pd.DataFrame(index=risk.index)
    places["hours"] = hours.groupby("place")["hours"].sum().reindex(places.index).fillna(0.0)
    for name, events in kinds.items():
        places[name] = events.groupby("place")["events"].sum().reindex(places.index).fillna(0).astype("int64")
        places[f"{name}_per_hour"] = places[name] / places["hours"].where(places["hours"] > 0)
    places["risk"], places["rank"] = risk, risk.rank(ascending=False, method="min").astype("int64")
    places["risk_reported"] = kinds["reported"].groupby("place")["risk"].sum().reindex(places.index).fillna(0.0)
    places["rank_reported"] = places["risk_reported"].rank(ascending=False, method="min").astype("int64")
    places = places.sort_values("rank", kind="stable")
    correlations = {
        name: correlate(places[column].to_numpy(np.float64), places["hours"].to_numpy(np.float64))
        for name, column in (("as it is", "risk"), ("reported events alone", "risk_reported"))
    }
    doubling = {name: associate(hours, events) for name, events in kinds.items()}
    return Presence(places.rename(index=names), correlations, doubling)


def correlate(one: Floats, other: Floats) -> Association:
    """Correlate the ranks of two columns, by Spearman's coefficient.

    The interval is by Fisher's z with the variance of D. G. Bonett and T. A. Wright, Sample size requirements for
    estimating Pearson, Kendall and Spearman correlations, Psychometrika 65, 2000, 23-28.
    """
    ranks = [pd.Series(each).rank().to_numpy(np.float64) for each in (one, other)]
    count = len(one)
    if count < 4 or min(each.std() for each in ranks) == 0:
        return Association(np.nan, np.nan, np.nan, count)
    value = float(np.corrcoef(ranks[0], ranks[1])[0, 1])
    middle = np.arctanh(np.clip(value, -1 + 1e-12, 1 - 1e-12))
    reach = Z95 * np.sqrt((1 + value**2 / 2) / (count - 3))
    return Association(value, float(np.tanh(middle - reach)), float(np.tanh(middle + reach)), count)


def associate(hours: pd.DataFrame, events: pd.DataFrame) -> Association:
    """Estimate by what factor events rise in nights of twice the hours at the same place; 1: not at all, 2: alike.

    A Poisson regression on the logarithm of the hours with an effect for each place, so that only nights of one place
    are compared, and how bad it is cancels out (J. Hausman, B. H. Hall and Z. Griliches, Econometric models for count
    data, Econometrica 52, 1984, 909-938). The counts need not be Poisson's (J. M. Wooldridge, Distribution-free
    estimation of some nonlinear panel data models, Journal of Econometrics 90, 1999, 77-97): the error is the
    jackknife's over places (B. Efron and C. Stein, The jackknife estimate of variance, Annals of Statistics 9, 1981,
    586-596), the quantile Student's of the effective number of places (A. V. Carter, K. T. Schnepel and D. G.
    Steigerwald, Asymptotic behavior of a t-test robust to cluster heterogeneity, Review of Economics and Statistics 99,
    2017, 698-709).
    Nights in which no patrol was at the place are left out.
    """
    both = hours[hours["hours"] > 0].merge(events, how="left", on=["place", "night"]).fillna({"events": 0.0})
    groups, _ = pd.factorize(both["place"])
    logs, counts = np.log2(both["hours"].to_numpy(np.float64)), both["events"].to_numpy(np.float64)
    totals = np.bincount(groups, counts)
    telling = int((totals > 0).sum())
    if telling < 5:
        return Association(np.nan, np.nan, np.nan, telling)
    slope, scores, bends = 0.0, np.zeros(len(totals)), np.zeros(len(totals))
    for _ in range(STEPS_OF_NEWTON):
        raised = np.exp(slope * (logs - logs.mean()))
        shares = raised / np.bincount(groups, raised)[groups]
        means = np.bincount(groups, shares * logs)
        scores = np.bincount(groups, counts * logs) - totals * means
        bends = totals * (np.bincount(groups, shares * logs**2) - means**2)
        if bends.sum() <= 0:
            return Association(np.nan, np.nan, np.nan, telling)
        step = float(np.clip(scores.sum() / bends.sum(), -1, 1))
        slope += step
        if abs(step) < 1e-9:
            break
    # The slope without each place, by one step of Newton's method from the slope with all.
    without = -(scores / np.maximum(bends.sum() - bends, 1e-12))[totals > 0]
    error = float(np.sqrt((telling - 1) / telling * ((without - without.mean()) ** 2).sum()))
    # As many places as tell alike much would tell as much as these do.
    alike = float(bends.sum() ** 2 / (bends**2).sum())
    reach = float(special.stdtrit(max(1.0, alike - 1), 0.975)) * error
    low, high = slope - reach, slope + reach
    return Association(float(np.exp(slope)), float(np.exp(low)), float(np.exp(high)), telling)
