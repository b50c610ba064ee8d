"""The notebooks keep their shape, and their stored outputs hold nothing of one machine."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).parents[2]
NOTEBOOKS = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])


def read(path: Path) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def code_cells(path: Path) -> list[dict[str, Any]]:
    return [cell for cell in read(path)["cells"] if cell["cell_type"] == "code"]


def is_parameters(cell: dict[str, Any]) -> bool:
    return "parameters" in cell["metadata"].get("tags", [])


@each_notebook
def test_notebook_opens_with_what_it_answers_and_then_its_parameters(path: Path) -> None:
    first, second, *others = read(path)["cells"]
    assert first["cell_type"] == "markdown"
    assert "".join(first["source"]).startswith("# ")
    assert is_parameters(second)
    assert not any(map(is_parameters, others))


@each_notebook
def test_each_parameter_has_a_type_a_default_and_help(path: Path) -> None:
    (cell,) = filter(is_parameters, code_cells(path))
    for line in cell["source"]:
        assert re.fullmatch(r"\w+: .+ = .+  # help: .+\n?", line)


@each_notebook
def test_notebook_defines_nothing(path: Path) -> None:
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    for cell in code_cells(path):
        assert not [node for node in ast.walk(ast.parse("".join(cell["source"]))) if isinstance(node, defined)]


@each_notebook
def test_no_cell_ends_in_a_semicolon(path: Path) -> None:
    """nbval runs cells without history, where IPython does not see the semicolon and shows the value."""
    assert not [cell["id"] for cell in code_cells(path) if "".join(cell["source"]).rstrip().endswith(";")]


@each_notebook
def test_stored_outputs_are_of_one_run_from_top_to_bottom(path: Path) -> None:
    counts = [cell["execution_count"] for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1)), "run `make notebooks`"


@each_notebook
def test_stored_outputs_hold_no_error_warning_path_or_address(path: Path) -> None:
    for cell in code_cells(path):
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr"
            texts = [text for kind, text in output.get("data", {}).items() if kind.startswith("text/")]
            shown = "".join("".join(text) for text in [*texts, output.get("text", "")])
            assert "not drawn" not in shown, cell["id"]
            assert not re.search(r"/(root|home|tmp|Users|work)/|127\.0\.0\.1|localhost|password", shown), cell["id"]


@each_notebook
def test_metadata_names_the_kernel_and_nothing_of_one_machine(path: Path) -> None:
    notebook = read(path)
    assert notebook["metadata"] == {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert [cell["id"] for cell in notebook["cells"] if cell["metadata"].keys() - {"tags"}] == []


@pytest.mark.parametrize("seed", [1, 2])
def test_cells_of_a_notebook_stay_in_order_when_tests_are_shuffled(seed: int) -> None:
    options = ["--nbval", "notebooks", "--collect-only", "--quiet", "-p", "randomly", f"--randomly-seed={seed}"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    listed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    cells = re.findall(r"^notebooks/(\w+)\.ipynb::Cell (\d+)$", listed, flags=re.MULTILINE)
    order = list(dict.fromkeys(name for name, _ in cells))
    expected = [(path, str(n)) for path in order for n in range(sum(name == path for name, _ in cells))]
    assert cells == expected
    assert set(order) == {path.stem for path in NOTEBOOKS}
