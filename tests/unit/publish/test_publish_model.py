"""Of the protocol by which runs publish: no order of statements, kills and lost sessions breaks a promise.

Each way to do it wrong is tried as well, and must be found out: a check that cannot fail proves nothing.
"""

from __future__ import annotations

from functools import cache

import pytest
from adversity.soak import EXPLORED, SOAK
from publish_model.exploration import Exploration
from publish_model.state import FACT, KEPT, Content, Job, Protocol, Run, State
from publish_model.transitions import broken_promise, explore_runs


def job(name: str, *window: str, parts: int = 1, **staged: str) -> Job:
    """Make a job: the keys of its window, and of each partition the staged keys."""
    filled = tuple((partition, tuple(keys.split())) for partition, keys in staged.items())
    return Job(name, frozenset(window), filled, parts)


def content(**keys: str) -> Content:
    """Make a table's rows, all of earlier runs: the keys in each partition."""
    return frozenset((partition, tuple((key, "earlier") for key in names.split())) for partition, names in keys.items())


# Rows of the windows below, and others beside them that must stay.
EARLIER = content(p1="a1 b1 x", p2="a2 y", p3="b3")
A = job("A", "a1", "a2", p1="a1", p2="a2")
SWEEP = Job("sweep", frozenset(), (), only_sweeps=True)

# Jobs at the same time, and how much goes wrong: 2 is a kill or a lost session of each, or both of one.
PAIRINGS: dict[str, tuple[tuple[Job, ...], int]] = {
    "both exchange, one partition in common": ((A, job("B", "b1", p1="b1")), 1),
    "both exchange, none in common": ((A, job("B", "b3", p3="b3")), 1),
    "one exchanges, one attaches to a partition of the other": ((A, job("B", "new", p1="new")), 2),
    "one exchanges, one attaches elsewhere": ((A, job("B", "new", p3="new")), 1),
    "both attach to one partition": ((job("A", "new", p1="new"), job("B", "more", p1="more")), 2),
    "the same night twice, not there before": ((job("A", "new", p1="new"), job("B", "new", p1="new")), 2),
    "the same night twice, there before": ((job("A", "a1", p1="a1"), job("B", "a1", p1="a1")), 1),
    "several staged parts beside a new partition": ((job("A", "n", parts=2, p1="n"), job("B", "m", p4="m")), 1),
    "an event changes its partition, a night is empty": ((job("A", "a1", "a2", p1="", p2="b1"), job("B", p1="a2")), 1),
    "an exchange and an attach beside a sweep": ((job("A", "new", p1="new"), job("B", "a2", p2="a2"), SWEEP), 0),
}
LONGER: dict[str, tuple[tuple[Job, ...], int]] = {
    "three runs": ((job("A", "n", p1="n"), job("B", "a2", p2="a2"), job("C", "c", p1="c")), 1),
    "an exchange and an attach beside a sweep": (PAIRINGS["an exchange and an attach beside a sweep"][0], 1),
}
BOUNDS = PAIRINGS if not SOAK else {name: (jobs, 2) for name, (jobs, _) in PAIRINGS.items()} | LONGER


@cache
def explored(name: str) -> Exploration[State]:
    jobs, faults = BOUNDS[name]
    found = explore_runs(EARLIER, jobs, Protocol(faults))
    EXPLORED[name] = f"{found.states:,} states, {found.transitions:,} transitions, {int(bool(found.broken))} mismatches"
    return found


@pytest.mark.parametrize("name", BOUNDS)
def test_no_order_of_statements_kills_and_lost_sessions_breaks_a_promise(name: str) -> None:
    found = explored(name)
    assert not found.broken, str(found)
    assert found.ends


@pytest.mark.parametrize("name", BOUNDS)
def test_no_runs_wait_for_each_other_without_end(name: str) -> None:
    assert not [end for end in explored(name).ends if any(run.state == "works" for run in end.runs)]


@pytest.mark.parametrize("name", BOUNDS)
def test_where_nothing_goes_wrong_all_is_published(name: str) -> None:
    jobs, _ = BOUNDS[name]
    found = explore_runs(EARLIER, jobs, Protocol(faults=0))
    assert found.ends
    for end in found.ends:
        assert {run.state for run in end.runs} == {"done"}
        assert len(end.published) == 1 + sum(not one.only_sweeps for one in jobs)


def test_an_exchange_keeps_the_version_before_and_no_older_one() -> None:
    jobs, _ = PAIRINGS["the same night twice, there before"]
    found = explore_runs(EARLIER, jobs, Protocol(faults=1))
    assert found.ends
    assert all(sum(name.startswith(KEPT) for name, _ in end.tables) <= 1 for end in found.ends)
    whole = [end for end in found.ends if (f"{KEPT}B1", end.published[-2]) in end.tables]
    assert any(len(end.published) == 3 for end in whole)


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("both exchange, none in common", "A1: exchange FACT and next A1: refused"),
        ("both exchange, none in common", "B1: drop next A1"),
        ("one exchanges, one attaches elsewhere", "B1: attach FACT p3 staging B1: refused"),
        ("both exchange, one partition in common", "A1: check the session: refused"),
        ("both exchange, one partition in common", "A is run again as A2"),
        ("both exchange, one partition in common", "B1: lock session p1"),
        ("the same night twice, there before", "B1: drop before A1"),
    ],
)
def test_what_the_protocol_guards_against_is_among_what_was_tried(name: str, step: str) -> None:
    assert step in explored(name).steps


