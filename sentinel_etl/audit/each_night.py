"""Judges each night of a window as it would be judged alone, and makes one check of what a gate said of them.

The yardstick of a night is the 28 nights before it, as readers will see them once the window is published: as staged,
where the window has them whole, whatever the warehouse holds of them; as loaded, where they lie before the window. So
a window of many nights is judged as its nights are that are run one by one, in order. A night of which the window has
a part is compared with no others, and no other with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from sentinel_etl.audit.checks import Check
from sentinel_etl.audit.history import HISTORY_NIGHTS, Measures
from sentinel_etl.audit.history_gates import judge_history
from sentinel_etl.audit.window_gates import (
    ALLOW_SHRINK,
    COLLAPSE,
    check_accepted,
    check_events,
    check_shrink,
)
from sentinel_etl.config.dimensions import Dimensions
from sentinel_etl.config.gates import GateLimits
from sentinel_etl.ledger.commands import nights_command
from sentinel_etl.pipeline.settling import Settling
from sentinel_etl.window import Window, list_nights, night_stretches
from sentinel_etl.wording import list_some, plural

__all__ = ["HeldNights", "check_each_accepted", "check_each_event", "check_each_kept", "judge_each_night"]

MOST_TEXTS = 3  # of what one check tells of several nights
MOST_TYPES = 3  # named of those that a night has lost rows of

# Rows by event type, night by night.
RowsByNight = Mapping[date, Mapping[str, int]]


@dataclass(frozen=True)
class HeldNights:
    """What the nights of a window hold, by night and event type: loaded before the run, and staged by it.

    ``whole``     the nights that lie in the window from their start to their end
    ``rejected``  (night, event type, reason) → rows; the night is None of those that lie in none
    ``limited``   the event types that the run is limited to; empty: all
    """

    nights: Sequence[date]
    whole: Sequence[date]
    zone: ZoneInfo
    loaded: RowsByNight
    staged: RowsByNight
    rejected: Mapping[tuple[date | None, str, str], int]
    limited: Sequence[str] = ()

    @property
    def is_several(self) -> bool:
        return len(self.nights) > 1

    def total(self, rows: RowsByNight, night: date) -> int:
        """Count a night's rows; a window within one night has the rows of that night, whatever night they say."""
        some = [rows.get(night, {})] if self.is_several else rows.values()
        return sum(sum(kinds.values()) for kinds in some)


def check_each_kept(held: HeldNights, max_shrink: float, allow_shrink: bool) -> Check:
    """Judge by the collapse guard each night that has rows; of several, those that lose rows are told by event type."""
    hint = "" if held.is_several else ALLOW_SHRINK
    checks = {}
    for night in held.nights:
        before, after = (held.total(rows, night) for rows in (held.loaded, held.staged))
        check = check_shrink(before, after, max_shrink, allow_shrink, hint)
        if held.is_several and not check.passed:
            check = name_lost(check, held.loaded.get(night, {}), held.staged.get(night, {}))
        checks[night] = check
    return tell_rest(join_nights(checks, held.is_several), checks, held)


def name_lost(check: Check, before: Mapping[str, int], after: Mapping[str, int]) -> Check:
    """Name the event types that have fewer rows than before, those that lost the most first."""
    lost = {kind: rows - after.get(kind, 0) for kind, rows in before.items() if after.get(kind, 0) < rows}
    kinds = sorted(lost, key=lambda kind: (-lost[kind], kind))
    told = (f"{kind} {after.get(kind, 0)} of {before[kind]}" for kind in kinds)
    observed = f"{check.observed}, {list_some(told, MOST_TYPES, ', ', 'type')}"
    return replace(check, observed=observed, subjects=tuple(kinds))


def check_each_event(held: HeldNights) -> Check:
    """Judge whether each whole night has events; a window that has none whole is judged as one."""
    if not (held.is_several and held.whole):
        return check_events(sum(held.total(held.staged, night) for night in held.nights))
    return join_nights({night: check_events(held.total(held.staged, night)) for night in held.whole}, True)


