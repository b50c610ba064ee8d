"""What docs/reference.md lists is what the code has now."""

from __future__ import annotations

import pytest
from doc_pages import PAGES, REFERENCE, name_page, read, read_blocks
from doc_reference import writers

WRITTEN = read_blocks(read(REFERENCE))


@pytest.mark.parametrize("name", writers())
def test_block_is_what_the_code_says(name: str) -> None:
    assert WRITTEN[name] == writers()[name](), "docs/reference.md is out of date: run `make reference`"


def test_every_generated_block_is_known() -> None:
    assert WRITTEN.keys() == writers().keys()


def test_no_other_page_has_a_generated_block() -> None:
    assert [name_page(page) for page in PAGES if page != REFERENCE and read_blocks(read(page))] == []
