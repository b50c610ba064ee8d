"""Finds the nights that were loaded under other rules than today's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Engine

from sentinel_etl.ledger.archive import Archive
from sentinel_etl.ledger.kept_rules import read_rules
from sentinel_etl.ledger.ledger import list_runs
from sentinel_etl.ledger.nights import NightState
from sentinel_etl.ledger.policies import find_others
from sentinel_etl.ledger.standing import name_gone
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.rules.compare import RuleChange, compare_rules, describe_changes
from sentinel_etl.rules.describe import describe_rules, hash_rules
from sentinel_etl.wording import plural

__all__ = ["StaleNights", "find_stale_nights", "name_otherwise"]


@dataclass(frozen=True)
class StaleNights:
    """Nights that were loaded under other rules than today's, in order.

    ``changes``  how today's rules differ from those of the last of these nights
    """

    nights: tuple[date, ...]
    changes: tuple[RuleChange, ...]

    def as_dict(self) -> dict[str, Any]:
        return {"nights": list(map(str, self.nights)), "changes": [change.as_dict() for change in self.changes]}

    @property
    def span(self) -> str:
        count = len(self.nights)
        if count == 1:
            return str(self.nights[0])
        return f"{count} {plural(count, 'night')} from {self.nights[0]} to {self.nights[-1]}"

    def __str__(self) -> str:
        it = plural(len(self.nights), "it", "them")
        return (
            f"rules: {self.span} {plural(len(self.nights), 'was', 'were')} loaded under other rules than today's: "
            f"{describe_changes(self.changes)}. `sentinel-etl backfill --stale` loads {it} again"
        )


def find_stale_nights(runs: Sequence[Mapping[str, Any]], pipeline: Pipeline, warehouse: Engine) -> StaleNights | None:
    """Find the nights that runs of today's rules have not covered whole since one of others wrote to them.

    ``runs``: the fact table's, the newest first. None: there is no such night. Rules that differ only in what decides
    nothing, such as the order of columns, are today's; so are those of a run that has kept none, which is an older
    version's: of what is not known nothing is told. Reads only.
    """
    rules = describe_rules(pipeline)
    today = hash_rules(rules)
    hashes = {run["config_hash"] for run in runs if run["state"].is_published} - {today}
    changes = {name: compare_rules(kept, rules) for name, kept in read_rules(hashes, warehouse).items()}
    found = find_others(runs, pipeline, lambda run: not changes.get(run["config_hash"]))
    if not found:
        return None
    last = found[max(found)]
    return StaleNights(tuple(found), tuple(changes[last["config_hash"]]))


def name_otherwise(nights: Sequence[date], counted: Mapping[date, int], archive: Archive) -> dict[date, NightState]:
    """Name, for a calendar, the published nights that are not as they should be: stale, lost or expired.

    ``counted``: the rows of each night that has some. Reads only.
    """
    pipeline, warehouse = archive.pipeline, archive.warehouse
    stale = find_stale_nights(list_runs(pipeline.fact_table, warehouse), pipeline, warehouse)
    named = dict.fromkeys(stale.nights if stale else (), NightState.STALE)
    return named | name_gone(nights, counted, archive)
