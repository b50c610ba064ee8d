"""The groups of a backfill: stretches of nights in one partition, each moved by one run.

A group is one window, so its partition is switched once and not once a night, and no two workers ever write the
same one. The report is the group's too: thirty nights are read, audited and published together, so a page for
each would repeat one verdict thirty times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from sentinel_etl.config.fact_table import PartitionBy
from sentinel_etl.ledger.states import RunState
from sentinel_etl.publish.partitions import partition_ids
from sentinel_etl.window import Window

__all__ = ["Group", "GroupResult", "group_nights"]


@dataclass(frozen=True)
class Group:
    """A stretch of nights in one partition, moved by one run."""

    partition: str
    window: Window
    nights: int


@dataclass(frozen=True)
class GroupResult:
    """How a group ended. ``error`` names the class of what went wrong, of which ``cause`` is the message."""

    group: Group
    verdict: RunState
    cause: str
    error: str
    rows: int
    report: str


def group_nights(nights: Sequence[date], scheme: PartitionBy, zone: ZoneInfo) -> list[Group]:
    """Make one group of each stretch of nights in a partition; in: nights in order."""

    def partition_of(night: date) -> str:
        return partition_ids(Window.night(night, zone), scheme, zone)[0]

    return [
        Group(
            partition_of(stretch[0]),
            Window.nights(stretch[0], stretch[-1], zone),
            len(stretch),
        )
        for stretch in stretches(nights, partition_of)
    ]


def stretches(nights: Sequence[date], partition_of: Callable[[date], str]) -> Iterator[list[date]]:
    """Cut the nights where one is missing in between, and where the partition changes."""
    if not nights:
        return
    stretch = [nights[0]]
    for before, night in pairwise(nights):
        if night - before > timedelta(days=1) or partition_of(night) != partition_of(before):
            yield stretch
            stretch = []
        stretch.append(night)
    yield stretch
