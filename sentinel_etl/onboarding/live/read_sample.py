"""Asks a bounded sample of a table for statistics of its columns. No value leaves PostgreSQL, but keywords."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    RowMapping,
    Text,
    cast,
    func,
    literal_column,
    select,
)
from sqlalchemy.exc import DBAPIError

from sentinel_etl.onboarding.live.live_table import LiveColumn, Statistics
from sentinel_etl.onboarding.live.personal import SHAPES, listed, words_of
from sentinel_etl.type_mapping.source_types import source_type

__all__ = ["count_rows", "find_late_columns", "read_keywords", "read_statistics"]


SAMPLED_ROWS = 10_000
COUNTED_ROWS = 100_000
COLUMNS_AT_A_TIME = 40
SEED = 1  # the same sample each time, as long as the table is the same

UNCOUNTED = ("bytes", "json", "hstore", "other", "unknown", "array")

# What a column of categories is called; only of such, and of types that list their values, are values read.
CATEGORIES = listed(
    "status state type kind category class level priority severity urgency rating grade tier mode channel result "
    "outcome phase stage season currency color colour size shift direction method"
)
MOST_KEYWORDS = 20
KEYWORD = re.compile(r"[A-Z][A-Z0-9_+./-]{0,30}|[a-z][a-z0-9_+./-]{0,30}|[A-Z][a-z]{1,30}")
LEAST_ROWS_A_KEYWORD = 2  # on average: what stands in one row only may be anything

TIMES = ("date", "timestamp with time zone", "timestamp without time zone")
LATE_SHARE = 0.98
LATE_DIFFERENCE = 0.3
LEAST_ROWS = 90  # of which nine tenths say something of the last


def sample_of(table: FromClause, rows: int, can_be_sampled: bool) -> FromClause:
    """Take all of a small table, blocks from all over a large one, and the first rows of a view.

    https://www.postgresql.org/docs/current/sql-select.html#SQL-FROM
    """
    if can_be_sampled and rows > SAMPLED_ROWS:
        percent = min(100.0, 120 * SAMPLED_ROWS / rows)
        return table.tablesample(func.system(literal_column(f"{percent:.6f}")), seed=literal_column(str(SEED)))
    return table


def read_statistics(
    connection: Connection, table: FromClause, names: Sequence[str], rows: int, can_be_sampled: bool
) -> tuple[int, dict[str, Statistics]]:
    """Read the statistics of some columns, and of how many rows they are; 0 rows where they take too long."""
    found: dict[str, Statistics] = {}
    sampled = 0
    source = sample_of(table, rows, can_be_sampled)
    for start in range(0, len(names), COLUMNS_AT_A_TIME):
        some = names[start : start + COLUMNS_AT_A_TIME]
        numbered = {f"c{place}": source.c[name] for place, name in enumerate(some)}
        sample = select(*(column.label(label) for label, column in numbered.items())).limit(SAMPLED_ROWS).subquery()
        asked = {
            f"{label}_{what}": expression
            for label, column in numbered.items()
            for what, expression in measures(sample.c[label], column).items()
        }
        statement = select(func.count().label("rows"), *(each.label(name) for name, each in asked.items()))
        try:
            row = connection.execute(statement.select_from(sample)).mappings().one()
        except DBAPIError:
            return 0, {}
        sampled = row["rows"]
        for label, name in zip(numbered, some, strict=True):
            own = {what.removeprefix(f"{label}_"): value for what, value in row.items() if what.startswith(f"{label}_")}
            found[name] = statistics_of(own, sampled)
    return sampled, found


def measures(value: ColumnElement[Any], column: ColumnElement[Any]) -> dict[str, ColumnElement[Any]]:
    """List what is asked of a column: numbers about its values, and none of them."""
    family = source_type(column).family
    asked: dict[str, ColumnElement[Any]] = {"known": func.count(value)}
    if family not in UNCOUNTED:
        asked["distinct"] = func.count(cast(value, Text).distinct())
    if family in TIMES:
        asked["future"] = func.count().filter(value > literal_column("now() + interval '1 day'"))
    if family == "array":
        asked["dimensions"] = func.max(func.array_ndims(value))
    if family == "text":
        written = cast(value, Text)
        asked["length"] = func.avg(func.length(written))
        asked |= {name: func.count().filter(written.regexp_match(shape)) for name, shape in SHAPES.items()}
    return asked


def statistics_of(row: Mapping[str, Any], sampled: int) -> Statistics:
    known = row["known"]
    return Statistics(
        null_share=1 - known / sampled if sampled else 0.0,
        distinct=row.get("distinct", -1),
        future_share=row.get("future", 0) / known if known else 0.0,
        mean_length=float(row.get("length") or 0),
        shapes={name: row[name] / known for name in SHAPES if name in row and known},
        dimensions=row.get("dimensions") or 0,
    )


def count_rows(connection: Connection, table: FromClause, estimated: int) -> tuple[int, bool]:
    """Count a table of up to 100,000 rows, and take the server's estimate of a larger one; -1: neither in time."""
    if estimated > COUNTED_ROWS:
        return estimated, True
    some = select(literal_column("1")).select_from(table).limit(COUNTED_ROWS + 1).subquery()
    try:
        counted = int(connection.execute(select(func.count()).select_from(some)).scalar_one())
    except DBAPIError:
        return estimated, True
    return (counted, False) if counted <= COUNTED_ROWS else (max(counted, estimated), True)


