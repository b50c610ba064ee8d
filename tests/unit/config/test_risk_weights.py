"""What a weight's path is called, and what is no weight; the other messages stand in transform/test_risk.py."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from sentinel_etl.config.fact_table import build_patrol_events
from sentinel_etl.config.risk_weights import check_risk_weights
from sentinel_etl.errors import ConfigurationError

FACT_TABLE = build_patrol_events()


def refusal(weights: object) -> str:
    with pytest.raises(ConfigurationError) as refused:
        check_risk_weights(weights, FACT_TABLE)
    return str(refused.value)


@pytest.mark.parametrize(
    ("value", "written"),
    [(True, "True"), (1, "1"), ("1", "1"), (1.5, "1.5"), (None, "None"), (date(2026, 11, 21), "2026-11-21")],
    ids=["truth value", "number", "digits", "fraction", "nothing", "date"],
)
def test_a_wrong_weight_is_named_by_its_value_as_it_is_written(value: Any, written: str) -> None:
    assert refusal({"speed": {value: -1}}) == (
        f"risk weights: speed.{written}: expected a finite number of at least 0, found -1"
    )


@pytest.mark.parametrize(
    "weight", [Decimal(1), np.bool_(True), np.int64(1), 10**400], ids=["decimal", "NumPy's True", "NumPy", "too large"]
)
def test_a_number_that_scoring_could_not_add_is_refused(weight: Any) -> None:
    assert refusal({"speed": {"1": weight}}) == (
        f"risk weights: speed.1: expected a finite number of at least 0, found {weight!r}"
    )


@pytest.mark.parametrize("column", [1, True, None, "events"], ids=["number", "truth value", "nothing", "no column"])
def test_a_column_is_known_by_its_name_only(column: Any) -> None:
    assert refusal({column: {}}) == f"risk weights: {column}: expected a column of patrol_events"


def test_weights_may_be_any_mapping() -> None:
    check_risk_weights(MappingProxyType({"speed": MappingProxyType({"1": 2})}), FACT_TABLE)
