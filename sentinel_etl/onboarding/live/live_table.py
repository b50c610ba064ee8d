"""What is known of a live table: from the catalog, and from a sample of its rows. Values, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Column, Table

from sentinel_etl.extract.check_keys import UniqueKey
from sentinel_etl.type_mapping.source_types import SourceType, source_type

__all__ = ["ForeignKey", "LiveColumn", "LiveTable", "Partitions", "Statistics"]


@dataclass(frozen=True)
class Statistics:
    """What a sample says of one column; shares are from 0 to 1 of its rows that are not NULL.

    ``null_share``    NULLs among all rows of the sample
    ``distinct``      different values; -1 for a type that PostgreSQL cannot compare
    ``future_share``  of a time: values more than a day after now
    ``mean_length``   of a text: characters
    ``shapes``        of a text: name of a shape, such as ``email``, ``phone`` or ``spaces`` → share
    ``null_items``    of an array: whether an element is NULL
    ``dimensions``    of an array: how many, at most
    """

    null_share: float = 0.0
    distinct: int = -1
    future_share: float = 0.0
    mean_length: float = 0.0
    shapes: Mapping[str, float] = field(default_factory=dict)
    null_items: bool = False
    dimensions: int = 0


@dataclass(frozen=True)
class LiveColumn:
    """One column.

    ``type_name``  as PostgreSQL writes it; ``labels``: of an enum, or the texts that a CHECK constraint lists
    ``keywords``   the few values of a column that holds categories and no personal data
    ``default``    SQL, or empty; ``triggered``: a trigger sets it on each UPDATE
    ``readable``   whether the session's role may read it
    """

    column: Column[object]
    type_name: str
    nullable: bool
    labels: tuple[str, ...] = ()
    default: str = ""
    generated: bool = False
    triggered: bool = False
    indexed: bool = False
    readable: bool = True
    keywords: tuple[str, ...] = ()
    statistics: Statistics = Statistics()

    @property
    def name(self) -> str:
        return str(self.column.name)

    @property
    def source_type(self) -> SourceType:
        return source_type(self.column)


@dataclass(frozen=True)
class ForeignKey:
    """An outward reference: each row refers to at most one row of ``target``, to none where a column is NULL."""

    columns: tuple[str, ...]
    target: Table
    target_columns: tuple[str, ...]
    nullable: bool
    one_to_one: bool = False


@dataclass(frozen=True)
class Partitions:
    """How a table is divided: ``key`` as PostgreSQL writes it, and how many partitions there are."""

    key: str
    count: int
    has_default: bool = False


@dataclass(frozen=True)
class LiveTable:
    """A table or view of the source.

    ``kind``          ``table``, ``partitioned table``, ``view``, ``materialized view`` or ``foreign table``
    ``rows``          counted, or estimated where ``rows_are_estimated``
    ``sampled``       how many rows the statistics are of; 0 where none could be read in time
    ``unique``        its valid unique keys without an expression, the primary key first
    ``referred``      the tables that its foreign keys lead to, by their reflected `Table`'s key, and those of these
    """

    table: Table
    kind: str
    rows: int
    rows_are_estimated: bool
    sampled: int
    columns: Mapping[str, LiveColumn]
    primary_key: tuple[str, ...]
    unique: tuple[UniqueKey, ...]
    foreign_keys: tuple[ForeignKey, ...]
    partitions: Partitions | None = None
    referred: Mapping[str, LiveTable] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name as a person would type it."""
        return str(self.table.fullname)
