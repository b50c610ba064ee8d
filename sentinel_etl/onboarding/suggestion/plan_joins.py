"""Decides which of the tables that foreign keys lead to are joined, and what is read of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import and_

from sentinel_etl.config.event_entry import joins_at_most_one
from sentinel_etl.config.mapped import expression_of, table_of
from sentinel_etl.onboarding.live.live_table import ForeignKey, LiveColumn, LiveTable
from sentinel_etl.onboarding.live.personal import singular, words_of
from sentinel_etl.onboarding.live.read_sample import CATEGORIES
from sentinel_etl.onboarding.suggestion.choose_time import is_bookkeeping
from sentinel_etl.onboarding.suggestion.destination import Destination, prefixed
from sentinel_etl.onboarding.suggestion.map_columns import Reading, read_as
from sentinel_etl.onboarding.suggestion.models import Model, Written, alias_model, stem

__all__ = ["JoinPlan", "Joined", "Step", "changed_columns", "plan_joins", "steps_of"]


MOST_JOINS = 6
MOST_COLUMNS = 8  # of a joined table, where no fact table says which


@dataclass(frozen=True)
class Step:
    """A foreign key from a table that is there to one that may be joined; ``before``: the step to the former."""

    key: ForeignKey
    target: LiveTable
    before: Step | None = None

    @property
    def path(self) -> tuple[Step, ...]:
        return (*(self.before.path if self.before else ()), self)

    @property
    def outer(self) -> bool:
        return self.key.nullable or (self.before is not None and self.before.outer)


@dataclass(frozen=True)
class Joined:
    """A step that is taken: the model that is joined, on what, and what is read of it."""

    step: Step
    model: Model
    on: Written
    readings: tuple[Reading, ...] = ()

    @property
    def written(self) -> Written:
        if not self.step.outer:
            return Written((self.model.value, self.on.value), f"({self.model.name}, {self.on.text})")
        options = {"outer": True}
        return Written(
            (self.model.value, self.on.value, options), f'({self.model.name}, {self.on.text}, {{"outer": True}})'
        )


@dataclass(frozen=True)
class JoinPlan:
    """The joins that are planned, in order, and the labels that are in use."""

    main: Model
    models: Mapping[str, Model]
    destination: Destination
    labels: frozenset[str]
    joined: tuple[Joined, ...] = ()

    def model_at(self, step: Step) -> Model | None:
        """Find the model that a step has led to already."""
        return next((each.model for each in self.joined if each.step == step), None)

    def is_repeated(self, step: Step) -> bool:
        """Tell whether a table is joined by each of several references, so that each needs a name of its own."""
        alike = [key for key in self.main.live.foreign_keys if key.target.key == step.target.table.key]
        return self.destination.facts is None and step.before is None and len(alike) > 1

    def join(self, step: Step) -> JoinPlan:
        """Join what a step leads to, and before it what leads there; the same plan where it cannot be joined."""
        if self.model_at(step) is not None:
            return self
        plan = self if step.before is None else self.join(step.before)
        origin = self.main if step.before is None else plan.model_at(step.before)
        if origin is None or len(plan.joined) >= MOST_JOINS:
            return self
        model = self.models[step.target.table.key]
        if self.is_repeated(step) or any(each.model.name == model.name for each in plan.joined):
            names = {each.model.name for each in plan.joined} | {each.name for each in self.models.values()}
            model = alias_model(model, stem(step.key.columns), names)
        on = written_condition(origin, model, step.key)
        if on is None or not joins_at_most_one(table_of(model.value), expression_of(on.value)):
            return self
        return replace(plan, joined=(*plan.joined, Joined(step, model, on)))

    def read(self, step: Step, columns: Sequence[tuple[LiveColumn, str]], common: Sequence[str] = ()) -> JoinPlan:
        """Join a table and read columns of it, each under its label; ``common`` ones are read by themselves."""
        plan = self.join(step)
        if (model := plan.model_at(step)) is None:
            return self
        readings = []
        for column, label in columns:
            written = model.column(column.name)
            if written is not None and label not in self.labels:
                written = self.destination.fit(written, label) or written if self.destination.facts else written
                readings.append(read_as(column, step.target, label, written, self.destination))
        joined = tuple(replace(each, readings=tuple(readings)) if each.step == step else each for each in plan.joined)
        return replace(plan, joined=joined, labels=self.labels | {each.label for each in readings} | set(common))


def written_condition(origin: Model, model: Model, key: ForeignKey) -> Written | None:
    parts = []
    for name, other in zip(key.columns, key.target_columns, strict=True):
        left, right = origin.column(name), model.column(other)
        if left is None or right is None:
            return None
        parts.append(Written(left.value == right.value, f"{left.text} == {right.text}"))
    if len(parts) == 1:
        return parts[0]
    return Written(and_(*(part.value for part in parts)), f"and_({', '.join(part.text for part in parts)})")


def steps_of(live: LiveTable) -> tuple[list[Step], list[Step]]:
    """List the steps from a table, and those from where they lead to; never to itself, nor back."""
    order = list(live.columns)
    keys = sorted(live.foreign_keys, key=lambda key: [order.index(name) for name in key.columns])
    first = [Step(key, target) for key in keys if (target := target_of(key, live)) is not None]
    second = []
    for step in first:
        for key in step.target.foreign_keys:
            target = target_of(key, live)
            if target is not None and target.table.key != step.target.table.key:
                second.append(Step(key, target, step))
    return first, second


def target_of(key: ForeignKey, live: LiveTable) -> LiveTable | None:
    return None if key.target.key == live.table.key else live.referred.get(key.target.key)


def plan_joins(plan: JoinPlan) -> JoinPlan:
    """Plan what is joined: what fills open columns of the fact table; where there is none, what describes the event."""
    first, second = steps_of(plan.main.live)
    if plan.destination.facts is not None:
        return join_what_fills(join_what_fills(plan, first), second)
    for step in (step for step in first if not step.target.holds_people):
        if described := describing(step.target):
            plan = plan.read(step, labelled_columns(plan, step, described))
            continue
        for further in (each for each in second if each.before == step and not each.target.holds_people):
            if described := describing(further.target):
                keys = [further.target.columns[name] for name in further.target.primary_key[:1]]
                plan = plan.read(further, labelled_columns(plan, further, [*keys, *described]))
    return plan


def join_what_fills(plan: JoinPlan, steps: Sequence[Step]) -> JoinPlan:
    """Join the table that fills the most open columns, then the next, until none fills any."""
    waiting = list(steps)
    while waiting:
        gains = [gains_of(plan, step) for step in waiting]
        sizes = [len(common) + len(columns) for common, columns in gains]
        best = sizes.index(max(sizes))
        if not sizes[best]:
            break
        common, columns = gains[best]
        plan = plan.read(waiting.pop(best), columns, common)
    return plan


def gains_of(plan: JoinPlan, step: Step) -> tuple[list[str], list[tuple[LiveColumn, str]]]:
    """List what a table would fill: common columns, which the engine reads by itself, and open fact columns."""
    destination, model = plan.destination, plan.models[step.target.table.key]
    common, columns = [], []
    for column in step.target.columns.values():
        written = model.column(column.name)
        if written is None or destination.is_left_out(column):
            continue
        if column.name in destination.common:
            common += [column.name] if column.name not in plan.labels else []
        elif (label := open_fact(plan, step, column, written)) is not None:
            columns.append((column, label))
    return common, columns


def open_fact(plan: JoinPlan, step: Step, column: LiveColumn, written: Written) -> str | None:
    """Find the open fact column that a joined table's column is for: of its name, or of its table's and its name."""
    destination = plan.destination
    if column.source_type.item is not None and not is_log_of(plan.main.live, step):
        return None  # what a list of another row says is of that row, and not of each event
    names = [column.name]
    if step.before is None and not column.personal:
        names += [prefixed(step.target, column.name), f"{stem(step.key.columns)}_{column.name}"]
    for name in names:
        if name in (destination.facts or {}) and name not in plan.labels and destination.takes(written, name):
            return name
    return None


def is_log_of(live: LiveTable, step: Step) -> bool:
    """Tell whether a table is named after the one that it refers to: ``patrol_logs`` are of ``patrols``."""
    target = words_of(str(step.target.table.name))
    whole = [*target[:-1], singular(target[-1])] if target else []
    own = words_of(str(live.table.name))
    return step.before is None and bool(whole) and own[: len(whole)] in (whole, target) and len(own) > len(whole)


def describing(target: LiveTable) -> list[LiveColumn]:
    """List the columns of a table that describe what is referred to: categories, numbers, truths, short lists."""
    references = {name for key in target.foreign_keys for name in key.columns} | set(target.primary_key)
    found = []
    for column in target.columns.values():
        kind = column.source_type
        family = (kind.item or kind).family
        category = column.labels or column.keywords or CATEGORIES.intersection(words_of(column.name)) or kind.item
        plain = family in ("boolean", "integer", "float", "numeric", "money") or (family == "text" and category)
        if plain and column.readable and not (column.name in references or column.personal or is_bookkeeping(column)):
            found.append(column)
    return found[:MOST_COLUMNS]


def labelled_columns(plan: JoinPlan, step: Step, columns: Sequence[LiveColumn]) -> list[tuple[LiveColumn, str]]:
    found: list[tuple[LiveColumn, str]] = []
    for column in columns:
        used = plan.labels | {label for _, label in found}
        longer = prefixed(step.target, column.name, stem(step.key.columns))
        names = (longer,) if plan.is_repeated(step) else (column.name, longer)
        label = next((n for n in names if n not in used and plan.destination.is_free(n, column.source_type)), None)
        if label is not None:
            found.append((column, label))
    return found


def changed_columns(live: LiveTable) -> dict[str, str]:
    """Find columns that say what another table's column was changed to: ``new_priority_ranking`` of a hotspot's."""
    found = {}
    for column in live.columns.values():
        changed = column.name.removeprefix("new_")
        if changed != column.name and column.nullable:
            for step in steps_of(live)[0]:
                if changed in step.target.columns:
                    found[column.name] = f"{step.target.name}.{changed}"
    return found
