from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from clickhouse_sqlalchemy import Table, types
from sqlalchemy import Column, MetaData, create_engine, text
from sqlalchemy.schema import CreateTable

from sentinel_etl.config.event_config import EVENT_CONFIG
from sentinel_etl.config.source_models import EmergencyIncident, Remark
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.pipeline import SENTINEL, Pipeline, load_pipeline
from sentinel_etl.settings import Settings
from sentinel_etl.source.sql import compile_sql

NOT_A_PIPELINE = "text"

BARE = Pipeline(event_config=EVENT_CONFIG, fact_table=SENTINEL.fact_table, risk_weights={"event_type": {"REMARK": 7.0}})


def refusal(pipeline: Pipeline) -> str:
    with pytest.raises(ConfigurationError) as refused:
        pipeline.check()
    return str(refused.value)


def test_the_pipelines_of_this_module_pass_their_check() -> None:
    SENTINEL.check()
    BARE.check()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            {"fact_table": Table("visits", MetaData(), Column("event_id", types.String), Column("x", types.Int8))},
            "fact table visits: expected the columns event_id, event_timestamp, event_type, shift_date, run_id, "
            "loaded_at; missing event_timestamp, event_type, shift_date, run_id, loaded_at",
            id="a fact table without the engine's columns",
        ),
        pytest.param(
            {"coalesce": {"officer": ("created_by_officer_id",)}},
            "coalesce.officer: expected a column of patrol_events",
            id="a coalesce target that is no column",
        ),
        pytest.param(
            {"coalesce": {"officer_id": ("nobody", "no_one")}},
            "coalesce.officer_id: expected at least one of nobody, no_one among the columns that EVENT_CONFIG reads, "
            "found none",
            id="coalesce sources that nobody reads",
        ),
        pytest.param(
            {"coalesce": {"hotspot_id": ("created_by_officer_id",)}},
            "coalesce.hotspot_id: expected hotspot_id among its columns, because EVENT_CONFIG reads a column of that "
            "name, too, whose values would be lost; found created_by_officer_id. Add it where it is to count",
            id="a coalesce target that an entry reads itself",
        ),
        pytest.param(
            {"risk_weights": {"event_typo": {"REMARK": 1.0}}},
            "risk weights: event_typo: expected a column of patrol_events",
            id="a weight on no column",
        ),
        pytest.param(
            {"event_config": {}},
            "EVENT_CONFIG: expected at least one event type, found none",
            id="no event types",
        ),
        pytest.param(
            {"unknown_values": {("latitude", "longitude"): (0.0,)}},
            "unknown_values",
            id="unknown values that do not pair up",
        ),
        pytest.param(
            {"unknown_values": {("latitude", "height"): (0.0, 0.0)}},
            "unknown_values.latitude, height: expected columns of patrol_events and a value for each, found (0.0, 0.0)",
            id="an unknown value in no column",
        ),
        pytest.param(
            {"bounds": {"latitude": (90.0, -90.0)}},
            "bounds.latitude: expected a column of patrol_events, its least and its greatest value; found 90.0, -90.0",
            id="bounds the wrong way round",
        ),
        pytest.param(
            {"bounds": {"height": (0.0, 9.0)}},
            "bounds.height: expected a column of patrol_events, its least and its greatest value; found 0.0, 9.0",
            id="bounds of no column",
        ),
        pytest.param(
            {"pii": "hash"},
            "SENTINEL_PII_KEY: expected a secret of at least 16 bytes, because SENTINEL_PII is hash",
            id="hashes without a key",
        ),
        pytest.param(
            {"personal": {"emergency_category": "free text"}},
            "personal.emergency_category: expected no risk weights for it, because risk_reasons would show its values",
            id="a weight on personal data",
        ),
        pytest.param(
            {"personal": {"vehicle_id": "number"}},
            "personal.vehicle_id: expected a Nullable String, to hold a hash or nothing; found Nullable",
            id="personal data in a number",
        ),
        pytest.param(
            {"personal": {"remark_txt": "free text"}},
            "personal.remark_txt: expected a column of patrol_events or one that EVENT_CONFIG reads, found neither",
            id="personal data that nothing reads",
        ),
        pytest.param(
            {"text_lengths": {"remark_text": "details_json"}},
            "EVENT_CONFIG.REMARK: expected no column labelled remark_text, because text_lengths computes it",
            id="a length in the place of a column that is read",
        ),
        pytest.param(
            {"text_lengths": {"remark_size": "remark_text"}},
            "text_lengths.remark_size: expected a column of patrol_events",
            id="a length in no column",
        ),
    ],
)
def test_a_pipeline_that_cannot_work_is_refused_before_anything_connects(change: dict[str, Any], message: str) -> None:
    assert refusal(replace(SENTINEL, **change)).startswith(message)


