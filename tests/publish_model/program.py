"""The statements of a run, in their order."""

from __future__ import annotations

from publish_model.state import FACT, TABLE_LOCK, Protocol, Run, Step

FENCE: Step = ("list other runs' tables",)


def first_steps(run: Run, protocol: Protocol) -> tuple[Step, ...]:
    """List the steps up to the look at the fact table, which decides on the others."""
    if run.job.only_sweeps:
        return (FENCE,)
    locks = [("lock", "session", name) for name in (f"run {run.run_id}", *(name for name, _ in run.job.staged))]
    staging = f"staging {run.run_id}"
    fence = [FENCE] if protocol.fenced_at_start else []
    return (*locks, *fence, ("create", staging), ("fill", staging), ("count what goes",))


def later_steps(run: Run, going: list[str], protocol: Protocol) -> tuple[Step, ...]:
    """List the steps from the rest table to the end; rows go from the partitions ``going``."""
    rest, staging = f"rest {run.run_id}", f"staging {run.run_id}"
    steps: list[Step] = []
    if going and not protocol.by_replace:
        steps = [("create", rest), *(("attach", rest, name, FACT) for name in going), ("delete what goes from", rest)]
    end: list[Step] = [("drop", name) for name in ([rest, staging] if steps else [staging])]
    return (*steps, *switch_steps(run, going, protocol), *end, ("close the session",))


def switch_steps(run: Run, going: list[str], protocol: Protocol) -> list[Step]:
    """List the steps from the table lock until it is free again."""
    staging = f"staging {run.run_id}"
    filled = [name for name, keys in run.job.staged if keys]
    lock: list[Step] = [("lock", protocol.table_lock_session, TABLE_LOCK)] if protocol.table_locked else []
    unlock: list[Step] = [("unlock", *lock[0][1:])] if lock else []
    fence = [FENCE] if protocol.fenced_before_clone else []
    check: list[Step] = [("check the session",)] if protocol.checked else []
    if protocol.by_replace:
        touched = [name for name, _ in run.job.staged]
        ways = [("replace" if name in going else "attach", FACT, name, staging) for name in touched]
        return [
            *(("copy what stays into", staging, name) for name in going),
            *(s for way in ways for s in (*check, way)),
        ]
    if not going and run.job.parts == 1 and len(filled) == 1:
        verb = "begin to attach" if protocol.attach_takes_time else "attach"
        return [*lock, *fence, *check, (verb, FACT, filled[0], staging), *unlock]
    after = f"next {run.run_id}"
    clone = clone_steps(run, going, after)
    steps = [*lock, *fence, *clone] if protocol.cloned_under_lock else [*clone, *lock, *fence]
    return [*steps, *check, ("exchange FACT and", after), ("rename", after), ("list kept versions",), *unlock]


def clone_steps(run: Run, going: list[str], after: str) -> list[Step]:
    rest, staging = f"rest {run.run_id}", f"staging {run.run_id}"
    return [
        ("clone FACT as", after),
        ("list other partitions for", after),
        *(("attach", after, name, rest if name in going else FACT) for name, _ in run.job.staged),
        *(("attach", after, name, staging) for name, keys in run.job.staged if keys),
    ]
