"""What lineage is made of: columns of the source, how an event type reads them, and what becomes of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from typing import Any

from sentinel_etl.errors import ConfigurationError

__all__ = [
    "ColumnLineage",
    "EntryLineage",
    "Join",
    "Lineage",
    "Origin",
    "Read",
    "SourceColumn",
    "SourceTable",
    "each_once",
]


@dataclass(frozen=True, order=True)
class SourceTable:
    """A table of the source; ``schema`` is empty where the search path decides."""

    name: str
    schema: str = ""

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True)
class SourceColumn:
    """A column of the source. ``decides``: the value hangs on it, but is not made of it."""

    table: SourceTable
    name: str
    decides: bool = False

    def __str__(self) -> str:
        return f"{self.table}.{self.name}"


def each_once(columns: Iterable[SourceColumn]) -> tuple[SourceColumn, ...]:
    """Name each column once: one that a value is made of, and that decides too, as made of it."""
    found = tuple(dict.fromkeys(columns))
    made_of = {replace(column, decides=True) for column in found if not column.decides}
    return tuple(column for column in found if column not in made_of)


@dataclass(frozen=True)
class Read:
    """One expression that an entry reads.

    ``label``       the name that it is read under
    ``columns``     the columns of the source that it reads, in order; none for a constant
    ``expression``  its SQL, where it is more than one of these columns by its own name
    ``type``        the family of its type in PostgreSQL
    ``opaque``      a part of it is SQL as text, or a query as text: what that reads is not known
    """

    label: str
    columns: tuple[SourceColumn, ...]
    expression: str
    type: str
    opaque: bool = False


@dataclass(frozen=True)
class Origin:
    """How one event type fills a fact column: what it reads, and what is done with it, in order.

    ``changed``  whether a step makes another value of it than the source has; another type's is none
    """

    event_type: str
    reads: tuple[Read, ...]
    steps: tuple[str, ...] = ()
    changed: bool = False

    @property
    def columns(self) -> tuple[SourceColumn, ...]:
        """The columns of the source, each once."""
        return each_once(column for read in self.reads for column in read.columns)


@dataclass(frozen=True)
class ColumnLineage:
    """Where one fact column comes from.

    ``origins``  of each event type that fills it
    ``rules``    what holds of the column whatever the event type
    """

    column: str
    type: str
    origins: tuple[Origin, ...] = ()
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Join:
    """A joined table, or query, and its condition, as SQL."""

    table: str
    on: str
    outer: bool = False
    one_to_many: bool = False
    columns: tuple[SourceColumn, ...] = ()


@dataclass(frozen=True)
class EntryLineage:
    """What the rows of one event type are read from.

    ``window``  the columns that the window is a condition on
    """

    event_type: str
    table: str
    joins: tuple[Join, ...] = ()
    filters: tuple[str, ...] = ()
    filtered: tuple[SourceColumn, ...] = ()
    window: tuple[SourceColumn, ...] = ()
    tables: tuple[SourceTable, ...] = ()

    @property
    def joined(self) -> tuple[SourceColumn, ...]:
        """The columns that joins compare."""
        return each_once(column for join in self.joins for column in join.columns)


@dataclass(frozen=True)
class Lineage:
    """The lineage of a fact table, column by column, and of the rows of each event type."""

    fact_table: str
    columns: tuple[ColumnLineage, ...]
    entries: tuple[EntryLineage, ...]

    def of_column(self, name: str) -> Lineage:
        """Keep one column, and the event types that fill it.

        Raises:
            ConfigurationError: the fact table has no such column.
        """
        names = [column.column for column in self.columns]
        if name not in names:
            close = get_close_matches(name, names, n=1)
            hint = f"Did you mean {close[0]}?" if close else f"It has {', '.join(names)}"
            raise ConfigurationError(f"lineage: expected a column of {self.fact_table}, found {name!r}. {hint}")
        [column] = [column for column in self.columns if column.column == name]
        filling = {origin.event_type for origin in column.origins}
        entries = tuple(entry for entry in self.entries if entry.event_type in filling)
        return Lineage(self.fact_table, (column,), entries)

    def of_event_types(self, names: Collection[str]) -> Lineage:
        """Keep what these event types fill."""
        columns = (
            replace(column, origins=tuple(origin for origin in column.origins if origin.event_type in names))
            for column in self.columns
        )
        return Lineage(self.fact_table, tuple(columns), tuple(e for e in self.entries if e.event_type in names))

    @property
    def tables(self) -> tuple[SourceTable, ...]:
        """The tables that are read, each once."""
        return tuple(dict.fromkeys(table for entry in self.entries for table in entry.tables))

    @property
    def source_columns(self) -> tuple[SourceColumn, ...]:
        """The columns that are read or asked, each once."""
        read = (column for each in self.columns for origin in each.origins for column in origin.columns)
        asked = (column for e in self.entries for column in (*e.joined, *e.filtered, *e.window))
        return tuple(dict.fromkeys(replace(column, decides=False) for column in (*read, *asked)))

    def as_dict(self) -> dict[str, Any]:
        """Write it with plain values alone, for JSON."""
        return asdict(self)
