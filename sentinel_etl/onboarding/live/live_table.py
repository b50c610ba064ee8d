"""What is known of a live table: from the catalog, and from a sample of its rows. Values, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, Table

from sentinel_etl.extract.check_keys import UniqueKey
from sentinel_etl.type_mapping.source_types import SourceType, source_type

__all__ = ["ForeignKey", "LiveColumn", "LiveTable", "Partitions", "Statistics"]


@dataclass(frozen=True)
class Statistics:
    """What a sample says of one column; shares are from 0 to 1 of its rows that are not NULL.

    ``null_share``    NULLs among all rows of the sample
    ``distinct``      different values; -1 where they were not counted
    ``future_share``  of a time: values more than a day after now
    ``mean_length``   of a text: characters
    ``shapes``        of a text: name of a shape in `personal.SHAPES` → share
    ``dimensions``    of an array: how many, at most
    """

    null_share: float = 0.0
    distinct: int = -1
    future_share: float = 0.0
    mean_length: float = 0.0
    shapes: Mapping[str, float] = field(default_factory=dict)
    dimensions: int = 0


@dataclass(frozen=True, eq=False)
class LiveColumn:
    """One column.

    ``type_name``  as PostgreSQL writes it
    ``labels``     of an enum, or the texts that a CHECK constraint lists
    ``keywords``   the few values of a column that holds categories and no personal data
    ``default``    SQL, or empty
    ``triggered``  a trigger sets it on each UPDATE
    ``indexed``    an index that serves a range of it
    ``readable``   the session's role may read it
    ``personal``   why it looks as if it said something about a person; empty: it does not
    """

    column: Column[Any]
    type_name: str
    nullable: bool
    labels: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    default: str = ""
    generated: bool = False
    triggered: bool = False
    indexed: bool = False
    readable: bool = True
    personal: str = ""
    statistics: Statistics = field(default_factory=Statistics)

    @property
    def name(self) -> str:
        return str(self.column.name)

    @property
    def source_type(self) -> SourceType:
        return source_type(self.column)

    @property
    def is_time(self) -> bool:
        return self.source_type.family in ("date", "timestamp without time zone", "timestamp with time zone")


@dataclass(frozen=True, eq=False)
class ForeignKey:
    """An outward reference: each row refers to at most one row of ``target``, to none where a column is NULL.

    ``one_to_one``: no two rows refer to the same.
    """

    columns: tuple[str, ...]
    target: Table
    target_columns: tuple[str, ...]
    nullable: bool
    one_to_one: bool = False


@dataclass(frozen=True)
class Partitions:
    """How a table is divided: ``key`` as PostgreSQL writes it, and how many partitions there are.

    ``ends``: the date that the last one ends before, where no default partition takes what comes after.
    """

    key: str
    count: int
    ends: str = ""


@dataclass(frozen=True, eq=False)
class LiveTable:
    """A table or view of the source.

    ``table``         reflected; its schema is None where the search path finds it, and ``schema`` is always said
    ``kind``          ``table``, ``partitioned table``, ``view``, ``materialized view`` or ``foreign table``
    ``rows``          counted, or estimated where ``rows_are_estimated``; -1: neither could be had in time
    ``sampled``       how many rows the statistics are of; 0 where none could be read in time
    ``unique``        its valid unique keys without an expression, the primary key first
    ``partition_of``  the table that it is a partition of; empty: of none
    ``referred``      by their `Table`'s key, the tables that its foreign keys lead to, and those that these lead to
    """

    table: Table
    schema: str
    kind: str
    rows: int
    rows_are_estimated: bool
    sampled: int
    columns: Mapping[str, LiveColumn]
    primary_key: tuple[str, ...]
    unique: tuple[UniqueKey, ...]
    foreign_keys: tuple[ForeignKey, ...]
    partitions: Partitions | None = None
    partition_of: str = ""
    referred: Mapping[str, LiveTable] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name as a person would type it."""
        return str(self.table.fullname)

    @property
    def holds_people(self) -> bool:
        """Whether its rows look like persons: it has their names, or how they are reached."""
        return any(each.personal not in ("", "free text", "names its keeper") for each in self.columns.values())
