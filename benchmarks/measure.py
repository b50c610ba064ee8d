"""Timing that every benchmark shares: runs, quantiles and one ratio line."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["Timings", "measure", "ratio_line"]


@dataclass(frozen=True)
class Timings:
    """Seconds of each run after warm-up."""

    seconds: tuple[float, ...]

    @property
    def best(self) -> float:
        """The fastest run: what the work costs where other processes take the least of the machine."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        return float(np.median(self.seconds))

    @property
    def p95(self) -> float:
        """The 95th percentile; of fewer than 20 runs, the slowest."""
        return float(np.quantile(self.seconds, 0.95, method="higher"))


def measure(action: Callable[[], object], runs: int, warm_up: int = 2) -> Timings:
    """Run the action ``warm_up`` times unmeasured, then ``runs`` times one after another."""
    for _ in range(warm_up):
        action()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return Timings(tuple(seconds))


def ratio_line(name: str, ours: float, rival_name: str, rival: float, unit: str = "s") -> str:
    """Write how many times less than its rival a figure is; both medians, in ``unit``."""
    return f"{name}: {ours:.4g} {unit} against {rival:.4g} {unit} of {rival_name}: ratio {rival / ours:.2f}"
