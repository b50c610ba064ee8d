"""Makes OpenLineage's events of a run. Imports openlineage-python, so it is imported where that is wanted only.

https://openlineage.io/docs/spec/object-model and https://openlineage.io/docs/spec/facets
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5

import attr
from openlineage.client.event_v2 import InputDataset as Input
from openlineage.client.event_v2 import Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    column_lineage_dataset,
    data_quality_assertions_dataset,
    documentation_job,
    error_message_run,
    job_type_job,
    nominal_time_run,
    output_statistics_output_dataset,
    parent_run,
    processing_engine_run,
    schema_dataset,
    sql_job,
    tags_run,
)

from sentinel_etl.extract.statements import select_events
from sentinel_etl.ledger.ledger import RunRecord
from sentinel_etl.lineage.datasets import Site
from sentinel_etl.lineage.lineage import Lineage, Origin, SourceColumn, SourceTable
from sentinel_etl.lineage.trace import trace_lineage
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.source.sql import compile_sql
from sentinel_etl.warehouse.types import server_type

__all__ = ["EventKind", "make_event"]

EventKind = Literal["START", "COMPLETE", "FAIL"]

PACKAGE = "sentinel-warehouse-etl"

# How OpenLineage calls what a failed check does.
SEVERITIES = {"block": "error", "warn": "warn"}


def make_event(
    kind: EventKind, record: RunRecord, pipeline: Pipeline, site: Site | None = None, problem: str = ""
) -> RunEvent:
    """Make the event of a run's start or end; ``problem``: why it failed. Without a ``site`` it names no tables."""
    inputs: list[Input] = []
    outputs: list[OutputDataset] = []
    job: dict[str, Any] = {
        "jobType": made(
            job_type_job.JobTypeJobFacet, processingType="BATCH", integration="SENTINEL_ETL", jobType="JOB"
        ),
        "documentation": made(
            documentation_job.DocumentationJobFacet,
            description=f"Moves a window of events from PostgreSQL into {record.fact_table} in ClickHouse",
        ),
    }
    if site is not None:
        lineage = trace_lineage(pipeline).of_event_types(record.event_types)
        inputs = [make_input(table, lineage, site) for table in lineage.tables]
        outputs = [make_output(kind, record, pipeline, lineage, site)]
        statements = [
            f"-- {name}\n{compile_sql(select_events(kind_of, record.window))}"
            for name, kind_of in pipeline.select_event_types(list(record.event_types)).items()
        ]
        job["sql"] = made(sql_job.SQLJobFacet, query=";\n\n".join(statements), dialect="postgres")
    return RunEvent(
        eventType=RunState[kind],
        eventTime=datetime.now(UTC).isoformat(),
        producer=producer(),
        run=Run(run_uuid(record), facets=run_facets(record, problem)),
        job=Job(os.environ.get("OPENLINEAGE_NAMESPACE") or "sentinel-etl", f"load.{record.fact_table}", facets=job),
        inputs=inputs,
        outputs=outputs,
    )


def run_uuid(record: RunRecord) -> str:
    """Make the run's UUID of its own id, so that whoever tells of the run names the same."""
    return str(uuid5(NAMESPACE_URL, f"{PACKAGE}/{record.fact_table}/{record.run_id}"))


def producer() -> str:
    return f"urn:{PACKAGE}:{version(PACKAGE)}"


def made(facet: Any, **values: Any) -> Any:
    """Make a facet, without what an older client has no field for."""
    known = {field.alias for field in attr.fields(facet)}
    values |= {"producer": producer()}
    return facet(**{name: value for name, value in values.items() if name in known})


def run_facets(record: RunRecord, problem: str) -> dict[str, Any]:
    """Say which window the run is of, who started it, with what, and what went wrong."""
    tags = {"run_id": record.run_id, "config_hash": record.config_hash, "personal_data": record.pii}
    facets = {
        "nominalTime": made(
            nominal_time_run.NominalTimeRunFacet,
            nominalStartTime=record.window.start.isoformat(),
            nominalEndTime=record.window.end.isoformat(),
        ),
        "processing_engine": made(
            processing_engine_run.ProcessingEngineRunFacet, version=version(PACKAGE), name="sentinel-etl"
        ),
        "tags": made(
            tags_run.TagsRunFacet,
            tags=[
                made(tags_run.TagsRunFacetFields, key=key, value=value, source="SENTINEL_ETL")
                for key, value in tags.items()
                if value
            ],
        ),
    }
    if (parent := find_parent()) is not None:
        facets["parent"] = parent
    if problem:
        facets["errorMessage"] = made(
            error_message_run.ErrorMessageRunFacet, message=problem, programmingLanguage="PYTHON"
        )
    return facets


