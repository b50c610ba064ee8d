"""Runs benchmarks by name, one after the other; all of them where none is named.

python -m benchmarks throughput memory
"""

from __future__ import annotations

import subprocess
import sys

NAMES = (
    *("throughput", "memory", "nightly", "queries", "rerun", "switch", "backfill", "impact"),
    *("emerging", "gates", "interval_coverage", "controls"),
)


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(f"expected benchmarks among {', '.join(NAMES)}; found {', '.join(unknown)}", file=sys.stderr)
        return 2
    failed = []
    for name in names or NAMES:
        print(f"== {name}", flush=True)
        # A process of its own, so that no benchmark is measured with another's memory.
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode:  # noqa: S603
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