ELSEWHERE = (job("A", "new", p1="new"), job("B", "b3", p3="b3"))
TOGETHER = (A, job("B", "b1", p1="b1"))
SAME = (job("A", "new", p1="new"), job("B", "new", p1="new"))
WRONG: dict[str, tuple[tuple[Job, ...], Protocol, str]] = {
    "no fence": (ELSEWHERE, Protocol(fenced_at_start=False, fenced_before_clone=False), "A1 loses its session"),
    "no fence before the clone": (ELSEWHERE, Protocol(fenced_before_clone=False), "A1 loses its session"),
    "no fence at the start, and the rest is too old": (
        TOGETHER,
        Protocol(fenced_at_start=False),
        "attach rest B1 p1 FACT",
    ),
    "no fence at the start, and a night is attached twice": (
        SAME,
        Protocol(fenced_at_start=False),
        "A1 loses its session",
    ),
    "no table lock": (ELSEWHERE, Protocol(faults=0, table_locked=False), "clone FACT as next B1"),
    "a session of its own for the table lock": (
        ELSEWHERE,
        Protocol(table_lock_session="table session"),
        "A1 loses its table session",
    ),
    "partitions attached before the table lock": (
        ELSEWHERE,
        Protocol(faults=0, cloned_under_lock=False),
        "list other partitions for next B1",
    ),
    "no check before the switch": (ELSEWHERE, Protocol(checked=False), "loses its session"),
    "the fence takes the locks that it asks for": (
        (*ELSEWHERE, SWEEP),
        Protocol(attempts=1, probes_by_locking=True),
        "sweep1: look for their runs' locks",
    ),
    "DROP does not wait for a statement that uses the table": (
        ELSEWHERE,
        Protocol(attach_takes_time=True, drop_waits=False),
        "A1: begin to attach FACT p1 staging A1",
    ),
    "EXCHANGE sent again": ((A,), Protocol(faults=0, exchange_repeated=True), "and the answer is lost"),
    "REPLACE PARTITION one by one": ((A,), Protocol(faults=0, by_replace=True), "replace FACT p1"),
    "REPLACE PARTITION before 26.6": (
        (job("A", "a1", p1="a1"),),
        Protocol(faults=0, by_replace=True, restart_revives=True),
        "the warehouse restarts",
    ),
}


@pytest.mark.parametrize(("jobs", "protocol", "step"), WRONG.values(), ids=WRONG)
def test_each_way_to_do_it_wrong_is_found_out_with_the_steps_that_lead_there(
    jobs: tuple[Job, ...], protocol: Protocol, step: str
) -> None:
    found = explore_runs(EARLIER, jobs, protocol)
    print(found)
    assert found.broken
    assert any(step in one for one in found.trace), str(found)


@pytest.mark.parametrize(
    ("jobs", "protocol"),
    [
        (ELSEWHERE, Protocol(attach_takes_time=True)),
        (TOGETHER, Protocol(faults=0, restart_revives=True)),
        ((job("A", "a1", p1="a1"),), Protocol(by_replace=True)),
    ],
    ids=["an attach that takes time", "an exchange before 26.6", "one partition replaced since 26.6"],
)
def test_what_differs_from_a_wrong_way_in_one_thing_breaks_no_promise(
    jobs: tuple[Job, ...], protocol: Protocol
) -> None:
    found = explore_runs(EARLIER, jobs, protocol)
    assert not found.broken, str(found)


@pytest.mark.parametrize(
    ("tables", "broken"),
    [
        ({FACT: content(p1="a b")}, ""),
        ({FACT: content(p1="a a b")}, "FACT holds"),
        ({FACT: content(p1="a")}, "FACT holds"),
        ({FACT: content(p2="a b")}, "FACT holds"),
        ({FACT: content(p1="a b"), f"{KEPT}A1": content(p1="a b")}, ""),
        ({FACT: content(p1="a b"), f"{KEPT}A1": content(p1="a")}, "before A1 holds"),
        ({FACT: content(p1="a b"), "rest A1": content()}, ""),
        ({FACT: content(p1="a b"), "rest B1": content()}, "the sweep left rest B1"),
    ],
    ids=["whole", "twice", "lost", "moved", "kept whole", "kept in part", "dead run's table", "lock held for ever"],
)
def test_a_broken_promise_is_named(tables: dict[str, Content], broken: str) -> None:
    left = Run(job("B"), 1, (), frozenset({("session", "run B1")}), state="failed")
    state = State(frozenset(tables.items()), (left,), (content(p1="a b"),), 0)
    assert broken_promise(state, Protocol()).startswith(broken)
    assert bool(broken_promise(state, Protocol())) == bool(broken)
