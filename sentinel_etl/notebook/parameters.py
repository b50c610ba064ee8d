"""A notebook's parameters: which it has, and whether those given fit."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any

import papermill
from pydantic import TypeAdapter, ValidationError

from sentinel_etl.errors import ConfigurationError
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


def notebook_parameters(path: Path) -> dict[str, dict[str, Any]]:
    """Read a notebook's parameters: name → type, default, help, as papermill infers them.

    Raises:
        ConfigurationError: no cell is tagged ``parameters``, so none could be passed.
    """
    known: dict[str, dict[str, Any]] = papermill.inspect_notebook(str(path))
    if not known:
        raise ConfigurationError(f"{path.name}: expected one cell tagged 'parameters', found none")
    return known


def check_parameters(path: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Refuse what papermill would only warn of: a parameter that the notebook does not have."""
    known = notebook_parameters(path)
    checked = {}
    for name, value in given.items():
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ConfigurationError(f"{path.name}: expected parameters among {', '.join(known)}; found {name!r}{hint}")
        declared = known[name]["inferred_type_name"]
        try:
            checked[name] = TypeAdapter(PARAMETER_TYPES.get(declared, Any)).validate_python(value)
        except ValidationError:
            raise ConfigurationError(f"{path.name}: {name}: expected {declared}, found {value!r}") from None
    return checked
