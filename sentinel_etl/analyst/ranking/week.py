"""Says in one line how the ranking did last week, for the morning report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy import Engine

from sentinel_etl.analyst.ranking.as_of import RECENT_NIGHTS, count_known, happened, is_known, rank_by_risk
from sentinel_etl.analyst.ranking.history import check_subject, read_history
from sentinel_etl.analyst.ranking.measures import take_first
from sentinel_etl.errors import NothingThere, SentinelError
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.report.sections import needs
from sentinel_etl.warehouse.decay import DEFAULT_HALF_LIFE_HOURS
from sentinel_etl.window import Window, days_before
from sentinel_etl.wording import plural

__all__ = ["FIRST_PLACES", "Foretold", "foretold_last_week"]

FIRST_PLACES = 10  # that the line speaks of: as many as a shift commander reads
WEEK = 7

# Nights before the week that are read: what is older than nine of the default's half-lives weighs below 1 in 600.
LEARNT_FROM = RECENT_NIGHTS
LEAST_LEARNT_FROM = 14  # nights, below which neither risk nor counts have settled


@dataclass(frozen=True)
class Foretold:
    """Shares of the week's emergencies at places that lay at the first of them, ranked anew on each morning."""

    first: int
    places: int
    emergencies: int
    by_risk: float
    by_counts: float
    by_chance: float
    word: str

    def __str__(self) -> str:
        return (
            f"last week the top {self.first} of {self.places} {plural(self.places, self.word)} held "
            f"{self.by_risk:.0%} of the {self.emergencies:,} {plural(self.emergencies, 'emergency', 'emergencies')} at "
            f"{plural(2, self.word)}; counting alone {self.by_counts:.0%}, chance {self.by_chance:.0%}"
        )


@needs("place", "base_risk_score")
def foretold_last_week(end: datetime, pipeline: Pipeline, warehouse: Engine) -> Foretold:
    """Count what the first places of each of the seven mornings before ``end`` held of the night that followed.

    Counting alone ranks by the emergencies of the 28 nights before. Bounded aggregates over five weeks, whatever the
    warehouse holds.

    Raises:
        NothingThere: fewer nights than it needs, no emergencies, too few places, or a pipeline that cannot be ranked;
            or the warehouse does not answer, which takes no more from the report than this line.
    """
    check_subject(pipeline, "place")
    period = Window(days_before(end, LEARNT_FROM + WEEK, pipeline.zone), end)
    try:
        history = read_history(warehouse, pipeline, period, half_lives=[DEFAULT_HALF_LIFE_HOURS])
    except SentinelError as error:
        raise NothingThere(f"How the ranking did last week: left out, {error}") from error
    nights = int(history.risk["night"].nunique())
    known = is_known(history)[-WEEK:]
    if len(history.nights) != LEARNT_FROM + WEEK or nights < LEAST_LEARNT_FROM + WEEK or not len(history.places):
        raise NothingThere(
            f"How the ranking did last week: left out, it needs {LEAST_LEARNT_FROM + WEEK} nights of the last "
            f"{LEARNT_FROM + WEEK} that have scores at places; found {nights}"
        )
    counts = count_known(history, RECENT_NIGHTS)[-WEEK:]
    most = np.full(WEEK, FIRST_PLACES)
    found = happened(history)[-WEEK:]
    taken = [take_first(scores, found, counts, known, most) for scores in (rank_by_risk(history)[-WEEK:], counts)]
    total = float(taken[0].total.sum())
    places = int(known[-1].sum())
    if not total or known.sum(axis=1).min() <= FIRST_PLACES:
        raise NothingThere(
            f"How the ranking did last week: left out, it needs emergencies at more than {FIRST_PLACES} places; found "
            f"{total:g} at {places}"
        )
    by_risk, by_counts, by_chance = (
        float(each.sum()) / total for each in (taken[0].hits, taken[1].hits, taken[0].even)
    )
    word = pipeline.breakdown.word(pipeline.breakdown.place)
    return Foretold(FIRST_PLACES, places, int(total), by_risk, by_counts, by_chance, word)
