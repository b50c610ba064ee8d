"""Whatever runs, edits, kills, restarts and undos come in whatever order: the fact table is what the model says."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from adversity.bench import Bench
from adversity.publish_machine import PublishMachine
from adversity.soak import SOAK, TALLY

# Soaking takes 5,000 steps and more. Each of its sequences is tried on databases of its own.
STEPS, SEQUENCES = (60, max(90, SOAK)) if SOAK else (12, 8)


def test_no_order_of_steps_leaves_another_table_than_the_model_s(make_bench: Callable[..., Bench]) -> None:
    """The same sequences each time; `make soak` tries others, and those of SOAK_SEED again."""

    def machine() -> PublishMachine:
        return PublishMachine(make_bench())

    number = int(os.environ.get("SOAK_SEED", time.time_ns() % 2**32)) if SOAK else 0
    print(f"SOAK_SEED={number}")
    chosen = settings(
        max_examples=SEQUENCES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink] if SOAK else [Phase.generate],  # to shrink takes minutes
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    run_state_machine_as_test(seed(number)(machine), settings=chosen)
    assert TALLY["steps"] > 0
