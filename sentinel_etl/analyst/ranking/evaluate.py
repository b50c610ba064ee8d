"""Judges the ranking of places by what happened afterwards, beside rankings that a child could make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from sentinel_etl.analyst.bench import lend_bench
from sentinel_etl.analyst.ranking.as_of import (
    BASELINES,
    RECENT_NIGHTS,
    count_known,
    happened,
    is_known,
    rank_by_risk,
    risk_as_of,
)
from sentinel_etl.analyst.ranking.history import REACH_M, By, History, read_history
from sentinel_etl.analyst.ranking.intervals import Estimate, estimate
from sentinel_etl.analyst.ranking.measures import SHARES, Taken, calibrate, measure, places_of, take_first
from sentinel_etl.errors import NothingThere
from sentinel_etl.report.sections import needs
from sentinel_etl.warehouse.decay import DEFAULT_HALF_LIFE_HOURS
from sentinel_etl.warehouse.projections import CELL_RESOLUTION
from sentinel_etl.window import Window

__all__ = ["HALF_LIVES", "HORIZONS", "Evaluation", "evaluate_history", "evaluate_ranking"]

Floats = npt.NDArray[np.float64]

HORIZONS = {"night": 1, "week": 7}  # what is foretold → nights

RISK, EVEN, HINDSIGHT = "risk", "even share", "perfect hindsight"

# Hours: from half a night to a month.
HALF_LIVES = (12.0, 24.0, 48.0, 72.0, 120.0, 168.0, 336.0, 720.0)

SWEPT_SHARE = 0.10  # of places, by which half-lives and weights are compared
WARM_UP = (7, RECENT_NIGHTS)  # nights, at least and at most, that are only learnt from; a quarter of all in between


@dataclass(frozen=True)
class Evaluation:
    """How good a ranking has been. Intervals are of 95%; NaN where the nights are too few for one.

    ``nights``       mornings that were judged, of those read; ``places``: how many were ranked, in the mean
    ``elsewhere``    share of the emergencies that happened at none of them, and count nowhere else
    ``measures``     ``horizon`` (night or week), ``share`` and ``places`` (taken), ``ranking``, ``measure``, ``value``,
                     ``low``, ``high``, ``chance`` (what places drawn by lot have)
    ``paired``       ``horizon``, ``share``, ``baseline`` (the best one), ``difference`` of the hit rates (the risk's
                     less the baseline's, on the same nights), ``low``, ``high``, ``p_value``
    ``calibration``  ``horizon``, ``tenth`` of the ranks, ``expected`` and ``observed`` (emergencies a night or week),
                     ``ratio`` (observed over expected), ``low``, ``high``
    ``half_lives``   ``half_life_hours``, ``value`` (hit rate of a tenth of the places, next night), ``difference`` from
                     the half-life that was asked about, ``low``, ``high``, ``p_value``
    ``weights``      ``weight``, ``points``, ``factor`` (a half or 2) and the same
    ``by_night``     ``shift_date``, ``ranking``, ``hits`` in a tenth of the places, ``total``
    """

    by: By
    half_life_hours: float
    nights: int
    nights_read: int
    places: float
    elsewhere: float
    measures: pd.DataFrame
    paired: pd.DataFrame
    calibration: pd.DataFrame
    half_lives: pd.DataFrame
    weights: pd.DataFrame
    by_night: pd.DataFrame


@needs("base_risk_score")
def evaluate_ranking(
    period: Window,
    by: By = "place",
    half_life_hours: float = DEFAULT_HALF_LIFE_HOURS,
    *,
    half_lives: Sequence[float] = HALF_LIVES,
    resolution: int = CELL_RESOLUTION,
    reach_m: float = REACH_M,
    with_weights: bool = True,
) -> Evaluation:
    """Judge how the places, or H3 cells, ranked by risk at each 06:00 of the period, foretold what followed.

    Each morning knows the events that had arrived by then, and no later ones; where the fact table does not say when
    they arrived, those that had happened. The first nights are only learnt from.

    Raises:
        NothingThere: the pipeline has no places, no scores, or does not say which event types are emergencies; or
            there are too few nights, or no emergencies in them.
        WarehouseUnreachable: the server does not answer.
    """
    swept = dict.fromkeys([half_life_hours, *half_lives])
    with lend_bench() as bench:
        history = read_history(
            bench.warehouse,
            bench.pipeline,
            period,
            by,
            half_lives=list(swept),
            resolution=resolution,
            reach_m=reach_m,
            with_weights=with_weights,
        )
    return evaluate_history(history, by)


def evaluate_history(history: History, by: By = "place", warm_up: int | None = None) -> Evaluation:
    """Judge the ranking over a history; ``warm_up``: the nights that are only learnt from. Pure.

    Raises:
        NothingThere: too few nights, or no emergencies in them.
    """
    least, most = WARM_UP
    first = min(most, max(least, len(history.nights) // 4)) if warm_up is None else warm_up
    total = history.emergencies["events"].sum()
    if len(history.nights) <= first or not total or not len(history.places):
        raise NothingThere(
            f"Does the ranking foretell: left out, expected more than {first} nights with emergencies at places; found "
            f"{len(history.nights)} of them, {total:g} emergencies and {len(history.places)} places"
        )
    scores = rank_by_risk(history)
    followed = {name: Followed.of(history, first, nights) for name, nights in HORIZONS.items()}
    judged = {name: one for name, one in followed.items() if len(one.known)}
    night = followed["night"]
    return Evaluation(
        by=by,
        half_life_hours=history.half_lives[0],
        nights=len(night.known),
        nights_read=len(history.nights),
        places=float(night.known.sum(axis=1).mean()),
        elsewhere=1 - float(np.where(night.known, night.found, 0).sum()) / max(count_from(history, first), 1),
        measures=pd.concat([one.measure_all(name, scores) for name, one in judged.items()], ignore_index=True),
        paired=pd.concat([one.compare_all(name, scores) for name, one in judged.items()], ignore_index=True),
        calibration=pd.concat([one.calibrate(name, scores) for name, one in judged.items()], ignore_index=True),
        half_lives=night.sweep_half_lives(scores),
        weights=night.sweep_weights(scores),
        by_night=night.list_nights(scores),
    )


def count_from(history: History, first: int) -> float:
    rows = history.emergencies
    return float(rows.loc[rows["night"] >= first, "events"].sum())


@dataclass(frozen=True)
class Followed:
    """What followed the mornings of a history, over one horizon, and how rankings of these mornings fare.

    Matrices are of mornings × places. ``found``: emergencies of the ``horizon`` nights after each; ``before``: those
    of the weeks before, as far as they are known, and ``counted`` how many nights these are.
    """

    history: History
    mornings: slice
    horizon: int
    known: npt.NDArray[np.bool_]
    found: Floats
    before: Floats
    counted: npt.NDArray[np.int64]

    @classmethod
    def of(cls, history: History, first: int, nights: int) -> Followed:
        mornings = slice(first, max(first, len(history.nights) - nights + 1))
        return cls(
            history,
            mornings,
            nights,
            is_known(history)[mornings],
            happened(history, nights)[first:],
            count_known(history, RECENT_NIGHTS)[mornings],
            np.minimum(RECENT_NIGHTS, np.arange(len(history.nights)))[mornings],
        )

    def rankings(self, scores: Floats) -> Mapping[str, Floats]:
        """Give every ranking that is compared: name → scores of each morning."""
        counts = {name: count_known(self.history, nights)[self.mornings] for name, nights in BASELINES.items()}
        return {
            RISK: scores[self.mornings],
            **counts,
            EVEN: np.zeros(self.found.shape),
            HINDSIGHT: self.found,
        }

    def take(self, scores: Floats, share: float) -> Taken:
        return take_first(scores, self.found, self.before, self.known, places_of(share, self.known))

    def measure_all(self, horizon: str, scores: Floats) -> pd.DataFrame:
        rows = []
        for ranking, values in self.rankings(scores).items():
            for share in SHARES:
                places = float(places_of(share, self.known).mean())
                for name, (found, chance) in measure(self.take(values, share), self.horizon).items():
                    rows.append((horizon, share, places, ranking, name, found.value, found.low, found.high, chance))
        names = ["horizon", "share", "places", "ranking", "measure", "value", "low", "high", "chance"]
        return pd.DataFrame(rows, columns=names)

    def compare_all(self, horizon: str, scores: Floats) -> pd.DataFrame:
        """Compare with each share's best baseline. It is chosen on the same nights: the test leans against the risk."""
        rankings = self.rankings(scores)
        rows = []
        for share in SHARES:
            taken = {name: self.take(values, share) for name, values in rankings.items() if name != HINDSIGHT}
            best = max([*BASELINES, EVEN], key=lambda name: taken[name].hits.sum())
            rows.append((horizon, share, best, *self.difference(taken[RISK], taken[best])))
        return pd.DataFrame(rows, columns=["horizon", "share", "baseline", "difference", "low", "high", "p_value"])

    def difference(self, one: Taken, other: Taken) -> tuple[float, float, float, float]:
        """Estimate by how much a hit rate exceeds another of the same nights, pair by pair."""
        found: Estimate = estimate([one.hits - other.hits], [one.total], horizon=self.horizon)
        return found.value, found.low, found.high, found.p_value

    def calibrate(self, horizon: str, scores: Floats) -> pd.DataFrame:
        a_night = self.before / np.maximum(self.counted, 1)[:, None]
        tenths = calibrate(scores[self.mornings], self.found, a_night, self.known, self.horizon)
        rows = []
        for tenth, (expected, observed) in enumerate(tenths, start=1):
            found = estimate([observed], [expected], horizon=self.horizon, least=0)
            rows.append((horizon, tenth, expected.mean(), observed.mean(), found.value, found.low, found.high))
        return pd.DataFrame(rows, columns=["horizon", "tenth", "expected", "observed", "ratio", "low", "high"])

    def sweep_half_lives(self, scores: Floats) -> pd.DataFrame:
        """Rank by each other half-life, on the same nights."""
        asked = self.take(scores[self.mornings], SWEPT_SHARE)
        rows = []
        for place, hours in sorted(enumerate(self.history.half_lives), key=lambda each: each[1]):
            taken = self.take(rank_by_risk(self.history, place)[self.mornings], SWEPT_SHARE)
            rows.append((hours, ratio_of(taken), *self.difference(taken, asked)))
        return pd.DataFrame(rows, columns=["half_life_hours", "value", "difference", "low", "high", "p_value"])

    def sweep_weights(self, scores: Floats) -> pd.DataFrame:
        """Rank with each weight at half and at twice what it is, on the same nights."""
        asked = self.take(scores[self.mornings], SWEPT_SHARE)
        rank = partial(risk_as_of, self.history, half_life_hours=self.history.half_lives[0])
        rows = []
        for place, (name, points) in enumerate(self.history.weights):
            share = points * rank(f"weight_{place}")
            for factor in (0.5, 2.0):
                changed = (scores + (factor - 1) * share)[self.mornings]
                taken = self.take(changed, SWEPT_SHARE)
                rows.append((name, points, factor, ratio_of(taken), *self.difference(taken, asked)))
        names = ["weight", "points", "factor", "value", "difference", "low", "high", "p_value"]
        return pd.DataFrame(rows, columns=names)

    def list_nights(self, scores: Floats) -> pd.DataFrame:
        frames = []
        for name, values in self.rankings(scores).items():
            taken = self.take(values, SWEPT_SHARE)
            nights = list(self.history.nights[self.mornings])
            frames.append(
                pd.DataFrame({"shift_date": nights, "ranking": name, "hits": taken.hits, "total": taken.total})
            )
        return pd.concat(frames, ignore_index=True)


def ratio_of(taken: Taken) -> float:
    return float(taken.hits.sum() / taken.total.sum()) if taken.total.sum() else np.nan
