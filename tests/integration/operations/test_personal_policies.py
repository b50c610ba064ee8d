"""Nights that were loaded under another SENTINEL_PII are named, and stored anew by `reconcile --heal`."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from pydantic import SecretStr

from sentinel_etl.context import Context
from sentinel_etl.databases import Databases
from sentinel_etl.ledger.ledger import read_runs
from sentinel_etl.operations.check_nights import check_policy
from sentinel_etl.operations.heal import reconcile_nights
from sentinel_etl.operations.status import read_status
from sentinel_etl.pipeline import load_pipeline
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

LAST = date(2026, 11, 21)
NIGHTS = [LAST - timedelta(days=1), LAST]
MARK = "Zerubbabel"
MARKED = f"""
UPDATE remarks SET remark_text = '{MARK}';
UPDATE stranger_encounters SET name = '{MARK}';
UPDATE stranger_encounters SET latitude = 91 WHERE stranger_encounter_id = (SELECT min(stranger_encounter_id)
    FROM stranger_encounters WHERE created_at >= '2026-11-21 00:30+00');
"""
KEYS = [SecretStr(letter * 32) for letter in "xy"]


def context_of(databases: Databases, settings: Settings, pii: str, key: SecretStr = KEYS[0]) -> Context:
    own = settings.model_copy(update={"pii": pii, "pii_key": key, "lookback_nights": 0})
    return Context(own, load_pipeline(own), databases)


def load(context: Context, *nights: date, **options: str) -> None:
    window = Window(Window.night(nights[0]).start, Window.night(nights[-1]).end)
    result = run_window(window, context=context, event_types=list(options) or None, allow_shrink=True)
    assert result.published


def named(context: Context) -> tuple[date, ...]:
    other = read_status(context).other_policy
    return other.nights if other else ()


@pytest.fixture
def marked(databases: Databases) -> Databases:
    with databases.source.begin() as connection:
        connection.exec_driver_sql(MARKED)
    return databases


def places_of_mark(databases: Databases) -> list[str]:
    """Name the tables that hold the mark in any column: the two tables, and the kept states."""
    columns = run_statement(
        databases.warehouse,
        "SELECT table, name FROM system.columns WHERE database = currentDatabase() "
        "AND startsWith(table, 'patrol_events')",
    )
    found = set()
    for table, name in columns:
        count = f"SELECT countIf(position(toString(`{name}`), '{MARK}') > 0) FROM `{table}`"
        if run_statement(databases.warehouse, count) != [(0,)]:
            found.add(str(table))
    return sorted(found)


def test_the_ledger_keeps_each_run_s_policy_and_tells_two_keys_apart(databases: Databases, settings: Settings) -> None:
    contexts = [context_of(databases, settings, *given) for given in (("keep",), ("drop",))]
    contexts += [context_of(databases, settings, "hash", key) for key in KEYS]
    for context in contexts:
        load(context, LAST)
    kept = [run["pii"] for run in read_runs(databases.warehouse)][::-1]
    assert kept[:2] == ["keep", "drop"]
    assert [policy.split()[0] for policy in kept[2:]] == ["hash", "hash"]
    assert len({*kept}) == 4
    assert all(key.get_secret_value() not in policy for key in KEYS for policy in kept)


@pytest.mark.parametrize(("before", "after"), [("keep", "drop"), ("keep", "hash"), ("hash", "drop"), ("hash", "hash")])
def test_nights_of_another_policy_are_named_until_they_are_loaded_again(
    databases: Databases, settings: Settings, before: str, after: str
) -> None:
    old, new = context_of(databases, settings, before), context_of(databases, settings, after, KEYS[1])
    load(old, *NIGHTS)
    assert (named(old), named(new), check_policy(old)) == ((), tuple(NIGHTS), [])
    load(new, LAST)
    assert named(new) == (NIGHTS[0],)
    [told] = check_policy(new)
    assert not told.blocking
    assert f"in {NIGHTS[0]}. `sentinel-etl reconcile --days 2 --heal` stores it anew" in str(told)
    assert str(told).split(": ", 1)[1] in str(read_status(new))
    load(new, NIGHTS[0])
    assert (named(new), check_policy(new)) == ((), [])


def test_a_night_that_is_loaded_again_in_part_is_named_still(databases: Databases, settings: Settings) -> None:
    old, new = context_of(databases, settings, "keep"), context_of(databases, settings, "drop")
    load(old, LAST)
    load(new, LAST, REMARK="")
    assert named(new) == (LAST,)
    load(new, LAST)
    load(old, LAST, REMARK="")
    assert named(new) == (LAST,)


@pytest.mark.parametrize("pii", ["drop", "hash"])
def test_healing_stores_them_anew_in_both_tables_and_says_what_is_kept(
    marked: Databases, environment: Settings, monkeypatch: pytest.MonkeyPatch, pii: str
) -> None:
    load(context_of(marked, environment, "keep"), *NIGHTS)
    assert places_of_mark(marked) == ["patrol_events", "patrol_events_rejected"]
    new = context_of(marked, environment, pii)
    found = reconcile_nights(new, 2)
    assert found.other_policy is not None
    assert found.other_policy.nights == tuple(NIGHTS)
    monkeypatch.setenv("SENTINEL_PII", pii)
    monkeypatch.setenv("SENTINEL_PII_KEY", KEYS[0].get_secret_value())
    healed = reconcile_nights(new, 2, heal=True, allow_shrink=True)
    assert [result.error for result in healed.healed] == [""]
    assert healed.other_policy is None
    kept = [name for name in places_of_mark(marked) if "__before_" in name]
    assert places_of_mark(marked) == kept
    assert named(new) == ()
