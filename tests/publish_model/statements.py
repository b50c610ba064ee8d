"""What each statement of a run changes."""

from __future__ import annotations

from collections.abc import Callable

from publish_model.program import FENCE, later_steps
from publish_model.state import (
    FACT,
    KEPT,
    TABLE_LOCK,
    Content,
    Protocol,
    Run,
    State,
    add,
    publish,
    put,
    remove,
    rows_in,
    staged_rows,
)


class Refused(Exception):
    """The server refuses a statement, or the session is gone: the run ends."""


class MustWait(Exception):
    """The step cannot be taken yet."""


class Move:
    """One step of one run in the making: what it changes of the state before it."""

    def __init__(self, state: State, number: int, protocol: Protocol) -> None:
        self.before, self.number, self.protocol = state, number, protocol
        self.tables, self.published, self.outdated = dict(state.tables), state.published, state.outdated
        self.runs = list(state.runs)
        self.run = state.runs[number]
        self.todo = self.run.todo[1:]
        self.broken = ""

    def table(self, name: str) -> Content:
        if name not in self.tables:
            raise Refused
        return self.tables[name]

    def living(self) -> set[str]:
        """Name the runs whose lock is held."""
        return {lock.removeprefix("run ") for run in self.before.runs for _, lock in run.locks}

    def others(self) -> list[Run]:
        return [run for number, run in enumerate(self.before.runs) if number != self.number]

    def switched(self) -> None:
        """Note that the run's rows are published now, all of them."""
        if self.run.passed:
            self.broken = f"{self.run.run_id} switches, without its session, after another run has begun to clone"
        if not self.protocol.by_replace or self.run.run_id not in written_by(self.published[-1]):
            self.published = (*self.published, publish(self.published[-1], self.run))

    def after(self) -> State:
        run = self.run._replace(todo=self.todo) if self.todo else self.run.ended("done")
        self.runs[self.number] = run
        return State(
            frozenset(self.tables.items()),
            tuple(self.runs),
            self.published,
            self.before.faults,
            self.outdated,
            self.broken,
        )


def written_by(content: Content) -> set[str]:
    return {run_id for _, rows in content for _, run_id in rows}


def owner(table: str) -> str:
    return table.partition(" ")[2]


def lock(move: Move, session: str, name: str) -> None:
    if session in move.run.lost:
        raise Refused
    if any(name == held for run in move.before.runs for _, held in run.locks):
        raise MustWait
    move.run = move.run._replace(locks=move.run.locks | {(session, name)})


def unlock(move: Move, session: str, name: str) -> None:
    move.run = move.run._replace(locks=move.run.locks - {(session, name)})


def check(move: Move) -> None:
    if move.run.lost:
        raise Refused


def list_tables(move: Move) -> None:
    """Begin the fence: what dead runs have left is dropped, so that none of their switches can come any more."""
    # Tables first, locks second: a run has its lock before its first table, so no living run is taken for dead.
    others = [name for name in sorted(move.tables) if name != FACT and not name.startswith(KEPT)]
    names = [name for name in others if owner(name) != move.run.run_id]
    if names:
        move.todo = (("look for their runs' locks", *names), *move.todo)


def probe(move: Move, *names: str) -> None:
    dead = [name for name in names if owner(name) not in move.living()]
    move.todo = (*(("drop", name) for name in dead), *move.todo)
    if move.protocol.probes_by_locking:
        taken = {("probe", f"run {owner(name)}") for name in dead}
        move.run = move.run._replace(locks=move.run.locks | taken)
        move.todo = (("free their runs' locks",), *move.todo)


def end_probe(move: Move) -> None:
    move.run = move.run._replace(locks=frozenset(pair for pair in move.run.locks if pair[0] != "probe"))


def lives(run: Run) -> bool:
    return ("session", f"run {run.run_id}") in run.locks