def find_parent() -> Any:
    """Read the run that started this one off OPENLINEAGE_PARENT_ID, ``namespace/job/run``, as schedulers set it.

    https://openlineage.io/docs/integrations/spark/configuration/airflow
    """
    namespace, _, rest = os.environ.get("OPENLINEAGE_PARENT_ID", "").partition("/")
    name, _, run_id = rest.rpartition("/")
    if not (namespace and name and run_id):
        return None
    try:
        return made(parent_run.ParentRunFacet, run=parent_run.Run(runId=run_id), job=parent_run.Job(namespace, name))
    except ValueError:  # the run's id is no UUID
        return None


def make_input(table: SourceTable, lineage: Lineage, site: Site) -> Input:
    """Describe a table of the source, with the columns that are read of it."""
    names = dict.fromkeys(column.name for column in lineage.source_columns if column.table == table)
    fields = [made(schema_dataset.SchemaDatasetFacetFields, name=name) for name in names]
    return Input(
        site.source, site.source_table(table), facets={"schema": made(schema_dataset.SchemaDatasetFacet, fields=fields)}
    )


def make_output(kind: EventKind, record: RunRecord, pipeline: Pipeline, lineage: Lineage, site: Site) -> OutputDataset:
    """Describe the fact table: its columns, where each comes from, and at the end its rows and the audit's checks."""
    fields = [
        made(
            schema_dataset.SchemaDatasetFacetFields,
            name=column.name,
            type=server_type(column),
            description=column.comment,
        )
        for column in pipeline.fact_table.columns
    ]
    facets: dict[str, Any] = {
        "schema": made(schema_dataset.SchemaDatasetFacet, fields=fields),
        "columnLineage": made_column_lineage(pipeline, lineage, site),
    }
    if record.checks:
        names = pipeline.fact_table.columns.keys()
        facets["dataQualityAssertions"] = made(
            data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet,
            assertions=[make_assertion(check, names) for check in record.checks],
        )
    outputs = {}
    if kind == "COMPLETE":
        outputs["outputStatistics"] = made(
            output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet, rowCount=record.published_rows
        )
    name = site.fact_table(record.fact_table)
    return OutputDataset(site.warehouse, name, facets=facets, outputFacets=outputs)


def make_assertion(check: Mapping[str, Any], columns: list[str]) -> Any:
    """Tell what a check expected and what it observed; not the rows that show it."""
    subjects = [subject for subject in check["subjects"] if subject in columns]
    return made(
        data_quality_assertions_dataset.Assertion,
        assertion=check["gate"] or check["name"],
        success=check["passed"],
        column=subjects[0] if len(subjects) == len(check["subjects"]) == 1 else None,
        severity=SEVERITIES[str(check["severity"])],
        name=check["name"],
        expected=check["expected"],
        actual=check["observed"],
    )


def made_column_lineage(pipeline: Pipeline, lineage: Lineage, site: Site) -> Any:
    """Say which columns of the source each fact column comes from, and which the rows hang on.

    https://openlineage.io/docs/spec/facets/dataset-facets/column_lineage_facet
    """
    fields = {}
    for column in lineage.columns:
        found: dict[tuple[SourceTable, str], dict[Any, None]] = {}
        for origin in column.origins:
            for each in origin.columns:
                way = transformation(each, origin, column.column, pipeline)
                found.setdefault((each.table, each.name), {})[way] = None
        if found:
            fields[column.column] = made(
                column_lineage_dataset.Fields,
                inputFields=[input_field(site, *place, list(ways)) for place, ways in found.items()],
            )
    asked: dict[tuple[SourceTable, str], dict[Any, None]] = {}
    for entry in lineage.entries:
        for subtype, columns in (("JOIN", entry.joined), ("FILTER", (*entry.filtered, *entry.window))):
            for each in columns:
                asked.setdefault((each.table, each.name), {})["INDIRECT", subtype, "", False] = None
    return made(
        column_lineage_dataset.ColumnLineageDatasetFacet,
        fields=fields,
        dataset=[input_field(site, *place, list(ways)) for place, ways in asked.items()],
    )


def transformation(column: SourceColumn, origin: Origin, target: str, pipeline: Pipeline) -> tuple[str, str, str, bool]:
    """Name how a fact column comes from one of the source: type, subtype, description, and whether it is masked."""
    if column.decides:
        return "INDIRECT", "CONDITIONAL", "; ".join(origin.steps), False
    labels = [read.label for read in origin.reads if column in read.columns]
    masked = target in pipeline.altered_columns
    masked |= target == "details_json" and any(label in pipeline.altered_columns for label in labels)
    same = not origin.changed and not any(read.expression for read in origin.reads)
    written = [" ".join(read.expression.split()) for read in origin.reads if read.expression]
    return "DIRECT", "IDENTITY" if same else "TRANSFORMATION", "; ".join([*written, *origin.steps]), masked


def input_field(site: Site, table: SourceTable, name: str, ways: list[tuple[str, str, str, bool]]) -> Any:
    transformations = [
        made(column_lineage_dataset.Transformation, type=kind, subtype=subtype, description=text, masking=masked)
        for kind, subtype, text, masked in ways
    ]
    return made(
        column_lineage_dataset.InputField,
        namespace=site.source,
        name=site.source_table(table),
        field=name,
        transformations=transformations,
    )
