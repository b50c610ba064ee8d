"""Finds nights whose source has changed since they were loaded, and does just those again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd

from sentinel_etl.context import Context
from sentinel_etl.errors import AuditFailed, ConfigurationError
from sentinel_etl.ledger.ledger import read_runs, runs_of
from sentinel_etl.ledger.nights import loaded_nights
from sentinel_etl.ledger.policies import OtherPolicy, find_other_policy
from sentinel_etl.operations.backfill import raise_for_groups, run_backfill
from sentinel_etl.operations.groups import GroupResult, group_nights
from sentinel_etl.publish.partitions import partition_scheme
from sentinel_etl.reconcile.compare import compare_fingerprints
from sentinel_etl.warehouse.provision import prepare_tables
from sentinel_etl.window import Window
from sentinel_etl.wording import plural

__all__ = ["Reconciliation", "reconcile_nights"]


@dataclass(frozen=True)
class Reconciliation:
    """What a comparison found.

    ``nights``     how many loaded nights were compared
    ``found``      shift_date, event_type, source, warehouse, keys, content, expected: what differed
    ``left``       the same, of what differs still; after healing, nothing
    ``untold``     event type → its columns that cannot be compared, and why
    ``other_policy`` the compared nights that hold personal data under another policy than the one that is set; after
                   healing, none
    ``healed``     the runs that did nights again
    """

    days: int
    nights: int
    rows: int
    found: pd.DataFrame
    left: pd.DataFrame
    healed: tuple[GroupResult, ...] = ()
    last_night: date = date.min
    untold: Mapping[str, str] = field(default_factory=dict)
    other_policy: OtherPolicy | None = None

    def as_dict(self) -> dict[str, Any]:
        tables = {"found": self.found, "left": self.left}
        return {
            "days": self.days,
            "nights": self.nights,
            "rows": self.rows,
            **{name: json.loads(mark_differences(table).to_json(orient="records")) for name, table in tables.items()},
            "healed": [result.report for result in self.healed],
            "not_compared": dict(self.untold),
            "other_policy": self.other_policy.as_dict() if self.other_policy else None,
        }

    def __str__(self) -> str:
        lines = [mark_differences(self.found).to_string(index=False)] if len(self.found) else []
        changed = self.found["shift_date"].nunique()
        lines.append(
            f"{self.nights} {plural(self.nights, 'night')} of {self.rows:,} {plural(self.rows, 'row')} compared, "
            f"{changed} changed since {plural(changed, 'it was', 'they were')} loaded"
        )
        if len(meant := self.left[self.left["expected"]]):
            kinds = ", ".join(sorted(set(meant["event_type"])))
            lines.append(f"changed later, as expected: {kinds}; to load it, run with --heal")
        lines += [f"not compared: {name}: {columns}" for name, columns in self.untold.items()]
        if self.other_policy:
            lines.append(self.other_policy.describe(self.last_night))
        lines += [f"done again: {result.group.window}  {result.verdict}  {result.report}" for result in self.healed]
        return "\n".join(lines)

    @property
    def told(self) -> str:
        """What the runs that healed warned of: it may be why they could not."""
        causes = dict.fromkeys(result.cause for result in self.healed if result.cause)
        return f". It tells: {'; '.join(causes)}" if causes else ""

    def raise_for_differences(self) -> None:
        """Raise where source and warehouse differ still, but for what is expected to change later.

        Raises:
            AuditFailed: with the next step.
            SentinelError: of the class of the first run that failed.
        """
        raise_for_groups([result.group for result in self.healed], self.healed)
        if len(faults := self.left[~self.left["expected"]]):
            nights = ", ".join(sorted({str(night) for night in faults["shift_date"]}))
            raise AuditFailed(
                f"expected source and warehouse to hold the same events; they differ in {nights}. "
                + (
                    f"A run has done them again: see its report{self.told}"
                    if self.healed
                    else f"Run `sentinel-etl reconcile --days {self.days} --heal` to do those nights again"
                ),
                stage="reconcile",
            )


def mark_differences(table: pd.DataFrame) -> pd.DataFrame:
    """Write the comparison for people: equal or not, in words."""
    words = {True: "equal", False: "differ"}
    content = table["content"].map(words).mask(table["expected"], "changed later")
    return table.drop(columns=["not_compared", "expected"]).assign(
        shift_date=table["shift_date"].astype(str), keys=table["keys"].map(words), content=content
    )


def reconcile_nights(context: Context, days: int, *, heal: bool = False, allow_shrink: bool = False) -> Reconciliation:
    """Compare the last ``days`` nights, as far as they were loaded, and do those that differ again.

    Reads only, unless ``heal`` is asked for; then each stretch of changed nights is one ordinary run with
    its report, and is compared once more. An interruption leaves whole nights; run it again.

    Raises:
        ConfigurationError: less than one day.
        SourceUnreachable, WarehouseUnreachable: a database does not answer.
    """
    if days < 1:
        raise ConfigurationError(f"--days: expected at least 1, found {days}")
    settings, pipeline, warehouse = context.settings, context.pipeline, context.warehouse
    prepare_tables(warehouse, pipeline.fact_table, pipeline.zone, pipeline.breakdown)
    last = Window.latest(settings.now or datetime.now(UTC), settings.zone).shift_dates(settings.zone)[0]
    nights = loaded_nights([last - timedelta(days=back) for back in range(days - 1, -1, -1)], pipeline, warehouse)
    limit = settings.statement_timeout_seconds
    table = compare_fingerprints(nights, pipeline, context.reader, warehouse, limit)
    found = differing(table)
    told = table[table["not_compared"] != ""].drop_duplicates("event_type")
    untold = dict(zip(told["event_type"], told["not_compared"], strict=True))
    other = read_other_policy(context, nights)
    result = Reconciliation(
        days, len(nights), int(table["source"].sum()), found, found, untold=untold, other_policy=other, last_night=last
    )
    changed = sorted({*found["shift_date"], *(other.nights if other else ())})
    if not heal or not changed:
        return result
    scheme = partition_scheme(pipeline.fact_table, warehouse)
    groups = group_nights(changed, scheme, settings.zone)
    stopped: list[KeyboardInterrupt] = []
    healed = run_backfill(groups, context, parameters={"allow_shrink": allow_shrink}, stopped=stopped.append)
    if stopped:
        raise_for_groups(groups, healed, stopped)
    left = differing(compare_fingerprints(changed, pipeline, context.reader, warehouse, limit))
    return replace(result, left=left, healed=tuple(healed), other_policy=read_other_policy(context, nights))


def read_other_policy(context: Context, nights: Sequence[date]) -> OtherPolicy | None:
    """Read which of these nights hold personal data under another policy than the one that is set."""
    runs = read_runs(context.warehouse, runs_of(context.pipeline.fact_table))
    other = find_other_policy(runs, context.pipeline)
    of_those = tuple(night for night in other.nights if night in nights) if other else ()
    return replace(other, nights=of_those) if other and of_those else None


def differing(table: pd.DataFrame) -> pd.DataFrame:
    return table[~(table["keys"] & table["content"])].reset_index(drop=True)
