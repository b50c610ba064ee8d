"""The analyst's questions: where risk is, how it fades, who was out, what is getting worse.

Each function asks one question at an instant, ``as_of``, which is always given and never ``now()``:
the same call gives the same rows next year. Events after ``as_of`` do not count, nor do those of
nights before ``since``, a `shift_date`. Frames are ranked, and ties stand in order of their key.
``as_of_run`` asks the fact table as that run has left it: see `as_of_run.query_as_of_run`.

Where the fact table has its projections and the half-life is the default one, whole nights are read
from them and only the night that ``as_of`` cuts is read row by row; any other half-life is summed
from the rows. Which it is changes the time an answer takes, not the answer (relative 1e-9).

What stands here for a station, a hotspot, an officer and a patrol is what the pipeline's `Dimensions` call them; the
frames' columns are named as the fact table's. Of a dimension that it lacks there is no column; a question that is
about it says so.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
from sqlalchemy import Boolean, Engine, literal_column, select

from sentinel_etl.analyst.as_of_run import query_as_of_run
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.pipeline import Pipeline, load_pipeline
from sentinel_etl.settings import load_settings
from sentinel_etl.warehouse.decay import DEFAULT_HALF_LIFE_HOURS, check_half_life
from sentinel_etl.warehouse.projections import CELL_RESOLUTION
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.warehouse.render import write_literal
from sentinel_etl.warehouse.views import LATITUDE_FIRST, VIEWS, Terms, view_statement

__all__ = ["emerging_threats", "hotspot_risk", "incident_heatmap", "officer_activity", "station_activity"]


ALL_NIGHTS = date(1970, 1, 1)  # the first that ClickHouse's Date can hold


def hotspot_risk(
    warehouse: Engine,
    as_of: datetime,
    half_life_hours: float = DEFAULT_HALF_LIFE_HOURS,
    *,
    since: date | None = None,
    pipeline: Pipeline | None = None,
    as_of_run: str = "",
) -> pd.DataFrame:
    """Rank the hotspots by the risk that is left at ``as_of``: Σ score·2^(−age/half-life).

    Out, the highest risk first: ``hotspot_id``; ``station_id`` of its last event; ``risk`` and
    ``risk_week_before`` (risk points, decayed to ``as_of`` and to seven days before it); ``change``
    (their difference); ``events``; ``risk_points`` (undecayed); ``last_event`` (UTC). Events that name
    no hotspot are in none. An event older than 53 half-lives before the earlier instant (37/λ hours)
    is not read: it would add less than 2^−53 of its score.

    Raises:
        ConfigurationError: an ``as_of`` without time zone, or a half-life below 0.1 hours.
        SentinelError: the warehouse does not answer, or has no such fact table.
    """
    half_life = check_half_life(half_life_hours)
    return ask(
        "hotspot_risk",
        warehouse,
        as_of,
        pipeline,
        as_of_run,
        {"half_life_hours": half_life, "since": check_since(since)},
    )


def station_activity(
    warehouse: Engine,
    as_of: datetime,
    *,
    since: date | None = None,
    pipeline: Pipeline | None = None,
    as_of_run: str = "",
) -> pd.DataFrame:
    """Count what each station did up to ``as_of``, the most risk points first.

    Out: ``station_id``; ``nights_active`` (nights with an event); ``patrols`` and ``officers`` (that reported
    something, each counted once); ``events``; ``risk_points`` (undecayed); ``last_event`` (UTC).

    Raises: as `hotspot_risk`.
    """
    return ask("station_activity", warehouse, as_of, pipeline, as_of_run, {"since": check_since(since)})


def officer_activity(
    warehouse: Engine,
    as_of: datetime,
    *,
    since: date | None = None,
    pipeline: Pipeline | None = None,
    as_of_run: str = "",
) -> pd.DataFrame:
    """Count what each officer reported up to ``as_of``, the most events first.

    Out: ``officer_id``; ``station_id`` of the last event; ``patrols`` (in which the officer reported
    something); ``events``; ``risk_points`` (undecayed); ``last_event`` (UTC).

    Raises: as `hotspot_risk`.
    """
    return ask("officer_activity", warehouse, as_of, pipeline, as_of_run, {"since": check_since(since)})


def incident_heatmap(
    warehouse: Engine,
    as_of: datetime,
    resolution: int = CELL_RESOLUTION,
    *,
    since: date | None = None,
    pipeline: Pipeline | None = None,
    as_of_run: str = "",
) -> pd.DataFrame:
    """Count the incidents, events with a risk score, in each H3 cell, the most risk points first.

    ``resolution`` is H3's: 9 is edges of about 200 m, 7 of 1.4 km. Cells finer than 9 are worked out
    from the rows, at about a microsecond a row; cells coarser than 9 are the parents of those of 9.

    Out: ``cell`` (hexadecimal, as the h3 library writes it); ``latitude``, ``longitude`` (degrees, mean
    of its incidents); ``events``; ``risk_points`` (undecayed); ``last_event`` (UTC). Incidents without a
    usable position are left out; ``frame.attrs['events_without_position']`` counts them.

    Raises:
        ConfigurationError: as `hotspot_risk`, or a resolution that is not 0 to 15.
        SentinelError: as `hotspot_risk`.
    """
    parameters = {"resolution": check_resolution(resolution), "since": check_since(since)}
    frame = ask("incident_heatmap", warehouse, as_of, pipeline, as_of_run, parameters)
    located = frame["cell"].notna()
    cells = frame[located].reset_index(drop=True)
    cells.attrs["events_without_position"] = int(frame.loc[~located, "events"].sum())
    return cells


def emerging_threats(
    warehouse: Engine,
    as_of: datetime,
    half_life_hours: float = DEFAULT_HALF_LIFE_HOURS,
    *,
    resolution: int = CELL_RESOLUTION,
    limit: int = 20,
    pipeline: Pipeline | None = None,
    as_of_run: str = "",
) -> pd.DataFrame:
    """Name the H3 cells with more incidents in the last seven days than chance explains, the least likely first.

    Counted are incidents, events with a risk score, of the seven days up to ``as_of`` and of the up to eight weeks
    before them, so that the rhythm of the week cancels out. ``expected`` is a cell's share of the city's incidents in
    the weeks before, applied to this week's: what happens to all of the city, a feast, a season or a night that is
    missing, is no emerging place. A bad place that is as bad as ever does not show, a quiet one that turns does.

    ``p_value`` is the chance of so many incidents or more in a steady city, by a gamma-Poisson (negative binomial)
    distribution: Poisson's, whose mean is known from the weeks before only, with a flat prior, and whose variance is
    multiplied by what counts were seen to scatter beyond it from one week before to the next, in all cells, and in
    this one where cells differ. ``by_chance`` is what it means in alarms: how many of the cells judged would be as
    surprising on a morning of a steady city; 0.01 is one such place in a hundred mornings. ``q_value`` is adjusted for
    all the cells, and the rows are those up to `FALSE_DISCOVERY_RATE`: of the places that are named over many mornings
    at most one in four is chance. What this gives in alarms and in power is printed by ``benchmarks.emerging``.

    Sources: the score and the scatter are Farrington's (JRSS A 159, 1996, 547-563) and Noufaily's (Statistics in
    Medicine 32, 2013, 1206-1222) in their negative binomial form; shrinking a cell's scatter to that of all is
    Smyth's (SAGMB 3, 2004, article 3); a share of the city instead of a count is the null hypothesis of the
    space-time permutation scan (Kulldorff et al., PLoS Medicine 2, 2005, e59); the rate of false discoveries is
    Benjamini and Hochberg's (JRSS B 57, 1995, 289-300), which discrete p-values only make smaller.

    Out, ``limit`` rows at most: ``cell``; ``latitude``, ``longitude`` (degrees, mean of its latest week's incidents);
    ``events`` of the last seven days; ``expected`` (incidents); ``p_value``; ``by_chance`` (cells a morning);
    ``q_value``; ``weeks`` (compared with: fewer than eight where the fact table is younger, and no row where it holds
    less than two); ``risk`` (risk points, decayed to ``as_of``: how bad it is, which the others do not say);
    ``last_event`` (UTC).

    Raises:
        ConfigurationError: as `incident_heatmap`, or a limit below 1.
        SentinelError: as `hotspot_risk`.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise ConfigurationError(f"limit: expected a number of rows of at least 1, found {limit!r}")
    parameters = {
        "half_life_hours": check_half_life(half_life_hours),
        "resolution": check_resolution(resolution),
        "limit": limit,
    }
    return ask("emerging_threats", warehouse, as_of, pipeline, as_of_run, parameters)


def ask(
    name: str,
    warehouse: Engine,
    as_of: datetime,
    pipeline: Pipeline | None,
    as_of_run: str,
    parameters: Mapping[str, Any],
) -> pd.DataFrame:
    """Run a view's statement on the pipeline's fact table, that of the settings unless given."""
    pipeline = pipeline or load_pipeline(load_settings())
    # Each projection that the server tries takes a millisecond to plan, twice in a statement.
    hints = {"preferred_optimize_projection_name": VIEWS[name].name}
    question = write_question(name, warehouse, as_of, pipeline, parameters)
    return query_as_of_run(warehouse, question, as_of_run, pipeline, hints=hints)


def write_question(
    name: str, warehouse: Engine, as_of: datetime, pipeline: Pipeline, parameters: Mapping[str, Any]
) -> str:
    """Write a view's statement with all that is known filled in.

    Raises:
        ConfigurationError: an ``as_of`` that cannot be, or a fact table without the view's columns.
        SentinelError: the warehouse does not answer.
    """
    table = pipeline.fact_table
    if unfit := VIEWS[name].find_unfit(table, pipeline.breakdown):
        raise ConfigurationError(f"{name}: {unfit}")
    order = takes_latitude_first(warehouse) if "latitude" in VIEWS[name].roles else None
    terms = Terms(pipeline.zone, check_as_of(as_of), order, parameters.get("resolution"))
    return fill_in(view_statement(name, table, terms, pipeline.breakdown), parameters)


# Asked once: a statement that finds out by itself takes 5 ms longer to plan.
LATITUDE_ORDERS: weakref.WeakKeyDictionary[Engine, bool] = weakref.WeakKeyDictionary()


def takes_latitude_first(warehouse: Engine) -> bool:
    if warehouse not in LATITUDE_ORDERS:
        asked = select(literal_column(LATITUDE_FIRST, Boolean))
        LATITUDE_ORDERS[warehouse] = bool(run_statement(warehouse, asked, repeatable=True)[0][0])
    return LATITUDE_ORDERS[warehouse]


def fill_in(statement: str, parameters: Mapping[str, Any]) -> str:
    """Write the parameters' values, numbers and dates that were checked, in the place of ``{name:Type}``."""

    def literal(found: re.Match[str]) -> str:
        return write_literal(parameters[found[1]])

    return re.sub(r"\{(\w+):[^}]+\}", literal, statement)


def check_as_of(as_of: datetime) -> datetime:
    if not isinstance(as_of, datetime) or as_of.tzinfo is None:
        raise ConfigurationError(f"as_of: expected a datetime with a time zone, found {as_of!r}; add one, such as UTC")
    moment = as_of.astimezone(UTC)
    if not 1971 <= moment.year <= 2148:
        raise ConfigurationError(f"as_of: expected a year from 1971 to 2148, which Date can hold, found {as_of}")
    return moment


def check_since(since: date | None) -> date:
    if since is None:
        return ALL_NIGHTS
    if isinstance(since, datetime) or not isinstance(since, date):
        raise ConfigurationError(f"since: expected the date of a night, its shift_date, found {since!r}")
    return max(since, ALL_NIGHTS)


def check_resolution(resolution: int) -> int:
    if isinstance(resolution, bool) or not isinstance(resolution, int) or not 0 <= resolution <= 15:
        raise ConfigurationError(f"resolution: expected an H3 resolution from 0 to 15, found {resolution!r}")
    return resolution