def without(*names: str) -> Table:
    columns = [Column(c.name, c.type) for c in SENTINEL.fact_table.columns if c.name not in names]
    return Table("patrol_events", MetaData(), *columns)


UNWRITABLE: dict[str, tuple[Any, str]] = {
    "a value of another kind": (Remark.created_at == object(), r"DateTime\(timezone=True\), found <object object at"),
    "a text with NUL": (Remark.remark_text == "a\0b", r"Text\(\), found 'a\\x00b' of type str: .* no NUL character"),
    "half a letter": (Remark.remark_text == "\ud800", r"Text\(\), found '\\ud800' of type str: "),
    "one of a list": (Remark.remark_id.in_([1, object()]), r"BigInteger\(\), found <object object at"),
    "JSON that is none": (EmergencyIncident.details.contains({"a": object()}), "not JSON serializable"),
    "a parameter without a value": (text("remark_id = :which"), r"a value for the parameter :which, found none"),
}


@pytest.mark.parametrize("case", UNWRITABLE)
def test_a_literal_that_cannot_be_sent_is_refused_with_its_entry_before_anything_connects(case: str) -> None:
    condition, message = UNWRITABLE[case]
    model: Any = EmergencyIncident if "JSON" in case else Remark
    entry = {
        "model": model,
        "timestamp": model.created_at,
        "key": model.patrol_id,
        "columns": [model.patrol_id],
        "filters": [condition],
    }
    config = {"REMARK": EVENT_CONFIG["REMARK"], "SEEN": entry}
    said = refusal(replace(BARE, event_config=config))
    assert re.match(rf"EVENT_CONFIG\.SEEN: expected .*{message}", said)
    assert "\n" not in said


def test_a_text_of_sql_is_a_filter_with_its_parameters_and_stays_together() -> None:
    either = text("remark_id = :one OR remark_text = :words").bindparams(one=1, words="it's")
    entry = {**EVENT_CONFIG["REMARK"], "filters": [either]}
    pipeline = replace(BARE, event_config={"REMARK": entry})
    pipeline.check()
    assert [compile_sql(each) for each in pipeline.event_types["REMARK"].filters] == [
        "(remark_id = 1 OR remark_text = 'it''s')"
    ]


def test_a_label_that_has_no_column_is_refused_where_there_is_no_details_json_to_keep_it_in() -> None:
    bare = replace(BARE, risk_weights={}, event_config={"REMARK": EVENT_CONFIG["REMARK"]})
    replace(bare, fact_table=without("remark_text")).check()  # details_json keeps it
    lossy = replace(bare, fact_table=without("remark_text", "details_json"))
    assert refusal(lossy).startswith(
        "EVENT_CONFIG.REMARK: expected patrol_events to have a column remark_text, or details_json to keep it in; "
    )


def test_event_types_are_picked_in_the_configs_order() -> None:
    assert list(SENTINEL.select_event_types(["REMARK", "PATROL_STATUS"])) == ["PATROL_STATUS", "REMARK"]


@pytest.mark.parametrize("names", [None, []], ids=["none named", "an empty list"])
def test_all_event_types_are_picked_where_none_is_named(names: list[str] | None) -> None:
    assert list(SENTINEL.select_event_types(names)) == list(EVENT_CONFIG)


