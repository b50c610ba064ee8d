"""How archived runs are written for a terminal: the list of them, and one in full."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pandas as pd

from sentinel_etl.audit.changes.changes import Changes
from sentinel_etl.audit.checks import Check, failures_first
from sentinel_etl.cli.options import display_path
from sentinel_etl.ledger.archive import ArchivedRun
from sentinel_etl.ledger.commands import query_command
from sentinel_etl.wording import list_some, plural

__all__ = ["describe_run", "runs_table"]


def runs_table(found: list[ArchivedRun], runs_dir: Path) -> pd.DataFrame:
    rows = [
        (
            run.run_id,
            run.night,
            run.state,
            "–" if run.published_rows is None else f"{run.published_rows:,}",
            "–" if run.seconds is None else f"{run.seconds:.1f}",
            display_path(runs_dir / (run.page or run.report)) if run.page or run.report else "no file",
        )
        for run in found
    ]
    return pd.DataFrame(rows, columns=["run_id", "night", "verdict", "events", "seconds", "report"])


def describe_run(run: ArchivedRun, runs_dir: Path) -> str:
    facts = {
        "run": run.run_id,
        "verdict": run.state,
        "cause": run.cause,
        "night": run.night,
        "window": str(run.window),
        "started": f"{run.started_at:%Y-%m-%d %H:%M:%S} UTC",
        "config": run.config_hash,
        "version": run.code_version,
        "report": display_path(runs_dir / run.report) if run.report else "no file",
        "page": display_path(runs_dir / run.page) if run.page else "no file",
        "again": run.redo,
    }
    parts = ["\n".join(f"{name:<9}{value}" for name, value in facts.items() if value)]
    if run.counts:
        counts = pd.DataFrame.from_dict(dict(run.counts), orient="index")
        parts.append(pd.concat([counts, counts.sum().to_frame("total").T]).to_string())
    if run.first_night != run.last_night:
        parts.append(nights_table(run).to_string())
    if run.changes:
        parts.append(f"changes  {Changes.from_record(run.changes).describe()}")
    if run.checks:
        checks = failures_first([Check.from_dict(check) for check in run.checks])
        failed = [describe_check(check) for check in checks if not check.passed]
        parts.append("\n".join([*failed, *describe_passed([check for check in checks if check.passed])]))
    if run.timings:
        parts.append("\n".join(f"{phase:<10}{seconds:>9.3f} s" for phase, seconds in run.timings.items()))
    return "\n\n".join(parts)


def nights_table(run: ArchivedRun) -> pd.DataFrame:
    """Tabulate the nights of a run of several: their rows after it, and the failed checks that name them."""
    failed = [check for check in map(Check.from_dict, run.checks) if not check.passed]
    count = (run.last_night - run.first_night).days + 1
    nights = [str(run.first_night + timedelta(days=number)) for number in range(count)]
    checks = [list_some((check.name for check in failed if night in check.nights), 3) or "ok" for night in nights]
    left = [run.nights.get(night) for night in nights]
    rows = [f"{rows[0]:,}" if rows else "–" for rows in left]
    return pd.DataFrame({"rows": rows, "checks": checks}, index=nights)


def describe_passed(checks: Sequence[Check]) -> list[str]:
    """Write the checks that passed in one line, where there are some; `--json` and the report have them whole."""
    names = list_some((check.name for check in checks), 3, ", ")
    return [f"ok      {len(checks)} {plural(len(checks), 'check')}: {names}"] if checks else []


def describe_check(check: Check) -> str:
    line = f"FAILED  {check.severity:<5}  {check.name}"
    lines = [line, f"        expected  {check.expected}", f"        observed  {check.observed}"]
    if check.query:
        lines.append(f"        more      {query_command(check.query)}")
    if check.answers:
        lines.append(f"        answers   {check.answers}")
    return "\n".join(lines)
