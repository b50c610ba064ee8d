"""Says in lines what was found about a table, and what the one who takes the entry should know. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Table

from sentinel_etl.config.check_types import ENGINE_KINDS
from sentinel_etl.config.fact_table import ENGINE_COLUMNS
from sentinel_etl.onboarding.live.live_table import LiveTable
from sentinel_etl.onboarding.suggestion.choose_time import EventTime, describe_time, is_bookkeeping
from sentinel_etl.onboarding.suggestion.map_columns import Mapped, Reading
from sentinel_etl.onboarding.suggestion.plan_joins import JoinPlan, Step, steps_of
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.warehouse.types import fact_types

__all__ = [
    "describe_joins",
    "describe_left_out",
    "describe_table",
    "describe_times",
    "unfilled_columns",
    "warn_of_nulls",
    "warn_of_time",
]


FILLED = frozenset({*ENGINE_COLUMNS, *ENGINE_KINDS, "risk_reasons"})


def describe_table(live: LiveTable) -> Iterator[str]:
    if live.rows < 0:
        rows = "number of rows not known in time"
    else:
        rows = f"{'about ' if live.rows_are_estimated else ''}{live.rows:,} row{'' if live.rows == 1 else 's'}"
    kind = "" if live.kind == "table" else f"a {live.kind}, "
    unique = "; ".join(", ".join(key.columns) if len(key.columns) == 1 else str(key) for key in live.unique)
    yield f"{live.name}: {kind}{rows}; unique: {unique or 'nothing'}"
    if live.partitions is not None:
        ends = f"; rows from {live.partitions.ends} on have none, and cannot be written" if live.partitions.ends else ""
        yield f"partitioned by {live.partitions.key} into {live.partitions.count}{ends}"
    if live.partition_of:
        yield f"warn: it is a partition of {live.partition_of}: name that to have the rows of all its partitions"
    if live.rows and not live.sampled:
        yield "warn: no sample could be read in time, so what follows goes by names and types alone"


def describe_times(live: LiveTable, time: EventTime) -> str:
    times = [column for column in live.columns.values() if column.is_time]
    ordered = sorted(times, key=lambda column: column is not time.column)
    told = [describe_time(column, live.sampled) for column in ordered]
    if time.via is not None:
        told.insert(0, f"{time.owner.name}.{describe_time(time.column, time.owner.sampled)}, as the table has none")
    return f"times: {' · '.join(told)}; the first is taken for the event's"


def describe_joins(plan: JoinPlan) -> Iterator[str]:
    """Tell of each foreign key where it leads, of how many rows, and whether it is joined."""
    first, second = steps_of(plan.main.live)
    joined = [each.step for each in plan.joined]
    told = [describe_step(step) for step in joined]
    if told:
        yield f"joins: {' · '.join(told)}"
    rest = [step for step in (*first, *(each for each in second if each.before in joined)) if step not in joined]
    reasons: dict[str, dict[str, None]] = {}
    for step in rest:
        reasons.setdefault(why_not(step, plan), {})[step.target.name] = None
    for reason, names in reasons.items():
        yield f"not joined: {', '.join(names)} ({reason})"
    itself = [key for key in plan.main.live.foreign_keys if key.target.key == plan.main.live.table.key]
    for key in itself:
        yield f"not joined: {', '.join(key.columns)} refers to {plan.main.live.name} itself"


def describe_step(step: Step) -> str:
    rows = "at most one row" if step.outer else "one row"
    each = " each its own" if step.key.one_to_one else ""
    outer = ", outer as it may be NULL" if step.key.nullable else ", outer as the one before" if step.outer else ""
    before = f"{step.before.target.name}." if step.before else ""
    return f"{step.target.name} by {before}{', '.join(step.key.columns)} ({rows}{each}{outer})"


def why_not(step: Step, plan: JoinPlan) -> str:
    if plan.destination.facts is not None:
        return "nothing that the fact table lacks"
    people = [each.name for each in step.target.columns.values() if each.personal]
    return f"about people: {', '.join(people)}" if step.target.holds_people else "nothing that describes the event"


def warn_of_time(live: LiveTable, time: EventTime, zone: str) -> Iterator[str]:
    column = time.column
    if is_bookkeeping(column) and not column.triggered:
        yield f"warn: {column.name} says when a row came or was changed, and not that something happened"
    if column.nullable and (live.kind != "view" or column.statistics.null_share or not live.sampled):
        share = f" in {column.statistics.null_share:.0%} of the rows" if column.statistics.null_share else ""
        yield f"warn: {column.name} may be NULL{', and is' + share if share else ''}: such a row lies in no night"
    if column.source_type.family != "timestamp with time zone":
        what = (
            "is a date: all events are at its midnight" if column.source_type.family == "date" else "has no time zone"
        )
        yield f"warn: {column.name} {what}; taken as what the clocks of {zone} showed. Write another zone if need be"
    if column.triggered:
        yield f"warn: {column.name} is set by a trigger on each update: an edited row moves to another night"


def unfilled_columns(fact_table: Table, labels: set[str], pipeline: Pipeline | None) -> list[str]:
    """List the fact columns that take no NULL, and that the entry does not fill."""
    filled = FILLED | labels
    if pipeline is not None:
        filled |= {target for target, sources in pipeline.coalesce.items() if labels.intersection(sources)}
        filled |= {target for target, source in pipeline.text_lengths.items() if source in labels}
    return [
        name
        for name, each in fact_types(fact_table).items()
        if not each.nullable and each.kind not in ("array", "map") and name not in filled
    ]


def warn_of_nulls(readings: Sequence[Reading], fact_table: Table) -> Iterator[str]:
    """Tell of columns with NULLs, in the sample, that go into fact columns that take none."""
    facts = fact_types(fact_table)
    for each in readings:
        fact, share = facts.get(each.label), each.column.statistics.null_share
        if fact is not None and not fact.nullable and fact.kind not in ("array", "map") and share:
            yield f"warn: {each.column.name} is NULL in {share:.0%} of the rows, and {each.label} takes no NULL"


def describe_left_out(mapped: Mapped) -> Iterator[str]:
    """Tell which columns of the table are not read, and why: one line a reason."""
    reasons: dict[str, list[str]] = {}
    for name, reason in mapped.left_out:
        reasons.setdefault(reason, []).append(name)
    for reason, names in reasons.items():
        yield f"left out: {', '.join(names)} ({reason})"
