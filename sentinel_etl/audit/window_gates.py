"""The gates on the window itself: what its staged rows must be before anyone may read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from clickhouse_sqlalchemy import Table
from sqlalchemy import ColumnElement, Select, func, literal_column, not_, or_, select

from sentinel_etl.audit.checks import Check, Gate, Severity
from sentinel_etl.audit.scene import Scene, rows_of_past, select_unknown
from sentinel_etl.config.gates import GateLimits
from sentinel_etl.warehouse.contract import Bounds, ranges_of
from sentinel_etl.warehouse.rows import in_time_window
from sentinel_etl.wording import list_some, plural

__all__ = [
    "WINDOW_GATES",
    "check_accepted",
    "check_counts",
    "check_events",
    "check_expired",
    "check_keys",
    "check_nulls",
    "check_ranges",
    "check_scores",
    "check_shrink",
    "check_window",
    "is_beyond",
    "most_rejected",
]

USUAL = GateLimits()


def select_rejected(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    """Select rejected rows with their reasons, and not what they hold."""
    if scene.rejected is None:
        return select(literal_column("'none'").label("reason")).where(literal_column("0") == 1)
    columns = scene.rejected.c
    shown = select(columns.event_id, columns.event_type, columns.event_timestamp, columns.reason)
    mine = or_(func.isNull(columns.event_timestamp), scene.in_time(scene.rejected))
    return shown.where(columns.event_type.in_(subjects), mine).order_by(columns.event_type, columns.event_id)


# One rejected row is worth a word; too many, and it is the source or the config that is wrong.
ACCEPTED = Gate(
    "rows_accepted",
    "rows are accepted",
    Severity.WARN,
    "rows rejected: 0; it blocks at more than `limit` of a night's rows and more than `least`",
    limit=USUAL.rejected_share,
    least=USUAL.rejected_rows,
    evidence=select_rejected,
)


def most_rejected(source: Mapping[str, int], limits: GateLimits = USUAL) -> int:
    """Give how many of the source's rows may be rejected before nothing is published."""
    return max(limits.rejected_rows, int(limits.rejected_share * sum(source.values())))


def check_accepted(
    in_window: Mapping[str, int],
    reasons: Mapping[tuple[str, str], int],
    source: Mapping[str, int],
    limits: GateLimits = USUAL,
) -> Check:
    """Judge the rejected rows: those of the window, by event type; and all, by event type and reason."""
    rejected, most = sum(in_window.values()), most_rejected(source, limits)
    most_first = sorted(reasons.items(), key=lambda each: (-each[1], each[0]))
    lines = [f"{kind} {rows} × {reason}" for (kind, reason), rows in most_first]
    blocks = rejected > most
    return ACCEPTED.check(
        not lines,
        f"at most {most} {plural(most, 'row')} rejected" if blocks else "0 rows rejected",
        list_some(lines, noun="reason") or "0 rows rejected",
        sorted({kind for kind, _ in reasons}),
        Severity.BLOCK if blocks else None,
    )


