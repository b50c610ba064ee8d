"""The analyst's bench: ask the warehouse from a notebook without opening anything oneself.

::

    from sentinel_etl.analyst import query_df, presentation, explain_risk
"""

from sentinel_etl.analyst import presentation, ranking, readings, tutorial
from sentinel_etl.analyst.bench import (
    choose_loaded_nights,
    choose_nights,
    count_nights,
    explain_risk,
    fact_table_name,
    open_sections,
    query_df,
    read_scores,
    sql_parameters,
    try_weights,
)

__all__ = [
    "choose_loaded_nights",
    "choose_nights",
    "count_nights",
    "explain_risk",
    "fact_table_name",
    "open_sections",
    "presentation",
    "query_df",
    "ranking",
    "read_scores",
    "readings",
    "sql_parameters",
    "try_weights",
    "tutorial",
]
