"""A state machine that tries to break publishing: runs, edits, kills, restarts and undos in any order.

A model of the fact table goes along, row by row. After each step the table is what the model says, and the reader,
who never rests, has seen the table of before the step or the one after it, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from adversity.bench import Bench
from adversity.expected_facts import (
    Facts,
    can_go_back,
    facts_after,
    nights_that_differ,
    read_noted,
    state_of,
)
from adversity.oracle import EVENTS, READ_STATE, State
from adversity.publish_trial import (
    ALL,
    CHECKED,
    DAYS,
    FREE,
    KEEP,
    ORDER,
    READ,
    SWITCHED,
    WINDOWS,
    Held,
    Trial,
)
from adversity.soak import count
from sentinel_etl.analyst.as_of_run import query_as_of_run
from sentinel_etl.errors import ConfigurationError, WindowLocked
from sentinel_etl.ledger.nights import loaded_nights
from sentinel_etl.operations.groups import group_nights
from sentinel_etl.operations.heal import reconcile_nights
from sentinel_etl.operations.undo import undo_run
from sentinel_etl.run.run_window import run_window
from sentinel_etl.window import CITY_ZONE, Window

NAMES = ["one", "another"]  # of runs that are held

TABLES = {table: key for table, key, _, _ in EVENTS.values()}
MOVE = "move by hours"
# What becomes of the rows of ``{table}`` that ``{few}`` picks.
EDITS = {
    "change": "UPDATE {table} SET latitude = {n} % 90 + 0.5, longitude = 77.5 WHERE {few}",
    "delete": "DELETE FROM {table} WHERE {few}",
    MOVE: "UPDATE {table} SET created_at = created_at + interval '{hours} hours' WHERE {few}",
    "add late": "INSERT INTO geofence_logs (geofence_log_id, patrol_id, assigned_to_officer_id, hotspot_id, "
    "geofence_event_type, created_at) SELECT 1000000000000000 + {n} * 1000000 + row_number() OVER (), patrol_id, "
    "assigned_to_officer_id, hotspot_id, 'DWELL', created_at FROM geofence_logs WHERE {few_crossings}",
    "end patrols": "UPDATE patrols SET patrol_status = CASE patrol_status WHEN 'COMPLETED' THEN 'ABORTED' "
    "ELSE 'COMPLETED' END WHERE patrol_id IN (SELECT patrol_id FROM {table} WHERE {few})",
}
FEW = (
    "{key} IN (SELECT {key} FROM {table} WHERE created_at >= '{window.start}' AND created_at < '{window.end}' "
    "ORDER BY md5({key}::text || '{n}') LIMIT {rows})"
)


class PublishMachine(RuleBasedStateMachine):
    """Tries to break publishing on a bench of its own."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self.trial = Trial(bench)
        self.edits = 0  # since the last step of another kind: edits alone try nothing

    def teardown(self) -> None:
        self.trial.close()

    def check(self, old: Facts) -> None:
        self.edits = 0
        self.trial.check(old)

    @initialize(loaded=st.sampled_from([True, True, False]))
    def begin(self, loaded: bool) -> None:
        if loaded:
            self.run(ALL, (), False)

    # The source

    @precondition(lambda self: self.edits < 2)
    @rule(
        kind=st.sampled_from([*EDITS, MOVE]),
        table=st.sampled_from(sorted(TABLES)),
        window=st.sampled_from(WINDOWS),
        rows=st.sampled_from([1, 4, 1000]),
        hours=st.sampled_from([-48, -24, -6, 6, 24, 48]),
    )
    def edit(self, kind: str, table: str, window: Window, rows: int, hours: int) -> None:
        self.trial.number += 1
        self.edits += 1
        few, few_crossings = (
            FEW.format(key=TABLES[name], table=name, window=window, n=self.trial.number, rows=rows)
            for name in (table, "geofence_logs")
        )
        values = {"few": few, "few_crossings": few_crossings, "n": self.trial.number, "hours": hours}
        with self.trial.bench.source.begin() as connection:
            connection.exec_driver_sql(EDITS[kind].format(table=table, **values).replace("%", "%%"))

    # Runs

    @rule(
        window=st.sampled_from(WINDOWS),
        event_types=st.sampled_from([(), (), ("REMARK",), ("GEOFENCE", "VEHICLE_CHECK")]),
        dry_run=st.sampled_from([False, False, False, True]),
    )
    def run(self, window: Window, event_types: tuple[str, ...], dry_run: bool) -> None:
        old = self.trial.facts
        staged = self.trial.read_source(window, event_types)
        try:
            result = run_window(
                window, context=self.trial.context, event_types=event_types, dry_run=dry_run, allow_shrink=True
            )
        except WindowLocked:
            assert self.trial.may_refuse(window, staged), f"{window} was refused, but nobody holds it"
            self.trial.littered = True
        else:
            assert not self.trial.must_refuse(window), f"{window} was run while another run holds it"
            assert result.verdict == "DRY RUN" if dry_run else result.published, result.cause
            if not dry_run:
                count(**{f"by {result.how.split()[0]}": 1})
                self.trial.facts = facts_after(old, window, staged, event_types)
                self.trial.littered = False
                kept = [one for one in read_noted(self.trial.bench.warehouse) if one.kept]
                assert len(kept) <= KEEP
                assert result.how.startswith("exchange ") == (kept[-1:] != [] and kept[-1].run_id == result.run_id)
        self.check(old)

    @rule(
        window=st.sampled_from(WINDOWS),
        point=st.sampled_from(ORDER),
        victim=st.sampled_from(["run", "run", "run", "endpoint"]),
    )
    def kill_a_run(self, window: Window, point: str, victim: str) -> None:
        old = self.trial.facts
        staged = self.trial.read_source(window)
        new = facts_after(old, window, staged)
        run, word, more = self.trial.start(window, point)
        if word == "stopped":
            count(step_kills=1)
            self.trial.littered = True
            self.trial.facts = new if ORDER.index(point) >= SWITCHED else old
            if victim == "run":
                self.trial.kill(run)
            else:
                self.trial.restart_warehouse()
                run.go_on()
                self.trial.end_shaken(run, new)
        elif word == "done":
            self.trial.facts = new
        else:
            self.accept_refusal(window, staged, more)
        self.check(old)

    @rule(name=st.sampled_from(NAMES), window=st.sampled_from(WINDOWS), point=st.sampled_from(ORDER))
    def hold_a_run(self, name: str, window: Window, point: str) -> None:
        """Let a run stop at a point and stay there, while other steps are taken; one of that name goes on first."""
        if name in self.trial.held:
            self.let_a_held_run_go_on(name)
        old = self.trial.facts
        staged = self.trial.read_source(window)
        run, word, more = self.trial.start(window, point)
        index = ORDER.index(point)
        if word == "failed":
            self.accept_refusal(window, staged, more)
        elif word == "done" or index >= SWITCHED:
            self.trial.facts = facts_after(old, window, staged)
        if word == "stopped":
            wanted = self.trial.wanted(window, staged)
            self.trial.held[name] = Held(run, index, staged if index >= READ else None, wanted)
        self.check(old)

    def accept_refusal(self, window: Window, staged: Facts, more: Sequence[Any]) -> None:
        assert more[0] == "WindowLocked", more
        assert self.trial.may_refuse(window, staged), more
        self.trial.littered = True

    @precondition(lambda self: self.trial.held)
    @rule(name=st.sampled_from(NAMES))
    def let_a_held_run_go_on(self, name: str) -> None:
        held, old = self.trial.held.pop(name, None), self.trial.facts
        if held is None:
            return
        staged = self.trial.read_source(held.window) if held.staged is None else held.staged
        held.run.go_on()
        self.trial.littered = True
        new = facts_after(old, held.window, staged) if held.point < SWITCHED else old
        if held.cut or held.shaken:
            how = self.trial.end_shaken(held.run, new)
            assert how == "failed" or not held.cut or held.point >= CHECKED, "it published without its locks"
        else:
            how, more = held.run.end()
            if how == "failed":
                self.accept_refusal(held.window, staged, more)
            else:
                assert how == "done", more
                self.trial.facts = new
        self.check(old)

    @precondition(lambda self: self.trial.held)
    @rule(name=st.sampled_from(NAMES), how=st.sampled_from(["end its session", "kill it"]))
    def stop_a_held_run(self, name: str, how: str) -> None:
        held = self.trial.held.get(name)
        if held is not None and how == "kill it":
            count(step_kills=1)
            self.trial.end_held(name)
        elif held is not None and not held.cut and held.point < FREE:
            count(sessions_cut=1)
            self.trial.end_session(str(held.run.task.run_id))
            held.cut = True
        self.check(self.trial.facts)

    @precondition(lambda self: self.edits)
    @rule()
    def restart(self) -> None:
        self.trial.restart_warehouse()
        self.check(self.trial.facts)

    # Looking back, and going back

    @precondition(lambda self: self.edits)
    @rule()
    def heal(self) -> None:
        """As `reconcile --heal`, but with runs in place of notebooks."""
        pipeline, warehouse = self.trial.context.pipeline, self.trial.context.warehouse
        nights = [day.date() for day in DAYS]
        source = self.trial.read_source(ALL)
        loaded = set(loaded_nights(nights, pipeline, warehouse))
        found = sorted(set(reconcile_nights(self.trial.context, len(nights)).found["shift_date"]))
        assert set(found) == nights_that_differ(self.trial.facts, source) & loaded
        for group in group_nights(found, "month", CITY_ZONE):
            self.run(group.window, (), False)

    @precondition(lambda self: self.trial.before)
    @rule(number=st.integers(0, 11))
    def read_as_of_a_run(self, number: int) -> None:
        warehouse, pipeline = self.trial.bench.warehouse, self.trial.context.pipeline
        noted = read_noted(warehouse)
        index = number % len(noted)
        later = noted[index + 1 :]
        try:
            frame = query_as_of_run(warehouse, READ_STATE, noted[index].run_id, pipeline)
        except ConfigurationError:
            assert not can_go_back(later)
        else:
            assert can_go_back(later)
            expected = self.trial.before[later[0].run_id] if later else self.trial.facts
            assert State(*map(int, frame.iloc[0])) == state_of(expected)
        self.check(self.trial.facts)

    @rule(number=st.integers(0, 3), discard_later=st.booleans())
    def undo(self, number: int, discard_later: bool) -> None:
        old = self.trial.facts
        noted = read_noted(self.trial.bench.warehouse)
        published = [run for run in noted if run.published][::-1]
        chosen = published[number % len(published)] if published and discard_later else None
        first = noted.index(chosen or published[0]) if published else len(noted)
        later = noted[first:]
        allowed = bool(later) and can_go_back(later) and (discard_later or not any(run.may_stand for run in later[1:]))
        try:
            undo_run(self.trial.context, chosen.run_id if chosen else "", discard_later)
        except ConfigurationError:
            assert not allowed
        except WindowLocked:
            assert allowed
            assert any(held.locks or held.locks_table for held in self.trial.held.values())
            self.trial.littered = True
        else:
            assert allowed
            count(runs_undone=1)
            self.trial.facts = self.trial.before[later[0].run_id]
        self.check(old)
