"""Which columns of the source an expression reads, through aliases, subqueries and CASE. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import FromClause, Table
from sqlalchemy.sql.elements import Case, ClauseElement, ColumnClause, FunctionFilter, TableValuedColumn, TextClause
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import (
    AliasedReturnsRows,
    CompoundSelect,
    Exists,
    Join,
    Select,
    SelectBase,
    SelectStatementGrouping,
    TextualSelect,
    Values,
)

from sentinel_etl.lineage.lineage import SourceColumn, SourceTable, each_once

__all__ = ["Columns", "columns_of", "tables_of"]


@dataclass
class Columns:
    """What was found of an expression; ``opaque``: a part of it is text, and what that reads is not known."""

    found: list[SourceColumn] = field(default_factory=list)
    opaque: bool = False
    seen: set[tuple[int, str]] = field(default_factory=set)

    def each_once(self) -> tuple[SourceColumn, ...]:
        return each_once(self.found)


def columns_of(*expressions: ClauseElement, decides: bool = False) -> Columns:
    """List the columns that expressions read, in their order.

    What a CASE asks, and what a query within asks of its rows, decides about the value without being part of it.
    """
    columns = Columns()
    for expression in expressions:
        add_element(expression, decides, columns)
    return columns


def tables_of(selectable: Any, within: tuple[Any, ...] = ()) -> Iterator[SourceTable]:
    """List the tables behind an alias, a join or a subquery; ``within``: what it stands in."""
    inner = selectable_behind(selectable)
    if inner in within:  # a recursive query reads itself
        return
    parts: list[Any] = []
    if isinstance(inner, Table):
        yield table_name(inner)
    elif isinstance(inner, Join):
        parts = [inner.left, inner.right]
    elif isinstance(inner, CompoundSelect):
        parts = [*inner.selects]
    elif isinstance(inner, Select):
        parts = [*inner.get_final_froms()]
    for part in parts:
        yield from tables_of(part, (*within, inner))


def table_name(table: Table) -> SourceTable:
    return SourceTable(str(table.name), str(table.schema or ""))


def add_element(element: Any, decides: bool, columns: Columns) -> None:
    """Add what an element reads; ``decides``: it only decides about the value."""
    match element:
        case ColumnClause():
            add_column(element, decides, columns)
        case TextClause() | TextualSelect():
            columns.opaque = True
        case Case():
            if element.value is not None:
                add_element(element.value, True, columns)
            for condition, value in element.whens:
                add_element(condition, True, columns)
                add_element(value, decides, columns)
            if element.else_ is not None:
                add_element(element.else_, decides, columns)
        case FunctionFilter():
            add_element(element.func, decides, columns)
            add_element(element.criterion, True, columns)
        case Exists():
            for each in element.get_children():
                add_element(each, True, columns)
        case SelectBase():
            add_query(element, decides, columns)
        case TableValuedColumn():
            add_element(selectable_behind(element.scalar_alias), decides, columns)
        case FromClause() if not isinstance(element, FunctionElement):
            pass  # a column of it that is read stands by itself
        case _:
            for each in element.get_children():
                add_element(each, decides, columns)


def add_query(query: Any, decides: bool, columns: Columns) -> None:
    """Add what a query selects, and what it asks of its rows."""
    if isinstance(query, Select):
        selected: list[Any] = [*query.selected_columns]
    else:  # a union, a query in brackets, or one that stands for a value
        selected = [*query.get_children()]
    for element in selected:
        add_element(element, decides, columns)
    add_conditions(query, columns)


def add_conditions(query: Any, columns: Columns) -> None:
    """Add what a query asks of its rows: its conditions, groups and order, and what it is joined on."""
    if not isinstance(query, Select):
        return
    asked = [query.whereclause, *query._having_criteria, *query._group_by_clauses, *query._order_by_clauses]
    asked += [on for selectable in query.get_final_froms() for on in conditions_of(selectable)]
    for condition in asked:
        if condition is not None:
            add_element(condition, True, columns)


def conditions_of(selectable: Any) -> Iterator[Any]:
    if isinstance(selectable, Join):
        yield selectable.onclause
        yield from conditions_of(selectable.left)
        yield from conditions_of(selectable.right)


def add_column(column: Any, decides: bool, columns: Columns) -> None:
    """Add a column by its table's name, whatever alias or subquery it is read through."""
    table, key = column.table, str(column.key)
    if table is None or getattr(column, "is_literal", False):
        columns.opaque = True
        return
    if isinstance(table, Table):
        columns.found.append(SourceColumn(table_name(table), str(column.name), decides))
        return
    if (id(table), key) in columns.seen:  # a recursive query reads itself
        return
    columns.seen.add((id(table), key))
    inner = selectable_behind(table)
    if isinstance(inner, CompoundSelect):
        place = list(inner.selected_columns.keys()).index(key)
        for each in inner.selects:
            add_element(list(each.selected_columns)[place], decides, columns)
            add_conditions(each, columns)
    elif isinstance(inner, Select):
        add_element(inner.selected_columns[key], decides, columns)
        add_conditions(inner, columns)
    elif isinstance(inner, Table):
        add_element(inner.columns[key], decides, columns)
    elif not isinstance(inner, Values):  # a function that gives rows, or a query as text
        add_element(inner, decides, columns)
    columns.seen.discard((id(table), key))


def selectable_behind(selectable: Any) -> Any:
    """Find what an alias, or a query in brackets, is of."""
    while isinstance(selectable, AliasedReturnsRows | SelectStatementGrouping):
        selectable = selectable.element
    return selectable
