"""Chooses which of a table's times is the event's. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from sentinel_etl.errors import ConfigurationError
from sentinel_etl.onboarding.live.live_table import ForeignKey, LiveColumn, LiveTable
from sentinel_etl.onboarding.live.personal import listed, singular, words_of
from sentinel_etl.source.session import describe_denial

__all__ = ["EventTime", "choose_time", "describe_time", "is_bookkeeping"]


HAPPENED = listed(
    "created creation occurred happened recorded logged event reported started ordered placed paid admitted visited "
    "observed measured inserted captured posted opened issued registered arrived sold sent booked entered taken at"
)
# Of the row and not of the event, or of what comes after it.
NOT_HAPPENED = listed(
    "updated update modified changed last deleted removed archived expires expiry expiration expire valid due birth "
    "dob birthday received synced sync exported imported processed loaded end ended closed finished completed "
    "cancelled canceled returned return until to planned next validated approved resolved"
)
KEPT_BY_THE_ROW = listed("updated update modified changed synced sync exported imported loaded")


@dataclass(frozen=True)
class EventTime:
    """The column that says when the event happened; of a table that ``via`` refers to, where the own has none."""

    column: LiveColumn
    owner: LiveTable
    via: ForeignKey | None = None


def choose_time(live: LiveTable) -> EventTime:
    """Choose the event's time: never NULL, indexed, and named like one.

    Raises:
        ConfigurationError: neither the table nor one that it refers to has a date or a time.
    """
    if not any(column.readable for column in live.columns.values()):
        raise ConfigurationError(describe_denial(f"no right to read a column of {live.name}"))
    own = [column for column in live.columns.values() if column.is_time and column.readable]
    if own:
        return EventTime(max(own, key=lambda column: score(column, live)), live)
    for key in live.foreign_keys:
        target = live.referred.get(key.target.key)
        if target is not None and not key.nullable:
            others = [column for column in target.columns.values() if column.is_time and column.readable]
            if others:
                return EventTime(max(others, key=lambda column: score(column, target)), target, key)
    raise ConfigurationError(
        f"{live.name}: expected a column of type timestamp or date, in it or in a table that it refers to, because an "
        f"event has a time; found {', '.join(live.columns) or 'no column'}. Name another table, or add such a column"
    )


def score(column: LiveColumn, live: LiveTable) -> float:
    """Judge a column as the event's time; the highest is it."""
    words, statistics = words_of(column.name), column.statistics
    table = {singular(word) for word in words_of(str(live.table.name))}
    points = 4.0 if not column.nullable else 1.0 if live.sampled and not statistics.null_share else 0.0
    points -= 2 + 4 * statistics.null_share if statistics.null_share else 0
    points += 3 * column.indexed
    points += 3 * (live.partitions is not None and column.name in live.partitions.key)
    points += 3 * bool(HAPPENED.intersection(words)) + 2 * bool(table.intersection(map(singular, words)))
    points -= 5 * bool(NOT_HAPPENED.intersection(words)) + 20 * column.triggered
    points -= 3 * (statistics.future_share > 0)
    kinds = {"timestamp with time zone": 1.5, "timestamp without time zone": 1.0}
    return points + kinds.get(column.source_type.family, -1.0)


def is_bookkeeping(column: LiveColumn) -> bool:
    """Tell what the database or a program notes of the row: when it arrived, or was last changed."""
    words = KEPT_BY_THE_ROW.intersection(words_of(column.name))
    by_itself = column.default.lower().startswith(
        ("now()", "current_timestamp", "clock_timestamp", "statement_timestamp")
    )
    return column.triggered or (column.is_time and (by_itself or bool(words)))


def describe_time(column: LiveColumn, sampled: int) -> str:
    """Say what is known of a time, for people."""
    share = column.statistics.null_share
    known = f"{share:.0%} NULL" if share else "no NULL so far" if sampled else "may be NULL"
    facts = [known if column.nullable else "never NULL"]
    facts += ["indexed"] if column.indexed else []
    if column.triggered:
        facts.append("set by a trigger on each update: not an event time")
    elif is_bookkeeping(column):
        facts.append("of the row: when it came or was changed")
    if column.statistics.future_share:
        facts.append("partly in the future")
    if column.source_type.family != "timestamp with time zone":
        facts.append("a date" if column.source_type.family == "date" else "without a time zone")
    return f"{column.name} ({', '.join(facts)})"
