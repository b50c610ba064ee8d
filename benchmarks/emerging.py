"""Counts how often `emerging_threats` is wrong, and how often it misses: simulated cities, then the warehouse's SQL.

A city of a thousand cells, of 1 to 100 incidents a week for the most part, busy Fridays and Saturdays, nights that are
a tenth more or less. Steady mornings tell the false alarms; places that double from one night on tell the power. Counts
scatter as Poisson's, or further. Rivals, on the same counts: the same score without any scatter beyond Poisson's, with
the same for all cells, and with each cell's own alone, which is Farrington's.

    python -m benchmarks.emerging --mornings 200 --trials 300
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd
from clickhouse_sqlalchemy import Table
from scipy import stats
from sqlalchemy import Column, Engine, MetaData

from benchmarks.measure import ratio_line
from benchmarks.queries import PIPELINE
from benchmarks.stand import open_stand, parse_arguments
from sentinel_etl.analyst.questions import emerging_threats
from sentinel_etl.city.rhythm import NIGHTLY_VARIATION, WEEKDAY_FACTOR
from sentinel_etl.load.load import load_data
from sentinel_etl.warehouse.provision import prepare_fact_table
from sentinel_etl.warehouse.views import FALSE_DISCOVERY_RATE, FEWEST_INCIDENTS, MOST_SCATTER, REFERENCE_WEEKS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Scatter = Callable[[Floats, npt.NDArray[np.bool_], float], Floats]

WEEK = 7
FIRST_MORNING = WEEK * (REFERENCE_WEEKS + 1)
SEED = 20_261_122


def scatter_of_all_and_own(scatter: Floats, known: npt.NDArray[np.bool_], certainty: float) -> Floats:
    """Give each cell what is usual, and more as far as its own is above that and cells differ in it."""
    usual = scatter_of_all(scatter, known, certainty)
    counted = np.minimum(scatter[known], MOST_SCATTER)
    differing = max(0.0, counted.var() / usual[0] ** 2 - 2 / certainty) if known.any() else 0.0
    unsure = 2 * differing / (2 + certainty * differing)
    own = usual + certainty / 2 * unsure * np.maximum(0, scatter - usual)
    return own / (1 - min(0.5, unsure))


def scatter_of_all(scatter: Floats, known: npt.NDArray[np.bool_], certainty: float) -> Floats:
    usual = max(1.0, np.minimum(scatter[known], MOST_SCATTER).mean()) if known.any() else 1.0
    return np.full(len(scatter), usual)


def own_scatter(scatter: Floats, known: npt.NDArray[np.bool_], certainty: float) -> Floats:
    return np.maximum(1, scatter)


def no_scatter(scatter: Floats, known: npt.NDArray[np.bool_], certainty: float) -> Floats:
    return np.ones(len(scatter))


METHODS: dict[str, Scatter] = {
    "all cells' and own": scatter_of_all_and_own,
    "all cells'": scatter_of_all,
    "own (Farrington)": own_scatter,
    "none (Poisson)": no_scatter,
}


def judge_cells(counts: Ints, scatter_by: Scatter = scatter_of_all_and_own) -> pd.DataFrame:
    """Judge cells as `emerging_threats` does, with scipy.

    In: incidents, a row for each cell, its latest week first. Out, in the same order, of the cells that have enough of
    them: ``events``, ``expected``, ``p_value``, ``q_value``.
    """
    now, past, weeks = counts[:, 0], counts[:, 1:], counts.shape[1] - 1
    before, city = past.sum(axis=1), counts.sum(axis=0)
    usual = np.outer(before, city[1:] / max(1, city[1:].sum()))
    steps, variances = np.diff(past - usual) ** 2, usual[:, 1:] + usual[:, :-1]
    scatter = np.divide(steps, variances, out=np.zeros_like(variances), where=variances > 0).mean(axis=1)
    certainty = 2 * (weeks - 1) ** 2 / (3 * weeks - 4)
    judged = now + before >= FEWEST_INCIDENTS
    now, before, scatter = now[judged], before[judged], scatter[judged]
    rest_now, rest_before = city[0] - now, city[1:].sum() - before
    alone = rest_before == 0
    share = np.where(alone, 1 / weeks, (rest_now + 1) / np.maximum(1, rest_before))
    mean = (before + 1) * share
    uncertain = share + np.where(alone, 0, (before + 1 + mean) / np.maximum(1, rest_before))
    variance = scatter_by(scatter, before >= weeks, certainty) * (1 + uncertain)
    tail = stats.nbinom.sf(now - 1, mean / (variance - 1), 1 / variance)
    p = np.where(now > mean, tail, 1.0)
    q = stats.false_discovery_control(p) if len(p) else p
    rows = {"events": now, "expected": mean, "p_value": p, "q_value": q}
    return pd.DataFrame(rows, index=np.flatnonzero(judged))


def find_named(counts: Ints, scatter_by: Scatter = scatter_of_all_and_own) -> Ints:
    judged = judge_cells(counts, scatter_by)
    return np.asarray(judged.index[judged["q_value"] <= FALSE_DISCOVERY_RATE])


def draw_poisson(rng: np.random.Generator, rates: Floats) -> Ints:
    return rng.poisson(rates)


def scatter_by(factor: float) -> Callable[[np.random.Generator, Floats], Ints]:
    """Draw counts whose variance is so many times their mean, each night by itself."""

    def draw(rng: np.random.Generator, rates: Floats) -> Ints:
        return rng.negative_binomial(rates / (factor - 1), 1 / factor)

    return draw


def draw_restless_weeks(rng: np.random.Generator, rates: Floats) -> Ints:
    """Let each cell have weeks of its own that are better or worse, by a third: busy cells scatter the most."""
    weeks = -(-rates.shape[1] // WEEK)
    factors = np.repeat(rng.gamma(10, 1 / 10, (len(rates), weeks)), WEEK, axis=1)
    return rng.poisson(rates * factors[:, : rates.shape[1]])


def draw_unlike(rng: np.random.Generator, rates: Floats) -> Ints:
    """Let three cells of ten scatter three times as far as Poisson's, and the others hardly further."""
    factors = np.where(rng.random(len(rates)) < 0.3, 3.0, 1.05)[:, None]
    return rng.negative_binomial(rates / (factors - 1), 1 / factors)


