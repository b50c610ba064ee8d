"""What a run's events say: job, run, tables, columns, rows and checks."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import attr
import pytest
from clinics import NAMED
from openlineage.client.serde import Serde
from pydantic import SecretStr

from sentinel_etl.audit.checks import Check, Severity
from sentinel_etl.ledger.ledger import RunRecord
from sentinel_etl.ledger.states import RunState
from sentinel_etl.lineage.datasets import Site
from sentinel_etl.lineage.events import EventKind, made, make_event
from sentinel_etl.pipeline import SENTINEL, Pipeline
from sentinel_etl.window import Window

SITE = Site("postgres://db:5432", "city", "public", "clickhouse://ch:8123", "sentinel")
NIGHT = Window(datetime(2026, 11, 21, 0, 30, tzinfo=UTC), datetime(2026, 11, 22, 0, 30, tzinfo=UTC))
RUN = RunRecord("run1", "patrol_events", NIGHT, tuple(SENTINEL.event_types), config_hash="c0ffee")
ROWS = ({"note": "Mr Li"},)
FEW = Check("volumes are as usual", Severity.WARN, False, "0.56 times", "REMARK 3", ("REMARK",), ROWS, gate="volumes")
LOST = Check("NULLs arrived", Severity.BLOCK, True, "5 NULLs", "5 NULLs", ("speed",), gate="nulls")


def event(
    kind: EventKind, record: RunRecord = RUN, pipeline: Pipeline = SENTINEL, site: Site | None = SITE, problem: str = ""
) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(Serde.to_json(make_event(kind, record, pipeline, site, problem)))
    return written


def output(written: dict[str, Any]) -> dict[str, Any]:
    [found] = written["outputs"]
    return dict(found)


def inputs_of(written: dict[str, Any], column: str) -> list[tuple[str, str, str, str, bool]]:
    fields = output(written)["facets"]["columnLineage"]["fields"][column]["inputFields"]
    return [
        (field["name"], field["field"], way["type"], way["subtype"], way["masking"])
        for field in fields
        for way in field["transformations"]
    ]


def test_a_start_names_the_tables_as_openlineage_does() -> None:
    written = event("START")
    assert (written["eventType"], written["job"]["namespace"], written["job"]["name"]) == (
        "START",
        "sentinel-etl",
        "load.patrol_events",
    )
    assert {(table["namespace"], table["name"]) for table in written["inputs"]} == {
        ("postgres://db:5432", f"city.public.{name}")
        for name in (
            *("patrols", "patrol_logs", "remarks", "vehicle_checks", "stranger_encounters"),
            *("emergency_incidents", "feedback", "geofence_logs"),
        )
    }
    found = output(written)
    assert (found["namespace"], found["name"]) == ("clickhouse://ch:8123", "sentinel.patrol_events")
    assert [field["name"] for field in found["facets"]["schema"]["fields"]] == SENTINEL.fact_table.columns.keys()
    assert "dataQualityAssertions" not in found["facets"]
    assert found["outputFacets"] == {}


def test_a_run_has_its_window_its_own_name_and_one_uuid() -> None:
    start, end, other = event("START"), event("COMPLETE"), event("START", replace(RUN, run_id="run2"))
    assert start["run"]["runId"] == end["run"]["runId"] != other["run"]["runId"]
    facets = start["run"]["facets"]
    assert (facets["nominalTime"]["nominalStartTime"], facets["nominalTime"]["nominalEndTime"]) == (
        "2026-11-21T00:30:00+00:00",
        "2026-11-22T00:30:00+00:00",
    )
    assert {tag["key"]: tag["value"] for tag in facets["tags"]["tags"]} == {"run_id": "run1", "config_hash": "c0ffee"}
    assert "errorMessage" not in facets
    assert "parent" not in facets


def test_each_fact_column_names_the_columns_that_it_comes_from_and_how() -> None:
    written = event("START")
    assert inputs_of(written, "hotspot_id") == [
        ("city.public.remarks", "hotspot_id", "DIRECT", "IDENTITY", False),
        ("city.public.geofence_logs", "hotspot_id", "DIRECT", "IDENTITY", False),
    ]
    assert inputs_of(written, "visited_hotspots") == [
        ("city.public.patrol_logs", "patrol_status", "INDIRECT", "CONDITIONAL", False),
        ("city.public.patrols", "visited_hotspots", "DIRECT", "TRANSFORMATION", False),
    ]
    assert ("city.public.remarks", "remark_text", "DIRECT", "TRANSFORMATION", False) in inputs_of(
        written, "remark_length"
    )
    asked = output(written)["facets"]["columnLineage"]["dataset"]
    subtypes = {(each["name"], each["field"]): [way["subtype"] for way in each["transformations"]] for each in asked}
    assert subtypes["city.public.patrols", "patrol_status"] == ["JOIN"]
    assert subtypes["city.public.vehicle_checks", "suspicious_activity"] == ["FILTER"]
    assert subtypes["city.public.remarks", "created_at"] == ["FILTER"]


@pytest.mark.parametrize(("policy", "masked"), [("keep", False), ("hash", True), ("drop", True)])
def test_a_column_of_personal_data_is_masked_where_the_policy_says_so(policy: Any, masked: bool) -> None:
    written = event("START", pipeline=replace(SENTINEL, pii=policy, pii_key=SecretStr("k" * 32)))
    [(*_, subtype, found)] = inputs_of(written, "stranger_name")
    assert (subtype, found) == ("TRANSFORMATION" if masked else "IDENTITY", masked)
    assert not any(found for *_, found in inputs_of(written, "remark_length"))


def test_a_run_of_some_event_types_names_their_tables_alone() -> None:
    written = event("START", replace(RUN, event_types=("FEEDBACK",)))
    assert {table["name"] for table in written["inputs"]} == {"city.public.feedback", "city.public.patrols"}
    assert written["job"]["facets"]["sql"]["query"].startswith("-- FEEDBACK\nSELECT feedback.feedback_id AS source_key")
    assert "remarks" not in written["job"]["facets"]["sql"]["query"]
    assert "speed" not in output(written)["facets"]["columnLineage"]["fields"]


def test_an_end_tells_the_rows_and_the_audits_checks_without_the_rows_that_show_them() -> None:
    closed = replace(RUN, state=RunState.PUBLISHED, published_rows=5, checks=(FEW.as_dict(), LOST.as_dict()))
    found = output(event("COMPLETE", closed))
    assert found["outputFacets"]["outputStatistics"]["rowCount"] == 5
    few, lost = found["facets"]["dataQualityAssertions"]["assertions"]
    assert (few["assertion"], few["success"], few["severity"], few["expected"], few["actual"]) == (
        "volumes",
        False,
        "warn",
        "0.56 times",
        "REMARK 3",
    )
    assert "column" not in few
    assert (lost["assertion"], lost["success"], lost["severity"], lost["column"]) == ("nulls", True, "error", "speed")
    assert "Mr Li" not in json.dumps(found)


def test_a_failure_tells_why_and_no_rows() -> None:
    written = event("FAIL", replace(RUN, checks=(LOST.as_dict(),)), problem="keys doubled")
    assert written["run"]["facets"]["errorMessage"]["message"] == "keys doubled"
    assert output(written)["outputFacets"] == {}
    bare = event("FAIL", site=None, problem="the kernel died")
    assert (bare["inputs"], bare["outputs"], bare["run"]["runId"]) == ([], [], written["run"]["runId"])


def test_another_teams_tables_are_named_by_their_schema() -> None:
    record = replace(RUN, fact_table="named_events", event_types=("ADMISSION",))
    written = event("START", record, NAMED)
    assert [table["name"] for table in written["inputs"]] == ["city.clinic.admissions"]
    assert inputs_of(written, "ward_id") == [("city.clinic.admissions", "ward_id", "DIRECT", "IDENTITY", False)]


def test_the_scheduler_that_started_a_run_is_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    uuid = "01941f29-7c00-7087-8906-40e512c257bd"
    monkeypatch.setenv("OPENLINEAGE_PARENT_ID", f"airflow/nights.load/{uuid}")
    parent = event("START")["run"]["facets"]["parent"]
    assert (parent["job"]["namespace"], parent["job"]["name"], parent["run"]["runId"]) == (
        "airflow",
        "nights.load",
        uuid,
    )
    monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "police")
    assert event("START")["job"]["namespace"] == "police"
    for wrong in ("airflow", "airflow/nights/no-uuid", "//"):
        monkeypatch.setenv("OPENLINEAGE_PARENT_ID", wrong)
        assert "parent" not in event("START")["run"]["facets"]


def test_what_an_older_client_has_no_field_for_is_left_out() -> None:
    @attr.define
    class Older:
        query: str

    assert made(Older, query="SELECT 1", dialect="postgres") == Older("SELECT 1")
