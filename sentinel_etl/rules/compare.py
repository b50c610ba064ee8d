"""Says in words how two sets of rules differ. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from sentinel_etl.rules.describe import Rules

__all__ = ["RuleChange", "compare_rules", "describe_changes"]

# How much of an expression a sentence shows.
SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class RuleChange:
    """One rule that differs: its kind, its name, and how it was and is; None: it was not, or is not, there."""

    kind: str
    name: str
    before: str | None
    after: str | None

    def as_dict(self) -> dict[str, str | None]:
        return {"kind": self.kind, "name": self.name, "before": self.before, "after": self.after}

    def __str__(self) -> str:
        what = f"{self.kind} {self.name}".strip()
        if self.before is None or self.after is None:
            change, value = ("new", self.after) if self.before is None else ("gone", self.before)
            return f"{what} is {change}: {shorten(value)}" if value else f"{what} is {change}"
        return f"{what} {' → '.join(shorten_both(self.before, self.after))}"


def shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"


def shorten_both(before: str, after: str) -> list[str]:
    """Shorten two texts so that both show where they begin to differ."""
    texts = [" ".join(text.split()) for text in (before, after)]
    same = len([*takewhile(lambda pair: pair[0] == pair[1], zip(*texts, strict=False))])
    cut = same - SHOWN_CHARACTERS // 3 if same > SHOWN_CHARACTERS // 2 else 0
    return [f"{'…' if cut else ''}{shorten(text[cut:])}" for text in texts]


def describe_changes(changes: Iterable[RuleChange], most: int = 5) -> str:
    """Write the changes in one line, ``most`` of them by name."""
    texts = list(map(str, changes))
    more = [f"and {len(texts) - most} more"] if len(texts) > most else []
    return "; ".join([*texts[:most], *more])


def compare_rules(before: Rules, after: Rules) -> list[RuleChange]:
    """List what differs between two documents of `describe_rules`: weights first, then entries, then the rest.

    Left out is the policy for personal data, which `ledger.policies` tells of, and the order of what has none.
    """
    changes = compare_values("risk weight", weights_of(before), weights_of(after))
    changes += compare_entries(before["event_types"], after["event_types"])
    tables = [rules["fact_table"] for rules in (before, after)]
    changes += compare_values("fact column", *(table["columns"] for table in tables))
    changes += compare_values("coalesce", *(listed(rules["coalesce"]) for rules in (before, after)))
    changes += compare_values("unknown value of", *map(unknown_values, (before, after)))
    changes += compare_values("text length", before["text_lengths"], after["text_lengths"])
    changes += compare_values("bounds of", *(listed(rules["bounds"]) for rules in (before, after)))
    changes += compare_values("personal column", *(dict.fromkeys(rules["personal"], "") for rules in (before, after)))
    changes += compare_values("", *({"time zone": rules["time_zone"]} for rules in (before, after)))
    return changes + compare_values("order in", *map(orders_of, (before, after), (after, before)))


def compare_entries(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[RuleChange]:
    changes = compare_values("event type", dict.fromkeys(before, ""), dict.fromkeys(after, ""))
    for name in (name for name in before if name in after):
        was, is_now = before[name], after[name]
        if was == is_now:
            continue
        found = [
            *compare_values(f"{name} column", was["columns"], is_now["columns"]),
            *compare_values(f"{name} join", was["joins"], is_now["joins"]),
            *compare_values(f"{name} filter", dict.fromkeys(was["filters"], ""), dict.fromkeys(is_now["filters"], "")),
            *compare_values(name, *({part: each[part] for part in ("key", "timestamp")} for each in (was, is_now))),
        ]
        if not found and sorted(words_of(was["statement"])) != sorted(words_of(is_now["statement"])):
            found = [RuleChange(name, "statement", was["statement"], is_now["statement"])]
        changes += found
    return changes


def words_of(statement: str) -> list[str]:
    """Take a statement apart at blanks and commas: what is only in another order has the same words."""
    return statement.replace(",", " ").split()


def compare_values(kind: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[RuleChange]:
    """List the names whose values differ."""
    return [
        RuleChange(kind, name, text_or_none(before, name), text_or_none(after, name))
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name) or (name in before) != (name in after)
    ]


def text_or_none(values: Mapping[str, Any], name: str) -> str | None:
    return written(values[name]) if name in values else None


def written(value: Any) -> str:
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return ", ".join(map(written, value)) if isinstance(value, list) else str(value)


def listed(values: Mapping[str, list[Any]]) -> dict[str, str]:
    return {name: written(each) for name, each in values.items()}


def weights_of(rules: Rules) -> dict[str, float]:
    """Name each weight that adds something as ``risk_reasons`` does: ``emergency_category=FIRE``."""
    return {
        f"{event_type}.{column}={value}" if event_type else f"{column}={value}": weight
        for event_type, column, values in rules["risk_weights"]
        for value, weight in values.items()
        if weight
    }


def unknown_values(rules: Rules) -> dict[str, str]:
    return {", ".join(group): written(values) for group, values in rules["unknown_values"]}


def orders_of(rules: Rules, others: Rules) -> dict[str, str]:
    """Write what both have of what stands in an order in a row: reasons of a score, members of ``details_json``."""
    weighed, theirs = weighted_labels(rules), weighted_labels(others)
    return {
        "risk_reasons": ", ".join(label for label in weighed if label in theirs),
        "details_json": ", ".join(label for label in rules["details"] if label in others["details"]),
    }


def weighted_labels(rules: Rules) -> list[str]:
    return [f"{event_type}.{column}" if event_type else column for event_type, column, _ in rules["risk_weights"]]
