"""The advisory locks of runs: who can take one, who holds one, and under which name."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from given_servers import drop_source
from sqlalchemy import Engine, text

from sentinel_etl.errors import WindowLocked
from sentinel_etl.source.connection import connect_source
from sentinel_etl.source.locks import held_names, hold_locks, run_lock, session_name, try_lock


def test_a_name_s_lock_is_one_session_s_and_goes_with_it(source_engine: Engine) -> None:
    with connect_source(source_engine) as other:
        with connect_source(source_engine) as session:
            assert try_lock(session, "run a")
            assert not try_lock(other, "run a")
            assert try_lock(other, "run b")
        # The server ends a session in its own time.
        deadline = time.monotonic() + 30
        while not (free := try_lock(other, "run a")) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert free


def test_locks_are_free_for_whoever_comes_next_once_their_block_has_ended(source_engine: Engine) -> None:
    with connect_source(source_engine) as other:
        for turn in range(20):
            with hold_locks(source_engine, ["a"], f"turn {turn}", 0):
                assert held_names(other, ["a"]) == {"a"}
            assert held_names(other, ["a"]) == set()


def test_of_names_those_are_told_whose_locks_somebody_holds(source_engine: Engine) -> None:
    # Keys of both signs: the upper half of a negative one has its first bit set.
    names = [f"run {number}" for number in range(16)]
    with connect_source(source_engine) as other:
        with hold_locks(source_engine, names[::2], "a test", 0):
            assert held_names(other, names) == set(names[::2])
            assert held_names(other, iter(names[:1])) == {names[0]}
            assert held_names(other, []) == set()
        assert held_names(other, names) == set()


def test_a_lock_of_another_database_of_the_server_is_neither_held_here_nor_its_holder_named(
    source_engine: Engine, make_source: Callable[[str | None], Engine]
) -> None:
    elsewhere = make_source(None)
    with hold_locks(elsewhere, ["a"], "a stranger", 0), connect_source(source_engine) as other:
        assert held_names(other, ["a"]) == set()
        with (
            hold_locks(source_engine, ["a"], "the holder", 0),
            pytest.raises(WindowLocked, match=r"; the holder \(since "),
            hold_locks(source_engine, ["a"], "who waits", 0),
        ):
            pass
    drop_source(elsewhere)


@pytest.mark.parametrize(
    ("run_id", "name"),
    [
        pytest.param("20261122T003000Z_ab12", "sentinel-etl run 20261122T003000Z_ab12", id="whole"),
        pytest.param("x" * 80, "sentinel-etl run " + "x" * 46, id="cut at 63 bytes"),
        pytest.param("x" * 45 + "ಅ", "sentinel-etl run " + "x" * 45, id="no half of a letter"),
    ],
)
def test_a_run_s_session_has_the_name_that_the_server_shows(source_engine: Engine, run_id: str, name: str) -> None:
    assert session_name(run_id) == name
    with hold_locks(source_engine, [run_lock(run_id)], session_name(run_id), 0), source_engine.connect() as other:
        shown = other.scalars(text("SELECT application_name FROM pg_stat_activity")).all()
    assert name in shown


def test_a_holder_s_name_is_cut_as_a_session_s_is(source_engine: Engine) -> None:
    with hold_locks(source_engine, ["a"], "x" * 80, 0), source_engine.connect() as other:
        shown = other.scalars(text("SELECT application_name FROM pg_stat_activity")).all()
    assert "x" * 63 in shown
