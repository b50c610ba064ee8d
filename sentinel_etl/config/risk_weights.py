"""RISK_WEIGHTS: what each kind of event adds to ``base_risk_score``.

``{fact column: {value: weight}}``. A row's score is the sum of the weights of the values it has.
The unit is risk points: 1 is a routine remark, and a hotspot that gathers about 100 undecayed
points in a night gets a second patrol. The values are the city's starting point, agreed with the
shift commanders; change them here, or in a YAML file of the same form named by
``SENTINEL_RISK_WEIGHTS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, RootModel, ValidationError, ValidationInfo
from pydantic_core import ErrorDetails, PydanticCustomError
from sqlalchemy import Table

from sentinel_etl.config.problems import configuration_error
from sentinel_etl.errors import ConfigurationError

__all__ = ["RISK_WEIGHTS", "RiskWeights", "check_risk_weights", "read_risk_weights"]


RiskWeights = Mapping[str, Mapping[str | bool | int, float]]

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


def check_risk_weights(weights: object, fact_table: Table) -> None:
    """Check that every weight belongs to a column of the fact table and is a finite number ≥ 0.

    Raises:
        ConfigurationError: all problems in one message, each by its path.
    """
    try:
        WeightsByColumn.model_validate(weights, context=fact_table)
    except ValidationError as error:
        raise configuration_error("risk weights", error, partial(describe_weight_problem, weights)) from None


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
