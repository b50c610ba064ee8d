"""Takes mapped classes and their attributes apart into plain tables, columns and conditions. Pure.

A statement of ours is Core's. What the ORM would add to it by itself, the condition on the kind of a
subclass, is said as a filter, so that each statement about an entry has it, the count too.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ColumnElement, FromClause, inspect
from sqlalchemy.exc import NoInspectionAvailable
from sqlalchemy.orm import Mapper
from sqlalchemy.orm.util import AliasedInsp
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import Grouping, Label, TextClause
from sqlalchemy.sql.selectable import Join, SelectBase
from sqlalchemy.sql.util import ClauseAdapter

from sentinel_etl.config.event_type import base_table

__all__ = [
    "column_named",
    "column_names",
    "expression_of",
    "is_model",
    "kind_condition",
    "named_expression_of",
    "primary_key_of",
    "table_of",
]


def inspected(model: Any) -> Mapper[Any] | AliasedInsp[Any] | None:
    """Find the mapping of a class or its alias; none of a table."""
    try:
        found = inspect(model)
    except NoInspectionAvailable:
        return None
    return found if isinstance(found, Mapper | AliasedInsp) else None


def table_of(model: Any) -> Any:
    """Find the table of a mapped class; what has none is returned for pydantic to refuse."""
    mapping = inspected(model)
    if mapping is None:
        return model
    tables = mapping.mapper.persist_selectable
    if isinstance(tables, Join):
        raise ValueError(
            f"expected a class that is mapped to one table, found {mapping.mapper.class_.__name__} on {tables}; name "
            "one of these tables as the model and the others as joins"
        )
    return mapping.selectable if isinstance(mapping, AliasedInsp) else tables


def is_model(model: Any) -> bool:
    """Tell whether `table_of` finds one table."""
    try:
        return isinstance(table_of(model), FromClause)
    except ValueError:
        return False


def kind_condition(model: Any) -> ColumnElement[bool] | None:
    """Build the condition that a row of the table is of the class that inherits the table; none of other classes.

    https://docs.sqlalchemy.org/en/20/orm/inheritance.html#single-table-inheritance
    """
    mapping = inspected(model)
    mapper = mapping.mapper if mapping is not None else None
    if mapper is None or not mapper.single or mapper.polymorphic_on is None:
        return None
    kinds = [each.polymorphic_identity for each in mapper.self_and_descendants if not each.polymorphic_abstract]
    condition = without_annotations(mapper.polymorphic_on).in_(kinds)
    return ClauseAdapter(mapping.selectable).traverse(condition) if isinstance(mapping, AliasedInsp) else condition


def primary_key_of(model: Any) -> tuple[ColumnElement[Any], ...]:
    """List the columns of the model's primary key, in its order; none of a view or a subquery, which has none.

    A class may name a key that its table lacks, as one that is mapped to a view does.
    https://docs.sqlalchemy.org/en/20/orm/mapping_api.html#sqlalchemy.orm.Mapper.params.primary_key
    """
    selectable = table_of(model)
    if (table := base_table(selectable)) is None:
        return ()
    mapping = inspected(model)
    declared = [*table.primary_key.columns] or [*(mapping.mapper.primary_key if mapping is not None else ())]
    return tuple(selectable.columns[str(column.key)] for column in declared)


def column_named(model: Any, name: str) -> Any:
    """Find a model's column by its attribute, its key or its name in the database, in this order; None: it has none."""
    mapping = inspected(model)
    mapper = None if mapping is None else mapping.mapper
    if mapping is not None and mapper and name in mapper.all_orm_descriptors and name not in mapper.relationships:
        return getattr(mapping.entity, name)
    columns = columns_of(model)
    found = [column for column in columns if column.key == name] or [each for each in columns if each.name == name]
    return found[0] if found else None


def column_names(model: Any) -> list[str]:
    """List the names by which a model's columns are written in an entry."""
    mapping = inspected(model)
    return [str(each.key) for each in (columns_of(model) if mapping is None else mapping.mapper.column_attrs)]


def columns_of(model: Any) -> list[ColumnElement[Any]]:
    """List a model's columns; of a class that shares its table, those that the class has."""
    mapping = inspected(model)
    mapped = None if mapping is None else {column.key for column in mapping.mapper.columns}
    return [column for column in table_of(model).columns if mapped is None or column.key in mapped]


def expression_of(value: Any) -> Any:
    """Find the expression of a mapped attribute, and keep a text() together; anything else is returned as it is."""
    if hasattr(value, "__clause_element__"):
        value = value.__clause_element__()
    if isinstance(value, TextClause):
        return Grouping(value)
    return without_annotations(value) if isinstance(value, ColumnElement) else value


def named_expression_of(value: Any) -> Any:
    """Find the expression of a mapped attribute, under the attribute's name where it is no column."""
    expression = expression_of(value)
    name = getattr(value, "key", None)
    if not hasattr(value, "__clause_element__") or isinstance(expression, Column) or not isinstance(name, str):
        return expression
    return (expression.element if isinstance(expression, Label) else expression).label(name)


def without_annotations(expression: ColumnElement[Any]) -> ColumnElement[Any]:
    """Copy an expression without what would make its statement the ORM's; a query within stays as it was written."""
    if not any(element._annotations for element in visitors.iterate(expression)):
        return expression
    copies: dict[int, Any] = {}

    def copy(element: Any, **options: Any) -> Any:
        if isinstance(element, SelectBase | FromClause):
            return element
        if id(element) not in copies:
            bare = element._deannotate(clone=True)
            bare._copy_internals(clone=copy, **options)
            if not isinstance(bare, Column):
                bare.__dict__.pop("_propagate_attrs", None)
            copies[id(element)] = bare
        return copies[id(element)]

    bare: ColumnElement[Any] = copy(expression)
    return bare
