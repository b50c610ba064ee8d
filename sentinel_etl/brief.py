"""What a process is told by the one that starts it: all its settings but the secrets, and where its verdict goes.

It travels in one environment variable, so it ends with the process: a kernel's, for one run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["BRIEF", "Brief", "read_brief"]

BRIEF = "SENTINEL_BRIEF"


@dataclass(frozen=True)
class Brief:
    """What a run's kernel is told.

    ``settings``  name → value, as JSON has it, of every setting but the secrets, defaults included
    ``given``     the names of those that are no defaults
    ``verdict``   the file that gets the run's ledger row when it ends; empty: none
    ``backfill``  the id of the backfill that the run is a part of; empty: of none
    ``secrets``   variables of their own: name → value, for who is to open the same databases
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    verdict: str = ""
    backfill: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def variables(self) -> dict[str, str]:
        """Write it as environment variables."""
        told = asdict(self)
        return {**told.pop("secrets"), BRIEF: json.dumps(told)}


def read_brief() -> Brief:
    """Read what this process was told; nothing, where it was started by hand."""
    told = json.loads(os.environ.get(BRIEF) or "{}")
    return Brief(**told | {"given": tuple(told.get("given", ()))})
