"""What the tests of the promises have tried and found: `make soak` tries more, and prints a line for each."""

from __future__ import annotations

import os
from collections import Counter

# Further kills, and other trials in proportion; 0 outside `make soak`.
SOAK = int(os.environ.get("SOAK_KILLS", "0"))

TALLY: Counter[str] = Counter()

# Of each set of runs whose orders of statements were all tried: what that came to.
EXPLORED: dict[str, str] = {}


def count(**numbers: int) -> None:
    """Add to what was tried and found; a number of 0 is counted, too, as found 0 times."""
    TALLY.update(numbers)


def lines() -> list[str]:
    """Write a line for each promise: what was tried, and what was found to be wrong."""
    n = TALLY
    return [
        f"crashes: {n['kills']} kills tried, {n['states']} states compared, {n['mismatches']} mismatches",
        f"readers over a month's end: {n['month_reads']} reads, {n['month_switches']} switches, "
        f"{n['mixed']} mixed states",
        f"restarts: {n['publish_restarts']} right after a publish",
        f"power cuts: {n['cuts']} tried, {n['cuts_that_lost']} lost rows, {n['cuts_untold']} left a night told as in "
        f"that was not, {n['undone']} undid a run that had ended, {n['cuts_not_mended']} not mended by the next run",
        f"publishing by chance: {n['steps']} steps, {n['step_kills']} kills, {n['restarts']} restarts, "
        f"{n['sessions_cut']} ended sessions, {n['runs_undone']} undos, {n['reads']} reads, "
        f"{n['step_mismatches']} mismatches",
        f"a cluster of three workers: {n['cluster_faults']} faults over 90 nights, {n['cluster_ends']} groups ended, "
        f"{n['cluster_verdicts']} wrong verdicts, {n['cluster_nights']} wrong nights",
        f"rows: {n['rows']} tried, {n['loaded']} loaded, {n['rejected']} rejected, {n['lost']} lost",
        f"secrets: {n['secrets']} looked for, {n['secrets_found']} found",
        f"hostile texts: {n['hostile_texts']} rendered, {n['executed']} executed",
        f"attempts to get out of the local warehouse: {n['escapes']} that get out where nothing confines them "
        f"({n['escapes_that_read']} read, {n['escapes_that_wrote']} wrote, {n['escapes_that_connected']} connected), "
        f"all made over HTTP and {n['escapes_by_kernel']} on the engine that only the kernel confines: "
        f"{n['got_out_to_read']} files read, {n['got_out_to_write']} written, "
        f"{n['got_out_to_connect']} connections",
        *(f"publishing, {name}: {found}" for name, found in sorted(EXPLORED.items())),
    ]
