"""Adds up the seconds of a run, phase by phase, whichever thread they pass in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

__all__ = ["PHASES", "Stopwatch"]


Item = TypeVar("Item")

PHASES = ("extract", "count", "transform", "load", "audit", "publish", "reconcile", "total")


@dataclass
class Stopwatch:
    """Adds up the seconds that each phase is busy, whichever thread it runs in."""

    seconds: dict[str, float] = field(default_factory=dict)

    def rounded(self) -> dict[str, float]:
        """Give the seconds so far, to the millisecond, in the order in which a run goes through its phases."""
        known = [phase for phase in PHASES if phase in self.seconds]
        return {phase: round(self.seconds[phase], 3) for phase in [*known, *sorted({*self.seconds} - {*known})]}

    @contextmanager
    def measure(self, phase: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - started

    def busy(self, phase: str, items: Iterator[Item]) -> Iterator[Item]:
        """Yield the items and add the time that making them takes to the phase."""
        while True:
            with self.measure(phase):
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item
            del item  # not to be held while the next one is made

    def waited(self, phase: str, items: Iterator[Item]) -> Iterator[Item]:
        """Yield the items and take the time that making them takes off a phase measured around them."""
        while True:
            started = time.perf_counter()
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                self.seconds[phase] = self.seconds.get(phase, 0.0) - (time.perf_counter() - started)
            yield item
            del item
