"""Writes the parts of docs/reference.md from the code. Connects to nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Literal, get_args, get_origin

import click
from click.testing import CliRunner
from pydantic.fields import FieldInfo
from sqlalchemy import Table

from sentinel_etl.audit.chance import highest_rate
from sentinel_etl.audit.gate_registry import GATES, MEASURED
from sentinel_etl.cli.main import cli
from sentinel_etl.config.gates import GATE_FIELDS
from sentinel_etl.errors import SentinelError
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.settings import Settings
from sentinel_etl.source.sql import compile_sql
from sentinel_etl.type_mapping.pairs import KIND_NAMES, PAIRS
from sentinel_etl.type_mapping.source_types import FAMILY_NAMES
from sentinel_etl.warehouse.tables import build_ledger, build_rejected, build_rules
from sentinel_etl.warehouse.types import server_type


def writers() -> dict[str, Callable[[], str]]:
    """Name every block that the reference must have, with the function that writes it."""
    return {
        "commands": write_commands,
        "help": write_help,
        "settings": write_settings,
        "exit codes": write_exit_codes,
        "event types": write_event_types,
        "types": write_types,
        "gates": write_gates,
        "fact table": lambda: write_columns(SENTINEL.fact_table),
        "rejected table": lambda: write_columns(build_rejected(SENTINEL.fact_table)),
        "ledger": lambda: write_columns(build_ledger()),
        "kept rules": lambda: write_columns(build_rules()),
        "personal columns": write_personal_columns,
    }


def commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """List every command that does something, by its path; a group is only a way to others."""
    if isinstance(command, click.Group):
        for name in command.commands:
            yield from commands(command.commands[name], (*path, name))
    else:
        yield path, command


def write_commands() -> str:
    rows = []
    for path, command in commands(cli, ("sentinel-etl",)):
        summary = str(command.help).partition("\n\n")[0].replace("\n", " ")
        anchor = "-".join(path)
        rows.append([f"[`{' '.join(path)}`](#{anchor})", summary])
    return table(["command", "what it does"], rows)


def write_help() -> str:
    texts = []
    for path, _ in commands(cli, ("sentinel-etl",)):
        # What click makes of a terminal of 80 columns.
        asked = CliRunner().invoke(cli, [*path[1:], "--help"], prog_name=path[0], terminal_width=78)
        texts.append(f"### {' '.join(path)}\n\n```text\n{asked.stdout.strip()}\n```\n")
    return "\n".join(texts)


def write_settings() -> str:
    rows = [
        [f"`SENTINEL_{name.upper()}`", describe_default(setting), str(setting.description)]
        for name, setting in Settings.model_fields.items()
    ]
    return table(["variable", "default", "meaning"], rows)


def describe_default(setting: FieldInfo) -> str:
    """Write the default; of a closed set, the other values too."""
    if setting.default in (None, ""):
        return ""
    values = get_args(setting.annotation) if get_origin(setting.annotation) is Literal else ()
    others = ", ".join(f"`{value}`" for value in values if value != setting.default)
    return f"`{setting.default}`" + (f"; or {others}" if others else "")


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
        model = SENTINEL.event_config[kind.name]["model"].__name__
        joins = [f"`{'left ' if join.outer else ''}{join.table} on {compile_sql(join.on)}`" for join in kind.joins]
        filters = [f"`{compile_sql(condition)}`" for condition in kind.filters]
        rows.append(
            [f"`{kind.name}`", f"`{model}`", f"`{kind.table}`", "<br>".join(joins), "<br>".join(filters)],
        )
    return table(["event type", "model", "table", "joins", "filters"], rows)


def write_types() -> str:
    rows = []
    for family, pairs in PAIRS.items():
        names = ", ".join(f"`{name}`" for name in FAMILY_NAMES.get(family, ()) if "serial" not in name)
        kinds = ", ".join(f"`{KIND_NAMES[kind]}`" for kind in pairs)
        rows.append([names or "any other: intervals, times, ranges, …", kinds])
    return table(["source", "fact table"], rows)


def write_gates() -> str:
    rows = []
    for name, gate in GATES.items():
        # A number of 0 that the meaning does not speak of says nothing.
        numbers = {"limit": gate.limit, "least": gate.least}
        shown = [f"{value:g}" if value or f"`{word}`" in gate.meaning else "" for word, value in numbers.items()]
        own = ", ".join(f"`{field}`" for field in GATE_FIELDS.get(name, ()) if field)
        meaning = re.sub(r"`(limit|least)`", r"*\1*", gate.meaning)
        rows.append([gate.name, f"`{name}`", str(gate.severity), *shown, own, meaning, *describe_measured(name)])
    header = ["gate", "identifier", "severity", "*limit*", "*least*", "`GateLimits`", "meaning"]
    return table([*header, "false alarms", "faults told"], rows)


def describe_measured(name: str) -> tuple[str, str]:
    """Write a gate's false alarms with their upper limit, and its power."""
    if name not in MEASURED:
        return "none, it counts exactly", ""
    measured = MEASURED[name]
    highest = highest_rate(measured.alarms, measured.nights)
    told = "; ".join(f"{fault} {share:.0%}" for fault, share in measured.power.items())
    return f"{measured.alarms} of {measured.nights} nights, at most {highest:.1%}", told


def write_columns(columns_of: Table) -> str:
    rows = [[f"`{c.name}`", f"`{server_type(c)}`", str(c.comment)] for c in columns_of.columns]
    return table(["column", "type", "meaning"], rows)


def write_personal_columns() -> str:
    return table(["column", "why"], [[f"`{name}`", why] for name, why in SENTINEL.personal.items()])


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
