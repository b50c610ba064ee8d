"""Every gate by its identifier."""

from __future__ import annotations

from collections.abc import Mapping

from sentinel_etl.audit.checks import Gate
from sentinel_etl.audit.history_gates import HISTORY_GATES
from sentinel_etl.audit.night_gates import NIGHT_GATES
from sentinel_etl.audit.time_gates import TIME_GATES
from sentinel_etl.audit.window_gates import WINDOW_GATES

__all__ = ["GATES"]

GATES: Mapping[str, Gate] = {gate.id: gate for gate in (*WINDOW_GATES, *NIGHT_GATES, *HISTORY_GATES, *TIME_GATES)}
