"""Writes lineage for people at a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sentinel_etl.lineage.lineage import ColumnLineage, EntryLineage, Lineage, Origin

__all__ = ["write_lineage"]


def write_lineage(lineage: Lineage) -> str:
    """Write each column with its sources, the event types that read them and what is done; then what rows are of."""
    blocks = ["\n".join(column_lines(column)) for column in lineage.columns]
    if lineage.entries:
        blocks.append("\n".join(["read from", *(line for entry in lineage.entries for line in entry_lines(entry))]))
    return "\n\n".join(blocks)


def column_lines(column: ColumnLineage) -> Iterator[str]:
    """Write a column: event types that read alike share a line, and what holds for all of them comes last."""
    yield f"{column.column}  {column.type}"
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for origin in column.origins:
        alike.setdefault((describe_reads(origin), origin.steps), []).append(origin.event_type)
    shared = shared_steps(column.origins)
    width = max((len(reads) for reads, _ in alike), default=0)
    width = width if width <= 60 else 0
    for (reads, steps), types in alike.items():
        yield f"  {reads:<{width}}  ← {', '.join(types)}"
        yield from (f"      {step}" for step in steps if step not in shared)
    yield from (f"  · {line}" for line in (*shared, *column.rules))


def shared_steps(origins: Sequence[Origin]) -> list[str]:
    """List the steps that every event type's values take."""
    return [step for step in origins[0].steps if all(step in each.steps for each in origins)] if origins else []


def describe_reads(origin: Origin) -> str:
    """Name the columns that a value is made of, by their SQL where there is some, and what it hangs on."""
    known = dict.fromkeys(str(column) for column in origin.columns if not column.decides)
    deciding = dict.fromkeys(str(column) for column in origin.columns if column.decides)
    written = [in_one_line(read.expression) for read in origin.reads if read.expression]
    text = ", ".join(known) or ("a constant" if written else "nothing of the source")
    if deciding:
        text += f", decided by {', '.join(deciding)}"
    if any(read.opaque for read in origin.reads):
        text += ", and what the SQL as text reads"
    return f"{text}: {'; '.join(dict.fromkeys(written))}" if written else text


def entry_lines(entry: EntryLineage) -> Iterator[str]:
    yield f"  {entry.event_type}  {in_one_line(entry.table)}"
    for join in entry.joins:
        kind = f"{'left ' if join.outer else ''}join"
        several = ", several rows an event" if join.one_to_many else ""
        yield f"      {kind} {in_one_line(join.table)} on {in_one_line(join.on)}{several}"
    yield from (f"      where {in_one_line(condition)}" for condition in entry.filters)
    yield f"      in the window by {', '.join(map(str, entry.window)) or 'a constant'}"


def in_one_line(sql: str) -> str:
    return " ".join(sql.split())
