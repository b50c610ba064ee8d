"""The gates that compare a night with the nights before it. They wait until there are enough of those.

`each_night` asks them of each whole night of a window, and says which nights stand before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Select, String, func, select

from sentinel_etl.audit.chance import CHANCE, chance_of_count, chance_of_shares
from sentinel_etl.audit.checks import Check, Gate, Severity
from sentinel_etl.audit.drift import drift_table
from sentinel_etl.audit.history import Measures
from sentinel_etl.audit.scene import Scene, rows_of_past, select_unknown
from sentinel_etl.config.dimensions import CITY, Dimensions
from sentinel_etl.config.gates import GateLimits
from sentinel_etl.pipeline.settling import Settling
from sentinel_etl.warehouse.key_columns import readable
from sentinel_etl.warehouse.types import column_type
from sentinel_etl.wording import list_some, plural

__all__ = ["HISTORY_GATES", "RISK_GATES", "judge_history", "shifted"]

NIGHTS_OF_NULLS = 7
USUAL = GateLimits()
SETTLED = Settling()


def judge_history(
    before: Measures,
    tonight: Measures,
    limits: GateLimits = USUAL,
    settling: Settling = SETTLED,
    dimensions: Dimensions = CITY,
) -> list[Check]:
    """Judge a night by the nights before it, gate by gate.

    Left out, and said so, is what is ``settling``: the nights before have settled, and this one has not.
    """
    nights = before.counts["shift_date"].nunique()
    old, new = (without(measures.counts, settling.counts) for measures in (before, tonight))
    checks = [
        leaving_out(check_presence(old, new, PRESENCE.within(limits)), settling.counts),
        leaving_out(check_volumes(old, new, nights, VOLUMES.within(limits)), settling.counts),
        check_null_shares(before.nulls, tonight.nulls, nights, NULL_SHARES.within(limits), settling),
    ]
    by = {name: dimensions.column(name) for name in RISK_GATES if "base_risk_score" in tonight.scores.columns}
    compared = {name: column for name, column in by.items() if column in tonight.scores.columns}
    old, new = (without(measures.scores, settling.scores) for measures in (before, tonight))
    return checks + [
        leaving_out(
            check_risk(old, new, name, RISK_GATES[name].within(limits), column, dimensions.word(column)),
            settling.scores,
        )
        for name, column in compared.items()
    ]


def without(measured: pd.DataFrame, event_types: frozenset[str]) -> pd.DataFrame:
    return measured[~measured["event_type"].astype("str").isin(event_types)] if event_types else measured


def leaving_out(check: Check, names: Iterable[str]) -> Check:
    """Say in a check what it does not judge, if anything."""
    left_out = list_some(sorted(names), separator=", ")
    words = f"{check.expected}; not judged, because it changes later: {left_out}"
    return replace(check, expected=words) if left_out else check


PRESENCE = Gate(
    "types_present",
    "every event type is there",
    Severity.WARN,
    "types with events on at least `least` of the nights before, of which chance leaves none in fewer than 1 night of "
    "1,000: more than `limit` events",
    limit=0,
    least=USUAL.usual_nights,
    evidence=rows_of_past,
)


def check_presence(before: pd.DataFrame, tonight: pd.DataFrame, gate: Gate) -> Check:
    usual = before[before["events"] > 0].groupby("event_type")["shift_date"].nunique()
    kinds = sorted(str(kind) for kind in usual[usual >= gate.least].index)
    nights = by_night(before)
    expected = [kind for kind in kinds if chance_of_count(0, nights[kind]) < CHANCE / len(kinds)]
    there = set(tonight.loc[tonight["events"] > gate.limit, "event_type"])
    missing = {kind: f"{kind} has none" for kind in expected if kind not in there}
    told = f"{len(expected)} {plural(len(expected), 'type')}"
    return gate.check_problems(missing, f"events of each of {told}", f"events of {told}")


def by_night(counts: pd.DataFrame) -> dict[str, list[int]]:
    """List each type's events night by night, 0 where it had none; in: `Measures.counts`."""
    positions = {night: position for position, night in enumerate(sorted(set(counts["shift_date"])))}
    found: dict[str, list[int]] = {}
    for night, kind, events in zip(counts["shift_date"], counts["event_type"], counts["events"], strict=True):
        found.setdefault(str(kind), [0] * len(positions))[positions[night]] += int(events)
    return found


