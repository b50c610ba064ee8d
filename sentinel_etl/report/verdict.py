"""The first screen: whether the night is in, complete and sane, and what to do if it is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from sentinel_etl.audit.changes.changes import CHANGES, Changes, describe_points
from sentinel_etl.audit.checks import Check, Severity, failures_first
from sentinel_etl.audit.completeness import Completeness
from sentinel_etl.audit.drift import drift_table
from sentinel_etl.audit.history_gates import shifted
from sentinel_etl.errors import (
    ConfigurationError,
    NotebookFailed,
    SchemaMismatch,
    SentinelError,
    SourceUnreachable,
    Stopped,
    WarehouseUnreachable,
    WindowLocked,
)
from sentinel_etl.ledger.commands import query_command, redo_command
from sentinel_etl.ledger.states import RunState
from sentinel_etl.report.colours import FAILED, VERDICT_COLOURS
from sentinel_etl.report.nightly import counts_table, null_changes
from sentinel_etl.report.pages import Page, lines_page, table_page, with_note
from sentinel_etl.report.render import render_macro
from sentinel_etl.report.sections import needs
from sentinel_etl.run.result import RunResult
from sentinel_etl.stopwatch import PHASES
from sentinel_etl.window import Window
from sentinel_etl.wording import list_some, plural

__all__ = ["failure_page", "first_screen", "verdict_page"]

CAUSES: dict[type[SentinelError], str] = {
    SourceUnreachable: "the source does not answer",
    WarehouseUnreachable: "the warehouse does not answer",
    WindowLocked: "another run holds the window",
    SchemaMismatch: "configuration and database differ",
    ConfigurationError: "the configuration cannot be used",
    NotebookFailed: "the notebook broke off",
    Stopped: "the run was stopped",
}

NOTHING_BEFORE = "no nights before"

MOST_COLUMNS = 4  # named of those that changed in an event type

SHORT_LIST = 3  # rows of a side table: the rest stands further down


@needs(optional=("foretold",))
def first_screen(result: RunResult, zone: ZoneInfo, foretold: object = None) -> Page:
    """Show everything that the engineer on call needs: verdict, failed checks, counts, changes, the command.

    ``foretold``: how the ranking did last week, which is written as a line; none where there is nothing to tell.
    """
    side = [rejected_page(result), late_page(result, zone), nulls_page(result), risk_page(result)]
    return stack_pages(
        [
            verdict_page(result, zone),
            *(check_page(check) for check in failures_first(result.checks) if not check.passed),
            *([rerun_page(result.changes, result.verdict)] if result.changes else []),
            beside(counts_table(result), side),
            *([lines_page([f"The ranking: {foretold}"])] if foretold is not None else []),
            facts_page(result, zone),
        ]
    )


def verdict_page(result: RunResult, zone: ZoneInfo) -> Page:
    """Show the verdict in one line, then the window in local time and in UTC, and how many events."""
    failed = [check for check in failures_first(result.checks) if not check.passed]
    line = result.verdict + (f": failed “{failed[0].name}”" if failed else "")
    line += f" and {len(failed) - 1} more" if len(failed) > 1 else ""
    source, published = (int(result.counts[side].sum()) for side in ("source", "published"))
    lines = [
        f"{result.window.local(zone)}  ·  {result.window}",
        f"{source:,} {plural(source, 'event')} in the source, {published:,} in the warehouse · "
        f"{result.how or 'nothing published'}",
    ]
    lines += [describe_completeness(result.completeness, zone)] if result.completeness else []
    lines += [
        f"the night {night.shift_date} is open: {night.describe(zone)} are loaded; a run after its end closes it"
        for night in result.open or ()
    ]
    return banner(line, VERDICT_COLOURS.get(result.verdict, FAILED), lines)


def describe_completeness(found: Completeness, zone: ZoneInfo) -> str:
    """Write how complete the night is expected to be: ``99.3% in; 41 ± 9 more expected by noon``."""
    by = found.until.astimezone(zone)
    when = "noon" if by.hour == 12 else f"{by:%H:%M} tomorrow"
    more = f"{found.expected:,.0f}" if found.expected >= 1 or not found.expected else "fewer than 1"
    return (
        f"{100 * found.share:.1f}% in; {more} more expected by {when}, {found.low:,.0f} to {found.high:,.0f} with 95% "
        "certainty, by how the nights before came in"
    )


def check_page(check: Check) -> Page:
    """Show a failed check: what was expected and observed, up to five rows, and the query for more."""
    colour = FAILED if check.severity is Severity.BLOCK else VERDICT_COLOURS[RunState.PUBLISHED_WITH_WARNINGS]
    head = f"{check.severity} · failed: {check.name}"
    lines = [f"expected {check.expected}", f"observed {check.observed}"]
    query = query_command(check.query) if check.query else ""
    rows = pd.DataFrame([dict(row) for row in check.examples])
    table = table_page(rows.set_index(rows.columns[0]).rename_axis(None)) if len(rows) else None
    html = render_macro(
        "failed_check",
        head=head,
        colour=colour,
        lines=lines,
        query=query,
        answers=check.answers,
        row_count=f"{len(rows)} {plural(len(rows), 'row')}",
        table=table,
        is_open=check.severity is Severity.BLOCK,
    )
    text = [head, *(f"  {line}" for line in lines), *([table.text] if table else []), *([query] if query else [])]
    text += [f"it answers {check.answers}"] if query and check.answers else []
    return Page(html, "\n".join(text))


def rerun_page(changes: Changes, verdict: RunState) -> Page:
    """Show what a run changes of a window that is loaded already."""
    title = "What this run changed" if verdict.is_published else "What this run would change"
    # A preview is read for its examples; of what is done, the table says enough.
    return changes_page(changes, title, folded=verdict.is_published)


def changes_page(changes: Changes, title: str, *, folded: bool = False) -> Page:
    """Show what is added, removed and changed, by event type; and examples, ``folded`` or open."""
    line = lines_page([changes.describe()])
    if changes.is_empty:
        return titled(title, line)
    counts = changes.counts.set_index("event_type").rename_axis(None)
    counts = counts[counts[[*CHANGES]].any(axis="columns")]
    table = counts[[*CHANGES]].copy()
    if np.isfinite(counts[["points_before", "points_after"]]).all(axis=None):
        pairs = zip(counts["points_before"], counts["points_after"], strict=True)
        table["risk points"] = [describe_points(was, now).removeprefix("risk points ") for was, now in pairs]
    columns = changes.columns
    named = (columns[columns["event_type"] == kind] for kind in table.index)
    table["changed columns"] = [list_columns(some) for some in named]
    lines = [
        f"{event_id or f'{kind}, key not shown'}: {change} {values}".rstrip()
        for kind, event_id, change, values in changes.examples.itertuples(index=False)
    ]
    html = render_macro("folded", summary=f"examples: {len(lines)}", lines=lines, is_open=not folded)
    return titled(title, stack_pages([line, table_page(table), Page(html, "\n".join(lines))]))


def list_columns(columns: pd.DataFrame) -> str:
    """Name the columns that changed most often, each with its events."""
    named = [f"{name} {rows:,}" for name, rows in zip(columns["column"], columns["rows"], strict=True)]
    more = len(named) - MOST_COLUMNS
    return ", ".join(named[:MOST_COLUMNS]) + (f" and {more} more" if more > 0 else "") or "–"


def rejected_page(result: RunResult) -> Page:
    """Show the rows that are no events, by type and reason, the most first."""
    rows = result.rejected.sort_values(["rows", "event_type", "reason"], ascending=[False, True, True])
    if rows.empty:
        return titled("Rejected rows", "none")
    table = pd.DataFrame({"reason": rows["reason"].astype("str"), "rows": rows["rows"]})
    shown = table_page(table.set_axis(rows["event_type"].astype("str"))[:SHORT_LIST], [*rows["event_type"]])
    rest = int(rows["rows"][SHORT_LIST:].sum())
    return titled(f"Rejected rows: {int(rows['rows'].sum()):,}", with_note(shown, f"and {rest:,} more" if rest else ""))


def late_page(result: RunResult, zone: ZoneInfo) -> Page:
    """Show the rows that came after their night was loaded, and those that came while this run was under way."""
    lines = []
    for night, rows in result.late.groupby("shift_date"):
        change = (rows["source"] - rows["warehouse"]).astype("int64")
        told = (f"{kind} {n:+,}" for kind, n in zip(rows["event_type"], change, strict=True) if n)
        kinds = list_some(told, SHORT_LIST, ", ", "type")
        day = pd.Timestamp(str(night)).date()
        lines.append(f"{day}: {kinds or 'rows have changed'} → {redo_command(Window.night(day, zone), zone)}")
    if more := len(lines[SHORT_LIST:]):
        lines[SHORT_LIST:] = [f"and {more} more {plural(more, 'night')}; `sentinel-etl reconcile` lists them"]
    counts = result.counts.set_index("event_type")
    arrived = counts["source_now"] - counts["source"]
    if arrived.any():
        kinds = list_some((f"{kind} {n:+,}" for kind, n in arrived[arrived != 0].items()), SHORT_LIST, ", ", "type")
        lines.append(f"during the run: {kinds}")
    return titled("Late rows", lines_page(lines) if lines else "none")


def nulls_page(result: RunResult) -> Page:
    """Show where the share of NULLs has changed most: column and event type, now and before."""
    rows = null_changes(result)
    rows = rows[rows["events"] >= 1][:SHORT_LIST]
    shares = zip(rows["column"], rows["event_type"], rows["share"], rows["share_before"], strict=True)
    table = pd.DataFrame(
        [(str(kind), f"{now:.0%}", f"{before:.0%}") for _, kind, now, before in shares],
        index=rows["column"].astype("str").to_list(),
        columns=["event type", "NULL", "before"],
    )
    warned = {subject for check in result.checks if not check.passed for subject in check.subjects}
    return titled("Most changed NULLs", table_page(table, warned) if len(table) else NOTHING_BEFORE)


def risk_page(result: RunResult) -> Page:
    """Show the event types whose risk scores have moved most, by population stability index."""
    if "base_risk_score" not in result.tonight.scores.columns:
        return titled("Most shifted risk", "no scores")
    drift = drift_table(result.tonight.scores, result.before.scores)
    rows = drift.sort_values("PSI", ascending=False, kind="stable")[:SHORT_LIST]
    table = table_page(rows[["events", "PSI", "KS"]], shifted(drift))
    return titled("Most shifted risk", table if len(rows) else NOTHING_BEFORE)


def facts_page(result: RunResult, zone: ZoneInfo) -> Page:
    """Show seconds per phase, what ran, and the command that does it again."""
    seconds = " · ".join(f"{phase} {result.timings[phase]:.2f} s" for phase in PHASES if phase in result.timings)
    versions = " · ".join(f"{name} {version}" for name, version in result.versions.items())
    types = list(result.counts["event_type"]) if result.limited else []
    redo = redo_command(result.window, zone, types, dry_run=result.verdict is RunState.DRY_RUN)
    lines = [
        f"seconds: {seconds}",
        f"run {result.run_id} · configuration {result.config_hash} · {versions or result.code_version}",
    ]
    return Page(render_macro("facts", lines=lines, command=redo), "\n".join([*lines, f"again: {redo}"]))


def failure_page(
    error: SentinelError, record: Mapping[str, Any] | None, window: Window, redo: str, zone: ZoneInfo
) -> Page:
    """Show the verdict of a run that ended before its notebook could: whether anything was published, and why.

    ``record`` is the run's row in the ledger, empty where it has none: the row is written before
    anything is published, and says after a failure which phases were entered. None: a notebook that
    publishes nothing.
    """
    verdict, then = judge_failure(error, record)
    lines = [str(error), *([then] if then else []), f"{window.local(zone)}  ·  {window}", f"again: {redo}"]
    cause = next((words for kind, words in CAUSES.items() if isinstance(error, kind)), "the run broke off")
    return banner(f"{verdict}: {cause}", FAILED, lines)


def judge_failure(error: SentinelError, record: Mapping[str, Any] | None) -> tuple[str, str]:
    if record is None:
        return RunState.FAILED, ""
    state, phases = record.get("state", RunState.UNKNOWN), record.get("timings", {})
    if state.is_published:
        return f"{state}, but its report broke off", "The night is in the warehouse."
    unread = not record and isinstance(error, WarehouseUnreachable)
    if (not record and not unread) or (state is RunState.FAILED and "publish" not in phases):
        return RunState.NOT_PUBLISHED, "Readers see what they saw before the run; running it again is safe."
    return (
        RunState.FAILED,
        "Each partition is as it was, or as it is meant to be; running it again is safe, and settles it.",
    )


def banner(line: str, colour: str, lines: list[str]) -> Page:
    return Page(render_macro("banner", line=line, colour=colour, lines=lines), "\n".join([line, *lines]))


def titled(title: str, content: Page | str) -> Page:
    return Page(render_macro("titled", title=title, content=content), f"{title}\n{content}")


def beside(main: Page, others: list[Page]) -> Page:
    """Put small pages in a column to the right of a large one, or below it where the page is narrow."""
    html = render_macro("beside", main=main, others=others)
    return Page(html, "\n\n".join(page.text for page in (main, *others)))


def stack_pages(pages: list[Page]) -> Page:
    return Page(render_macro("stacked", pages=pages), "\n\n".join(page.text for page in pages))