def may_have_keywords(column: LiveColumn, sampled: int) -> bool:
    """Tell whether a text column holds categories, by its name and by how few values it has."""
    return (
        column.source_type.family == "text"
        and not column.labels
        and not column.personal
        and bool(CATEGORIES.intersection(words_of(column.name)))
        and 0 < column.statistics.distinct <= min(MOST_KEYWORDS, sampled // LEAST_ROWS_A_KEYWORD)
    )


def read_keywords(
    connection: Connection, table: FromClause, column: LiveColumn, rows: int, can_be_sampled: bool
) -> tuple[str, ...]:
    """Read the few values of a column of categories; none where one of them is no keyword."""
    source = sample_of(table, rows, can_be_sampled)
    sample = select(cast(source.c[column.name], Text).label("value")).limit(SAMPLED_ROWS).subquery()
    statement = select(sample.c.value).where(sample.c.value.is_not(None)).distinct().limit(MOST_KEYWORDS + 1)
    try:
        values = sorted(connection.execute(statement).scalars())
    except DBAPIError:
        return ()
    return tuple(values) if all(KEYWORD.fullmatch(value) for value in values) else ()


def find_late_columns(
    connection: Connection,
    table: FromClause,
    time: str,
    columns: Collection[LiveColumn],
    rows: int,
    can_be_sampled: bool,
) -> dict[str, str]:
    """Find the columns that are filled in after the event → why, by their names.

    A time that lies after the event's in nearly every row, or a column that is NULL much more often in the newest
    tenth of the sample than before. Nothing is found where that takes too long.
    """
    asked = [each for each in columns if each.nullable and each.name != time]
    if not asked or not rows:
        return {}
    source = sample_of(table, rows, can_be_sampled)
    values = [source.c[each.name].label(f"c{place}") for place, each in enumerate(asked)]
    sample = select(source.c[time].label("happened"), *values).limit(SAMPLED_ROWS).subquery()
    tenth = func.ntile(10).over(order_by=sample.c.happened).label("tenth")
    ranked = select(*sample.c, tenth).where(sample.c.happened.is_not(None)).subquery()
    newest, counts = ranked.c.tenth == 10, [func.count().label("rows")]
    counts.append(func.count().filter(ranked.c.tenth == 10).label("newest"))
    for place, each in enumerate(asked):
        value = ranked.c[f"c{place}"]
        counts.append(func.count(value).label(f"known{place}"))
        counts.append(func.count(value).filter(newest).label(f"new{place}"))
        if each.is_time:
            counts.append(func.count().filter(value > ranked.c.happened).label(f"later{place}"))
    try:
        row = connection.execute(select(*counts)).mappings().one()
    except DBAPIError:
        return {}
    found = {each.name: why_late(row, place) for place, each in enumerate(asked)}
    return {name: why for name, why in found.items() if why}


def why_late(row: RowMapping, place: int) -> str:
    known, new = row[f"known{place}"], row[f"new{place}"]
    if known and row.get(f"later{place}", 0) >= LATE_SHARE * known:
        return "a time after the event's"
    before, newest = row["rows"] - row["newest"], row["newest"]
    if before >= LEAST_ROWS and (known - new) / before - new / newest >= LATE_DIFFERENCE:
        return "NULL much more often in the newest rows"
    return ""
