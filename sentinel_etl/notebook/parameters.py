"""A notebook's parameters: which it has, and whether those given fit."""

from __future__ import annotations

import ast
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from sentinel_etl.errors import ConfigurationError
from sentinel_etl.notebook.read_notebook import read_notebook
from sentinel_etl.settings import Settings

__all__ = ["check_parameters", "notebook_parameters", "notebook_path", "packaged_notebooks"]


PARAMETER_TYPES: dict[str, Any] = {"bool": bool, "float": float, "int": int, "list[str]": list[str], "str": str}


def notebook_path(name: str, settings: Settings) -> Path:
    """Find a notebook in the home's folder, or else among those of the package.

    Raises:
        ConfigurationError: neither has it.
    """
    file = f"{name.removesuffix('.ipynb')}.ipynb"
    own, packaged = settings.notebooks_dir, packaged_notebooks()
    found = next((folder / file for folder in (own, packaged) if (folder / file).is_file()), None)
    if found is None:
        raise ConfigurationError(
            f"expected a notebook among {names_in(own)} in {own}, or {names_in(packaged)} of the package; "
            f"found {name!r}"
        )
    return found


def names_in(folder: Path) -> str:
    return ", ".join(sorted(notebook.stem for notebook in folder.glob("*.ipynb"))) or "none"


def packaged_notebooks() -> Path:
    """Find the notebooks that an installed package brings, or those of the checkout that it stands in."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "notebooks"
    return installed if installed.is_dir() else package.parent / "notebooks"


def notebook_parameters(path: Path) -> dict[str, str]:
    """Read a notebook's parameters: name → the annotation of its type as it is written, empty where it has none.

    They are the assignments of the cell tagged ``parameters``, which papermill overwrites.
    https://papermill.readthedocs.io/en/latest/usage-parameterize.html

    Raises:
        ConfigurationError: it cannot be read, or no cell is tagged so, so none could be passed.
    """
    cells = [cell for cell in read_notebook(path).cells if "parameters" in cell.metadata.get("tags", ())]
    if not cells:
        raise ConfigurationError(f"{path.name}: expected one cell tagged 'parameters', found none")
    try:
        statements = parse_cell(cells[0].source)
    except SyntaxError as error:
        raise ConfigurationError(
            f"{path.name}: expected assignments in the cell tagged 'parameters', "
            f"found in line {error.lineno}: {error.msg}"
        ) from None
    known: dict[str, str] = {}
    for statement in statements:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            known[statement.target.id] = ast.unparse(statement.annotation)
        elif isinstance(statement, ast.Assign):
            known |= {target.id: "" for target in statement.targets if isinstance(target, ast.Name)}
    return known


def parse_cell(source: str) -> list[ast.stmt]:
    """Parse a cell's Python, which may hold IPython's magics."""
    try:
        return ast.parse(source).body
    except SyntaxError:
        from IPython.core.inputtransformer2 import TransformerManager  # a fifth of a second, for few cells

        transformer: Any = TransformerManager
        return ast.parse(str(transformer().transform_cell(source))).body


def check_parameters(path: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Refuse what papermill would only warn of: a parameter that the notebook does not have."""
    known = notebook_parameters(path)
    checked = {}
    for name, value in given.items():
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ConfigurationError(f"{path.name}: expected parameters among {', '.join(known)}; found {name!r}{hint}")
        declared = known[name]
        try:
            checked[name] = TypeAdapter(PARAMETER_TYPES.get(declared, Any)).validate_python(value)
        except ValidationError:
            raise ConfigurationError(f"{path.name}: {name}: expected {declared}, found {value!r}") from None
    return checked
