"""Whether the ranking of places foretells the emergencies that follow, and whether it feeds on itself.

::

    from sentinel_etl.analyst import ranking

    period = ranking.choose_mornings(nights=120)
    ranking.evaluate_ranking(period, by="place", half_life_hours=72).measures
"""

from sentinel_etl.analyst.ranking.evaluate import Evaluation, evaluate_history, evaluate_ranking
from sentinel_etl.analyst.ranking.history import History, read_history
from sentinel_etl.analyst.ranking.mornings import choose_mornings
from sentinel_etl.analyst.ranking.presence import CAVEAT, Presence, measure_presence
from sentinel_etl.analyst.ranking.week import Foretold, foretold_last_week

__all__ = [
    "CAVEAT",
    "Evaluation",
    "Foretold",
    "History",
    "Presence",
    "choose_mornings",
    "evaluate_history",
    "evaluate_ranking",
    "foretold_last_week",
    "measure_presence",
    "read_history",
]
