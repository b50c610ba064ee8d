"""Counts how often each gate warns of ordinary nights, and how often it finds the faults that it is for.

False alarms: nights of the sample city, moved from PostgreSQL into the warehouse by ordinary runs and judged by all
gates of these. Power: the same nights with one fault each, judged by the gates' own functions. Nothing is drawn but by
seed, so the same numbers come again.

    python -m benchmarks.gates --nights 660
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
from sqlalchemy import Engine

from benchmarks.stand import LAST_NIGHT, nights_until, open_stand, parse_arguments, plain_settings
from sentinel_etl.audit import window_gates
from sentinel_etl.audit.chance import highest_rate
from sentinel_etl.audit.checks import Check
from sentinel_etl.audit.gate_registry import GATES
from sentinel_etl.audit.history import HISTORY_NIGHTS, Measures, measure_rows
from sentinel_etl.audit.history_gates import judge_history
from sentinel_etl.audit.late_gates import check_late
from sentinel_etl.audit.time_gates import check_run_time
from sentinel_etl.city import City
from sentinel_etl.city.night import night_tables
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.run_window import run_window
from sentinel_etl.warehouse.contract import ranges_of
from sentinel_etl.window import Window

NIGHTS_A_RUN = 60
SEED = 20_261_122
AFTER = datetime(2026, 12, 1, tzinfo=UTC)
# Event types that are one table's rows, whatever else is asked of them: what is late of them can be counted there.
TABLES = ("vehicle_checks", "stranger_encounters", "emergency_incidents", "feedback", "geofence_logs", "patrol_logs")
RUN_TIME_SPREAD = 0.25  # of the logarithm of a run's seconds: one of three on a machine that is shared


def run_nights(source: Engine, warehouse: Engine, nights: int, say: Callable[[str], None]) -> dict[str, set[date]]:
    """Load nights by ordinary runs, and give those on which each gate failed; all have passed those not named."""
    failed: dict[str, set[date]] = {}
    settings = plain_settings(lookback_nights=0, now=AFTER)
    whole = nights_until(LAST_NIGHT, nights).shift_dates(SENTINEL.zone)
    for first in range(0, len(whole), NIGHTS_A_RUN):
        some = whole[first : first + NIGHTS_A_RUN]
        window = Window(Window.night(some[0]).start, Window.night(some[-1]).end)
        result = run_window(window, source=source, warehouse=warehouse, pipeline=SENTINEL, settings=settings)
        for check in (check for check in result.checks if not check.passed):
            failed.setdefault(check.gate, set()).update(map(date.fromisoformat, check.nights or map(str, some)))
            say(f"{check.gate}: {check.observed}")
    return failed


class History:
    """Nights' measures, and the night and the past that a fault is tried on."""

    def __init__(self, measured: Measures) -> None:
        self.nights = sorted(set(measured.counts["shift_date"]))
        frames = (measured.counts, measured.nulls, measured.scores)
        self.by_night = [dict(iter(frame.groupby("shift_date"))) for frame in frames]

    def of(self, nights: list[date]) -> Measures:
        some = (pd.concat([by_night[night] for night in nights]) for by_night in self.by_night)
        return Measures(*some).of_nights(nights)

    def pairs(self, step: int) -> Iterator[tuple[Measures, Measures]]:
        """Give every so many nights, each after the measures of the nights before it."""
        for place in range(HISTORY_NIGHTS, len(self.nights), step):
            yield self.of(self.nights[place - HISTORY_NIGHTS : place]), self.of([self.nights[place]])


Rng = np.random.Generator
Spoil = Callable[[Measures, Rng], Measures]


def scale(share: float, one: bool) -> Spoil:
    """Let the events of one type, or of all, become so many times as many, as chance draws them."""

    def spoil(tonight: Measures, rng: Rng) -> Measures:
        counts = tonight.counts.copy()
        touched = counts["event_type"] == draw_type(tonight, rng) if one else np.full(len(counts), True)
        events = counts.loc[touched, "events"].to_numpy("int64")
        counts.loc[touched, "events"] = rng.binomial(events, share) if share < 1 else rng.poisson(events * share)
        return replace(tonight, counts=counts[counts["events"] > 0])

    return spoil


def draw_type(tonight: Measures, rng: Rng) -> str:
    return str(rng.choice(sorted(tonight.counts["event_type"].astype(str))))


def drop_type(tonight: Measures, rng: Rng) -> Measures:
    gone = draw_type(tonight, rng)
    frames = (tonight.counts, tonight.nulls, tonight.scores)
    return Measures(*(frame[frame["event_type"] != gone] for frame in frames))


