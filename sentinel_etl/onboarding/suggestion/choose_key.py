"""Chooses which columns of a table identify a row. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from sentinel_etl.onboarding.live.live_table import LiveColumn, LiveTable
from sentinel_etl.onboarding.live.personal import singular, words_of
from sentinel_etl.onboarding.suggestion.choose_time import EventTime
from sentinel_etl.source.sql import DIALECT
from sentinel_etl.wording import plural

__all__ = ["choose_key"]


def choose_key(live: LiveTable, time: EventTime) -> tuple[tuple[str, ...], str]:
    """Choose the columns that identify a row, and say how surely: empty where the source keeps them unique."""
    readable = {name for name, column in live.columns.items() if column.readable}
    if live.primary_key and readable.issuperset(live.primary_key):
        return live.primary_key, ""
    usable = [
        key.columns
        for key in live.unique
        if key.condition is None
        and readable.issuperset(key.columns)
        and not any(live.columns[name].nullable for name in key.columns)
    ]
    if usable:
        chosen = min(usable, key=len)
        return chosen, f"no primary key: the unique key ({', '.join(chosen)}), which is never NULL, is taken"
    for name in guesses(live, time):
        if live.sampled and live.columns[name].statistics.distinct == live.sampled:
            return (name,), (
                f"warn: no unique key that is never NULL: {name}, which differs in each of "
                f"{live.sampled:,} {plural(live.sampled, 'row')}, is "
                f"taken. Keep it unique: {unique_remedy(live, name)}"
            )
    named = [name for name in guesses(live, time) if name.lower() in ("id", "uuid", "key")]
    if not live.sampled and named:
        return (named[0],), f"warn: no unique key that is never NULL, and no row to see one by: {named[0]} is taken"
    everything = tuple(name for name, column in live.columns.items() if column.readable and not has_no_order(column))
    return everything, (
        "warn: no unique key that is never NULL, and no column that differs in each row: rows that are equal in all "
        "columns would be one event. Name the columns that identify a row, and keep them unique by a constraint"
    )


def has_no_order(column: LiveColumn) -> bool:
    return column.source_type.family in ("json", "bytes", "hstore", "other", "unknown", "array")


def guesses(live: LiveTable, time: EventTime) -> Iterator[str]:
    """List the columns that may identify a row, the likeliest first."""
    singulars = {singular(word) for word in words_of(str(live.table.name))}

    def unlikely(name: str) -> tuple[bool, bool, bool]:
        words = words_of(name)
        is_id = bool({"id", "uuid", "key", "number", "no", "code"}.intersection(words))
        return not is_id, not (len(words) == 1 or singulars.intersection(words)), live.columns[name].nullable

    names = [name for name, column in live.columns.items() if column.readable and not has_no_order(column)]
    kinds = ("integer", "uuid", "text", "numeric")
    plain = [name for name in names if live.columns[name].source_type.family in kinds and name != time.column.name]
    yield from sorted((name for name in plain if not live.columns[name].personal), key=unlikely)


def unique_remedy(live: LiveTable, name: str) -> str:
    if live.kind in ("view", "foreign table"):
        return "in the tables of the view" if live.kind == "view" else "on the server that has it"
    prepare = DIALECT.identifier_preparer
    table, column = prepare.format_table(live.table), prepare.quote(name)
    way = "" if live.kind == "partitioned table" else " CONCURRENTLY"
    return f"CREATE UNIQUE INDEX{way} ON {table} ({column})"
