from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pydantic import SecretStr

from sentinel_etl.arrow import as_arrow, as_frame
from sentinel_etl.config.dimensions import Dimensions
from sentinel_etl.config.event_config import PERSONAL
from sentinel_etl.config.fact_table import build_patrol_events, shown_columns
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.pipeline import SENTINEL, Pipeline, load_pipeline
from sentinel_etl.rules.describe import describe_rules, hash_rules
from sentinel_etl.settings import Settings, hand_down
from sentinel_etl.transform.concatenate import concatenate
from sentinel_etl.transform.facts import transform_data
from sentinel_etl.transform.personal import protect_row
from sentinel_etl.window import Window

KEY = "k" * 32
NIGHT = Window(datetime(2026, 11, 21, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC))
HASHED = replace(SENTINEL, pii="hash", pii_key=SecretStr(KEY))
DROPPED = replace(SENTINEL, pii="drop")


def digest(text: str) -> str:
    return hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()[:32]


def transform(pipeline: Pipeline, **columns: list[Any]) -> list[dict[str, Any]]:
    rows = len(next(iter(columns.values())))
    always = {
        "source_key": [str(n) for n in range(rows)],
        "event_timestamp": pa.array([NIGHT.start] * rows, pa.timestamp("us", tz="UTC")),
        "patrol_id": [1] * rows,
        "station_id": [1] * rows,
        "created_by_officer_id": [1] * rows,
    }
    frame = concatenate({"REMARK": as_frame(pa.table({**always, **columns}))})
    return as_arrow(transform_data(frame, pipeline)).to_pylist()


def test_each_personal_column_is_one_of_the_fact_table_and_none_is_shown_in_a_report() -> None:
    assert set(PERSONAL) <= set(SENTINEL.fact_table.columns.keys())
    assert set(PERSONAL) & set(shown_columns(build_patrol_events().columns.keys(), Dimensions())) == set()


def test_a_kept_value_is_as_the_source_has_it() -> None:
    [row] = transform(SENTINEL, remark_text=["seen Asha"])
    assert (row["remark_text"], row["remark_length"]) == ("seen Asha", 9)


def test_a_hash_is_keyed_the_same_for_the_same_value_in_every_column_and_null_for_null() -> None:
    rows = transform(HASHED, remark_text=["KA01", "ಆಶಾ", "", None], vehicle_plate_number=["KA01", None, None, "KA01"])
    assert [row["remark_text"] for row in rows] == [digest("KA01"), digest("ಆಶಾ"), digest(""), None]
    assert [row["vehicle_plate_number"] for row in rows] == [digest("KA01"), None, None, digest("KA01")]


def test_a_dropped_value_is_null() -> None:
    [row] = transform(DROPPED, remark_text=["seen Asha"], stranger_name=["Asha"])
    assert (row["remark_text"], row["stranger_name"]) == (None, None)


@pytest.mark.parametrize("pipeline", [SENTINEL, HASHED, DROPPED], ids=["keep", "hash", "drop"])
def test_lengths_and_scores_are_of_the_words_themselves(pipeline: Pipeline) -> None:
    [row] = transform(pipeline, remark_text=["seen ಆಶಾ"], stranger_id_type=["NONE"])
    [plain] = transform(SENTINEL, remark_text=["seen ಆಶಾ"], stranger_id_type=["NONE"])
    assert row["remark_length"] == 8
    assert (row["base_risk_score"], row["risk_reasons"]) == (plain["base_risk_score"], plain["risk_reasons"])


def test_details_stay_json_and_an_extra_of_a_personal_label_is_protected_in_them() -> None:
    own = transform(HASHED, details_json=['{"caller": "Asha"}'])[0]["details_json"]
    assert own == f'"{digest("""{"caller": "Asha"}""")}"'
    classed = replace(HASHED, personal={**PERSONAL, "owner": "name"})
    extra = transform(classed, owner=["Asha"], height_m=[3])[0]["details_json"]
    assert extra == f'{{"owner":"{digest("Asha")}","height_m":3}}'
    assert transform(replace(classed, pii="drop"), owner=["Asha"], height_m=[3])[0]["details_json"] == '{"height_m":3}'


def test_a_raw_row_is_protected_by_label_and_by_what_is_coalesced_into_one() -> None:
    pipeline = replace(HASHED, coalesce={"stranger_name": ("given", "said")}, personal={"stranger_name": "name"})
    row = {"given": None, "said": "Asha", "latitude": 95.0}
    assert protect_row(row, pipeline) == {"given": None, "said": digest("Asha"), "latitude": 95.0}
    assert protect_row(row, replace(pipeline, pii="drop")) == {"latitude": 95.0}
    assert protect_row(row, replace(pipeline, pii="keep")) == row


@pytest.mark.parametrize("key", [None, "", "short"])
def test_hashing_without_a_proper_key_is_refused(key: str | None) -> None:
    settings = Settings(pii="hash", pii_key=key)
    with pytest.raises(ConfigurationError, match="SENTINEL_PII_KEY: expected a secret of at least 16 bytes"):
        load_pipeline(settings)


def test_a_risk_weight_on_a_personal_column_is_refused_because_its_reason_would_tell() -> None:
    pipeline = replace(SENTINEL, risk_weights={"vehicle_plate_number": {"KA01": 9.0}})
    with pytest.raises(ConfigurationError, match="expected no risk weights for it"):
        pipeline.check()


def test_a_personal_column_that_cannot_hold_a_hash_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"personal\.hotspot_id: expected a Nullable String"):
        replace(SENTINEL, personal={"hotspot_id": "place"}).check()


def test_the_policy_is_in_the_configuration_s_fingerprint_and_the_key_is_not() -> None:
    another_key = replace(HASHED, pii_key=SecretStr("another" * 5))
    prints = [hash_rules(describe_rules(pipeline)) for pipeline in (SENTINEL, HASHED, DROPPED, another_key)]
    assert len({*prints}) == 3
    assert prints[3] == prints[1]


def test_the_key_is_shown_nowhere_and_sent_to_no_worker() -> None:
    settings = Settings(pii="hash", pii_key=KEY)
    pipeline = load_pipeline(settings)
    assert KEY not in f"{settings!r} {pipeline!r} {pipeline}"
    told = hand_down(settings)
    assert told["pii"] == "hash"
    assert "pii_key" not in told
    assert KEY not in str(told)


def test_the_frame_that_comes_in_is_not_changed() -> None:
    frame = pd.DataFrame(
        {
            "event_type": ["REMARK"],
            "source_key": ["1"],
            "event_timestamp": [pd.Timestamp(NIGHT.start)],
            "remark_text": ["seen Asha"],
        }
    )
    transform_data(frame, HASHED)
    assert list(frame["remark_text"]) == ["seen Asha"]