def add_nulls(points: float) -> Spoil:
    """Let one column of one type have so much more of its values NULL, as chance draws them; it has some values."""

    def spoil(tonight: Measures, rng: Rng) -> Measures:
        nulls = tonight.nulls.reset_index(drop=True)
        fit = nulls.index[
            (nulls["share"] < 1 - max(points, 0.05)) & (nulls["events"] >= GATES["null_shares_usual"].least)
        ]
        row = rng.choice(fit)
        events, known = int(nulls.loc[row, "events"]), 1 - nulls.loc[row, "share"]
        more = rng.binomial(round(known * events), min(1.0, points / known)) / events
        nulls.loc[row, "share"] += more
        return replace(tonight, nulls=nulls)

    return spoil


def blank_column(tonight: Measures, rng: Rng) -> Measures:
    nulls = tonight.nulls.reset_index(drop=True)
    fit = nulls.index[(nulls["share"] < 0.9) & (nulls["events"] >= GATES["null_shares_usual"].least)]
    nulls.loc[rng.choice(fit), "share"] = 1.0
    return replace(tonight, nulls=nulls)


def move_scores(by: str, factor: float) -> Spoil:
    """Let the scores of one type, or of one station, be so many times as high; one of those that the gate judges."""
    gate = GATES["risk_usual" if by == "event_type" else "station_risk_usual"]

    def spoil(tonight: Measures, rng: Rng) -> Measures:
        scores = tonight.scores.copy()
        sums = scores.assign(scored=scores["events"].where(scores["base_risk_score"] > 0, 0)).groupby(by)
        judged = sums["events"].sum()[lambda events: events >= gate.least].index
        scoring = [key for key in judged if sums["scored"].sum()[key] >= gate.least / 2]
        if not scoring:
            return tonight
        touched = scores[by] == rng.choice(scoring)
        scores.loc[touched, "base_risk_score"] *= factor
        return replace(tonight, scores=scores)

    return spoil


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a night, and the gate that is there to tell."""

    gate: str
    name: str
    spoil: Spoil


FAULTS = (
    Fault("types_present", "a type is missing", drop_type),
    Fault("volumes_usual", "all events halved", scale(0.5, one=False)),
    Fault("volumes_usual", "a type at a third", scale(1 / 3, one=True)),
    Fault("volumes_usual", "a type halved", scale(0.5, one=True)),
    Fault("volumes_usual", "a type trebled", scale(3.0, one=True)),
    Fault("null_shares_usual", "a column is NULL from now on", blank_column),
    Fault("null_shares_usual", "a column has 20 points more NULLs", add_nulls(0.2)),
    Fault("risk_usual", "a type's scores doubled", move_scores("event_type", 2.0)),
    Fault("station_risk_usual", "a station's scores doubled", move_scores("station_id", 2.0)),
)


def find_power(history: History, step: int) -> dict[tuple[str, str], float]:
    """Try each fault on every so many nights: (gate, fault) → the share of them on which the gate tells."""
    found: Counter[tuple[str, str]] = Counter()
    rng, nights = np.random.default_rng(SEED), 0
    for before, tonight in history.pairs(step):
        nights += 1
        for fault in FAULTS:
            checks = judge_history(before, fault.spoil(tonight, rng))
            found[fault.gate, fault.name] += any(check.gate == fault.gate and not check.passed for check in checks)
    return {(fault.gate, fault.name): found[fault.gate, fault.name] / nights for fault in FAULTS}


def late_rows(last: date, nights: int, events: int) -> Iterator[pd.DataFrame]:
    """Count what each night's tables hold in the end, and had at ten past six, when they are loaded."""
    for back in range(nights):
        night = last - timedelta(days=back)
        loaded_at = pd.Timestamp(Window.night(night).end + timedelta(minutes=10))
        tables = night_tables(City(), night, events)
        rows = []
        for name in TABLES:
            received = tables[name].column("received_at").to_pandas()
            rows.append((night, name, len(received), int((received < loaded_at).sum())))
        yield pd.DataFrame(rows, columns=["shift_date", "event_type", "source", "warehouse"])


def try_late(nights: int, events: int) -> tuple[int, float]:
    """Give on how many ordinary nights late rows are warned of, and the share of those with 5% of a type's missing."""
    rng = np.random.default_rng(SEED)
    alarms, told = 0, 0
    for late in late_rows(LAST_NIGHT, nights, events):
        alarms += not check_late(late).passed
        row = rng.choice(late.index[late["source"] >= min(200, late["source"].max())])
        spoiled = late.copy()
        spoiled.loc[row, "warehouse"] -= round(0.05 * spoiled.loc[row, "source"])
        told += not check_late(spoiled).passed
    return alarms, told / nights


