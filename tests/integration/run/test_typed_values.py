"""Values of every type: each arrives as it is, or is rejected with a reason; an edit of each is seen and healed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from adversity.soak import SOAK
from pydantic import SecretStr
from sqlalchemy import Engine, text
from typed_values import CASES, NIGHT, Case, build_pipeline, fill_source, micros

from sentinel_etl.arrow import as_arrow
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.reconcile.compare import compare_fingerprints
from sentinel_etl.run.result import RunResult
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import query_df, run_statement

# A type in `make test`, and in `make soak`.
VALUES = 2_000 if SOAK else 100
THE_NIGHT = [NIGHT.shift_dates(build_pipeline().zone)[0]]

Moved = tuple[Engine, Engine, Pipeline]


@pytest.fixture(scope="module", params=["arrow", "to_sql"])
def moved(
    request: pytest.FixtureRequest,
    make_source: Callable[[str | None], Engine],
    make_warehouse: Callable[[], Engine],
) -> Moved:
    source, warehouse, pipeline = make_source(None), make_warehouse(), build_pipeline()
    fill_source(source, VALUES, seed_number=SOAK)
    pipeline.check()
    load(source, warehouse, pipeline, request.param)
    return source, warehouse, pipeline


def load(source: Engine, warehouse: Engine, pipeline: Pipeline, loader: str = "arrow") -> RunResult:
    return run_window(
        NIGHT,
        source=source,
        warehouse=warehouse,
        pipeline=pipeline,
        settings=Settings(loader=loader),
        allow_shrink=True,
    )


def read_pairs(moved: Moved, case: Case, column: str) -> list[tuple[Any, Any]]:
    """Read a column on both sides, as each engine writes it, of the rows that are loaded."""
    source, warehouse, _ = moved
    fact_column = f"{column}_{case.label}"
    here, there = case.fact_sql.format(fact_column), case.source_sql.format("v")
    if column == "a":
        here = f"arrayMap(x -> {case.fact_sql.format('x')}, {fact_column})"
        there = f"(SELECT array_agg({case.source_sql.format('e')} ORDER BY n) FROM unnest(a) WITH ORDINALITY u(e, n))"
    statement = f"SELECT event_id, {here} AS value FROM typed_events WHERE event_type = '{case.name}'"
    read = dict(read_source(source, f"SELECT '{case.name}:' || id, {there} FROM t_{case.label}"))
    stored = as_arrow(query_df(warehouse, statement))
    return [(read[row["event_id"]], row["value"]) for row in stored.to_pylist()]


def read_source(source: Engine, statement: str) -> list[Any]:
    with source.connect() as connection:
        return list(connection.exec_driver_sql(statement.replace("%", "%%")))


def same(case: Case, source: Any, fact: Any) -> bool:
    there = None if source is None else case.read_source(source)
    here = None if fact is None else case.read_fact(fact)
    if case.fact.startswith("Map") and source is None:
        return here == {}
    return bool(there == here)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_value_is_stored_as_it_is_or_rejected_with_a_reason(moved: Moved, case: Case) -> None:
    pairs = read_pairs(moved, case, "v")
    assert [(there, here) for there, here in pairs if not same(case, there, here)] == []
    assert len(pairs) > VALUES / 50
    reasons = run_statement(
        moved[1], f"SELECT count(), min(reason) FROM typed_events_rejected WHERE event_type = '{case.name}'"
    )
    assert int(reasons[0][0]) + len(pairs) == VALUES
    assert int(reasons[0][0]) == 0 or reasons[0][1]


@pytest.mark.parametrize("case", [case for case in CASES if case.arrays], ids=lambda case: case.name)
def test_an_element_is_stored_as_a_value_of_its_own_would_be(moved: Moved, case: Case) -> None:
    changed = []
    for there, here in read_pairs(moved, case, "a"):
        if len(there or []) != len(here) or not all(map(same, [case] * len(here), there or [], here)):
            changed.append((there, here))
    assert changed == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_value_as_a_key_makes_an_event_of_its_own(moved: Moved, case: Case) -> None:
    source, warehouse, _ = moved
    statement = f"SELECT source_id, event_id FROM typed_events WHERE event_type = 'K_{case.name}'"
    read = read_source(
        source, f"SELECT id, 'K_{case.name}:' || v::text FROM t_{case.label} WHERE first AND v IS NOT NULL"
    )
    assert {int(key): event_id for key, event_id in run_statement(warehouse, statement, repeatable=True)} == dict(read)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_details_hold_the_source_s_own_digits(moved: Moved, case: Case) -> None:
    source, warehouse, _ = moved
    statement = f"SELECT event_id, details_json FROM typed_events WHERE event_type = '{case.name}'"
    stored = as_arrow(query_df(warehouse, statement)).to_pylist()
    read = dict(read_source(source, f"SELECT '{case.name}:' || id, d::text FROM t_{case.label}"))
    changed = []
    for row in stored:
        details = json.loads(row["details_json"] or "{}", parse_int=str, parse_float=str)
        there, kept = read[row["event_id"]], details.get(f"d_{case.label}")
        if not same_detail(there, kept):
            changed.append((there, kept))
    assert changed == []


def same_detail(there: str | None, kept: Any) -> bool:
    if isinstance(kept, bool):
        kept = str(kept).lower()
    if kept == there or (kept is None and there == "NaN"):
        return True
    if there is None or kept is None:
        return False
    if there.startswith("\\x"):
        return bytes.fromhex(there[2:]) == str(kept).encode()
    plain = str(kept).replace("T", " ").replace("Z", "+00")
    if there.replace("Infinity", "inf") == kept:
        return True
    if plain.endswith("+00"):
        return micros(plain) == micros(there)
    return float(kept) == float(there)


@pytest.fixture(scope="module")
def edited(make_source: Callable[[str | None], Engine], make_warehouse: Callable[[], Engine]) -> Moved:
    """Values that tests may change, and that are loaded again after each change."""
    source, warehouse, pipeline = make_source(None), make_warehouse(), build_pipeline()
    fill_source(source, VALUES, seed_number=SOAK)
    load(source, warehouse, pipeline)
    return source, warehouse, pipeline


@pytest.mark.parametrize("column", ["v", "a", "d"])
def test_an_edit_of_any_value_is_seen_and_healed(edited: Moved, column: str) -> None:
    source, warehouse, pipeline = edited
    before = compare_fingerprints(THE_NIGHT, pipeline, source, warehouse)
    assert differing(before) == {}
    names = [case.name for case in CASES if edit(source, warehouse, case, column)]
    found = compare_fingerprints(THE_NIGHT, pipeline, source, warehouse).set_index("event_type")
    unseen = [name for name in names if found.loc[name, "content"]]
    told = {name: "details_json" if column == "d" else f"{column}_{name.lower()}" for name in unseen}
    assert [name for name in unseen if told[name] not in found.loc[name, "not_compared"]] == []
    assert len(names) > len(CASES) * 0.8
    load(source, warehouse, pipeline)
    after = compare_fingerprints(THE_NIGHT, pipeline, source, warehouse)
    assert differing(after) == {}


def differing(table: pd.DataFrame) -> dict[str, tuple[bool, bool]]:
    rows = zip(table["event_type"], table["keys"], table["content"], strict=True)
    return {name: (keys, content) for name, keys, content in rows if not (keys and content)}


def edit(source: Engine, warehouse: Engine, case: Case, column: str) -> bool:
    """Give a loaded row the value of another loaded row that has another; tell whether there are two such."""
    statement = f"SELECT event_id FROM typed_events WHERE event_type = '{case.name}'"
    loaded = {event_id for (event_id,) in run_statement(warehouse, statement, repeatable=True)}
    texts = f"SELECT id, {column}::text FROM t_{case.label} WHERE {column} IS NOT NULL ORDER BY id"
    rows = [(key, value) for key, value in read_source(source, texts) if f"{case.name}:{key}" in loaded]
    read = case.read_source if column == "v" else str
    first = rows[0]
    other = next((row for row in rows if read(row[1]) != read(first[1]) and "NaN" not in row[1] + first[1]), None)
    if other is None:
        return False
    with source.begin() as connection:
        connection.execute(
            text(
                f"UPDATE t_{case.label} SET {column} = "
                f"(SELECT {column} FROM t_{case.label} WHERE id = :other) WHERE id = :first"
            ),
            {"first": first[0], "other": other[0]},
        )
    return True


def test_hashes_are_equal_where_values_are_and_an_edit_behind_one_is_seen_and_healed(
    make_source: Callable[[str | None], Engine], make_warehouse: Callable[[], Engine]
) -> None:
    source, warehouse = make_source(None), make_warehouse()
    personal = {f"d_{case.label}": "what a test says" for case in CASES}
    pipeline = build_pipeline(personal=personal, pii="hash", pii_key=SecretStr("k" * 32))
    fill_source(source, VALUES, seed_number=SOAK)
    pipeline.check()
    load(source, warehouse, pipeline)
    for case in CASES:
        assert misjudged_hashes(source, warehouse, case) == [], case.name
    before = compare_fingerprints(THE_NIGHT, pipeline, source, warehouse)
    assert differing(before) == {}
    assert [told for told in before["not_compared"] if "hashed" in told] == []
    edited = [case.name for case in CASES if edit(source, warehouse, case, "d")]
    found = compare_fingerprints(THE_NIGHT, pipeline, source, warehouse)
    assert sorted(differing(found)) == sorted(edited)
    load(source, warehouse, pipeline)
    assert differing(compare_fingerprints(THE_NIGHT, pipeline, source, warehouse)) == {}


def misjudged_hashes(source: Engine, warehouse: Engine, case: Case) -> list[tuple[Any, Any]]:
    """Find values that have two hashes, hashes that two values have, and values that stand there in clear."""
    statement = f"SELECT event_id, details_json FROM typed_events WHERE event_type = '{case.name}'"
    read = dict(read_source(source, f"SELECT '{case.name}:' || id, d::text FROM t_{case.label}"))
    pairs = set()
    for row in as_arrow(query_df(warehouse, statement)).to_pylist():
        kept = json.loads(row["details_json"] or "{}").get(f"d_{case.label}")
        there = read[row["event_id"]]
        unknown = there is None or (there == "NaN" and case.read_source(there) is None)
        if (kept is None) != unknown or kept == there is not None:
            return [(there, kept)]
        pairs.add((there, kept))
    known = [pair for pair in pairs if pair[1] is not None]
    hashes = {kept for _, kept in known}
    return [] if len(known) == len({there for there, _ in known}) == len(hashes) else sorted(known)
