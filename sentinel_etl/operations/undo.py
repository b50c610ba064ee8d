"""Goes back to the fact table as it was before a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import version as package_version
from typing import Any

from sentinel_etl.context import Context
from sentinel_etl.errors import ConfigurationError, SentinelError
from sentinel_etl.ledger.ledger import RunRecord, note_switch, read_runs, record_run, set_state, with_switch
from sentinel_etl.ledger.presence import measure_nights
from sentinel_etl.ledger.states import RunState
from sentinel_etl.ledger.versions import Switch, find_run, read_switches, state_before
from sentinel_etl.publish.go_back import go_back, restore_rejected
from sentinel_etl.publish.switch import can_switch_at_once
from sentinel_etl.publish.turn import Turn
from sentinel_etl.run.held_locks import table_holder
from sentinel_etl.run.run_ids import new_run_id
from sentinel_etl.run.sweep import sweep_staging
from sentinel_etl.source.locks import SessionLocks, hold_locks, partition_lock, run_lock, session_name
from sentinel_etl.warehouse.provision import prepare_tables
from sentinel_etl.warehouse.tables import ETL_RUNS, build_rejected
from sentinel_etl.window import Window

__all__ = ["Undone", "undo_run"]

# States of a run that may have switched the table.
MAY_STAND = (RunState.PUBLISHED, RunState.PUBLISHED_WITH_WARNINGS, RunState.RUNNING, RunState.FAILED)


@dataclass(frozen=True)
class Undone:
    """What an undo did: its own run id, the runs that it has taken back, the newest first, and the partitions."""

    run_id: str
    undone: tuple[Switch, ...]
    partitions: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "undone": [switch.run_id for switch in self.undone],
            "partitions": list(self.partitions),
        }

    def __str__(self) -> str:
        lines = [f"undone by {self.run_id}, in {', '.join(self.partitions)}:"]
        return "\n".join(lines + [f"  run {switch.run_id} of {switch.window}" for switch in self.undone])


def undo_run(context: Context, run_id: str = "", discard_later: bool = False) -> Undone:
    """Put the fact table and the rejected rows back to what they were before a run; the last one where none is named.

    It is a run of its own in the ledger, in state UNDO; what it takes back is UNDONE there, so its nights count as
    what they were before. The partitions that those runs changed are put back, all at one instant; the others stay.
    ``discard_later``: runs after it are taken back, too.

    An interruption leaves the table as it was or as it is meant to be. Where it comes between the ledger's word and
    the exchange, a night counts as missing that is still in: run it again, or undo again.

    Raises:
        ConfigurationError: no such run, or nothing to take back; a later run would be lost; the state before it is
            not kept any more, or has other columns; a table that cannot be exchanged, as on a cluster.
        WindowLocked: another run holds one of the partitions, or the table.
        SourceUnreachable, WarehouseUnreachable: a database does not answer.
    """
    facts, warehouse = context.pipeline.fact_table, context.warehouse
    prepare_tables(warehouse, facts, context.pipeline.zone, context.pipeline.breakdown)
    if not can_switch_at_once(facts, warehouse):
        raise ConfigurationError(
            f"undo: expected {facts.name} to be a table of one server in a database of the engine Atomic, which can be "
            "exchanged for an earlier one; found another. Mend the source, then run the window again"
        )
    switches = read_switches(facts, warehouse)
    index = choose_run(run_id, switches)
    undone = choose_undone(index, switches, discard_later)
    version = state_before(index, switches, facts)
    partitions = sorted({partition for switch in switches[index:] for partition in switch.partitions})
    record = open_record(context, undone)
    names = [*(partition_lock(facts.name, partition) for partition in partitions), run_lock(record.run_id)]
    wait = context.settings.lock_wait_seconds
    with hold_locks(context.source, names, session_name(record.run_id), wait) as session:
        sweep_staging(facts, context.source, warehouse)
        record_run(record, warehouse)
        try:
            turn = take_turn(context, record, switches, undone, session)
            go_back(version, facts, partitions, warehouse, turn)
            rejected = build_rejected(facts)
            nights = measure_nights(facts, nights_of(undone), warehouse)
            turn = replace(turn, note=lambda how: None, keep_versions=0)
            restore_rejected(undone, rejected, context.pipeline.event_types, warehouse, turn)
        except BaseException as error:
            cause = str(error) or type(error).__name__
            record_run(replace(with_switch(record, warehouse), state=RunState.FAILED, cause=cause), warehouse)
            raise
        cause = f"took back {', '.join(switch.run_id for switch in undone)}"
        measured = {str(night): rows for night, rows in nights.items()}
        done = replace(with_switch(record, warehouse), state=RunState.UNDO, cause=cause, nights=measured)
        record_run(done, warehouse)
    return Undone(record.run_id, tuple(undone), tuple(partitions))


def choose_run(run_id: str, switches: Sequence[Switch]) -> int:
    if run_id:
        index = find_run(run_id, switches)
    else:
        published = [index for index, switch in enumerate(switches) if switch.state.is_published]
        if not published:
            raise ConfigurationError("expected a run that has published rows, found none: nothing is to undo")
        index = published[-1]
    if switches[index].state not in MAY_STAND:
        raise ConfigurationError(
            f"run {run_id}: expected a run whose rows stand in the fact table, found one in state "
            f"{switches[index].state}. Run its window again instead"
        )
    return index


def choose_undone(index: int, switches: Sequence[Switch], discard_later: bool) -> list[Switch]:
    """List what is taken back, the newest first.

    Raises:
        ConfigurationError: it is more than the one run, and that is not allowed.
    """
    undone = [switch for switch in switches[index:] if switch.state in MAY_STAND]
    later = [switch.run_id for switch in undone[1:]]
    if later and not discard_later:
        raise ConfigurationError(
            f"run {undone[0].run_id}: expected the last run that changed the fact table; found that "
            f"{', '.join(later)} came after it and would be lost. Undo {later[-1]} first, or give --discard-later"
        )
    return undone[::-1]


def nights_of(undone: Sequence[Switch]) -> set[date]:
    return {night for switch in undone for night in switch.nights}


def open_record(context: Context, undone: Sequence[Switch]) -> RunRecord:
    window = Window(min(one.window.start for one in undone), max(one.window.end for one in undone))
    return RunRecord(
        run_id=new_run_id(),
        fact_table=context.pipeline.fact_table.name,
        window=window,
        event_types=tuple(sorted({kind for one in undone for kind in one.event_types})),
        code_version=package_version("sentinel-warehouse-etl"),
    )


def take_turn(
    context: Context, record: RunRecord, switches: Sequence[Switch], undone: Sequence[Switch], session: SessionLocks
) -> Turn:
    facts, warehouse = context.pipeline.fact_table, context.warehouse

    def note(how: str) -> None:
        if [one.run_id for one in read_switches(facts, warehouse)] != [one.run_id for one in switches]:
            raise SentinelError(
                f"expected no run to change {facts.name} meanwhile, found that one has. Nothing was undone; look at "
                "`sentinel-etl runs list`, then undo again"
            )
        # First what is no longer to count: a night that counts as missing is run again, one that counts as in is not.
        for switch in undone:
            [row] = read_runs(warehouse, ETL_RUNS.c.run_id == switch.run_id)
            set_state(row, RunState.UNDONE, f"undone by {record.run_id}", warehouse)
        note_switch(record, how, nights_of(undone), warehouse)

    return Turn(record.run_id, table_holder(context, session), session.check, note, context.settings.keep_versions)
