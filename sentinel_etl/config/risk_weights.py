"""RISK_WEIGHTS: what each kind of event adds to ``base_risk_score``.

``{fact column: {value: weight}}``. A row's score is the sum of the weights of the values it has.
The unit is risk points: 1 is a routine remark, and a hotspot that gathers about 100 undecayed
points in a night gets a second patrol. The values are the city's starting point, agreed with the
shift commanders; change them here, or in a YAML file of the same form named by
``SENTINEL_RISK_WEIGHTS``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import yaml
from sqlalchemy import Table

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


def check_risk_weights(weights: object, fact_table: Table) -> None:
    """Check that every weight belongs to a column of the fact table and is a finite number ≥ 0.

    Raises:
        ConfigurationError: all problems in one message, each by its path.
    """
    problems = []
    if not isinstance(weights, Mapping):
        raise ConfigurationError(
            f"risk weights: expected {{column: {{value: weight}}}}, found {type(weights).__name__}"
        )
    for column, values in weights.items():
        if column not in fact_table.columns:
            problems.append(f"{column}: expected a column of {fact_table.name}")
        if not isinstance(values, Mapping):
            problems.append(f"{column}: expected {{value: weight}}, found {values!r}")
            continue
        problems += [
            f"{column}.{value}: expected a finite number of at least 0, found {weight!r}"
            for value, weight in values.items()
            if isinstance(weight, bool)
            or not isinstance(weight, int | float)
            or not math.isfinite(weight)
            or weight < 0
        ]
    if problems:
        raise ConfigurationError("risk weights: " + "; ".join(problems))


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