def drop(move: Move, name: str) -> None:
    users = [run.todo[0] for run in move.before.runs if run.todo]
    if move.protocol.drop_waits and any(step[0] == "end to attach" and step[3] == name for step in users):
        raise MustWait
    if not name.startswith(KEPT) and any(lives(run) for run in move.others() if run.run_id == owner(name)):
        move.broken = f"{name} is dropped while its run lives"
    move.tables.pop(name, None)


def create(move: Move, name: str) -> None:
    move.tables[name] = frozenset()


def fill(move: Move, staging: str) -> None:
    move.table(staging)
    move.tables[staging] = staged_rows(move.run)


def look(move: Move) -> None:
    """Find the partitions that have rows which go."""
    fact, run = move.table(FACT), move.run
    going = [name for name, _ in run.job.staged if remove(fact, name, run.job.replaced) != fact]
    move.todo = later_steps(run, going, move.protocol)


def attach(move: Move, target: str, partition: str, source: str) -> None:
    move.tables[target] = add(move.table(target), partition, rows_in(move.table(source), partition))
    if target == FACT:
        move.switched()


def begin_to_attach(move: Move, target: str, partition: str, source: str) -> None:
    move.table(source)
    move.todo = (("end to attach", target, partition, source), *move.todo)


def end_to_attach(move: Move, target: str, partition: str, source: str) -> None:
    """Add what the statement found when it began, whether or not the table has its name still."""
    move.tables[target] = add(move.table(target), partition, rows_in(staged_rows(move.run), partition))
    move.switched()


def delete(move: Move, rest: str) -> None:
    content = move.table(rest)
    for partition, _ in move.run.job.staged:
        content = remove(content, partition, move.run.job.replaced)
    move.tables[rest] = content


def clone(move: Move, name: str) -> None:
    """Create the next table; under the table lock, those that have lost theirs must not switch any more."""
    move.tables[name] = frozenset()
    if any(lock == TABLE_LOCK for _, lock in move.run.locks):
        move.runs = [run._replace(passed=True) if run.lost and run != move.run else run for run in move.runs]


def list_partitions(move: Move, after: str) -> None:
    touched = {partition for partition, _ in move.run.job.staged}
    others = sorted({partition for partition, _ in move.table(FACT)} - touched)
    move.todo = (*(("attach", after, partition, FACT) for partition in others), *move.todo)


def exchange(move: Move, after: str) -> None:
    move.tables[FACT], move.tables[after] = move.table(after), move.table(FACT)
    move.switched()


def rename(move: Move, after: str) -> None:
    # A kept version is an extra: where the table is gone, the night is published all the same.
    if after in move.tables:
        move.tables[KEPT + move.run.run_id] = move.tables.pop(after)


def prune(move: Move) -> None:
    old = [name for name in sorted(move.tables) if name.startswith(KEPT) and owner(name) != move.run.run_id]
    move.todo = (*(("drop", name) for name in old), *move.todo)


def copy(move: Move, staging: str, partition: str) -> None:
    others = rows_in(remove(move.table(FACT), partition, move.run.job.replaced), partition)
    move.tables[staging] = add(move.table(staging), partition, others)


def replace(move: Move, target: str, partition: str, source: str) -> None:
    old = rows_in(move.table(target), partition)
    move.tables[target] = put(move.table(target), partition, rows_in(move.table(source), partition))
    move.outdated = put(move.outdated, partition, old)
    move.switched()


def close(move: Move) -> None:
    """End the session; nothing else is left to do."""


STATEMENTS: dict[str, Callable[..., None]] = {
    "lock": lock,
    "unlock": unlock,
    "check the session": check,
    FENCE[0]: list_tables,
    "look for their runs' locks": probe,
    "free their runs' locks": end_probe,
    "drop": drop,
    "create": create,
    "fill": fill,
    "count what goes": look,
    "attach": attach,
    "begin to attach": begin_to_attach,
    "end to attach": end_to_attach,
    "delete what goes from": delete,
    "clone FACT as": clone,
    "list other partitions for": list_partitions,
    "exchange FACT and": exchange,
    "rename": rename,
    "list kept versions": prune,
    "copy what stays into": copy,
    "replace": replace,
    "close the session": close,
}
