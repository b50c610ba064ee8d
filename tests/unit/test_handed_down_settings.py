"""What a run's kernel and a Dask worker get of the settings of who started them: all but the secrets."""

from __future__ import annotations

import json

import pytest
from pydantic import SecretStr

from sentinel_etl.brief import Brief
from sentinel_etl.settings import SECRETS, Settings, hand_down, load_settings


def test_no_secret_is_handed_down_and_everything_else_is() -> None:
    secrets = {
        name: SecretStr("postgresql://u:hunter2@db/city" if name.endswith("_url") else "k" * 32)
        for name, setting in Settings.model_fields.items()
        if SecretStr in getattr(setting.annotation, "__args__", (setting.annotation,))
    }
    assert {"source_url", "pii_key", "openlineage_url", "openlineage_api_key"} <= secrets.keys()
    secrets["openlineage_url"] = SecretStr("https://hunter2@lineage.example.org")
    told = hand_down(Settings(**secrets, batch_rows=2_000))
    assert told.keys() == Settings.model_fields.keys() - secrets.keys()
    assert secrets.keys() == SECRETS
    assert "hunter2" not in json.dumps(told)


def test_what_is_handed_down_counts_before_the_environment_defaults_too(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Settings(batch_rows=2_000)
    brief = Brief(hand_down(given), tuple(given.model_fields_set - SECRETS))
    others = {"SENTINEL_TIMEZONE": "UTC", "SENTINEL_BATCH_ROWS": "9000", "SENTINEL_RISK_WEIGHTS": "other.yaml"}
    for name, value in {**others, "SENTINEL_PII_KEY": "of this machine's own", **brief.variables()}.items():
        monkeypatch.setenv(name, value)
    found = load_settings()
    assert (found.timezone, found.batch_rows, found.risk_weights) == ("Asia/Kolkata", 2_000, None)
    assert found.pii_key == SecretStr("of this machine's own")
    assert found.model_dump(exclude=set(SECRETS)) == given.model_dump(exclude=set(SECRETS))
    assert found.model_fields_set - SECRETS == given.model_fields_set - SECRETS
