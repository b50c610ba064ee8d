"""Takes suggestions through what a person would do with them: execute the page, check it, load its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from sentinel_etl.config.parse_config import parse_event_config
from sentinel_etl.extract.check_keys import check_keys
from sentinel_etl.extract.check_source import check_source
from sentinel_etl.onboarding.live.read_table import read_table
from sentinel_etl.onboarding.suggestion.models import find_models
from sentinel_etl.onboarding.suggestion.suggest_entry import suggest_entry
from sentinel_etl.onboarding.suggestion.suggestion import Suggestion
from sentinel_etl.onboarding.suggestion.suggestion_page import write_page
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.source.sql import compile_sql
from sentinel_etl.window import Window

ZONE = ZoneInfo("Asia/Kolkata")
NIGHT = Window.night(date(2026, 11, 21), ZONE)


@dataclass(frozen=True)
class Tried:
    """A suggestion, its page, and what the page's EVENT_CONFIG is once it is executed."""

    suggestion: Suggestion
    page: str
    config: Mapping[str, Mapping[str, Any]]

    @property
    def notes(self) -> str:
        return "\n".join(self.suggestion.notes)


def suggest(
    source: Engine, name: str, pipeline: Pipeline | None = None, models: Mapping[str, Any] | None = None
) -> Tried:
    """Suggest an entry, execute its page, and see that it passes every check and means what the entry says."""
    given = find_models(pipeline) if pipeline is not None else models or {}
    fact_table = pipeline.fact_table if pipeline is not None else None
    live = read_table(source, name)
    suggestion = suggest_entry(live, fact_table, given, source, zone=ZONE, window=NIGHT, pipeline=pipeline)
    page = write_page(suggestion, NIGHT, ZONE)
    names: dict[str, Any] = dict(models or {})
    exec(compile(page, "<page>", "exec"), names)  # noqa: S102 - what a person would paste
    tried = Tried(suggestion, page, names["EVENT_CONFIG"])
    expect_passing(tried, source, pipeline)
    return tried


def expect_passing(tried: Tried, source: Engine, pipeline: Pipeline | None) -> None:
    common = pipeline.common_columns if pipeline is not None else ()
    executed = parse_event_config(tried.config, common)
    returned = parse_event_config({tried.suggestion.name: tried.suggestion.entry}, common)
    for name, kind in executed.items():
        assert list(map(compile_sql, kind.expressions())) == list(map(compile_sql, returned[name].expressions()))
    if pipeline is not None:
        replace(pipeline, event_config={**pipeline.event_config, **tried.config}).check()
    found = [*check_source(executed.values(), source), *check_keys(executed.values(), source)]
    blocking = [str(each) for each in found if each.blocking]
    assert blocking == [], blocking
