"""What the fact table must hold after any sequence of runs: a model of publishing, row by row.

A run takes out the rows of its window and its event types, and the earlier rows of the events that it has read; then
it puts in what it has read. So the model is exact for events that move, too, whichever night is run first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Engine

from adversity.oracle import READ_ROWS, Event, State, expected_events, state_of_row
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

Facts = Mapping[str, Event]

# The runs that have switched the table, or were about to, the first one first.
READ_SWITCHES = (
    "SELECT run_id, state, how FROM etl_runs FINAL WHERE fact_table = 'patrol_events' AND switched_at IS NOT NULL "
    "ORDER BY switched_at, run_id"
)
READ_KEPT = (
    "SELECT substring(name, length('patrol_events__before_') + 1) FROM system.tables "
    "WHERE database = currentDatabase() AND startsWith(name, 'patrol_events__before_')"
)


@dataclass(frozen=True)
class Noted:
    """A run that the ledger says has switched the table, or was about to; ``kept``: the table of before is there."""

    run_id: str
    state: str
    how: str
    kept: bool

    @property
    def published(self) -> bool:
        return self.state in ("PUBLISHED", "PUBLISHED WITH WARNINGS")

    @property
    def may_stand(self) -> bool:
        return self.published or self.state in ("RUNNING", "FAILED")


def read_noted(warehouse: Engine) -> list[Noted]:
    kept = {str(name) for (name,) in run_statement(warehouse, READ_KEPT)}
    rows = run_statement(warehouse, READ_SWITCHES)
    return [Noted(str(run_id), str(state), str(how), run_id in kept) for run_id, state, how in rows]


def can_go_back(noted: Collection[Noted]) -> bool:
    """Tell whether the state before these runs, which are the last ones, can still be read."""
    for run in noted:
        if not run.how.startswith("attach "):
            return run.kept
    return True


def read_source(source: Engine, window: Window, event_types: Collection[str] = ()) -> Facts:
    """Read the rows that a run of the window would publish now; of all event types where none are named."""
    events = expected_events(source, window.start, window.end)
    return {name: event for name, event in events.items() if not event_types or type_of(name) in event_types}


def facts_after(facts: Facts, window: Window, staged: Facts, event_types: Collection[str] = ()) -> Facts:
    """Work out what the table holds after a run of the window that has read ``staged``."""

    def goes(name: str, event: Event) -> bool:
        of_types = not event_types or type_of(name) in event_types
        return name in staged or (of_types and window.start <= event.moment < window.end)

    return {name: event for name, event in facts.items() if not goes(name, event)} | dict(staged)


def type_of(name: str) -> str:
    return name.partition(":")[0]


def state_of(facts: Facts) -> State:
    return sum((state_of_row(event.digest) for event in facts.values()), State())


def partitions_of(facts: Facts) -> set[str]:
    return {f"{event.night:%Y%m}" for event in facts.values()}


def nights_that_differ(facts: Facts, other: Facts) -> set[date]:
    return {
        event.night
        for one, another in ((facts, other), (other, facts))
        for name, event in one.items()
        if another.get(name) != event
    }


def differences(warehouse: Engine, facts: Facts) -> list[str]:
    """Name some of the rows that are there and should not be, or the other way round."""
    found = [(str(name), str(digest)) for name, digest in run_statement(warehouse, READ_ROWS)]
    wanted = {(name, event.digest) for name, event in facts.items()}
    extra = [f"{name} too much" for name, _ in set(found) - wanted]
    lost = [f"{name} missing" for name, _ in wanted - set(found)]
    twice = [f"{name} {times} times" for name, times in Counter(name for name, _ in found).items() if times > 1]
    return sorted(extra)[:5] + sorted(lost)[:5] + sorted(twice)[:5]
