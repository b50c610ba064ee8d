"""Tries every order of the steps of a model, breadth first, so that the trace that it finds is a shortest one."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

S = TypeVar("S", bound=Hashable)


@dataclass(frozen=True)
class Exploration(Generic[S]):
    """What was tried; ``broken`` says which promise, and ``trace`` which steps lead there, where one was broken."""

    states: int
    transitions: int
    steps: frozenset[str]
    ends: tuple[S, ...]
    broken: str = ""
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        tried = f"{self.states} states, {self.transitions} transitions"
        return "\n".join([tried, *(f"  {step}" for step in self.trace), self.broken or "no promise broken"])


def explore(
    start: S, successors: Callable[[S], Iterable[tuple[str, S]]], broken_promise: Callable[[S], str]
) -> Exploration[S]:
    """Visit all states that can be reached, up to the first that breaks a promise.

    ``successors`` gives the name of each step and the state after it; ``broken_promise`` is empty where all hold.
    An end is a state that no step leaves.
    """
    before: dict[S, tuple[S, str] | None] = {start: None}
    waiting = deque([start])
    transitions = 0
    steps: set[str] = set()
    ends: list[S] = []
    broken: str = ""
    trace: tuple[str, ...] = ()
    with no_garbage_collection():
        while waiting and not broken:
            state = waiting.popleft()
            if broken := broken_promise(state):
                trace = trace_back(state, before)
            is_end = True
            for step, after in successors(state):
                transitions += 1
                steps.add(step)
                is_end = is_end and after == state
                if after not in before:
                    before[after] = (state, step)
                    waiting.append(after)
            if is_end:
                ends.append(state)
    return Exploration(len(before), transitions, frozenset(steps), tuple(ends), broken, trace)


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Keep the collector from walking all states again and again; without, it takes three quarters of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def trace_back(state: S, before: dict[S, tuple[S, str] | None]) -> tuple[str, ...]:
    trace: list[str] = []
    while (link := before[state]) is not None:
        state, step = link
        trace.append(step)
    return tuple(trace[::-1])
