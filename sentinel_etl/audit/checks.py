"""What a check found: its words, its rows, and whether it stops publishing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sentinel_etl.config.gates import GATES, Severity

__all__ = ["Check", "describe_checks", "failures_first", "tell"]


@dataclass(frozen=True)
class Check:
    """One judgement: what was expected, what was observed, and whether it stops publishing.

    ``subjects``  the event types, columns or stations concerned
    ``examples``  up to five rows that show it, without personal data
    ``query``     the SELECT that shows more of them
    """

    name: str
    severity: Severity
    passed: bool
    expected: str
    observed: str
    subjects: tuple[str, ...] = ()
    examples: tuple[Mapping[str, str], ...] = ()
    query: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "subjects": list(self.subjects), "examples": [dict(row) for row in self.examples]}


def tell(name: str, problems: Mapping[str, str], expected: str, fine: str) -> Check:
    """Make the check of what was found: subject → what is wrong with it; nothing is fine."""
    return Check(name, GATES[name].severity, not problems, expected, "; ".join(problems.values()) or fine, (*problems,))


def failures_first(checks: Sequence[Check]) -> list[Check]:
    """Order checks: those that stopped publishing, those that warn, those that passed."""
    return sorted(checks, key=lambda check: (check.passed, check.severity != "block"))


def describe_checks(checks: Sequence[Check]) -> str:
    """Write checks as one line each: what was expected, what was observed."""
    return "; ".join(f"{c.name}: expected {c.expected}, observed {c.observed}" for c in checks)