def try_run_time(nights: int, slower: float = 4.0) -> tuple[int, float]:
    """Give on how many ordinary nights a run is called slow, and the share of those that take so many times as long."""
    seconds = 12 * np.exp(np.random.default_rng(SEED).normal(0, RUN_TIME_SPREAD, nights + HISTORY_NIGHTS))
    pairs = [(seconds[n], list(seconds[n - HISTORY_NIGHTS : n])) for n in range(HISTORY_NIGHTS, len(seconds))]
    slow = [[not check_run_time(factor * now, before).passed for now, before in pairs] for factor in (1.0, slower)]
    return sum(slow[0]), sum(slow[1]) / nights


def try_collapse(history: History, kept: float) -> float:
    """Give the share of nights, loaded again with so much of their rows, that the collapse guard refuses."""
    rng, refused = np.random.default_rng(SEED), []
    for night in history.nights:
        rows = int(history.by_night[0][night]["events"].sum())
        refused.append(window_gates.check_shrink(rows, int(rng.binomial(rows, kept)), 0.5, False).blocks)
    return sum(refused) / len(refused)


def exact_faults(counts: Mapping[str, int]) -> dict[tuple[str, str], Check]:
    """Judge one fault of the least size by each gate that counts exactly: (gate, fault) → its check."""
    name, rows = next(iter(counts.items()))
    one_less, total = {**counts, name: rows - 1}, sum(counts.values())
    return {
        ("source_counts", "one row is lost"): window_gates.check_counts(counts, one_less, {}),
        ("keys_unique", "one row stands twice"): window_gates.check_keys(total, total - 1),
        ("nulls_arrived", "one NULL has become a value"): window_gates.check_nulls(counts, one_less),
        ("rows_in_window", "one row lies outside"): window_gates.check_window(1),
        ("scores_valid", "one score is no number"): window_gates.check_scores(1),
        ("rows_accepted", "one row is rejected"): window_gates.check_accepted({name: 1}, {(name, "no key"): 1}, counts),
        ("window_has_events", "no event at all"): window_gates.check_events(0),
        ("values_in_range", "one value lies outside"): window_gates.check_ranges(
            Counter({next(iter(ranges_of(SENTINEL.fact_table))): 1}), SENTINEL.fact_table, SENTINEL.bounds
        ),
    }


def compare(source: Engine, warehouse: Engine, nights: int, events: int, step: int) -> None:
    """Print each gate's false alarms over ordinary nights and its power, and what all gates come to together."""
    failed = run_nights(source, warehouse, nights, lambda line: print(f"  {line}", flush=True))
    history = History(measure_rows(SENTINEL.fact_table, warehouse, by_night=True))
    judged = set(history.nights[HISTORY_NIGHTS:])
    late, late_power = try_late(len(judged), events)
    slow, slow_power = try_run_time(len(judged))
    alarms = {name: len(failed.get(name, set()) & judged) for name in GATES}
    alarms |= {"nights_complete": late, "run_time_usual": slow}
    counts = dict(
        zip(*(history.of([history.nights[-1]]).counts[name] for name in ("event_type", "events")), strict=True)
    )
    power = find_power(history, step)
    power |= {key: float(not check.passed) for key, check in exact_faults(counts).items()}
    power |= {
        ("window_kept", f"{1 - kept:.0%} of the rows gone"): try_collapse(history, kept) for kept in (0.6, 0.5, 0.4)
    }
    power |= {
        ("nights_complete", "5% of a type's rows late"): late_power,
        ("run_time_usual", "4 times as slow"): slow_power,
    }
    for name in GATES:
        rate = f"{alarms[name]} of {len(judged)} ordinary nights, at most {highest_rate(alarms[name], len(judged)):.2%}"
        told = "; ".join(f"{fault}: {share:.0%}" for (gate, fault), share in power.items() if gate == name)
        print(f"{name:20} {rate}; found: {told or 'each, it counts exactly'}", flush=True)
    together = len(set().union(*failed.values()) & judged) + late + slow
    highest = highest_rate(together, len(judged))
    print(f"all gates together: {together} of {len(judged)} ordinary nights, at most {highest:.2%} with 95% confidence")
    print(f"rate: ratio {0.01 / max(highest, 1e-9):.2f} of the bar of 1 in 100 to the upper limit")


def main(arguments: list[str] | None = None) -> None:
    given = parse_arguments(
        __doc__,
        arguments,
        runs=1,
        nights=(660, "ordinary nights, of which the first 28 are only the past of others"),
        events=(2_000, "events of an average night"),
        step=(5, "every how many nights the faults are tried on"),
    )
    with (
        open_stand(given.state) as stand,
        stand.city(given.nights, given.events) as source,
        stand.warehouse() as warehouse,
    ):
        compare(source, warehouse, given.nights, given.events, given.step)


if __name__ == "__main__":
    main()