@dataclass(frozen=True)
class CityOfCounts:
    """A simulated city: how its counts scatter."""

    name: str
    draw: Callable[[np.random.Generator, Floats], Ints]

    def count(self, rng: np.random.Generator, cells: int, nights: int, doubling: Floats, since: int) -> Ints:
        """Count incidents by cell and night; the last cells are of these rates a week, and double ``since`` a night."""
        weekly = np.concatenate([np.exp(rng.normal(1.5, 1.2, cells)), doubling])
        rhythm = np.resize(WEEKDAY_FACTOR, nights) * (1 + NIGHTLY_VARIATION * rng.uniform(-1, 1, nights))
        rates = np.outer(weekly / WEEK, rhythm)
        if len(doubling):
            rates[cells:, since:] *= 2
        return self.draw(rng, rates)


CITIES = (
    CityOfCounts("Poisson", draw_poisson),
    CityOfCounts("scatter 1.2", scatter_by(1.2)),
    CityOfCounts("scatter 1.5", scatter_by(1.5)),
    CityOfCounts("restless weeks", draw_restless_weeks),
    CityOfCounts("cells unlike", draw_unlike),
)


def weeks_until(counts: Ints, morning: int) -> Ints:
    """Add up the nights before a morning to weeks, the latest first."""
    firsts = [morning - WEEK * (back + 1) for back in range(REFERENCE_WEEKS + 1)]
    return np.stack([counts[:, first : first + WEEK].sum(axis=1) for first in firsts], axis=1)


def count_false(city: CityOfCounts, scatter: Scatter, mornings: int, cells: int) -> list[int]:
    """Count the cells named on each of so many mornings in a row of a steady city."""
    rng = np.random.default_rng(SEED)
    counts = city.count(rng, cells, FIRST_MORNING + mornings - 1, np.array([]), 0)
    return [len(find_named(weeks_until(counts, FIRST_MORNING + n), scatter)) for n in range(mornings)]


RATES = np.array([30.0, 10.0])  # incidents a week of the places that double


def measure_power(city: CityOfCounts, scatter: Scatter, trials: int, cells: int) -> Floats:
    """Give the share of trials in which each of `RATES`, doubled, is named on one of the seven mornings after."""
    rng = np.random.default_rng(SEED + 1)
    found = np.zeros(len(RATES))
    for _ in range(trials):
        counts = city.count(rng, cells, FIRST_MORNING + WEEK, RATES, FIRST_MORNING)
        mornings = (FIRST_MORNING + night for night in range(1, WEEK + 1))
        named = {int(cell) for morning in mornings for cell in find_named(weeks_until(counts, morning), scatter)}
        found += [cells + place in named for place in range(len(RATES))]
    return found / trials


