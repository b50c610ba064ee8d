"""Writes what people are told of a run: a title, a few lines, and how serious it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from sentinel_etl.audit.checks import Check, failures_first
from sentinel_etl.errors import AuditFailed, SentinelError
from sentinel_etl.ledger.states import RunState
from sentinel_etl.notebook.notebook_run import NotebookRun
from sentinel_etl.settings import Settings
from sentinel_etl.wording import plural

__all__ = ["Message", "is_problem", "write_message"]

# Services cut a long message off, some in the middle of the link at its end.
LONGEST_LINE = 500

Kind = Literal["success", "warning", "failure", "info"]  # Apprise's own words


@dataclass(frozen=True)
class Message:
    """What people are told of a run."""

    title: str
    body: str
    kind: Kind


def is_problem(done: NotebookRun | SentinelError, error: SentinelError | None = None) -> bool:
    """Tell whether a run failed or has a warning."""
    if isinstance(done, SentinelError) or error is not None:
        return True
    state = done.record.get("state", RunState.UNKNOWN)
    return bool(done.record.get("cause")) or state is RunState.PUBLISHED_WITH_WARNINGS or state.ended_badly


def write_message(
    done: NotebookRun | SentinelError, error: SentinelError | None, settings: Settings, redo: str
) -> Message:
    """Write what a run came to: verdict, window, counts, the first failed check, what mends it, the page's address.

    ``done`` is the executed notebook, with the ``error`` that it ended in; or an error alone, where no report could
    be written. ``redo``: the command that does the run again.
    """
    if isinstance(done, SentinelError):
        body = f"{shorten(str(done))}\nto mend it: {redo}"
        return Message(f"sentinel-etl: FAILED: {type(done).__name__}", body, "failure")
    record: Mapping[str, Any] = done.record
    failed = "NOT PUBLISHED" if isinstance(error, AuditFailed) else "FAILED"
    verdict = str(record.get("state") or (failed if error else RunState.UNKNOWN))
    lines = [f"{done.window.local(settings.zone)} · {done.window}"]
    if record.get("source_rows") is not None:
        source, published = int(record["source_rows"]), int(record["published_rows"])
        lines.append(f"{source:,} {plural(source, 'event')} in the source, {published:,} in the warehouse")
    checks = [check for check in failures_first(read_checks(record)) if not check.passed]
    if checks:
        more = f" (and {len(checks) - 1} more failed)" if len(checks) > 1 else ""
        words = f"{checks[0].name}: expected {checks[0].expected_alone}, observed {checks[0].observed}"
        lines.append(f"failed: {shorten(words)}{more}")
    elif cause := str(record.get("cause") or error or ""):
        lines.append(shorten(cause))
    if is_problem(done, error):
        lines.append(f"to mend it: {(checks[0].remedy if checks else '') or redo}")
    lines.append(f"page: {page_address(done, settings)}")
    night = done.page.parent.name
    return Message(f"sentinel-etl: {verdict}: night {night}", "\n".join(lines), kind_of(done, error))


def read_checks(record: Mapping[str, Any]) -> Sequence[Check]:
    return [Check.from_dict(kept) for kept in record.get("checks", ())]


def kind_of(done: NotebookRun, error: SentinelError | None) -> Kind:
    state = done.record.get("state", RunState.UNKNOWN)
    if state.is_published:
        return "warning" if is_problem(done, error) else "success"
    if error is not None or state.ended_badly:
        return "failure"
    return "warning" if is_problem(done, error) else "info"


def page_address(done: NotebookRun, settings: Settings) -> str:
    """Write where the run's page is: below the address that serves the runs folder, or else its file."""
    below = done.page.is_relative_to(settings.runs_dir)
    if settings.reports_url and below:
        return f"{settings.reports_url.rstrip('/')}/{quote(done.page.relative_to(settings.runs_dir).as_posix())}"
    return done.page.as_uri() if done.page.is_absolute() else str(done.page)


def shorten(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= LONGEST_LINE else f"{words[: LONGEST_LINE - 1]}…"
