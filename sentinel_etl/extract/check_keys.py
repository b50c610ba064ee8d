"""Compares what EVENT_CONFIG takes for unique with what the live source keeps unique: keys, and the models' own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Engine, FromClause, text
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BinaryExpression

from sentinel_etl.config.event_entry import unique_columns
from sentinel_etl.config.event_type import EventType, base_table, clauses_of
from sentinel_etl.extract.check_source import Difference, merge_types
from sentinel_etl.extract.index_conditions import conditions_on, split_condition
from sentinel_etl.source.connection import connect_source

__all__ = ["check_keys"]


# The tables whose rows PostgreSQL can keep unique, each with what of its unique indexes holds for every row.
# An index of a partitioned table is valid once each partition has its own; a parent's says nothing of the tables
# that inherit from it. `to_jsonb` gives NULL for a column that an older server's catalog does not have.
# https://www.postgresql.org/docs/current/catalog-pg-index.html
# https://www.postgresql.org/docs/current/ddl-inherit.html#DDL-INHERIT-CAVEATS
UNIQUE_KEYS = text(
    """
    SELECT c.relname AS table_name, n.nspname AS schema_name, pg_table_is_visible(c.oid) AS visible,
           (SELECT array_agg(a.attname::text) FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT (a.attnotnull OR t.typnotnull)) AS nullable,
           (SELECT json_agg(json_build_object(
                       'columns', (SELECT json_agg(a.attname ORDER BY k.place)
                                     FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
                                     LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
                                    WHERE k.place <= coalesce((to_jsonb(i) ->> 'indnkeyatts')::int, i.indnatts)),
                       'condition', pg_get_expr(i.indpred, i.indrelid),
                       'one_null', coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false))
                   ORDER BY i.indisprimary DESC, i.indexrelid)
              FROM pg_index i
             WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indexprs IS NULL
               AND NOT (c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits h WHERE h.inhparent = c.oid))) AS keys
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relname = ANY(:names) AND c.relkind IN ('r', 'p', 'm')
    """
)


@dataclass(frozen=True)
class UniqueKey:
    """Columns that no two rows of a table share, of those rows that meet the ``condition`` of a partial index."""

    columns: tuple[str, ...]
    condition: str | None
    one_null: bool

    def __str__(self) -> str:
        return f"({', '.join(self.columns)})" + (f" WHERE {self.condition}" if self.condition else "")


@dataclass(frozen=True)
class LiveTable:
    """What the source keeps unique of a table, and which of its columns may be NULL."""

    keys: tuple[UniqueKey, ...]
    nullable: frozenset[str]

    def describe(self) -> str:
        return ", ".join(map(str, self.keys)) or "none"


Live = Mapping[tuple[str, str | None], LiveTable]

# A column of one of the entry's tables, which may stand there twice under two aliases.
Place = tuple[FromClause, str]


def check_keys(event_types: Iterable[EventType], source: Engine) -> list[Difference]:
    """List what the live source does not keep unique although EVENT_CONFIG relies on it; all are warnings.

    One query of its catalog. A view or a subquery cannot be judged, and what is not there is `check_source`'s to tell.

    Raises:
        SourceUnreachable: no connection.
    """
    entries = [KeyedEntry(kind) for kind in event_types]
    live = read_live(
        source, {base.name for entry in entries for base in map(base_table, entry.tables) if base is not None}
    )
    found = []
    for entry in entries:
        messages = [*key_not_unique(entry, live), *key_may_be_null(entry, live), *model_differs(entry, live)]
        found += [Difference(entry.kind.name, False, message) for message in messages]
    return merge_types(found)


def read_live(source: Engine, names: Collection[str]) -> Live:
    live: dict[tuple[str, str | None], LiveTable] = {}
    with connect_source(source) as connection:
        for row in connection.execute(UNIQUE_KEYS, {"names": sorted(names)}).mappings():
            keys = tuple(
                UniqueKey(tuple(key["columns"]), key["condition"], key["one_null"]) for key in row["keys"] or ()
            )
            table = LiveTable(keys, frozenset(row["nullable"] or ()))
            live[row["table_name"], row["schema_name"]] = table
            if row["visible"]:
                live[row["table_name"], None] = table
    return live


def find_live(table: FromClause | None, live: Live) -> LiveTable | None:
    base = base_table(table)
    return None if base is None else live.get((base.name, base.schema))


@dataclass(frozen=True)
class KeyedEntry:
    """An entry, and what its key and its conditions say of its tables' columns."""

    kind: EventType

    @property
    def tables(self) -> list[FromClause]:
        return [self.kind.table, *(join.table for join in self.kind.joins)]

    @property
    def outer(self) -> set[FromClause]:
        return {join.table for join in self.kind.joins if join.outer}

    @property
    def key(self) -> list[Place]:
        return [place for part in self.kind.key if (place := place_of(part)) is not None]

    def key_text(self) -> str:
        return ", ".join(str(part) for part in self.kind.key)

    def equalities(self) -> Iterator[tuple[ColumnElement[Any], ColumnElement[Any], FromClause | None]]:
        """List the sides of each equality, both ways round, and the table that it joins; none for a filter."""
        conditions: list[tuple[ColumnElement[Any], FromClause | None]]
        conditions = [(each, None) for condition in self.kind.filters for each in clauses_of(condition)]
        conditions += [(each, join.table) for join in self.kind.joins for each in clauses_of(join.on)]
        for each, joined in conditions:
            if isinstance(each, BinaryExpression) and each.operator is operators.eq:
                yield each.left, each.right, joined
                yield each.right, each.left, joined

    def tells(self, place: Place, joined: FromClause | None) -> bool:
        """Tell whether a condition speaks of this column: that of an outer join only of the joined table's."""
        return joined not in self.outer or place[0] is joined

    def known_not_null(self) -> set[Place]:
        """Find the columns that are not NULL in any row that is read, whatever the source allows."""
        filtered = {place for place in [place_of(self.kind.timestamp)] if place is not None}
        for side, _, joined in self.equalities():
            place = place_of(side)
            if place is not None and self.tells(place, joined):
                filtered.add(place)
        return filtered

    def may_be_null(self, place: Place, there: LiveTable) -> bool:
        table, name = place
        if name not in there.nullable or place in self.known_not_null():
            return False
        return not split_condition(f"{name} IS NOT NULL") <= conditions_on(self.kind, table)

    def holds(self, key: UniqueKey, table: FromClause, there: LiveTable) -> bool:
        """Tell whether a unique key speaks for every row that the entry reads."""
        escapes = not key.one_null and any(self.may_be_null((table, name), there) for name in key.columns)
        return not escapes and self.meets(key, table)

    def meets(self, key: UniqueKey, table: FromClause) -> bool:
        return key.condition is None or split_condition(key.condition) <= conditions_on(self.kind, table)

    def covers(self, known: Collection[Place], table: FromClause, there: LiveTable) -> bool:
        return any(
            self.holds(key, table, there) and all((table, name) in known for name in key.columns) for key in there.keys
        )

    def determined(self, live: Live) -> set[Place]:
        """Find the columns of which a key leaves one value: its own, and what follows from them.

        What a condition equates with one of them, or with a constant, follows; and all columns of a table whose
        unique key is among them, but for an outer join's, which may have no row.
        """
        known, before = set(self.key), -1
        while len(known) != before:
            before = len(known)
            for side, given, joined in self.equalities():
                place = place_of(side)
                if place is not None and self.tells(place, joined):
                    known |= {place} if not given._from_objects or place_of(given) in known else set()
            for table in self.tables:
                there = find_live(table, live)
                if there is not None and table not in self.outer and self.covers(known, table, there):
                    known |= {(table, str(column.name)) for column in table.columns}
        return known


