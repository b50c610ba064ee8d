"""The home folder's own modules: last on the path, and none that shares its name with another."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib import invalidate_caches
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from sentinel_etl.env_file import project_home
from sentinel_etl.errors import ConfigurationError

__all__ = ["offer_home_modules"]


OWN = __name__.partition(".")[0]


def offer_home_modules(module: str) -> None:
    """Let ``module`` be imported from the home folder, with what it imports from there.

    The home comes last on the path, so that none of its files takes the place of a library's module for the
    libraries (https://docs.python.org/3/library/sys.html#sys.path). Which of two modules of one name was meant
    cannot be known, so the pipeline gets neither.

    Raises:
        ConfigurationError: a module of the home that is asked for has the name of one elsewhere.
    """
    home, first = project_home(), module.partition(".")[0]
    if first == OWN or PathFinder.find_spec(first, [str(home)]) is None:
        return
    for name, place in home_modules(first, home):
        if (other := find_elsewhere(name, place, home)) is not None:
            raise ConfigurationError(
                f"SENTINEL_PIPELINE: expected one module named {name}, found {place} and {other}. Rename the first"
            )
    if str(home) not in sys.path:
        sys.path.append(str(home))
        invalidate_caches()


def home_modules(first: str, home: Path) -> Iterator[tuple[str, str]]:
    """Give the name and the file or folder of a module of the home, and of those there that it imports."""
    waiting, seen = [first], set[str]()
    while waiting:
        name = waiting.pop()
        spec = PathFinder.find_spec(name, [str(home)]) if name not in seen else None
        seen.add(name)
        if spec is not None and (place := place_of(spec)) is not None:
            yield name, place
            waiting += imported_names(Path(place))


def imported_names(place: Path) -> list[str]:
    """List the top-level modules that a module's file, or all files of a package, import."""
    names: list[str] = []
    for file in place.parent.rglob("*.py") if place.name == "__init__.py" else [place]:
        try:
            nodes = list(ast.walk(ast.parse(file.read_bytes())))
        except (OSError, SyntaxError, ValueError):
            continue  # importing it tells why, and where
        names += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
        names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return [name.partition(".")[0] for name in names]


def find_elsewhere(name: str, place: str, home: Path) -> str | None:
    """Find where a module of this name comes from besides the home: the library, what is installed, what is loaded."""
    if name in sys.stdlib_module_names:
        return "Python's own"
    path = [entry for entry in sys.path if Path(entry).resolve() != home]
    specs = [finder.find_spec(name, path) for finder in sys.meta_path]
    places = [place_of(spec) for spec in (getattr(sys.modules.get(name), "__spec__", None), *specs) if spec]
    return next((found for found in places if found and Path(found).resolve() != Path(place).resolve()), None)


def place_of(spec: ModuleSpec) -> str | None:
    """Name a module's file, or the folder of a package that has no file."""
    return spec.origin or next(iter(spec.submodule_search_locations or ()), None)
