"""What may happen in a state, and what must hold in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from publish_model.exploration import Exploration, explore
from publish_model.program import first_steps
from publish_model.state import FACT, KEPT, Content, Job, Protocol, Run, State, add
from publish_model.statements import STATEMENTS, Move, MustWait, Refused, written_by


def explore_runs(fact: Content, jobs: Sequence[Job], protocol: Protocol) -> Exploration[State]:
    """Try every order of the steps of these jobs, beside what may go wrong."""
    runs = tuple(begin(job, 1, protocol) for job in jobs)
    start = State(frozenset({(FACT, fact)}), runs, (fact,), protocol.faults)
    return explore(start, partial(successors, protocol=protocol), partial(broken_promise, protocol=protocol))


def begin(job: Job, attempt: int, protocol: Protocol) -> Run:
    run = Run(job, attempt, ())
    return run._replace(todo=first_steps(run, protocol))


def successors(state: State, protocol: Protocol) -> Iterator[tuple[str, State]]:
    for number, run in enumerate(state.runs):
        if run.state == "works":
            yield from take_step(state, number, protocol)
            if state.faults:
                yield from fault(state, number)
        elif run.state == "failed" and run.attempt < protocol.attempts:
            again = begin(run.job, run.attempt + 1, protocol)
            yield f"{run.job.name} is run again as {again.run_id}", with_run(state, number, again)
    yield "the warehouse restarts", restart(state, protocol)


def take_step(state: State, number: int, protocol: Protocol) -> Iterator[tuple[str, State]]:
    run = state.runs[number]
    verb, *names = run.todo[0]
    label = f"{run.run_id}: {' '.join((verb, *names))}"
    move = Move(state, number, protocol)
    try:
        STATEMENTS[verb](move, *names)
    except MustWait:
        return
    except Refused:
        yield f"{label}: refused", with_run(state, number, run.ended("failed"))
        return
    yield label, move.after()
    if protocol.exchange_repeated and verb.startswith("exchange"):
        move.todo = run.todo
        yield f"{label}, and the answer is lost", move.after()


def fault(state: State, number: int) -> Iterator[tuple[str, State]]:
    run, state = state.runs[number], state._replace(faults=state.faults - 1)
    yield f"{run.run_id} is killed", with_run(state, number, run.ended("failed"))
    for session in sorted({session for session, _ in run.locks}):
        locks = frozenset(pair for pair in run.locks if pair[0] != session)
        lost = run._replace(locks=locks, lost=run.lost | {session})
        yield f"{run.run_id} loses its {session}, and goes on", with_run(state, number, lost)


def with_run(state: State, number: int, run: Run) -> State:
    return state._replace(runs=(*state.runs[:number], run, *state.runs[number + 1 :]))


def restart(state: State, protocol: Protocol) -> State:
    """Tables survive; the statements that it breaks off are those of a killed run."""
    if not (protocol.restart_revives and state.outdated):
        return state
    tables = dict(state.tables)
    for partition, rows in state.outdated:
        tables[FACT] = add(tables[FACT], partition, rows)
    return state._replace(tables=frozenset(tables.items()), outdated=frozenset())


def broken_promise(state: State, protocol: Protocol) -> str:
    """Say what a reader, or who wants an earlier version back, would find wrong now."""
    tables = dict(state.tables)
    if state.broken:
        return state.broken
    if tables[FACT] != state.published[-1]:
        return f"FACT holds {show(tables[FACT])}; expected {show(state.published[-1])}"
    for name, content in tables.items():
        if name.startswith(KEPT) and content not in state.published:
            return f"{name} holds {show(content)}, which FACT never did"
    if all(run.state != "works" for run in state.runs):
        return broken_at_end(state, protocol)
    return ""


def broken_at_end(state: State, protocol: Protocol) -> str:
    """Say what is wrong where no run works: published or not, and what the next sweep leaves."""
    written = set().union(*(written_by(content) for content in state.published))
    for run in state.runs:
        if run.state == "done" and not run.job.only_sweeps and run.run_id not in written:
            return f"{run.run_id} ended well, and published nothing"
    left = [name for name in dict(sweep(state, protocol).tables) if name != FACT and not name.startswith(KEPT)]
    return f"the sweep left {', '.join(left)}" if left else ""


def sweep(state: State, protocol: Protocol) -> State:
    """Let the next run sweep, alone."""
    number = len(state.runs)
    sweeper = begin(Job("sweeper", frozenset(), (), only_sweeps=True), 1, protocol)
    state = state._replace(runs=(*state.runs, sweeper))
    while state.runs[number].state == "works":
        ((_, state),) = take_step(state, number, protocol)
    return state


def show(content: Content) -> str:
    parts = (f"{name}: {', '.join(f'{key} of {run}' for key, run in rows)}" for name, rows in sorted(content))
    return "{" + "; ".join(parts) + "}"
