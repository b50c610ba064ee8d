"""A notebook of the user's own: what it may hold, and what is said of a file that is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from sentinel_etl.errors import ConfigurationError
from sentinel_etl.notebook.parameters import check_parameters, notebook_parameters
from sentinel_etl.notebook.read_notebook import read_notebook

PYTHON = {"name": "python3", "display_name": "Python 3", "language": "python"}
VALID = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": PYTHON}, "cells": []}


def with_parameters(folder: Path, source: str, **metadata: Any) -> Path:
    cell = new_code_cell(source, metadata={"tags": ["parameters"]})
    path = folder / "mine.ipynb"
    kept = {name: value for name, value in ({"kernelspec": PYTHON} | metadata).items() if value}
    nbformat.write(new_notebook(cells=[cell], metadata=kept), path)
    return path


FILES = {
    "empty": (b"", "an empty file"),
    "blank": (b" \n\n", "an empty file"),
    "conflict": (
        b'{"cells": [\n<<<<<<< HEAD\n 1\n=======\n 2\n>>>>>>> other\n]}',
        "the conflict markers of a merge in line 2. Settle the merge, then run it again",
    ),
    "no JSON": (b"print(1)", "what nbformat cannot read: "),
    "a list": (b"[]", "what nbformat cannot read: "),
    "a number": (b"1", "what nbformat cannot read: "),
    "an object": (b"{}", "what nbformat cannot read: "),
    "no text": (b"\xff\xfe\x00", "what nbformat cannot read: "),
    "a later format": (json.dumps(VALID | {"nbformat": 99}).encode(), "what nbformat cannot read: "),
    "no cells": (json.dumps({k: v for k, v in VALID.items() if k != "cells"}).encode(), "what nbformat cannot read: "),
    "half a cell": (json.dumps(VALID | {"cells": [{"cell_type": "code"}]}).encode(), "what nbformat cannot read: "),
    "a cell of no kind": (
        json.dumps(VALID | {"cells": [{"cell_type": "x", "source": "", "metadata": {}}]}).encode(),
        "what nbformat cannot read: ",
    ),
    "cut off": (json.dumps(VALID).encode()[:-10], "what nbformat cannot read: "),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_notebook_is_told_by_its_name_in_one_sentence(tmp_path: Path, name: str) -> None:
    content, sentence = FILES[name]
    path = tmp_path / "mine.ipynb"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as told:
        read_notebook(path)
    said = str(told.value)
    assert said.startswith(f"mine.ipynb: expected a notebook, found {sentence}")
    assert (len(said) < 300, said.splitlines()) == (True, [said])


def test_a_folder_of_that_name_is_none(tmp_path: Path) -> None:
    (tmp_path / "mine.ipynb").mkdir()
    with pytest.raises(ConfigurationError, match=r"^mine\.ipynb: expected a notebook, found: Is a directory$"):
        read_notebook(tmp_path / "mine.ipynb")


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ({"kernelspec": {"name": "nowhere", "display_name": "x", "language": "python"}}, "the kernel 'nowhere'"),
        ({"kernelspec": {"name": "ir", "display_name": "R", "language": "R"}}, "the kernel 'ir'"),
        ({"kernelspec": None}, "no kernel"),
    ],
)
def test_another_kernel_than_this_interpreter_s_is_refused(
    tmp_path: Path, metadata: dict[str, Any], found: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"found {found}. Choose Python 3 for it in JupyterLab"):
        notebook_parameters(with_parameters(tmp_path, "a = 1", **metadata))


def test_a_notebook_of_format_3_is_brought_up_to_4(tmp_path: Path) -> None:
    path = tmp_path / "old.ipynb"
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"kernelspec": PYTHON}, "worksheets": [{"cells": []}]}
    path.write_text(json.dumps(old))
    assert read_notebook(path).cells == []


def test_every_assignment_of_the_tagged_cell_is_a_parameter(tmp_path: Path) -> None:
    source = """# a == b
words = "x=1"  # help: how = many
tried: dict = {"k": 1, "l": (1 == 2)}
nights: int = 28
spread = dict(
    x=1,
    y="=",
)
first = second = None
types: list[str] = []
%matplotlib inline
"""
    known = notebook_parameters(with_parameters(tmp_path, source))
    assert known == {
        **{"words": "", "tried": "dict", "nights": "int", "spread": "", "first": "", "second": ""},
        "types": "list[str]",
    }


def test_a_value_is_held_to_its_annotation(tmp_path: Path) -> None:
    path = with_parameters(tmp_path, "nights: int = 28\nwords = 'a=b'")
    assert check_parameters(path, {"nights": "7", "words": [1]}) == {"nights": 7, "words": [1]}
    with pytest.raises(ConfigurationError, match=r"^mine\.ipynb: nights: expected int, found 'many'$"):
        check_parameters(path, {"nights": "many"})
    with pytest.raises(ConfigurationError, match="did you mean 'words'"):
        check_parameters(path, {"word": 1})


def test_a_cell_that_is_no_python_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^mine\.ipynb: expected assignments in the cell tagged"):
        notebook_parameters(with_parameters(tmp_path, "a = (\n"))


def test_a_notebook_without_a_tagged_cell_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1")], metadata={"kernelspec": PYTHON}), path)
    with pytest.raises(ConfigurationError, match=r"^mine\.ipynb: expected one cell tagged 'parameters', found none$"):
        notebook_parameters(path)
