"""Compares an entry's conditions with that of a partial index, as texts. Pure.

PostgreSQL's catalog and a compiled filter write the same condition each in its own way: with brackets, casts and
capitals, or behind the table's name. Those are stripped, but not inside a literal. What still differs counts as
another condition, although PostgreSQL might find it to follow.
https://www.postgresql.org/docs/current/indexes-partial.html
"""

from __future__ import annotations

import re

from sqlalchemy import FromClause

from sentinel_etl.config.event_type import EventType, base_table, clauses_of
from sentinel_etl.source.sql import compile_sql

__all__ = ["conditions_on", "split_condition"]

LITERAL = re.compile(r"'(?:[^']|'')*'")
CAST = re.compile(r"::[a-z_ ]+(?:\(\d+(?:,\d+)?\))?(?:\[\])?")


def conditions_on(kind: EventType, table: FromClause) -> set[str]:
    """Write the conditions that the entry's rows meet in this table alone: its filters', and its join's."""
    given = [*kind.filters, *(join.on for join in kind.joins if join.table is table)]
    alone = [each for condition in given for each in clauses_of(condition) if each._from_objects == [table]]
    return {part for each in alone for part in split_condition(compile_sql(each), table)}


def split_condition(condition: str, table: FromClause | None = None) -> set[str]:
    """Take a condition apart at its ANDs, each part in its plainest form; one that has ORs too stays as it is."""
    literals: list[str] = []

    def mask(found: re.Match[str]) -> str:
        literals.append(found[0])
        return f"${len(literals) - 1}$"

    masked = LITERAL.sub(mask, condition).replace('"', "")
    for name in (str(getattr(base_table(table), "fullname", "")), str(getattr(table, "name", ""))):
        masked = re.sub(rf"(?<![\w.]){re.escape(name)}\.", "", masked) if name else masked
    mixed = " OR " in masked and " AND " in masked  # what its brackets say must not be lost
    parts = [masked] if mixed else [plain(part) for part in masked.split(" AND ")]
    return {re.sub(r"\$(\d+)\$", lambda found: literals[int(found[1])], part) for part in parts}


def plain(condition: str) -> str:
    bare = " ".join(re.sub(r"[()]", "", CAST.sub("", condition)).lower().split())
    bare = re.sub(r"^(\w+) (?:is|=) false$", r"not \1", bare)
    return re.sub(r"^(\w+) (?:is|=) true$", r"\1", bare).replace(" ", "")
