"""Reads what a live table is: its catalog and a bounded sample, in read-only transactions with a time limit."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    inspect,
)
from sqlalchemy.engine import Inspector
from sqlalchemy.exc import SAWarning

from sentinel_etl.extract.check_keys import read_live
from sentinel_etl.onboarding.live.catalog import estimate_rows, read_columns, read_partitions, read_root
from sentinel_etl.onboarding.live.find_table import Relation, find_relation, list_relations
from sentinel_etl.onboarding.live.live_table import ForeignKey, LiveColumn, LiveTable, Statistics
from sentinel_etl.onboarding.live.personal import why_personal
from sentinel_etl.onboarding.live.read_only import connect_read_only
from sentinel_etl.onboarding.live.read_sample import count_rows, may_have_keywords, read_keywords, read_statistics

__all__ = ["can_be_sampled", "read_table"]


# How far references are followed, and to how many tables at most.
STEPS = 2
MOST_REFERRED = 24


def can_be_sampled(live: LiveTable) -> bool:
    """Tell whether blocks of it can be taken at random; of a view they cannot."""
    return live.kind in ("table", "partitioned table", "materialized view")


def read_table(source: Engine, name: str) -> LiveTable:
    """Read one table or view, ``TABLE`` or ``SCHEMA.TABLE``, with the tables that it refers to, two steps far.

    Every `Table` is reflected into one MetaData; its schema is None where the search path finds it.

    Raises:
        ConfigurationError: no table of that name, or several; near names are named.
        SourceUnreachable: no connection.
    """
    with connect_read_only(source) as connection:
        relations = list_relations(connection)
        reader = Reader(source, connection, inspect(connection), relations, MetaData())
        live = reader.read(find_relation(name, relations))
        return replace(live, referred=reader.read_referred(live))


@dataclass(frozen=True)
class Reader:
    """What reading a table needs; ``metadata`` takes the reflected tables."""

    source: Engine
    connection: Connection
    inspector: Inspector
    relations: Sequence[Relation]
    metadata: MetaData

    def read(self, relation: Relation) -> LiveTable:
        table = self.reflect(relation.name, None if relation.visible else relation.schema)
        known = read_live(self.source, {relation.name}).get((relation.name, relation.schema))
        primary = tuple(str(column.name) for column in table.primary_key.columns)
        rows, estimated = count_rows(self.connection, table, estimate_rows(self.connection, relation.oid))
        live = LiveTable(
            table=table,
            schema=relation.schema,
            kind=relation.kind,
            rows=rows,
            rows_are_estimated=estimated,
            sampled=0,
            columns=self.read_columns(relation, table),
            primary_key=primary,
            unique=tuple(key for key in known.keys if None not in key.columns) if known else (),
            foreign_keys=(),
            partitions=read_partitions(self.connection, relation.oid),
            partition_of=read_root(self.connection, relation.oid),
        )
        return self.with_statistics(replace(live, foreign_keys=tuple(self.read_foreign_keys(relation, live))))

    def reflect(self, name: str, schema: str | None) -> Table:
        """Reflect a table's columns and unique keys.

        Its foreign keys are read by themselves: SQLAlchemy's Table cannot have one to a column with a point in its
        name.
        """
        key = f"{schema}.{name}" if schema else name
        if (known := self.metadata.tables.get(key)) is not None:
            return known
        with warnings.catch_warnings():
            # Of a type that SQLAlchemy does not know; it becomes NullType, and is left out by name.
            warnings.simplefilter("ignore", SAWarning)
            columns = [
                Column(each["name"], each["type"], nullable=each["nullable"], autoincrement=False)
                for each in self.inspector.get_columns(name, schema)
            ]
            primary = self.inspector.get_pk_constraint(name, schema)["constrained_columns"]
            unique = [each["column_names"] for each in self.inspector.get_unique_constraints(name, schema)]
            indexes = self.inspector.get_indexes(name, schema)
        unique += [
            [str(column) for column in each["column_names"]]
            for each in indexes
            if each["unique"]
            and None not in each["column_names"]
            and "postgresql_where" not in each.get("dialect_options", {})
        ]
        keys = [PrimaryKeyConstraint(*primary), *(UniqueConstraint(*each) for each in unique)]
        return Table(name, self.metadata, *columns, *keys, schema=schema)

    def read_columns(self, relation: Relation, table: Table) -> dict[str, LiveColumn]:
        found = {}
        for row in read_columns(self.connection, relation.oid):
            column = LiveColumn(column=table.columns[row.pop("name")], **row)
            personal = why_personal(relation.name, column.name, column.source_type)
            found[column.name] = replace(column, personal=personal)
        return found

    def read_foreign_keys(self, relation: Relation, live: LiveTable) -> list[ForeignKey]:
        if live.kind not in ("table", "partitioned table"):
            return []
        found = []
        for each in self.inspector.get_foreign_keys(relation.name, live.table.schema):
            columns = tuple(each["constrained_columns"])
            found.append(
                ForeignKey(
                    columns,
                    self.reflect(each["referred_table"], each["referred_schema"]),
                    tuple(each["referred_columns"]),
                    nullable=any(live.columns[name].nullable for name in columns),
                    one_to_one=any(set(key.columns) <= set(columns) and not key.condition for key in live.unique),
                )
            )
        return found

    def with_statistics(self, live: LiveTable) -> LiveTable:
        names = [each.name for each in live.columns.values() if each.readable]
        sampled, found = read_statistics(self.connection, live.table, names, live.rows, can_be_sampled(live))
        columns = {}
        for name, column in live.columns.items():
            statistics = found.get(name, Statistics())
            personal = column.personal or why_personal(str(live.table.name), name, column.source_type, statistics)
            column = replace(column, statistics=statistics, personal=personal)
            if may_have_keywords(column, sampled):
                words = read_keywords(self.connection, live.table, column, live.rows, can_be_sampled(live))
                column = replace(column, keywords=words)
            columns[name] = column
        return replace(live, sampled=sampled, columns=columns)

    def read_referred(self, live: LiveTable) -> dict[str, LiveTable]:
        """Read the tables that foreign keys lead to, each once, the nearest first."""
        found: dict[str, LiveTable] = {}
        nearest = [live]
        for _ in range(STEPS):
            targets = {key.target.key: key.target for each in nearest for key in each.foreign_keys}
            nearest = []
            for name, target in targets.items():
                relation = self.relation_of(target)
                if name in found or name == live.table.key or relation is None or len(found) == MOST_REFERRED:
                    continue
                found[name] = self.read(relation)
                nearest.append(found[name])
        return found

    def relation_of(self, table: Table) -> Relation | None:
        """Find the relation of a referred table; none where the role does not see its schema."""
        for each in self.relations:
            if each.name == table.name and (each.visible if table.schema is None else each.schema == table.schema):
                return each
        return None
