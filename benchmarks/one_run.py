"""Moves one window in a process of its own and prints, as JSON, what it took; for `memory` and `impact`.

It says "ready" once everything is imported, and begins at the end of its standard input.

SENTINEL_SOURCE_URL=… SENTINEL_WAREHOUSE_URL=… python -m benchmarks.one_run 2026-11-22T06:00:00+05:30 24
"""

from __future__ import annotations

import json
import resource
import sys

from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import choose_window


def main(window_end: str, window_hours: str) -> None:
    print("ready", flush=True)
    sys.stdin.read()
    result = run_window(choose_window(window_end, float(window_hours)))
    result.raise_for_verdict()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux, bytes on macOS
    figures = {
        "rows": int(result.counts["published"].sum()),
        "peak_mib": peak / 1024 if sys.platform != "darwin" else peak / 1024**2,
        "timings": dict(result.timings),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
