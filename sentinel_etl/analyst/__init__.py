"""The analyst's bench: ask the warehouse from a notebook without opening anything oneself.

::

    from sentinel_etl.analyst import query_df, presentation, explain_risk
"""

from sentinel_etl.analyst import presentation
from sentinel_etl.analyst.bench import (
    choose_nights,
    count_nights,
    explain_risk,
    query_df,
    read_scores,
    sql_parameters,
    try_weights,
)

__all__ = [
    "choose_nights",
    "count_nights",
    "explain_risk",
    "presentation",
    "query_df",
    "read_scores",
    "sql_parameters",
    "try_weights",
]
