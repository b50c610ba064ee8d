"""What must be true of a pipeline before anything connects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from sentinel_etl.config.check_types import check_engine_types, check_types
from sentinel_etl.config.dimensions import Dimensions
from sentinel_etl.config.event_kinds import check_event_kinds
from sentinel_etl.config.fact_table import ENGINE_COLUMNS
from sentinel_etl.config.gates import check_gate_limits
from sentinel_etl.config.risk_weights import check_risk_weights, weight_columns
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.source.sql import compile_sql
from sentinel_etl.warehouse.types import is_nullable

if TYPE_CHECKING:
    from sentinel_etl.pipeline.pipeline import Pipeline

__all__ = ["check_pipeline"]


# A key that can be guessed is none: 16 bytes are 128 bits, if they are random.
SHORTEST_PII_KEY = 16


def check_pipeline(pipeline: Pipeline) -> None:
    """Check the whole pipeline without connecting to anything.

    Raises:
        ConfigurationError: the first value that cannot work, by its name.
    """
    check_engine_columns(pipeline)
    # Parsing EVENT_CONFIG checks it.
    labels = {label for event_type in pipeline.event_types.values() for label in event_type.labels}
    check_statements(pipeline)
    check_labels(pipeline)
    check_engine_types(pipeline.fact_types)
    check_types(pipeline.event_types.values(), pipeline.fact_types, pipeline.coalesce)
    check_coalesce(pipeline, labels)
    check_unknown_values(pipeline)
    check_bounds(pipeline)
    check_pii_key(pipeline)
    # What is no weights cannot be asked for its columns.
    check_risk_weights(pipeline.risk_weights, pipeline.fact_table, pipeline.event_types)
    check_personal(pipeline, labels)
    check_text_lengths(pipeline)
    check_gate_limits(pipeline.gate_limits)
    check_dimensions(pipeline)
    check_event_kinds(pipeline.event_kinds, pipeline.event_types, pipeline.fact_table.columns.keys())


def check_engine_columns(pipeline: Pipeline) -> None:
    missing = [name for name in ENGINE_COLUMNS if not pipeline.has_column(name)]
    if missing:
        raise ConfigurationError(
            f"fact table {pipeline.fact_table.name}: expected the columns {', '.join(ENGINE_COLUMNS)}; "
            f"missing {', '.join(missing)}"
        )


def check_statements(pipeline: Pipeline) -> None:
    """See that each entry can be written as SQL, with all its literals."""
    for kind in pipeline.event_types.values():
        for expression in kind.expressions():
            try:
                compile_sql(expression)
            except ConfigurationError as error:
                raise ConfigurationError(f"EVENT_CONFIG.{kind.name}: {error}") from error


def check_labels(pipeline: Pipeline) -> None:
    """See that what each entry reads has a place to go to, and one that nothing else fills."""
    read = {name for sources in pipeline.coalesce.values() for name in sources} | set(pipeline.text_lengths.values())
    for kind in pipeline.event_types.values():
        for label in kind.labels:
            if label in pipeline.text_lengths:
                raise ConfigurationError(
                    f"EVENT_CONFIG.{kind.name}: expected no column labelled {label}, because text_lengths computes "
                    "it; choose another label"
                )
            if not (pipeline.has_column(label) or pipeline.has_column("details_json") or label in read):
                raise ConfigurationError(
                    f"EVENT_CONFIG.{kind.name}: expected {pipeline.fact_table.name} to have a column {label}, or "
                    f"details_json to keep it in; found {', '.join(pipeline.fact_table.columns.keys())}. Correct the "
                    "label, or add the column"
                )


def check_coalesce(pipeline: Pipeline, labels: set[str]) -> None:
    for target, sources in pipeline.coalesce.items():
        expect_column(pipeline, target, "coalesce")
        if not labels.intersection(sources):
            raise ConfigurationError(
                f"coalesce.{target}: expected at least one of {', '.join(sources)} among the columns "
                "that EVENT_CONFIG reads, found none"
            )
        if target in labels and target not in sources:
            raise ConfigurationError(
                f"coalesce.{target}: expected {target} among its columns, because EVENT_CONFIG reads a column of that "
                f"name, too, whose values would be lost; found {', '.join(sources)}. Add it where it is to count"
            )


def check_unknown_values(pipeline: Pipeline) -> None:
    for group, values in pipeline.unknown_values.items():
        if len(group) != len(values) or not all(pipeline.has_numbers(name) for name in group):
            raise ConfigurationError(
                f"unknown_values.{', '.join(group)}: expected columns of {pipeline.fact_table.name} and a value for "
                f"each, found {values!r}"
            )


def check_bounds(pipeline: Pipeline) -> None:
    for name, (low, high) in pipeline.bounds.items():
        if not pipeline.has_numbers(name) or not low <= high:
            raise ConfigurationError(
                f"bounds.{name}: expected a column of {pipeline.fact_table.name}, its least and its greatest value; "
                f"found {low!r}, {high!r}"
            )


def check_pii_key(pipeline: Pipeline) -> None:
    if pipeline.pii == "hash" and len(pipeline.pii_secret) < SHORTEST_PII_KEY:
        raise ConfigurationError(
            f"SENTINEL_PII_KEY: expected a secret of at least {SHORTEST_PII_KEY} bytes, because SENTINEL_PII is "
            "hash; make one with `openssl rand -hex 32`, and keep it: with another the hashes do not match"
        )


def check_personal(pipeline: Pipeline, labels: set[str]) -> None:
    for name in pipeline.personal:
        column = pipeline.fact_table.columns.get(name)
        if column is None and name not in labels:
            raise ConfigurationError(
                f"personal.{name}: expected a column of {pipeline.fact_table.name} or one that EVENT_CONFIG reads, "
                "found neither; a name that is misspelt would leave its column in clear"
            )
        if name in weight_columns(pipeline.risk_weights):
            raise ConfigurationError(
                f"personal.{name}: expected no risk weights for it, because risk_reasons would show its values"
            )
        if column is not None and not (is_nullable(column) and pa.types.is_string(pipeline.schema.field(name).type)):
            raise ConfigurationError(
                f"personal.{name}: expected a Nullable String, to hold a hash or nothing; found {column.type}"
            )


def check_text_lengths(pipeline: Pipeline) -> None:
    for target in pipeline.text_lengths:
        expect_column(pipeline, target, "text_lengths")


def check_dimensions(pipeline: Pipeline) -> None:
    """See that each dimension that is named is a column; one that goes by the sample city's name need not be there."""
    dimensions = pipeline.dimensions
    if not isinstance(dimensions, Dimensions):
        raise ConfigurationError(f"dimensions: expected Dimensions(station=…), found {dimensions!r}")
    for role, name in dimensions.named.items():
        expect_column(pipeline, name, f"dimensions.{role}", f"; found {', '.join(pipeline.fact_table.columns.keys())}")
        if role != "person" and name in pipeline.personal_columns:
            raise ConfigurationError(
                f"dimensions.{role}: expected a column that is not personal, because reports show its values; found "
                f"{name}"
            )
        if role in ("latitude", "longitude") and not pipeline.has_numbers(name):
            raise ConfigurationError(
                f"dimensions.{role}: expected a column of numbers, degrees; found {name} "
                f"{pipeline.fact_types[name].name}"
            )
        if role == "arrival" and pipeline.fact_types[name].kind != "instant":
            raise ConfigurationError(
                f"dimensions.{role}: expected a DateTime or a DateTime64; found {name} {pipeline.fact_types[name].name}"
            )
    if strangers := [name for name in dimensions.words if name not in pipeline.roles.values()]:
        raise ConfigurationError(
            f"dimensions.words: expected columns that are dimensions, {', '.join(pipeline.roles.values()) or 'none'}; "
            f"found {', '.join(strangers)}"
        )


def expect_column(pipeline: Pipeline, name: str, part: str, hint: str = "") -> None:
    if not pipeline.has_column(name):
        raise ConfigurationError(f"{part}.{name}: expected a column of {pipeline.fact_table.name}{hint}")