def check_each_accepted(
    held: HeldNights, in_window: Mapping[str, int], source: Mapping[str, int], limits: GateLimits
) -> Check:
    """Judge the rejected rows of each night by its own rows; ``in_window`` and ``source``: of the window, by type."""
    if not held.is_several or not held.rejected:
        reasons: Counter[tuple[str, str]] = Counter()
        for (_, kind, reason), rows in held.rejected.items():
            reasons[kind, reason] += rows
        return check_accepted(in_window, reasons, source, limits)
    checks: dict[date | None, Check] = {}
    for night in sorted({night for night, _, _ in held.rejected}, key=lambda night: night or date.max):
        of_night = {(kind, reason): rows for (day, kind, reason), rows in held.rejected.items() if day == night}
        rejected: Counter[str] = Counter()
        for (kind, _), rows in of_night.items():
            rejected[kind] += rows
        if night is None:  # the source counts them in no night
            checks[night] = check_accepted({}, of_night, {}, limits)
        else:
            counted = rejected + Counter(held.staged.get(night, {}))
            checks[night] = check_accepted(rejected, of_night, counted, limits)
    return tell_rest(join_nights(checks, True), checks, held)


def judge_each_night(
    before: Measures,
    staged: Measures,
    window: Window,
    zone: ZoneInfo,
    limits: GateLimits,
    settling: Settling,
    dimensions: Dimensions,
) -> list[Check]:
    """Judge the whole nights of a window by the nights before each; both are measured by night."""
    nights, whole = window.shift_dates(zone), window.whole_nights(zone)
    known = before.beside(staged)
    found: dict[str, dict[date | None, Check]] = {}
    for night in whole:
        past = [night - timedelta(days=back) for back in range(HISTORY_NIGHTS, 0, -1)]
        usual = [each for each in past if each < nights[0] or each in whole]
        for check in judge_history(known.of_nights(usual), known.of_nights([night]), limits, settling, dimensions):
            found.setdefault(check.gate, {})[night] = check
    return [join_nights(checks, len(nights) > 1) for checks in found.values()]


def join_nights(checks: Mapping[date, Check] | Mapping[date | None, Check], named: bool) -> Check:
    """Make one check of a gate's checks of several nights, which names those that failed; None: rows of no night.

    It fails where one of them does, and blocks where one does.
    """
    first = next(iter(checks.values()))
    if not named:
        return first
    failed = {night: check for night, check in checks.items() if not check.passed}
    if not failed:
        same = len({(check.expected, check.observed) for check in checks.values()}) == 1
        limits = f"each of {len(checks)} {plural(len(checks), 'night')} within its own limits"
        return first if same else replace(first, expected=limits, observed="all within")
    # What blocks is told first: the few that are named should say why nothing is published.
    in_order = dict(sorted(failed.items(), key=lambda each: not each[1].blocks))
    expected = {night: check.expected for night, check in in_order.items()}
    return replace(
        next(iter(in_order.values())),
        expected=tell_nights(expected) if len({*expected.values()}) > 1 else next(iter(expected.values())),
        observed=tell_nights({night: check.observed for night, check in in_order.items()}),
        subjects=tuple(dict.fromkeys(subject for check in in_order.values() for subject in check.subjects)),
        nights=tuple(str(night) for night in sorted(night for night in failed if night)),
    )


def tell_nights(texts: Mapping[date | None, str]) -> str:
    """Write what is said of each night, once for those of which the same is said."""
    nights: dict[str, list[date | None]] = {}
    for night, words in texts.items():
        nights.setdefault(words, []).append(night)
    told = (
        f"{list_nights([night for night in some if night]) or 'in no night'}: {words}" for words, some in nights.items()
    )
    return list_some(told, MOST_TEXTS)


def tell_rest(check: Check, checks: Mapping[date, Check] | Mapping[date | None, Check], held: HeldNights) -> Check:
    """Add to the check of a window that is refused for some of its nights what loads the others, or accepts these."""
    refused = sorted(night for night, each in checks.items() if night and each.blocks)
    if not refused or not held.is_several:
        return check
    told = []
    if check.gate == COLLAPSE.id:
        accept = f"`{nights_command(refused[0], refused[-1], held.zone, held.limited, allow_shrink=True)}` accepts"
        again = "run again with --allow-shrink"  # a part of a night is in no command of nights
        words = f"{accept} {'it' if len(refused) == 1 else 'them'}" if {*refused} <= {*held.whole} else again
        told.append(f"if the source really lost them, {words}")
    others = night_stretches(night for night in held.whole if night not in refused)
    commands = (f"`{nights_command(first, last, held.zone, held.limited)}`" for first, last in others)
    told += [f"to load the other nights: {list_some(commands, MOST_TEXTS, ', ')}"] if others else []
    return replace(check, observed="; ".join([check.observed, *told]))
