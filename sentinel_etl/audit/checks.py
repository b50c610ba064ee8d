"""What a gate is, and what a check by it found: words, rows, and whether it stops publishing.

A gate that blocks stops publishing; one that warns is told first in the report. Each stands in one place, with
its limit, its measure, its words and its evidence: in `window_gates` those on the window itself, in
`night_gates` those on its events that stand in other nights, in `history_gates` those that compare it with the
nights before, in `late_gates` those on these nights themselves, in `time_gates` those on when it came in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Self

from sqlalchemy import Select

from sentinel_etl.audit.scene import Scene
from sentinel_etl.config.gates import GATE_FIELDS, GateLimits
from sentinel_etl.wording import list_some

__all__ = ["TO_MEND", "Check", "Evidence", "Gate", "Severity", "describe_checks", "failures_first"]

# Writes the SELECT of the rows that a failed check speaks of; in: where they stand, and the check's subjects.
Evidence = Callable[[Scene, Sequence[str]], Select[Any]]


# Stands between what a check expected and the command that mends what it found.
TO_MEND = "; to mend: "


class Severity(StrEnum):
    """What a failed check does."""

    BLOCK = "block"
    WARN = "warn"


@dataclass(frozen=True)
class Check:
    """One judgement: what was expected, what was observed, and whether it stops publishing.

    ``name``      what is true where the check passed, in words
    ``subjects``  the event types, columns, stations or events concerned
    ``examples``  up to five rows that show it, without personal data
    ``query``     the SELECT that shows more of them; ``answers``: until when it does
    ``gate``      identifier of the gate that judged
    ``nights``    those of a longer window that failed, in order; empty: the window is judged as one
    """

    name: str
    severity: Severity
    passed: bool
    expected: str
    observed: str
    subjects: tuple[str, ...] = ()
    examples: tuple[Mapping[str, str], ...] = ()
    query: str = ""
    gate: str = ""
    answers: str = ""
    nights: tuple[str, ...] = ()

    @property
    def expected_alone(self) -> str:
        """What was expected, without the command that mends it."""
        return self.expected.partition(TO_MEND)[0]

    @property
    def remedy(self) -> str:
        """The command that mends what failed; empty: the run's own, again."""
        return "" if self.passed else self.expected.partition(TO_MEND)[2]

    @property
    def blocks(self) -> bool:
        return not self.passed and self.severity is Severity.BLOCK

    def as_dict(self) -> dict[str, Any]:
        lists = {"subjects": list(self.subjects), "examples": [dict(row) for row in self.examples]}
        kept = {name: value for name, value in asdict(self).items() if name != "nights"}
        return {**kept, **lists, **({"nights": list(self.nights)} if self.nights else {})}

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Self:
        """Read a check as the ledger keeps it; rows of older versions name no gate."""
        known = {name: kept[name] for name in cls.__dataclass_fields__ if name in kept}
        known |= {"severity": Severity(kept["severity"])}
        known |= {name: tuple(kept.get(name, ())) for name in ("subjects", "nights")}
        return cls(**{**known, "examples": tuple(kept.get("examples", ()))})


@dataclass(frozen=True)
class Gate:
    """A limit with its meaning. ``least`` is how much evidence it needs before it speaks.

    ``evidence`` writes the SELECT of the rows that a failed check speaks of; None: they are in no table here.
    """

    id: str
    name: str
    severity: Severity
    meaning: str
    limit: float = 0
    least: int = 0
    evidence: Evidence | None = None

    def within(self, limits: GateLimits) -> Self:
        """Give the gate the limits of a pipeline."""
        names = zip(("limit", "least"), GATE_FIELDS.get(self.id, ("", "")), strict=True)
        found: dict[str, Any] = {own: getattr(limits, name) for own, name in names if name}
        return replace(self, **{own: value for own, value in found.items() if value is not None})

    def check(
        self,
        passed: bool,
        expected: str,
        observed: str,
        subjects: Iterable[str] = (),
        severity: Severity | None = None,
    ) -> Check:
        return Check(
            self.name,
            severity or self.severity,
            bool(passed),
            expected,
            observed,
            tuple(subjects),
            gate=self.id,
        )

    def check_problems(self, problems: Mapping[str, str], expected: str, fine: str) -> Check:
        """Make the check of what was found: subject → what is wrong with it; nothing is ``fine``.

        The first few are named: the words stand in the report, the ledger, the index and in messages to phones.
        """
        return self.check(not problems, expected, list_some(problems.values()) or fine, problems)


def failures_first(checks: Sequence[Check]) -> list[Check]:
    """Order checks: those that stopped publishing, those that warn, those that passed."""
    return sorted(checks, key=lambda check: (check.passed, check.severity is not Severity.BLOCK))


def describe_checks(checks: Sequence[Check]) -> str:
    """Write the first checks: what was expected, what was observed; and how many more there are."""
    told = (f"{c.name}: expected {c.expected}, observed {c.observed}" for c in checks)
    return list_some(told, 3, noun="check")
