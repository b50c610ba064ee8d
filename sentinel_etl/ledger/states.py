"""The states of a run, as the ledger keeps them."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["RunState"]


class RunState(StrEnum):
    """How a run stands, or how it ended: then it is the run's verdict.

    The ledger holds the first eight; the others are what is said of a row, of a report without one, or of neither.
    """

    RUNNING = "RUNNING"
    PUBLISHED = "PUBLISHED"
    PUBLISHED_WITH_WARNINGS = "PUBLISHED WITH WARNINGS"
    NOT_PUBLISHED = "NOT PUBLISHED"  # the audit failed
    DRY_RUN = "DRY RUN"
    FAILED = "FAILED"
    UNDONE = "UNDONE"  # published, and taken back since
    UNDO = "UNDO"  # took runs back
    # A row that says RUNNING while no session holds the run's lock: killed, or cut off from the warehouse.
    NO_END = "NO END RECORDED"
    # A report without a row: the run stopped before it had one, or its notebook writes none.
    REPORT_ONLY = "REPORT ONLY"
    UNKNOWN = "UNKNOWN"  # the ledger does not answer, or the notebook writes no row
    LEFT = "LEFT"  # not begun: a backfill was stopped before it

    @classmethod
    def _missing_(cls, value: object) -> RunState:
        """Read a state that another version wrote."""
        return cls.UNKNOWN

    @property
    def is_published(self) -> bool:
        """Whether the run's rows are what readers see."""
        return self in (RunState.PUBLISHED, RunState.PUBLISHED_WITH_WARNINGS)

    @property
    def ended_badly(self) -> bool:
        return self in (RunState.NOT_PUBLISHED, RunState.FAILED, RunState.NO_END, RunState.REPORT_ONLY)
