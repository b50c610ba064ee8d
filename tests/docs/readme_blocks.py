"""Writes the parts of README.md that come from the code: ``make readme``.

Each stands between ``<!-- name -->`` and ``<!-- /name -->``. Names as arguments limit it to these.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner

from sentinel_etl.cli.main import cli
from sentinel_etl.errors import SentinelError
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.settings import Settings
from sentinel_etl.source.sql import compile_sql
from sentinel_etl.warehouse.types import server_type

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"<!-- (?P<name>[^/\n][^\n]*?) -->\n(?P<body>.*?)<!-- /(?P=name) -->", re.DOTALL)
NOW = "2026-11-22T06:10:00+05:30"
DEMO = f"SENTINEL_NOW={NOW} make demo"


def read_blocks(text: str) -> dict[str, str]:
    return {found["name"]: found["body"] for found in BLOCK.finditer(text)}


def writers() -> dict[str, Callable[[], str]]:
    """Name every block that the README must have, with the function that writes it."""
    return {
        "demo": write_demo,
        "commands": write_commands,
        "help": write_help,
        "settings": write_settings,
        "exit codes": write_exit_codes,
        "event types": write_event_types,
        "fact table": write_fact_table,
    }


def commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """List every command that does something, by its path; a group is only a way to others."""
    if isinstance(command, click.Group):
        for name in command.commands:
            yield from commands(command.commands[name], (*path, name))
    else:
        yield path, command


def write_help() -> str:
    texts = []
    for path, _ in commands(cli, ("sentinel-etl",)):
        # What click makes of a terminal of 80 columns.
        asked = CliRunner().invoke(cli, [*path[1:], "--help"], prog_name=path[0], terminal_width=78)
        texts.append(fence(asked.output))
    return "\n".join(texts)


def write_commands() -> str:
    rows = []
    for path, command in commands(cli, ("sentinel-etl",)):
        summary = str(command.help).partition("\n\n")[0].replace("\n", " ")
        rows.append([f"`{' '.join(path)}`", summary])
    return table(["command", "what it does"], rows)


def write_settings() -> str:
    rows = []
    for name, setting in Settings.model_fields.items():
        default = "" if setting.default in (None, "") else f"`{setting.default}`"
        rows.append([f"`SENTINEL_{name.upper()}`", default, str(setting.description)])
    return table(["variable", "default", "meaning"], rows)


def write_exit_codes() -> str:
    """Meanings from the command's help, errors from their classes."""
    (listed,) = re.findall(r"Exit codes: (.+?)\.\s", re.sub(r"\s+", " ", f"{cli.help} "))
    meanings = {int(code): meaning for code, meaning in (entry.split(" ", 1) for entry in listed.split("; "))}
    errors: dict[int, list[str]] = {code: [] for code in meanings}
    for error in (SentinelError, *subclasses(SentinelError)):
        errors[error.exit_code].append(f"`{error.__name__}`")
    return table(["code", "meaning", "errors"], [[str(c), meanings[c], ", ".join(errors[c])] for c in sorted(errors)])


def subclasses(error: type[SentinelError]) -> Iterator[type[SentinelError]]:
    for child in error.__subclasses__():
        if child.__module__ == error.__module__:  # tests may derive their own
            yield child
            yield from subclasses(child)


def write_event_types() -> str:
    rows = []
    for kind in SENTINEL.event_types.values():
        joins = [f"`{'left ' if join.outer else ''}{join.table} on {compile_sql(join.on)}`" for join in kind.joins]
        filters = [f"`{compile_sql(condition)}`" for condition in kind.filters]
        rows.append([f"`{kind.name}`", f"`{kind.table}`", "<br>".join(joins), "<br>".join(filters)])
    return table(["event type", "table", "joins", "filters"], rows)


def write_fact_table() -> str:
    rows = [[f"`{c.name}`", f"`{server_type(c)}`", str(c.comment)] for c in SENTINEL.fact_table.columns]
    return table(["column", "type", "meaning"], rows)


def write_demo() -> str:
    return fence(f"$ {DEMO}\n{run_demo()}")


def run_demo() -> str:
    """Run the demonstration on a local stack of its own, and give what it prints."""
    with tempfile.TemporaryDirectory(prefix="sentinel-") as home:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SENTINEL_")}
        environment |= {
            "SENTINEL_HOME": home,
            "SENTINEL_STATE_DIR": str(Path(home) / "state"),
            "SENTINEL_NOTEBOOKS_DIR": str(README.with_name("notebooks")),
            "SENTINEL_NOW": NOW,
        }
        command: Any = partial(
            subprocess.run,
            cwd=home,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            done = command([sys.executable, "-m", "sentinel_etl", "demo"])
        finally:
            command([sys.executable, "-m", "sentinel_etl", "local", "down"])
        if done.returncode:
            raise RuntimeError(f"the demonstration exited {done.returncode}:\n{done.stdout}")
        return str(done.stdout)


def hide_run_id(text: str) -> str:
    return re.sub(r"\d{8}t\d{6}_[0-9a-f]{6}", "RUN_ID", text)


def fence(text: str) -> str:
    return f"```text\n{text.strip()}\n```\n"


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main(names: list[str]) -> None:
    """Write README.md anew; an error leaves it as it was."""
    text = README.read_text(encoding="utf-8")
    for name, write in writers().items():
        if names and name not in names:
            continue
        opening, closing = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        if opening not in text:
            sys.exit(f"README.md: expected the marks {opening.strip()} and {closing}, found none")
        head, _, rest = text.partition(opening)
        text = head + opening + write() + closing + rest.partition(closing)[2]
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