def place_of(expression: ColumnElement[Any]) -> Place | None:
    if isinstance(expression, Column) and expression.table is not None:
        return expression.table, str(expression.name)
    return None


def key_not_unique(entry: KeyedEntry, live: Live) -> Iterator[str]:
    """Say of which tables the key covers no unique key: of the model, and of those that give it many rows."""
    known = entry.determined(live)
    for table in [entry.kind.table, *(join.table for join in entry.kind.joins if join.one_to_many)]:
        there = find_live(table, live)
        if there is not None and not entry.covers(known, table, there):
            yield (
                f"expected `key` ({entry.key_text()}) to cover a unique key of {named(table)}; the source has "
                f"{there.describe()}, so two rows may be taken for one event. {advise(entry, known, table, there)}"
            )


def advise(entry: KeyedEntry, known: Collection[Place], table: FromClause, there: LiveTable) -> str:
    """Say what would make the key one."""
    advice = []
    for key in there.keys:
        missing = [name for name in key.columns if (table, name) not in known]
        steps = [f"put {', '.join(missing)} into `key`"] if missing else []
        steps += [] if entry.meets(key, table) else [f"add {key.condition} to `filters`"]
        nulls = [name for name in key.columns if entry.may_be_null((table, name), there) and not key.one_null]
        steps += [f"make {', '.join(nulls)} NOT NULL"] if nulls else []
        advice.append(" and ".join(steps))
    advice.append("add a unique constraint on NOT NULL columns of `key`")
    words = ", or ".join(dict.fromkeys(advice))
    return words[0].upper() + words[1:]


def key_may_be_null(entry: KeyedEntry, live: Live) -> Iterator[str]:
    """Name the key's columns that the source lets be NULL; behind an outer join each may be, on purpose."""
    names = [
        f"{named(place[0])}.{place[1]}"
        for place in entry.key
        if (there := find_live(place[0], live)) is not None
        and place[0] not in entry.outer
        and entry.may_be_null(place, there)
    ]
    if names:
        yield (
            f"expected the columns of `key` to be NOT NULL; the source lets {', '.join(names)} be NULL, and a row "
            "whose whole key is NULL is rejected. Make them NOT NULL, or filter such rows out"
        )


def model_differs(entry: KeyedEntry, live: Live) -> Iterator[str]:
    """Name what the models declare unique, which joins rely on, where the source does not keep it so."""
    for table in dict.fromkeys(base for base in map(base_table, entry.tables) if base is not None):
        there = live.get((table.name, table.schema))
        if there is None:
            continue
        for declared in unique_columns(table):
            names = [str(column.name) for column in table.columns if column.key in declared]
            if not any(key.condition is None and set(key.columns) <= set(names) for key in there.keys):
                yield (
                    f"expected {table.fullname} to have the unique key ({', '.join(names)}), which its model declares; "
                    f"the source has {there.describe()}, so a join on it may repeat events. Correct the model, or add "
                    "the constraint"
                )


def named(table: FromClause) -> str:
    return str(getattr(base_table(table), "fullname", table))
