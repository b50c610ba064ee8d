"""RISK_WEIGHTS: what each kind of event adds to ``base_risk_score``.

``{fact column: {value: weight}}``. A row's score is the sum of the weights of the values it has. What holds for one
event type alone stands under its name, ``{event type: {fact column: {value: weight}}}``, and is added to the rest.
The unit is risk points: 1 is a routine remark, and a hotspot that gathers about 100 undecayed
points in a night gets a second patrol. The values are the city's starting point, agreed with the
shift commanders; change them here, or in a YAML file of the same form named by
``SENTINEL_RISK_WEIGHTS``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeGuard

import yaml
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, RootModel, ValidationError, ValidationInfo
from pydantic_core import ErrorDetails, PydanticCustomError
from sqlalchemy import Table

from sentinel_etl.errors import ConfigurationError

__all__ = [
    "RISK_WEIGHTS",
    "RiskWeights",
    "WeightedColumn",
    "as_scored",
    "check_risk_weights",
    "read_risk_weights",
    "weight_columns",
    "weighted_columns",
]


ValueWeights = Mapping[str | bool | int, float]
RiskWeights = Mapping[str, ValueWeights | Mapping[str, ValueWeights]]

RISK_WEIGHTS: dict[str, dict[str | bool | int, float]] = {
    "event_type": {
        "EMERGENCY_INCIDENT": 20.0,  # on top of it comes the incident's category
        "SUSPICIOUS_VEHICLE": 12.0,  # a check that found something
        "STRANGER_ENCOUNTER": 6.0,
        "PRIORITY_CHANGE": 4.0,  # an officer judged that the place had changed
        "VEHICLE_CHECK": 2.0,
        "REMARK": 1.0,
        "FEEDBACK": 1.0,
        "HIGH_INTEGRITY_VISITS": 0.0,  # presence, not danger
        "PATROL_STATUS": 0.0,
        "GEOFENCE": 0.0,
    },
    "emergency_category": {
        "ARMED_ROBBERY": 60.0,
        "ASSAULT": 45.0,
        "DOMESTIC_VIOLENCE": 40.0,
        "BURGLARY": 30.0,
        "MISSING_PERSON": 25.0,
        "FIRE": 25.0,
        "PUBLIC_DISTURBANCE": 15.0,
        "MEDICAL": 10.0,  # urgent, but says little of the place
        "TRAFFIC_ACCIDENT": 10.0,
    },
    "new_priority_ranking": {1: 8.0, 2: 5.0, 3: 3.0},  # raised to the top three; 1 is highest
    "stranger_id_type": {"NONE": 8.0},  # asked, and could show nothing
}


def is_a_column_of_the_fact_table(column: Any, info: ValidationInfo) -> Any:
    fact_table: Any = info.context
    if column not in [known.key for known in fact_table.columns]:
        raise PydanticCustomError("no_column", "expected a column of {fact_table}", {"fact_table": fact_table.name})
    return column


def is_an_int_or_a_float(weight: Any) -> Any:
    """Refuse what only turns into a float, such as a Decimal: pydantic would take it, Arrow does not."""
    if not isinstance(weight, int | float):
        raise ValueError("expected an int or a float")
    return weight


FactColumn = Annotated[Any, AfterValidator(is_a_column_of_the_fact_table)]
Weight = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False), BeforeValidator(is_an_int_or_a_float)]


class WeightsByColumn(RootModel[dict[FactColumn, dict[Any, Weight]]]):
    """RISK_WEIGHTS whole; the fact table is the context of its validation."""

    model_config = ConfigDict(frozen=True)


@dataclass(frozen=True)
class WeightedColumn:
    """The weights of one column's values; ``event_type``: of that type alone, empty: of every type."""

    event_type: str
    column: str
    values: ValueWeights

    @property
    def label(self) -> str:
        """Name it as ``risk_reasons`` does: ``rating``, or ``RENTAL.rating``."""
        return f"{self.event_type}.{self.column}" if self.event_type else self.column


def is_of_a_type(values: Any) -> bool:
    """Tell whether what stands under a name are weights by column, so that the name is an event type."""
    return isinstance(values, Mapping) and any(isinstance(each, Mapping) for each in values.values())


def weighted_columns(weights: RiskWeights) -> list[WeightedColumn]:
    """List the weights column by column, those of an event type alone under its name, in their order."""
    found = []
    for name, values in weights.items():
        columns: Any = {name: values} if not is_of_a_type(values) else values
        event_type = name if is_of_a_type(values) else ""
        found += [WeightedColumn(event_type, column, each) for column, each in columns.items()]
    return found


def as_scored(value: str | bool | int) -> str:
    """Write a weight's value as scoring compares it: ``1`` and ``'1'`` are the same one."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def weight_columns(weights: RiskWeights) -> list[str]:
    """List the columns that a score follows from: those weighted, and the event type where weights are of one."""
    places = weighted_columns(weights)
    typed = ["event_type"] if any(place.event_type for place in places) else []
    return list(dict.fromkeys([*typed, *(place.column for place in places)]))


def check_risk_weights(weights: object, fact_table: Table, event_types: Collection[str] = ()) -> None:
    """Check that every weight belongs to a column of the fact table and is a finite number ≥ 0.

    What stands under the name of one of the ``event_types`` has the same form, and is that type's alone.

    Raises:
        ConfigurationError: all problems in one message, each by its path.
    """
    typed = {name: each for name, each in weights.items() if is_of_a_type(each)} if is_mapping(weights) else {}
    general = {name: each for name, each in weights.items() if name not in typed} if is_mapping(weights) else weights
    problems = list_problems(general, fact_table)
    for name, columns in typed.items():
        if name not in event_types:
            names = ", ".join(event_types) or "none"
            problems.append(f"{name}: expected one of the event types, {names}, because weights by column stand there")
        elif name in fact_table.columns:
            problems.append(f"{name}: expected a name that is no column of {fact_table.name} too, for an event type")
        else:
            problems += [f"{name}.{problem}" for problem in list_problems(columns, fact_table)]
    if problems:
        raise ConfigurationError(f"risk weights: {'; '.join(dict.fromkeys(problems))}")


def is_mapping(weights: Any) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(weights, Mapping)


def list_problems(weights: object, fact_table: Table) -> list[str]:
    """List what is wrong with weights by column, in the order in which it is found."""
    try:
        WeightsByColumn.model_validate(weights, context=fact_table)
    except ValidationError as error:
        return [describe_weight_problem(weights, problem) for problem in error.errors(include_url=False)]
    return []


def describe_weight_problem(weights: Any, problem: ErrorDetails) -> str:
    """Say one of pydantic's problems in the words of RISK_WEIGHTS."""
    found = problem["input"]
    match problem["type"], problem["loc"]:
        case _, ():
            return f"expected {{column: {{value: weight}}}}, found {type(found).__name__}"
        case "no_column", _:
            return f"{found}: {problem['msg']}"
        case _, (column,):
            return f"{column}: expected {{value: weight}}, found {found!r}"
        case _:
            column, key = problem["loc"]
            # pydantic's path holds True as 1, and other values as their repr.
            value = next((value for value in weights.get(column, ()) if key in (value, repr(value))), key)
            return f"{column}.{value}: expected a finite number of at least 0, found {found!r}"


def read_risk_weights(path: Path) -> RiskWeights:
    """Read weights from a YAML file of RISK_WEIGHTS's form; `check_risk_weights` judges them.

    Raises:
        ConfigurationError: the file cannot be read, or is not YAML.
    """
    try:
        weights: RiskWeights = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"risk weights: expected a readable YAML file at {path}, found: {error}") from error
    return weights