def count_by_type(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    kind = scene.rows.c.event_type
    some = kind.in_(subjects) if subjects else literal_column("1") == 1
    return select(kind, func.count().label("rows")).where(scene.in_window, some).group_by(kind).order_by(kind)


COUNTS = Gate(
    "source_counts",
    "staged rows equal the source's",
    Severity.BLOCK,
    "rows per event type, counted by each side in one snapshot",
    evidence=count_by_type,
)


def check_counts(source: Mapping[str, int], staged: Mapping[str, int], rejected: Mapping[str, int]) -> Check:
    """Each row of the source is in staging, or is rejected; none is in neither."""
    found = {name: staged.get(name, 0) + rejected.get(name, 0) for name in {*source, *staged, *rejected}}
    differing = [name for name in sorted(found) if source.get(name, 0) != found[name]]
    if differing:
        expected = list_some((f"{name} {source.get(name, 0)}" for name in differing), separator=", ")
        observed = list_some((f"{name} {found[name]}" for name in differing), separator=", ")
    else:
        rows, types = sum(source.values()), len(source)
        expected = observed = f"{rows} {plural(rows, 'row')} of {types} event {plural(types, 'type')}"
        observed += f", {sum(rejected.values())} of them rejected" if sum(rejected.values()) else ""
    return COUNTS.check(not differing, expected, observed, differing)


def select_repeated(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    key, times = scene.rows.c.event_id, func.count().label("times")
    first = func.min(scene.rows.c.event_timestamp).label("first")
    return select(key, times, first).where(scene.in_window).group_by(key).having(func.count() > 1).order_by(key)


KEYS = Gate(
    "keys_unique",
    "keys are unique",
    Severity.BLOCK,
    "rows less distinct event_id: 0",
    evidence=select_repeated,
)


def check_keys(rows: int, keys: int) -> Check:
    cause = "; a join of the entry repeats rows, or its `key` is not unique" if rows != keys else ""
    return KEYS.check(rows == keys, f"{rows} distinct event_id", f"{keys} distinct event_id{cause}")


NULLS = Gate(
    "nulls_arrived",
    "NULLs arrived as NULLs",
    Severity.BLOCK,
    "NULLs per column, as sent and as stored",
    evidence=select_unknown,
)


def check_nulls(sent: Mapping[str, int], staged: Mapping[str, int]) -> Check:
    """Compare the NULLs of each column that may have some, as sent and as stored."""
    differing = [name for name in staged if staged[name] != sent[name]]
    if differing:
        expected = list_some((f"{name} {sent[name]}" for name in differing), separator=", ")
        observed = list_some((f"{name} {staged[name]}" for name in differing), separator=", ")
    else:
        nulls, columns = sum(staged.values()), len(staged)
        expected = observed = f"{nulls} {plural(nulls, 'NULL')} in {columns} {plural(columns, 'column')}"
    return NULLS.check(not differing, expected, observed, differing)


def select_outside(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    outside = not_(in_time_window(scene.rows, scene.window))  # whatever night they say
    others = [scene.rows.c.event_type.not_in(list(scene.event_types))] if scene.event_types else []
    return select(*scene.show(scene.rows)).where(or_(outside, *others)).order_by(scene.rows.c.event_id)


WINDOW = Gate(
    "rows_in_window",
    "rows lie in the window",
    Severity.BLOCK,
    "rows outside the window or of other event types: at most 0",
    evidence=select_outside,
)


def check_window(outside: int) -> Check:
    return WINDOW.check(outside == 0, "0 rows outside", f"{outside} {plural(outside, 'row')} outside")


def select_bad_scores(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    score = scene.rows.c.base_risk_score
    return scene.select_events(or_(func.isFinite(score) == 0, score < 0))


SCORES = Gate(
    "scores_valid",
    "scores are finite and not negative",
    Severity.BLOCK,
    "scores that are not: at most 0",
    evidence=select_bad_scores,
)


def check_scores(bad: int) -> Check:
    return SCORES.check(bad == 0, "0 bad scores", f"{bad} bad {plural(bad, 'score')}")


def count_loaded(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    facts = scene.facts.c
    some = facts.event_type.in_(subjects) if subjects else literal_column("1") == 1
    counted = select(facts.event_type, func.count().label("loaded")).where(scene.owned(scene.facts), some)
    return counted.group_by(facts.event_type).order_by(literal_column("loaded").desc(), facts.event_type)


ALLOW_SHRINK = "; if the source really lost them, run again with --allow-shrink"

COLLAPSE = Gate(
    "window_kept",
    "the window has not collapsed",
    Severity.BLOCK,
    "share of a loaded night's rows that may go: SENTINEL_MAX_SHRINK, or the pipeline's max_shrink",
    evidence=count_loaded,
)


def check_shrink(before: int, after: int, max_shrink: float, allow_shrink: bool, hint: str = ALLOW_SHRINK) -> Check:
    """The collapse guard: a re-run that loses most of a loaded night is a broken source, mostly."""
    least = max(int(before * (1 - max_shrink)), 1) if before else 0
    collapsed = after < least
    return COLLAPSE.check(
        not collapsed,
        f"at least {least} {plural(least, 'row')}, after {before} before" if before else "no earlier rows",
        f"{after} {plural(after, 'row')}{hint if collapsed else ''}",
        severity=Severity.WARN if allow_shrink else None,
    )


EVENTS = Gate(
    "window_has_events",
    "the window has events",
    Severity.WARN,
    "events: at least 1",
    evidence=rows_of_past,
)


def check_events(rows: int) -> Check:
    return EVENTS.check(rows > 0, "at least 1 event", f"{rows} {plural(rows, 'event')}")


def is_beyond(rows: Table, facts: Table, names: Sequence[str]) -> ColumnElement[bool]:
    """Build the condition that one of these columns lies outside the range that the fact table states."""
    ranges = ranges_of(facts)
    beyond = [rows.c[name] < ranges[name][0] for name in names if ranges[name][0] is not None]
    beyond += [rows.c[name] > ranges[name][1] for name in names if ranges[name][1] is not None]
    return or_(literal_column("0") == 1, *beyond)


def select_beyond(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    return scene.select_events(is_beyond(scene.rows, scene.facts, subjects), *subjects)


RANGES = Gate(
    "values_in_range",
    "values lie in their ranges",
    Severity.WARN,
    "values outside the range that the fact table's column states: at most `limit`",
    evidence=select_beyond,
)


def check_ranges(outside: Counter[str], table: Table, bounds: Bounds) -> Check:
    """Judge the values outside their columns' ranges, counted by column; beyond ``bounds`` none is left to count."""
    ranges = ranges_of(table)
    problems = {name: f"{name} in {rows:,} {plural(rows, 'row')}" for name, rows in sorted(outside.items())}
    stated = list_some((describe_range(name, *ranges[name]) for name in problems), separator=", ")
    columns = len({*ranges, *bounds})
    expected = stated or f"{columns} {plural(columns, 'column')} in range"
    return RANGES.check_problems(problems, expected, "all within")


def describe_range(name: str, least: float | None, most: float | None) -> str:
    if least is not None and most is not None:
        return f"{name} from {least:g} to {most:g}"
    return f"{name} at least {least:g}" if least is not None else f"{name} at most {most:g}"


def select_oldest(scene: Scene, subjects: Sequence[str]) -> Select[Any]:
    events = scene.select_events(literal_column("1") == 1).order_by(None)
    return events.order_by(scene.rows.c.event_timestamp, scene.rows.c.event_id)


EXPIRED = Gate(
    "rows_not_expired",
    "rows outlive the fact table's TTL",
    Severity.BLOCK,
    "rows that the fact table's own TTL has expired: none; asked where it has a TTL",
    evidence=select_oldest,
)


def check_expired(rows: int, table: Table) -> Check:
    """Judge the rows of staged parts that hold a row past the fact table's TTL: its next merge would drop it."""
    hint = (
        f"some or all of {rows} {plural(rows, 'row')} past it, which ClickHouse would drop at the next merge; load no "
        f"night that is so old, or lengthen the TTL with ALTER TABLE {table.name} MODIFY TTL"
    )
    return EXPIRED.check(rows == 0, f"no row past the TTL of {table.name}", hint if rows else "none")


WINDOW_GATES = (ACCEPTED, COUNTS, KEYS, NULLS, WINDOW, SCORES, COLLAPSE, EVENTS, RANGES, EXPIRED)
