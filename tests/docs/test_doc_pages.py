"""The pages hold together: links lead somewhere, shown commands parse, and the README stays short."""

from __future__ import annotations

import itertools
import re
import shlex
from itertools import pairwise
from pathlib import Path

import click
import papermill
import pytest
from doc_pages import CHECKOUT, LINKED_PAGES, PAGES, README, name_page, read, read_anchors, read_commands, read_links

from sentinel_etl.cli.main import cli

LINKS = [(page, link) for page in LINKED_PAGES for link in dict.fromkeys(read_links(read(page)))]
LOCAL_LINKS = [(page, link) for page, link in LINKS if not re.match(r"\w+:", link)]
COMMANDS = [(page, line) for page in PAGES for line in dict.fromkeys(read_commands(read(page)))]


def label(value: object) -> str:
    return name_page(value) if isinstance(value, Path) else str(value)


def test_every_page_is_known() -> None:
    assert {*CHECKOUT.glob("docs/*.md"), README} == set(PAGES)


def test_the_readme_has_at_most_200_lines() -> None:
    assert len(read(README).splitlines()) <= 200


def test_the_readme_links_every_other_page() -> None:
    linked = {(CHECKOUT / link.partition("#")[0]).resolve() for link in read_links(read(README))}
    assert {page.resolve() for page in LINKED_PAGES} - linked == {README.resolve()}


@pytest.mark.parametrize(("page", "link"), LOCAL_LINKS, ids=label)
def test_link_leads_to_a_file_and_a_heading(page: Path, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    assert target.exists()
    if anchor:
        assert anchor in read_anchors(read(target))


@pytest.mark.parametrize("page", LINKED_PAGES, ids=label)
def test_no_two_headings_of_a_page_have_one_anchor(page: Path) -> None:
    anchors = read_anchors(read(page))
    assert [anchor for anchor in anchors if anchors.count(anchor) > 1] == []


@pytest.mark.parametrize("page", LINKED_PAGES, ids=label)
def test_page_names_no_place_of_one_machine(page: Path) -> None:
    assert not [word for word in ("/root", "/home/", "/work", "/tmp") if word in read(page)]  # noqa: S108


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=label)
def test_shown_command_parses(page: Path, line: str) -> None:
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"\w+=.*", words[0]):
        words.pop(0)
    program, *arguments = itertools.takewhile("|".__ne__, words)
    check = {
        "cd": lambda words: check_sentinel_etl(words[words.index("&&") + 2 :]),
        "echo": lambda _: None,
        "make": check_make,
        "openssl": lambda _: None,
        "papermill": check_papermill,
        "python": lambda _: None,
        "sed": lambda _: None,
        "sentinel-etl": check_sentinel_etl,
        ".venv/bin/sentinel-etl": check_sentinel_etl,
    }
    check[program](arguments)


def check_make(arguments: list[str]) -> None:
    assert re.search(rf"^{arguments[0]}:", read(CHECKOUT / "Makefile"), flags=re.MULTILINE)


def check_papermill(arguments: list[str]) -> None:
    known = papermill.inspect_notebook(str(CHECKOUT / arguments[0]))
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


def test_makefile_names_each_command_in_its_help() -> None:
    makefile = read(CHECKOUT / "Makefile")
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, flags=re.MULTILINE)
    assert set(re.findall(r"^([a-z-]+):.*## ", makefile, flags=re.MULTILINE)) == set(phony.split())
