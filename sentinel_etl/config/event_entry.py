"""The form of EVENT_CONFIG: what an entry holds, and what must be true of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    StrictBool,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from sqlalchemy import (
    ColumnElement,
    Date,
    DateTime,
    FromClause,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    and_,
    cast,
    func,
    type_coerce,
)
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BinaryExpression

from sentinel_etl.config.event_type import WallClock, base_table, clauses_of, label_of, wall_clock_of
from sentinel_etl.config.mapped import (
    column_named,
    expression_of,
    is_model,
    kind_condition,
    named_expression_of,
    primary_key_of,
    table_of,
)

__all__ = ["Entry", "EventConfig", "unique_columns"]


# What the engine computes under its own name: a source's column of that name would be lost without a word.
RESERVED_LABELS = (
    *("event_type", "event_timestamp", "source_key"),
    *("event_id", "event_date", "shift_date", "base_risk_score", "risk_reasons", "run_id", "loaded_at"),
)

JOIN_FORM = "expected (model, on) or (model, on, {'outer': True, 'one_to_many': True})"


def list_as_tuple(value: Any) -> Any:
    """Let a list stand for a tuple, and nothing else: a set has no order, and text is no list of letters."""
    return tuple(value) if isinstance(value, list) else value


def one_as_several(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


TableEntry = Annotated[FromClause, BeforeValidator(table_of)]
Expression = Annotated[ColumnElement[Any], BeforeValidator(expression_of)]
Expressions = Annotated[tuple[Expression, ...], Field(strict=True), BeforeValidator(list_as_tuple)]
NamedExpression = Annotated[ColumnElement[Any], BeforeValidator(named_expression_of)]
NamedExpressions = Annotated[tuple[NamedExpression, ...], Field(strict=True), BeforeValidator(list_as_tuple)]


class Form(BaseModel):
    """Never changes, refuses unknown keys, and holds SQLAlchemy's objects as they are."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class JoinOptions(Form):
    """What a join may do beyond matching each event with one row."""

    outer: StrictBool = False
    one_to_many: StrictBool = False


class JoinEntry(Form):
    """``(model, on)`` or ``(model, on, options)``."""

    model: TableEntry
    on: Expression
    options: JoinOptions = JoinOptions()

    @model_validator(mode="before")
    @classmethod
    def is_a_tuple_of_two_or_three(cls, value: Any) -> dict[str, Any]:
        if not isinstance(value, tuple) or len(value) not in (2, 3):
            raise ValueError(f"{JOIN_FORM}, found {value!r}")
        model, on, *options = value
        on = expression_of(on)
        if (condition := kind_condition(model)) is not None and isinstance(on, ColumnElement):
            on = and_(on, condition)
        return dict(zip(cls.model_fields, (model, on, *options), strict=False))

    @field_validator("options", mode="wrap")
    @classmethod
    def options_are_known(cls, value: Any, check: ValidatorFunctionWrapHandler) -> Any:
        try:
            return check(value)
        except ValidationError:
            raise ValueError(f"{JOIN_FORM}, found the options {value!r}") from None

    @model_validator(mode="after")
    def one_event_stays_one_unless_it_says_so(self) -> JoinEntry:
        if not self.options.one_to_many and not joins_at_most_one(self.model, self.on):
            raise ValueError(
                f"{self.model} is not joined on a unique key ({self.on}), so one event could "
                "become several; join on its primary key, or say {'one_to_many': True} and put its key "
                "into the entry's key"
            )
        return self