def simulate(mornings: int, trials: int, cells: int = 1_000) -> None:
    """Print false alarms and power of each method in each city."""
    print(f"{cells:,} cells, {mornings} mornings, {trials} trials; named are places of q <= {FALSE_DISCOVERY_RATE}")
    for city in CITIES:
        for name, scatter in METHODS.items():
            false = count_false(city, scatter, mornings, cells)
            power = measure_power(city, scatter, trials, cells)
            told = ", ".join(f"{each:.0%} at {rate:.0f} a week" for each, rate in zip(power, RATES, strict=True))
            print(
                f"{city.name:15} scatter: {name:20} false a morning {np.mean(false):5.2f}, mornings with any "
                f"{np.mean(np.array(false) > 0):4.0%}; doubled and named within a week {told}",
                flush=True,
            )


def place_incidents(counts: Ints, first_night: datetime) -> pd.DataFrame:
    """Make the events of counts by cell and night: cells two kilometres apart, instants spread over each night."""
    cell, night = (np.repeat(each.ravel(), counts.ravel()) for each in np.indices(counts.shape))
    seconds = 86_400 * np.random.default_rng(SEED).random(len(cell))
    north, east = 12.0 + 0.02 * (cell // 50), 77.0 + 0.02 * (cell % 50)
    moments = pd.Timestamp(first_night) + pd.to_timedelta(86_400 * night + seconds.astype("int64"), unit="s")
    nights = (first_night.date() + np.array([timedelta(days=int(n)) for n in range(counts.shape[1])]))[night]
    return pd.DataFrame(
        {
            "event_id": [f"REMARK:{n}" for n in range(len(cell))],
            "event_timestamp": moments.astype("datetime64[us, UTC]"),
            "event_date": nights,
            "shift_date": nights,
            "event_type": "REMARK",
            "station_id": 1,
            "latitude": north,
            "longitude": east,
            "base_risk_score": 30.0,
        }
    )


FIRST_NIGHT = datetime(2026, 3, 2, 0, 30, tzinfo=UTC)  # 06:00 in the city, a Monday


def compare(warehouse: Engine, mornings: int = 20, cells: int = 300) -> None:
    """Ask the warehouse on mornings of a city with places that double; what it names must be what scipy names."""
    rng = np.random.default_rng(SEED + 2)
    counts = CITIES[1].count(rng, cells, FIRST_MORNING + mornings - 1, RATES, FIRST_MORNING)
    prepare_fact_table(warehouse, PIPELINE.fact_table, PIPELINE.zone)
    events = place_incidents(counts, FIRST_NIGHT)
    columns = [Column(name, PIPELINE.fact_table.c[name].type) for name in events.columns]
    load_data(events, Table(PIPELINE.fact_table.name, MetaData(), *columns), warehouse)
    seconds, differing, named = [], 0, 0
    for morning in range(FIRST_MORNING, FIRST_MORNING + mornings):
        as_of = FIRST_NIGHT + timedelta(days=morning)
        start = time.perf_counter()
        found = emerging_threats(warehouse, as_of, limit=10_000, pipeline=PIPELINE)
        seconds.append(time.perf_counter() - start)
        judged = judge_cells(weeks_until(counts, morning))
        expected = judged[judged["q_value"] <= FALSE_DISCOVERY_RATE].sort_values("p_value")
        named += len(expected)
        differing += len(found) != len(expected) or not np.allclose(found["p_value"], expected["p_value"], rtol=1e-6)
    print(f"warehouse: {len(events):,} incidents, {mornings} mornings, {named} places named")
    print(f"mornings on which it differs from scipy: {differing}")
    print(ratio_line("p50 a morning", 1000 * float(np.median(seconds)), "the bar of all history", 300.0, "ms"))
    if differing:
        raise SystemExit(1)


def main(arguments: list[str] | None = None) -> None:
    given = parse_arguments(
        __doc__,
        arguments,
        runs=20,
        mornings=(200, "mornings of a steady city"),
        trials=(300, "places that double, of each rate"),
    )
    simulate(given.mornings, given.trials)
    with open_stand(given.state) as stand, stand.warehouse() as warehouse:
        compare(warehouse, given.runs)


if __name__ == "__main__":
    main()
