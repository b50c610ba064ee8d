"""Lets a SELECT read the fact table as a run has left it, whatever runs came after."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd
from sqlalchemy import Engine, Select

from sentinel_etl.errors import ConfigurationError
from sentinel_etl.ledger.versions import Version, find_run, read_switches, state_after
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.warehouse.ddl import quote_identifier
from sentinel_etl.warehouse.names import as_formatted, write_statement
from sentinel_etl.warehouse.query import query_df
from sentinel_etl.warehouse.render import write_literal
from sentinel_etl.warehouse.session import settable_of

__all__ = ["query_as_of_run"]

# A condition that is put on every reading of a table, through views, too; and one that no reading passes.
# https://clickhouse.com/docs/operations/settings/settings#additional_table_filters
FILTERS = "additional_table_filters"
READS_NOW = "throwIf(1, 'it reads the table of now: name the fact table by its bare name, and not through a view')"


def query_as_of_run(
    warehouse: Engine,
    statement: str | Select[Any],
    run_id: str,
    pipeline: Pipeline,
    parameters: Mapping[str, Any] | None = None,
    hints: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Run a SELECT on the fact table as a run's switch has left it; an empty ``run_id``: as it is now.

    Other tables are read as they are now. Where the state is another table than the fact table of now, a SELECT
    that also reads the one of now is refused: by its database's name, or through a view.

    Raises:
        ConfigurationError: no such run; its state is not kept any more; the warehouse is not asked over HTTP, or its
            user may not set what this needs.
        WarehouseUnreachable: the server does not answer.
        SentinelError: the server refuses the statement.
    """
    if not run_id:
        return query_df(warehouse, statement, parameters, hints)
    if warehouse.dialect.driver != "http" or FILTERS not in settable_of(warehouse):
        raise ConfigurationError(
            f"as_of_run: expected a warehouse over clickhouse+http:// whose user may set {FILTERS}, found "
            f"clickhouse+{warehouse.dialect.driver}://, or a user who may not"
        )
    facts = pipeline.fact_table
    switches = read_switches(facts, warehouse)
    version = state_after(find_run(run_id, switches), switches, facts)
    if not isinstance(statement, str):
        statement = write_statement(statement, warehouse.dialect)
        statement = as_formatted(statement) if parameters else statement
    if version.table is facts:
        condition = without_runs(version) or "1"
    else:
        statement, condition = read_elsewhere(statement, facts.name, version), READS_NOW
    filters = {FILTERS: f"{{{write_literal(facts.name)}: {write_literal(condition)}}}"}
    return query_df(warehouse, statement, parameters, {**(hints or {}), **filters})


def read_elsewhere(statement: str, name: str, version: Version) -> str:
    """Let a SELECT's own name for the fact table mean the version."""
    condition = without_runs(version)
    selected = f"SELECT * FROM {quote_identifier(version.table.name)}" + (f" WHERE {condition}" if condition else "")
    first = f"WITH {quote_identifier(name)} AS ({selected})"
    if begun := re.match(r"\s*WITH\s", statement, re.IGNORECASE):
        return f"{first}, {statement[begun.end() :]}"
    return f"{first} {statement}"


def without_runs(version: Version) -> str:
    return f"run_id NOT IN ({', '.join(map(write_literal, version.without))})" if version.without else ""