class Entry(Form):
    """One entry of EVENT_CONFIG; the name of the default timestamp is the context of its validation."""

    model: TableEntry
    timestamp: Expression
    key: Annotated[Expressions, Field(min_length=1), BeforeValidator(one_as_several)]
    columns: Annotated[NamedExpressions, Field(min_length=1)]
    joins: Annotated[tuple[JoinEntry, ...], Field(strict=True), BeforeValidator(list_as_tuple)] = ()
    filters: Expressions = ()
    changes_later: NamedExpressions = ()

    @model_validator(mode="before")
    @classmethod
    def kind_of_the_model_is_a_filter(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or (condition := kind_condition(value.get("model"))) is None:
            return value
        filters = value.get("filters", ())
        return {**value, "filters": (*filters, condition)} if isinstance(filters, list | tuple) else value

    @model_validator(mode="before")
    @classmethod
    def what_is_left_out_is_the_models(cls, value: Any, info: ValidationInfo) -> Any:
        """Fill in what can be found; what cannot stays missing, and is told of as such."""
        if not isinstance(value, Mapping) or not is_model(value.get("model")):
            return value
        found = dict(value)
        if "timestamp" not in value and (column := column_named(value["model"], str(info.context))) is not None:
            found["timestamp"] = column
        if "key" not in value and (key := primary_key_of(value["model"])):
            found["key"] = key
        return found

    @field_validator("timestamp")
    @classmethod
    def timestamp_has_a_time_zone(cls, timestamp: ColumnElement[Any]) -> ColumnElement[Any]:
        if (clock := wall_clock_of(timestamp)) is not None:
            timestamp = instant_of(clock)
        if not (isinstance(timestamp.type, DateTime) and timestamp.type.timezone):
            raise ValueError(
                f"expected a column of type timestamp with time zone, found {timestamp} of type "
                f"{timestamp.type}; for a column without a zone write func.timezone('Asia/Kolkata', column)"
            )
        return timestamp

    @field_validator("columns")
    @classmethod
    def labels_are_given(cls, columns: tuple[ColumnElement[Any], ...]) -> tuple[ColumnElement[Any], ...]:
        for column in columns:
            label = label_of(column)
            if label.startswith("%(") or label == "None":
                raise ValueError(f"expected a .label(name) on the expression {column}")
        return columns

    @field_validator("columns")
    @classmethod
    def labels_are_free_and_unique(cls, columns: tuple[ColumnElement[Any], ...]) -> tuple[ColumnElement[Any], ...]:
        labels = [label_of(column) for column in columns]
        for label in labels:
            if label in RESERVED_LABELS:
                raise ValueError(f"{label} is a name that the engine gives; choose another label")
            if labels.count(label) > 1:
                raise ValueError(f"{label} stands twice; give one a .label(name)")
        return columns

    @model_validator(mode="after")
    def only_its_own_tables_are_read(self) -> Entry:
        tables = self.tables
        for key, expressions in self.expressions.items():
            for expression in expressions:
                for used in expression._from_objects:
                    if used not in tables:
                        raise PydanticCustomError(
                            "other_table",
                            "{expression} reads {used}, which the entry neither models nor joins; "
                            "expected one of {tables}",
                            {
                                "key": key,
                                "expression": str(expression),
                                "used": str(used),
                                "tables": ", ".join(str(table) for table in tables),
                            },
                        )
        return self

    @property
    def tables(self) -> list[FromClause]:
        return [self.model, *(join.model for join in self.joins)]

    @property
    def expressions(self) -> dict[str, tuple[ColumnElement[Any], ...]]:
        """All that reads a table, by the key of the entry that it stands under."""
        return {
            "timestamp": (self.timestamp,),
            "key": self.key,
            "columns": self.columns,
            "filters": self.filters,
            "joins": tuple(join.on for join in self.joins),
        }


def instant_of(clock: WallClock) -> ColumnElement[Any]:
    """Build the instant at which the zone's clocks showed what the column says."""
    column = clock.column
    if isinstance(column.type, DateTime) and column.type.timezone:
        raise ValueError(f"expected {column} by itself, because it has a time zone already; found a timezone() of it")
    if isinstance(column.type, Date):
        column = cast(column, DateTime())  # PostgreSQL would take a date for an instant of the session's zone
    return type_coerce(func.timezone(clock.zone, column), DateTime(timezone=True))


EventName = Annotated[str, Field(strict=True, pattern=r"^[A-Z][A-Z0-9_]*$")]


class EventConfig(RootModel[Annotated[dict[EventName, Entry], Field(min_length=1)]]):
    """EVENT_CONFIG whole: name of the event type → entry."""

    model_config = ConfigDict(frozen=True)


def joins_at_most_one(joined: FromClause, on: ColumnElement[Any]) -> bool:
    """Tell whether the condition fixes a unique key of the joined table by equality."""
    table = base_table(joined)
    if table is None:
        return True  # a subquery: its author has chosen its rows; the audit still counts keys
    pinned = set()
    for condition in clauses_of(on):
        if not (isinstance(condition, BinaryExpression) and condition.operator is operators.eq):
            continue
        for side, other in ((condition.left, condition.right), (condition.right, condition.left)):
            mine = getattr(side, "table", None) is joined
            if mine and joined not in other._from_objects:
                pinned.add(side.key)
    return any(unique <= pinned for unique in unique_columns(table))


def unique_columns(table: Table) -> list[set[str]]:
    """List the unique keys that a model declares, each as its columns' keys."""
    uniques = [
        {str(column.key) for column in constraint.columns}
        for constraint in table.constraints
        if isinstance(constraint, PrimaryKeyConstraint | UniqueConstraint)
    ]
    uniques += [
        {str(column.key) for column in index.columns}
        for index in table.indexes
        if index.unique and index.dialect_options["postgresql"]["where"] is None
    ]
    return [unique for unique in uniques if unique]
