"""What the pages show of commands, queries and Python is what they print now, on a local stack."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from doc_examples import hide_volatile, printing_fences, run_pages
from doc_pages import CHECKOUT, PAGES, name_page, read, read_fences

from sentinel_etl.config.parse_config import parse_event_config
from sentinel_etl.extract.statements import select_events
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.source.sql import compile_sql
from sentinel_etl.window import Window, parse_instant

EXAMPLES = [(page, place) for page in PAGES for place in range(len(printing_fences(read(page))))]


@pytest.fixture(scope="module")
def pages_now() -> dict[Path, str]:
    """The pages with what their examples print now."""
    return run_pages()


@pytest.mark.parametrize(("page", "place"), EXAMPLES, ids=[f"{name_page(page)}:{n + 1}" for page, n in EXAMPLES])
def test_example_prints_what_the_page_shows(page: Path, place: int, pages_now: dict[Path, str]) -> None:
    shown, printed = (hide_volatile(printing_fences(text)[place]) for text in (read(page), pages_now[page]))
    assert shown == printed, f"{name_page(page)} is out of date: run `make readme`"


def test_the_readme_shows_the_demonstration() -> None:
    assert "make demo" in printing_fences(read(CHECKOUT / "README.md"))[0]


def test_make_demo_is_the_command_that_the_example_runs() -> None:
    makefile = read(CHECKOUT / "Makefile")
    assert re.search(r"^demo: .*\n\t@\$\(BIN\)/sentinel-etl demo$", makefile, flags=re.MULTILINE)


def test_shown_entry_works_as_it_stands() -> None:
    codes = [code for page in PAGES for code in read_fences(read(page), "python")]
    # The others are modules, which examples run, and how a pipeline is given one thing more.
    (code,) = [code for code in codes if code.startswith('"')]
    names: dict[str, object] = {}
    exec("from sqlalchemy import *\nfrom sentinel_etl.config.source_models import *\nentries = {" + code + "}", names)  # noqa: S102
    window = Window.latest(parse_instant("2026-11-22T06:10:00+05:30"))
    (kind,) = parse_event_config(names["entries"], SENTINEL.common_columns).values()  # type: ignore[arg-type]
    assert kind.name not in SENTINEL.event_types
    assert "FROM " in compile_sql(select_events(kind, window))