def places_of_types(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    names = [name for name in ("event_type", scene.dimensions.station) if name in scene.rows.columns]
    keys = [scene.rows.c[name] for name in names]
    events = func.count().label("events")
    some = scene.rows.c.event_type.in_(subjects)
    counted = select(*map(readable, keys), events).where(scene.in_window, some)
    return counted.group_by(*keys).order_by(events.desc(), *keys)


VOLUMES = Gate(
    "volumes_usual",
    "volumes are as usual",
    Severity.WARN,
    "a type's events over the median of the nights before: at most `limit`, at least 1/`limit`, where chance passes it "
    "in fewer than 1 night of 1,000",
    limit=USUAL.volume_ratio,
    least=USUAL.volume_events,
    evidence=places_of_types,
)


def check_volumes(before: pd.DataFrame, tonight: pd.DataFrame, nights: int, gate: Gate) -> Check:
    medians = before.groupby("event_type")["events"].median()
    past, rare = by_night(before), CHANCE / max(1, len(medians))
    odd = {}
    for kind, events in zip(tonight["event_type"], tonight["events"], strict=True):
        median = float(medians.get(kind, 0))
        if nights >= gate.least and median >= gate.least and events > 0:
            ratio = events / median
            beyond = ratio > gate.limit or ratio < 1 / gate.limit
            if beyond and chance_of_count(int(events), past[str(kind)]) < rare:
                odd[str(kind)] = f"{kind} {events:,} is {ratio:.1f} times the median {median:,.0f}"
    wanted = f"{1 / gate.limit:.2f} to {gate.limit:g} times the median of {nights} {plural(nights, 'night')}"
    return gate.check_problems(odd, wanted, "all within")


# What a column may rise by for good before it is worth a word. Beyond it chance decides, by the size of the group and
# by how far its nights scatter, and no difference of so many points.
NULL_SHARES = Gate(
    "null_shares_usual",
    "NULLs are as usual",
    Severity.WARN,
    "share of NULLs in a column of one event type: at most `limit` above the nights before, and what chance adds in "
    "1 night of 1,000",
    limit=USUAL.null_share,
    least=USUAL.null_events,
    evidence=select_unknown,
)


def check_null_shares(
    before: pd.DataFrame, tonight: pd.DataFrame, nights: int, gate: Gate, settling: Settling = SETTLED
) -> Check:
    """Compare the share of NULLs in each column of each event type; both frames are `Measures.nulls`."""
    both = tonight.merge(before, on=["event_type", "column"], suffixes=("", "_before"))
    pairs = list(zip(both["event_type"].astype("str"), both["column"].astype("str"), strict=True))
    changing = np.array([name in settling.columns.get(kind, ()) for kind, name in pairs], bool)
    left_out = [f"{kind}.{name}" for (kind, name), changes in zip(pairs, changing, strict=True) if changes]
    both = both[~changing]
    enough = (both["events"] >= gate.least) & (nights >= NIGHTS_OF_NULLS)
    both = both[enough & (both["share_before"] < 1 - gate.limit)]
    if "scatter" not in both:
        both = both.assign(scatter=1.0)
    more = chance_of_shares(both, gate.limit) < CHANCE / max(1, len(both))
    odd: dict[str, list[str]] = {}
    for column, rows in both[more].groupby("column"):
        shares = zip(rows["event_type"], rows["share"], rows["share_before"], strict=True)
        odd[str(column)] = [f"{kind} {share:.0%} (before {past:.0%})" for kind, share, past in shares]
    columns_by_kinds: dict[str, list[str]] = {}
    for column, kinds in odd.items():
        columns_by_kinds.setdefault(list_some(kinds, 3, ", "), []).append(column)
    columns = (" and ".join(some) if len(some) < 4 else list_some(some, 3, ", ") for some in columns_by_kinds.values())
    observed = list_some((f"{some} NULL in {kinds}" for some, kinds in zip(columns, columns_by_kinds, strict=True)), 3)
    points = f"{100 * gate.limit:g} {plural(100 * gate.limit, 'point')}"
    wanted = f"at most {points} more than before, beyond chance"
    check = gate.check_problems(dict.fromkeys(odd, ""), wanted, "all within")
    return leaving_out(replace(check, observed=observed or "all within"), left_out)


def riskiest_of_types(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    return scene.select_riskiest(scene.rows.c.event_type.in_(subjects))


def riskiest_of_stations(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    station = scene.rows.c[scene.dimensions.station]
    if column_type(station).kind == "integer":
        return scene.select_riskiest(station.in_([int(subject) for subject in subjects]))
    return scene.select_riskiest(func.toString(station, type_=String).in_(subjects))


# What scores are compared by, a column or a dimension, → its gate. Below 0.10 is no shift, above 0.25 a major one,
# by the convention of credit scoring (N. Siddiqi, Credit Risk Scorecards, 2006). Small nights reach it by chance,
# hence the test.
RISK_GATES = {
    "event_type": Gate(
        "risk_usual",
        "risk is distributed as usual",
        Severity.WARN,
        "population stability index of a type's scores, where Kolmogorov–Smirnov's p is below 0.001 over the number of "
        "types",
        limit=USUAL.drift,
        least=USUAL.drift_events,
        evidence=riskiest_of_types,
    ),
    "station": Gate(
        "station_risk_usual",
        "risk is distributed as usual at each station",
        Severity.WARN,
        "population stability index of a station's scores, where its p is below 0.001 over the number of stations",
        limit=USUAL.station_drift,
        least=USUAL.station_events,
        evidence=riskiest_of_stations,
    ),
}


def check_risk(before: pd.DataFrame, tonight: pd.DataFrame, by: str, gate: Gate, column: str, word: str) -> Check:
    """Compare the scores of each event type, or station; both frames are `Measures.scores`."""
    table = drift_table(tonight, before, column, gate.least)
    label = f"{word} " if by == "station" else ""
    rows = table.loc[shifted(table, gate)]
    moved = zip(rows.index, rows["PSI"], rows["KS"], strict=True)
    odd = {str(kind): f"{label}{kind} PSI {psi:.2f}, KS {ks:.2f}" for kind, psi, ks in moved}
    check = gate.check_problems(odd, f"PSI at most {gate.limit:g} for each", "all within")
    return replace(check, name=check.name.replace("station", word))


def shifted(drift: pd.DataFrame, gate: Gate = RISK_GATES["event_type"]) -> list[str]:
    """Pick the rows of a `drift_table` that the gate warns of."""
    enough = (drift["events"] >= gate.least) & (drift["events before"] >= gate.least)
    rare = drift["KS p"] < CHANCE / max(1, int(enough.sum()))
    return list(drift.index[enough & (drift["PSI"] > gate.limit) & rare])


HISTORY_GATES = (PRESENCE, VOLUMES, NULL_SHARES, *RISK_GATES.values())
