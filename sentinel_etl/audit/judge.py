"""Judges a night by the nights before it, gate by gate."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from scipy import special

from sentinel_etl.audit.checks import Check, tell
from sentinel_etl.audit.drift import drift_table, shifted
from sentinel_etl.audit.history import Measures
from sentinel_etl.config.gates import GATES

__all__ = ["judge_history", "judge_late"]


NULLS_P_VALUE = 0.001
NIGHTS_OF_NULLS = 7


def judge_history(before: Measures, tonight: Measures) -> list[Check]:
    """Judge a night by the nights before it, gate by gate."""
    nights = before.counts["shift_date"].nunique()
    checks = [
        judge_presence(before.counts, tonight.counts),
        judge_volumes(before.counts, tonight.counts, nights),
        judge_nulls(before.nulls, tonight.nulls, nights),
        judge_drift("risk is distributed as usual", before.scores, tonight.scores, "event_type"),
    ]
    if "station_id" in tonight.scores.columns:
        name = "risk is distributed as usual at each station"
        checks.append(judge_drift(name, before.scores, tonight.scores, "station_id"))
    return checks


def judge_presence(before: pd.DataFrame, tonight: pd.DataFrame) -> Check:
    name = "every event type is there"
    gate = GATES[name]
    usual = before[before["events"] > 0].groupby("event_type")["shift_date"].nunique()
    expected = sorted(str(kind) for kind in usual[usual >= gate.least].index)
    there = set(tonight.loc[tonight["events"] > gate.limit, "event_type"])
    missing = [kind for kind in expected if kind not in there]
    wanted = f"events of each of {len(expected)} types"
    return tell(name, {kind: f"{kind} has none" for kind in missing}, wanted, f"events of {len(expected)} types")


def judge_volumes(before: pd.DataFrame, tonight: pd.DataFrame, nights: int) -> Check:
    name = "volumes are as usual"
    gate = GATES[name]
    medians = before.groupby("event_type")["events"].median()
    odd = {}
    for kind, events in zip(tonight["event_type"], tonight["events"], strict=True):
        median = float(medians.get(kind, 0))
        if nights >= gate.least and median >= gate.least and events > 0:
            ratio = events / median
            if ratio > gate.limit or ratio < 1 / gate.limit:
                odd[str(kind)] = f"{kind} {events:,} is {ratio:.1f} times the median {median:,.0f}"
    wanted = f"{1 / gate.limit:.2f} to {gate.limit:g} times the median of {nights} nights"
    return tell(name, odd, wanted, "all within")


def judge_nulls(before: pd.DataFrame, tonight: pd.DataFrame, nights: int) -> Check:
    """Compare the share of NULLs in each column of each event type; both frames are `Measures.nulls`."""
    name = "NULLs are as usual"
    gate = GATES[name]
    both = tonight.merge(before, on=["event_type", "column"], suffixes=("", "_before"))
    events = both["events"].to_numpy("int64")
    unknown = (both["share"] * both["events"]).round().to_numpy("float64")
    # The upper tail of the binomial distribution: so many NULLs or more, by chance.
    chance = special.bdtrc(unknown - 1, events, both["share_before"].to_numpy("float64"))
    more = (both["share"] - both["share_before"] > gate.limit) & (chance < NULLS_P_VALUE)
    odd: dict[str, list[str]] = {}
    for column, rows in both[more & (both["events"] >= gate.least) & (nights >= NIGHTS_OF_NULLS)].groupby("column"):
        shares = zip(rows["event_type"], rows["share"], rows["share_before"], strict=True)
        odd[str(column)] = [f"{kind} {share:.0%} (before {past:.0%})" for kind, share, past in shares]
    told: dict[str, list[str]] = {}
    for column, kinds in odd.items():
        told.setdefault(", ".join(kinds), []).append(column)
    observed = "; ".join(f"{' and '.join(columns)} NULL in {kinds}" for kinds, columns in told.items())
    return replace(
        tell(name, dict.fromkeys(odd, ""), f"at most {100 * gate.limit:g} points more than before", "all within"),
        observed=observed or "all within",
    )


def judge_drift(name: str, before: pd.DataFrame, tonight: pd.DataFrame, by: str) -> Check:
    gate = GATES[name]
    table = drift_table(tonight, before, by)
    label = "station " if by == "station_id" else ""
    rows = table.loc[shifted(table, gate)]
    moved = zip(rows.index, rows["PSI"], rows["KS"], strict=True)
    odd = {str(kind): f"{label}{kind} PSI {psi:.2f}, KS {ks:.2f}" for kind, psi, ks in moved}
    return tell(name, odd, f"PSI at most {gate.limit:g} for each", "all within")


def judge_late(late: pd.DataFrame, nights: int = 7) -> Check:
    """Judge the earlier nights whose source has changed since they were loaded; in: `RunResult.late`.

    ``nights``: how many were looked back over, for the command that mends them.
    """
    name = "earlier nights are complete"
    gate = GATES[name]
    told = {}
    for night, rows in late.groupby("shift_date"):
        change = rows["source"] - rows["warehouse"]
        much = (change.abs() > gate.limit * rows["source"]) & (change.abs() >= gate.least)
        if much.any():
            kinds = zip(rows["event_type"], change, strict=True)
            told[str(night)[:10]] = (
                f"{str(night)[:10]}: {', '.join(f'{kind} {rows:+,}' for kind, rows in kinds if rows)}"
            )
    wanted = f"at most {gate.limit:.0%} of a loaded night's rows late or gone"
    if told:
        wanted += f"; to mend: sentinel-etl reconcile --days {nights + 1} --heal"
    return tell(name, told, wanted, "all within" if len(late) else "no night has changed")