def test_an_unknown_event_type_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigurationError) as refused:
        BARE.select_event_types(["REMARK", "REMRAK", "X"])
    assert str(refused.value) == f"event types: expected some of {', '.join(EVENT_CONFIG)}; found REMRAK, X"


def test_the_settings_zone_and_partition_reach_the_pipeline() -> None:
    pipeline = load_pipeline(Settings(timezone="Europe/London", partition_by="day"))
    dialect = create_engine("clickhouse+http://nobody@nowhere/none").dialect
    assert pipeline.zone.key == "Europe/London"
    assert " PARTITION BY shift_date\n" in str(CreateTable(pipeline.fact_table).compile(dialect=dialect))


def test_another_teams_pipeline_is_loaded_with_its_own_table_and_weights() -> None:
    pipeline = load_pipeline(Settings(pipeline=f"{__name__}:BARE", timezone="Europe/London", partition_by="day"))
    assert pipeline.fact_table is BARE.fact_table
    assert pipeline.risk_weights == {"event_type": {"REMARK": 7.0}}
    assert pipeline.zone.key == "Europe/London"


def test_a_weights_file_replaces_the_built_in_weights(tmp_path: Path) -> None:
    path = tmp_path / "weights.yaml"
    path.write_text("event_type: {REMARK: 3}\nsuspicious_activity: {true: 5}\n", encoding="utf-8")
    pipeline = load_pipeline(Settings(risk_weights=path))
    assert pipeline.risk_weights == {"event_type": {"REMARK": 3}, "suspicious_activity": {True: 5}}
    assert SENTINEL.risk_weights["event_type"]["REMARK"] == 1.0


def test_a_weights_file_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "weights.yaml"
    path.write_text("event_type: {REMARK: lots}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"^risk weights: event_type\.REMARK: expected a finite number"):
        load_pipeline(Settings(risk_weights=path))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param(
            "nonsense", "expected module:attribute, found 'nonsense': No module named 'nonsense'", id="module"
        ),
        pytest.param(":SENTINEL", "expected module:attribute, found ':SENTINEL': ", id="no module"),
        pytest.param(f"{__name__}:MISSING", f"expected module:attribute, found '{__name__}:MISSING': ", id="attribute"),
        pytest.param(
            f"{__name__}:NOT_A_PIPELINE",
            f"expected {__name__}:NOT_A_PIPELINE to be a Pipeline, found str",
            id="not a pipeline",
        ),
        pytest.param(
            ".pipeline:SENTINEL",
            "expected module:attribute, found '.pipeline:SENTINEL': ",
            id="a relative module",
        ),
    ],
)
def test_a_pipeline_that_cannot_be_imported_is_refused_by_the_settings_name(name: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_pipeline(Settings(pipeline=name))
    assert str(refused.value).startswith(f"SENTINEL_PIPELINE: {message}")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param("\nmodel.misspelt", "line 2: NameError: name 'model' is not defined", id="a misspelt name"),
        pytest.param(
            "from sentinel_etl.config.source_models import Remark\nRemark.remark_txt",
            "line 2: AttributeError: type object 'Remark' has no attribute 'remark_txt'",
            id="a misspelt column",
        ),
        pytest.param("import sentinel_nowhere", "line 1: ModuleNotFoundError: No module named", id="what it imports"),
        pytest.param("raise KeyError('ward')", "line 1: KeyError: 'ward'", id="its own error"),
        pytest.param("def f(:\n", ".py: SyntaxError: ", id="no Python"),
    ],
)
def test_a_pipeline_s_module_that_fails_is_told_by_its_own_line(
    body: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"team_{abs(hash(body))}"
    (tmp_path / f"{name}.py").write_text(body, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigurationError) as refused:
        load_pipeline(Settings(pipeline=f"{name}:PIPELINE"))
    told = str(refused.value)
    assert told.startswith(f"SENTINEL_PIPELINE: expected {name} to be imported; it fails at {tmp_path / name}.py")
    assert message in told
    assert told.endswith(". Correct that module")
