"""The gates of earlier nights: rows that came late, and runs that never ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from sentinel_etl.audit.checks import TO_MEND, Check, Gate, Severity
from sentinel_etl.config.gates import GateLimits
from sentinel_etl.wording import list_some, plural

__all__ = ["LATE_GATES", "check_late", "check_settled"]

FEW_CHANGES = 5  # counts of late rows that one line can name, by night and event type
USUAL = GateLimits()


# Phones that were off send a few rows each morning; a night that lacks more was not all there. The rows are the
# source's, so the warehouse has none to show.
LATE = Gate(
    "nights_complete",
    "earlier nights are complete",
    Severity.WARN,
    "rows that differ between the sides: at most `limit` of an event type's, or under `least`",
    limit=USUAL.late_share,
    least=USUAL.late_rows,
)


def check_late(
    late: pd.DataFrame, nights: int = 7, limits: GateLimits = USUAL, changed: pd.DataFrame | None = None
) -> Check:
    """Judge the earlier nights whose source has changed since they were loaded; in: `RunResult.late`.

    ``nights``: how many were looked back over, for the command that mends them. ``changed``: shift_date and event_type
    of those that have changed as they were meant to, which is told and is no fault.
    """
    gate = LATE.within(limits)
    problems = {}
    for night, rows in late.groupby("shift_date"):
        change = rows["source"] - rows["warehouse"]
        much = (change.abs() > gate.limit * rows["source"]) & (change.abs() >= gate.least)
        if much.any():
            problems[str(night)[:10]] = {kind: int(n) for kind, n in zip(rows["event_type"], change, strict=True) if n}
    wanted = f"at most {100 * gate.limit:g}% of a loaded night's rows late or gone"
    command = f"sentinel-etl reconcile --days {nights + 1} --heal"
    if problems:
        wanted += f"{TO_MEND}{command}"
    fine = "all within" if len(late) else "no night has changed"
    check = gate.check(not problems, wanted, describe_late(problems) or fine, problems)
    if changed is None or changed.empty:
        return check
    told = [
        f"{kind} in {list_some(sorted(str(night)[:10] for night in rows['shift_date']), 3, ', ', 'night')}"
        for kind, rows in changed.groupby("event_type")
    ]
    found = "" if check.passed and late.empty else f"{check.observed}; "
    words = f"{found}changed later, as expected: {list_some(told, 3, noun='type')}; to load it: {command}"
    return replace(check, observed=words)


# Which rows of such a night stand twice, or nowhere, only a run of it can tell.
ENDED = Gate(
    "nights_settled",
    "runs of earlier nights have ended",
    Severity.WARN,
    "earlier nights whose run died, or failed while it published, and has not been done again: none; asked where there "
    "is one",
)


def check_settled(dead: Mapping[str, str]) -> Check:
    """Judge the earlier nights whose run has died; in: night → what became of it."""
    problems = {night: f"{night}: {cause}" for night, cause in dead.items()}
    command = f"sentinel-etl backfill --from {min(dead)} --to {max(dead)} --missing-only"
    return ENDED.check_problems(problems, f"no run of them to have died; to mend: {command}", "none has died")


def describe_late(changes: Mapping[str, Mapping[str, int]]) -> str:
    """Write how many rows have come and gone: by night and event type where those are few, or else by night."""
    if sum(map(len, changes.values())) <= FEW_CHANGES:
        return "; ".join(
            f"{night}: {', '.join(f'{kind} {rows:+,}' for kind, rows in kinds.items())}"
            for night, kinds in changes.items()
        )
    nights = (f"{night} {write_change(list(kinds.values()))}" for night, kinds in changes.items())
    rows = [rows for kinds in changes.values() for rows in kinds.values()]
    total = f"{write_change(rows)} {plural(sum(map(abs, rows)), 'row')}"
    return f"{total} in {len(changes)} {plural(len(changes), 'night')}: {list_some(nights, 3, ', ', 'night')}"


def write_change(rows: Sequence[int]) -> str:
    """Write what has come and what has gone apart, for together they may be 0: ``+40``, ``+40 and -3``."""
    come, gone = sum(row for row in rows if row > 0), sum(row for row in rows if row < 0)
    return " and ".join(f"{part:+,}" for part in (come, gone) if part)


LATE_GATES = (LATE, ENDED)
