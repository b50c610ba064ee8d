"""``sentinel-etl query``: one SELECT, and its rows as a table, CSV, JSON or Markdown."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from sentinel_etl.cli.options import as_json
from sentinel_etl.cli.terminal import align_columns
from sentinel_etl.errors import ConfigurationError, without_control_characters

if TYPE_CHECKING:
    from sentinel_etl.warehouse.answer import Answer

__all__ = ["query"]


# How many rows a person reads. What goes on into another program is never cut unasked.
SHOWN = 1000


def write_json(answer: Answer) -> str:
    return json.dumps(
        [dict(zip(answer.names, row, strict=True)) for row in answer.rows], ensure_ascii=False, default=str
    )


def write_csv(answer: Answer) -> str:
    """Write CSV as RFC 4180 has it, but for the line's end; a NULL is an empty field."""
    written = io.StringIO()
    lines = csv.writer(written, lineterminator="\n")
    lines.writerow(answer.names)
    lines.writerows([["" if value is None else spell(value) for value in row] for row in answer.rows])
    return written.getvalue().removesuffix("\n")


def write_table(answer: Answer) -> str:
    """Write columns for a terminal, numbers to the right."""
    if not answer.rows:
        return "no rows"
    right = [is_number(kind) for kind in answer.types]
    return align_columns(
        [[in_one_line(spell(value)) for value in line] for line in (answer.names, *answer.rows)], right
    )


def write_markdown(answer: Answer) -> str:
    """Write a table of GitHub's Markdown. https://github.github.com/gfm/#tables-extension-"""
    marks = ["---:" if is_number(kind) else "---" for kind in answer.types]
    lines: list[Iterable[str]] = [map(in_cell, answer.names), marks]
    lines += [[in_cell(spell(value)) for value in row] for row in answer.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def spell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "NULL" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def in_one_line(text: str) -> str:
    """Show line breaks and tabs by their codes, as all that a terminal would obey."""
    return without_control_characters(text).replace("\n", r"\n").replace("\t", r"\t")


def in_cell(text: str) -> str:
    return re.sub(r"([\\|`*_<>\[\]])", r"\\\1", in_one_line(text))


def is_number(kind: str) -> bool:
    return re.match(r"(?:Nullable\(|LowCardinality\()*(?:U?Int|Float|Decimal|BFloat|u?int|float)", kind) is not None


WRITERS: dict[str, Callable[[Answer], str]] = {
    "table": write_table,
    "csv": write_csv,
    "json": write_json,
    "markdown": write_markdown,
}


@click.command()
@click.argument("sql", required=False)
@click.option(
    "--limit", type=click.IntRange(0), help=f"At most so many rows; 0: all. Default: {SHOWN:,} to read, else all."
)
@click.option("--format", "how", type=click.Choice(list(WRITERS)), default="table", show_default=True)
@as_json
def query(sql: str | None, limit: int | None, how: str, as_json: bool) -> None:
    """Run one SELECT in the warehouse and print its rows; without SQL, or with -, it is read from standard input."""
    from sentinel_etl.databases import opened_warehouse
    from sentinel_etl.settings import load_settings
    from sentinel_etl.warehouse.answer import read_answer
    from sentinel_etl.warehouse.one_select import require_one_select

    how = "json" if as_json else how
    to_read = how in ("table", "markdown")
    limit = (SHOWN if to_read else 0) if limit is None else limit
    statement = read_sql() if sql in (None, "-") else str(sql)
    require_one_select(statement)
    settings = load_settings()
    with opened_warehouse(settings, settings.retry_seconds) as warehouse:
        answer = read_answer(warehouse, statement, limit, in_utc=not to_read)
    text = WRITERS[how](answer)
    click.echo(without_control_characters(text) if sys.stdout.isatty() else text)
    if answer.more:
        click.echo(f"there are more rows than the {limit:,} asked for; --limit 0 prints all", err=True)


def read_sql() -> str:
    """Read a statement from standard input; a terminal is not waited for."""
    if sys.stdin is None or sys.stdin.isatty():
        raise ConfigurationError("expected a SELECT, found none: give it as the argument, or on standard input")
    return sys.stdin.read()
