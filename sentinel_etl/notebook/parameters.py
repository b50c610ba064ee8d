"""A notebook's parameters: which it has, and whether those given fit."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any

import papermill
from pydantic import TypeAdapter, ValidationError

from sentinel_etl.errors import ConfigurationError
from sentinel_etl.settings import Settings

__all__ = ["check_parameters", "notebook_parameters", "notebook_path"]


PARAMETER_TYPES: dict[str, Any] = {"bool": bool, "float": float, "int": int, "list[str]": list[str], "str": str}


def notebook_path(name: str, settings: Settings) -> Path:
    path = settings.notebooks_dir / f"{name.removesuffix('.ipynb')}.ipynb"
    if not path.is_file():
        there = sorted(notebook.stem for notebook in settings.notebooks_dir.glob("*.ipynb"))
        raise ConfigurationError(
            f"expected a notebook among {', '.join(there) or 'none'} in {settings.notebooks_dir}; found {name!r}"
        )
    return path


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
