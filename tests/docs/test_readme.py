"""What the README shows is what the code says and does now."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import click
import papermill
import pytest
from readme_blocks import BLOCK, README, hide_run_id, read_blocks, writers

from sentinel_etl.cli.main import cli
from sentinel_etl.config.parse_config import parse_event_config
from sentinel_etl.extract.statements import select_events
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.source.sql import compile_sql
from sentinel_etl.window import Window, parse_instant

TEXT = README.read_text(encoding="utf-8")
WRITTEN = read_blocks(TEXT)
OUTSIDE_BLOCKS = BLOCK.sub("", TEXT)


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", OUTSIDE_BLOCKS, flags=re.DOTALL | re.MULTILINE)


def shown_commands() -> list[str]:
    """List the commands of the README's ``sh`` blocks, continued lines joined, comments left out."""
    lines = "".join(fenced("sh")).replace("\\\n", " ").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("name", [name for name in writers() if name != "demo"])
def test_block_is_what_the_code_says(name: str) -> None:
    assert WRITTEN[name] == writers()[name](), "run `make readme`"


def test_demo_prints_what_the_readme_shows() -> None:
    assert hide_run_id(WRITTEN["demo"]) == hide_run_id(writers()["demo"]()), "run `make readme`"


def test_every_generated_block_is_known() -> None:
    assert WRITTEN.keys() == writers().keys()


@pytest.mark.parametrize("target", re.findall(r"\]\((?!\w+:|#)([^)#]+)", TEXT))
def test_relative_link_leads_to_a_file(target: str) -> None:
    assert (README.parent / target).exists()


@pytest.mark.parametrize("anchor", re.findall(r"\]\(#([^)]+)\)", TEXT))
def test_link_within_the_page_leads_to_a_heading(anchor: str) -> None:
    headings = re.findall(r"^#+ (.+)$", TEXT, flags=re.MULTILINE)
    assert anchor in [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("line", shown_commands())
def test_shown_command_parses(line: str) -> None:
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"\w+=.*", words[0]):
        words.pop(0)
    program, *arguments = words
    check = {
        "cd": lambda _: None,
        "conda": lambda given: check_file(given[-1]),
        "git": lambda _: None,
        "make": check_make,
        "papermill": check_papermill,
        "pytest": lambda given: check_file(given[-1]),
        "sentinel-etl": check_sentinel_etl,
        ".venv/bin/sentinel-etl": check_sentinel_etl,
    }
    check[program](arguments)


def check_file(name: str) -> None:
    assert (README.parent / name).exists()


def check_make(arguments: list[str]) -> None:
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{arguments[0]}:", makefile, flags=re.MULTILINE)


def check_papermill(arguments: list[str]) -> None:
    known = papermill.inspect_notebook(str(README.parent / arguments[0]))
    given = [name for flag, name in pairwise(arguments) if flag == "-p"]
    assert set(given) <= set(known)


def check_sentinel_etl(arguments: list[str]) -> None:
    command: click.Command = cli
    context: click.Context | None = None
    while True:
        context = command.make_context(command.name, list(arguments), parent=context)
        if not isinstance(command, click.Group):
            return
        _, found, arguments = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        command = found


def test_shown_entry_works_as_it_stands() -> None:
    (code,) = fenced("python")
    names: dict[str, object] = {}
    exec("from sqlalchemy import *\nfrom sentinel_etl.config.source_models import *\nentries = {" + code + "}", names)  # noqa: S102
    window = Window.latest(parse_instant("2026-11-22T06:10:00+05:30"))
    (kind,) = parse_event_config(names["entries"], SENTINEL.common_columns).values()  # type: ignore[arg-type]
    assert kind.name not in SENTINEL.event_types
    assert "FROM " in compile_sql(select_events(kind, window))


def test_readme_names_no_place_of_one_machine() -> None:
    assert not [word for word in ("/root", "/home/", "/work", "/tmp") if word in TEXT]  # noqa: S108


def test_makefile_names_each_command_in_its_help() -> None:
    makefile = Path(README.parent / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, flags=re.MULTILINE)
    assert set(re.findall(r"^([a-z]+):.*## ", makefile, flags=re.MULTILINE)) == set(phony.split())
