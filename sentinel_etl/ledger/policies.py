"""Which nights the warehouse holds under another policy for personal data than the one that is set. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import takewhile
from typing import Any

from sentinel_etl.ledger.nights import loaded_parts
from sentinel_etl.pipeline import Pipeline
from sentinel_etl.window import Window
from sentinel_etl.wording import plural

__all__ = ["OtherPolicy", "find_other_policy", "find_others"]


@dataclass(frozen=True)
class OtherPolicy:
    """Nights whose personal data is stored otherwise than ``wanted``: how, by the runs that loaded them."""

    nights: tuple[date, ...]
    found: tuple[str, ...]
    wanted: str

    def as_dict(self) -> dict[str, Any]:
        return {"nights": list(map(str, self.nights)), "found": list(self.found), "expected": self.wanted}

    def describe(self, last_night: date) -> str:
        """Write it as one sentence, with the command that stores them anew."""
        count, days = len(self.nights), (last_night - self.nights[0]).days + 1
        span = (
            f"{self.nights[0]}"
            if count == 1
            else f"{count} {plural(count, 'night')} from {self.nights[0]} to {self.nights[-1]}"
        )
        return (
            f"personal data: expected {self.wanted}, as SENTINEL_PII says; found {' and '.join(self.found)} in "
            f"{span}. `sentinel-etl reconcile --days {days} --heal` stores {plural(count, 'it', 'them')} anew"
        )


def find_other_policy(runs: Sequence[Mapping[str, Any]], pipeline: Pipeline) -> OtherPolicy | None:
    """Find the nights that runs of the policy that is set have not covered whole since one of another wrote to them.

    ``runs``: the fact table's, the newest first. None: there is no such night, or no personal column.
    """
    if not pipeline.personal_columns:
        return None
    found = find_others(runs, pipeline, lambda run: bool(run["pii"] == pipeline.pii_policy))
    if not found:
        return None
    policies = {run["pii"] or "what an older version did not note" for run in found.values()}
    return OtherPolicy(tuple(found), tuple(sorted(policies)), pipeline.pii_policy)


def find_others(
    runs: Sequence[Mapping[str, Any]], pipeline: Pipeline, is_own: Callable[[Mapping[str, Any]], bool]
) -> dict[date, Mapping[str, Any]]:
    """Find the nights that own runs have not covered whole since another one wrote to them: night → that other run.

    ``runs``: the fact table's, the newest first.
    """
    by_night: dict[date, list[Mapping[str, Any]]] = {}
    for run in runs:
        if run["state"].is_published:
            for night in Window(run["window_start"], run["window_end"]).shift_dates(pipeline.zone):
                by_night.setdefault(night, []).append(run)
    found = {}
    for night, of_night in sorted(by_night.items()):
        own = list(takewhile(is_own, of_night))
        window = Window.night(night, pipeline.zone)
        if len(own) < len(of_night) and loaded_parts(window, pipeline.event_types, own) != [window]:
            found[night] = of_night[len(own)]
    return found
